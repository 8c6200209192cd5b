//! CloudTrail's event history, as LookupEvents shows it.
//!
//! [`history`] is the model; [`world`] puts it behind the pipeline's ports, on virtual time and with seeded faults.

pub mod history;
pub mod world;
