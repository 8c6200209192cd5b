//! What tests are built from; never shipped.
//!
//! **Owns** [`event()`], the builder of CloudTrail records for tests, [`cloudtrail`], a faithful model of CloudTrail's event
//! history (behind the pipeline's port on virtual time, and over [`http`]), [`memory`], stores whose process can die at any call, and
//! [`deployment`], the tables and the topic that functions use. **Must not** be a dependency of anything but tests. Its `fail` dependency switches the failpoints on that crash
//! tests use.

mod builder;
pub mod cloudtrail;
pub mod command;
pub mod deployment;
pub mod http;
pub mod memory;

pub use builder::{EventBuilder, console_login, event};
