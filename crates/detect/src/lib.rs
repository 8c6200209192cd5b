//! Detections: what in an event is dangerous, and how to say so.
//!
//! **Owns** the detections (one file each under `detections`), their registry and its dispatch by event name, findings,
//! and the reference page made of them. **Must not** do I/O, be asynchronous, or read a clock: time comes from the event.
//!
//! Read in this order: [`Detection`] (what a detection is), any file of `detections` (one of them whole), [`Registry`]
//! (how events reach them), [`Deed`] and `sentence` (how a hit becomes a [`Finding`]), `request` (how a stranger's
//! parameters are read, and what happens where they cannot be).
//!
//! Adding a detection: write `detections/<its_id>.rs` like its neighbours, name it in `detections.rs`, and the tests,
//! `trailhound detections` and the reference page have it.

mod actor;
mod config;
mod deed;
mod detection;
mod detections;
mod document;
mod finding;
mod reference;
mod registry;
mod request;
mod text;

pub use config::{ADMIN_GROUPS, ConfigError, DetectConfig};
pub use deed::Deed;
pub use detection::{Calls, Detection, Docs, Triggers};
pub use finding::{Finding, Severity};
pub use reference::reference;
pub use registry::Registry;

/// Every detection, in the order of the reference page.
#[must_use]
pub fn all() -> &'static [&'static Detection] {
    detections::ALL
}

/// The detection with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Detection> {
    all().iter().copied().find(|detection| detection.id == id)
}
