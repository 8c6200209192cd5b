//! The walls between the rooms: what ARCHITECTURE.md promises about the crates and a test can check.
//!
//! - [`dependencies`]: who may depend on whom, where heavy libraries stand, why each dependency is there;
//! - [`sources`]: who may print, end the process, do I/O or read a clock;
//! - [`paths`]: no file of the project speaks of one developer's machine.
//!
//! Each rule is a function from its input to a list of violations, so that a test can feed it a breach and see
//! it caught: a wall that lets everything through would fail here.

#![expect(clippy::expect_used, reason = "a test's set-up fails by panicking")]

mod dependencies;
mod paths;
mod sources;
mod tokens;

use std::path::{Path, PathBuf};

/// The folder of the workspace's `Cargo.toml`. A test runs in its crate's folder; a path fixed when it was compiled
/// would be another checkout's where two share a target folder.
fn workspace_root() -> PathBuf {
    Path::new("../..").canonicalize().expect("crates/xtask stands two folders below the root")
}

/// Fails with every violation on a line of its own.
#[track_caller]
fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "{} violations:\n  {}", violations.len(), violations.join("\n  "));
}
