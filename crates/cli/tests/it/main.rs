//! The real binary through its real command line. One test program, so that the heavy libraries are linked once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod ask;
mod athena;
mod attest;
mod bad_input;
mod crash;
mod credentials;
mod daemon;
mod deployment;
mod deploys;
mod detective;
#[cfg(unix)]
mod door;
mod everyday;
mod formats;
mod live;
#[cfg(unix)]
mod prompt;
mod proof;
mod race;
mod readme;
mod real_logs;
mod silence;
mod stack;
mod support;
mod tidy;
mod trails;
mod verify;
