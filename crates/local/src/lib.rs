//! This machine's adapters for the pipeline's ports.
//!
//! **Owns** [`files`] (files, folders and archives as a source) and [`aside`] (what is read but not stored).
//! **Must not** know detections' rules or print.

pub mod aside;
pub mod files;
pub mod state;
mod store;
mod timer;

pub use store::{LakeStore, SystemClock};
pub use timer::SystemTimer;
