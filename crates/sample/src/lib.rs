//! The generator of believable CloudTrail trails: what `trailhound demo` shows and what the benchmark reads.
//!
//! It owns one small fictional organisation (six accounts, some twenty-five people, their roles, pipelines and machines), a
//! month of its ordinary traffic, and one intrusion planted in it whose every step is known. It does not know how events
//! are read, stored or judged: the ids of detections in [`Step`] are plain words of the truth it writes down.
//!
//! **Invariant:** the same [`Plan`] gives byte-identical files, whatever the number of threads. Every UTC day is generated
//! from its own random lane, so days need nothing of each other.
//!
//! Read [`Plan`] first, then `day` (how a day is filled), `traffic` (who does what), `story` (what is planted),
//! `delivery` (how records become files) and `digest` (how files are signed, see [`Signing`]). Addresses are of the ranges reserved for documentation and benchmarks (RFC 5737,
//! RFC 2544), names end in `.example`, and every account id is made up.

mod actions;
mod calendar;
mod call;
mod chance;
mod day;
mod delivery;
mod digest;
mod identity;
mod organisation;
mod plan;
mod record;
mod scene;
mod story;
mod traffic;
mod truth;

pub use digest::{Signed, Signing};
pub use organisation::REGIONS;
pub use plan::{Plan, Progress, SampleError, Summary};
pub use truth::Step;
