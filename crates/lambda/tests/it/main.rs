//! The real functions: their binaries, invoked as Lambda does, against tables and a topic that moto plays and the testkit's
//! CloudTrail, all on this machine.
//!
//! `TRAILHOUND_PYTHON` names an interpreter with moto installed; without it the tests say so and pass.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's set-up fails by panicking")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

mod exports;
mod faults;
mod functions;
mod silence;
mod speed;
mod stage;
mod standing;
mod trail;
