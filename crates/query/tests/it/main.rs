//! Questions to real lakes: the catalogue's planted cases, other engines' answers, limits and refusals.

#![expect(clippy::expect_used, reason = "a test's set-up fails by panicking")]

mod cases;
mod engine;
mod parity;
mod world;
