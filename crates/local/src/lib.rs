//! This machine's adapters for the pipeline's ports.
//!
//! **Owns** [`files`] (files, folders and archives as a source), [`aside`] (what is read but not stored), and for
//! integrity [`evidence`] (a copy of a bucket), [`journal`] (how far a verification came) and [`proof`] (digests, as
//! `integrity` judges them, behind the pipeline's port).
//! **Must not** know detections' rules or print.

pub mod aside;
mod ballast;
pub mod evidence;
pub mod files;
pub mod journal;
pub mod proof;
mod sidecar;
pub mod state;
mod store;
mod timer;

pub use ballast::Ballast;
pub use store::{LakeStore, SystemClock};
pub use timer::SystemTimer;
