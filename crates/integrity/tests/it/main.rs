//! Whole buckets in memory, signed as CloudTrail signs, and what is said of them when somebody changed something.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test's set-up fails by panicking")]

mod bits;
mod copies;
mod length;
mod tampering;
mod testimony;
mod world;
