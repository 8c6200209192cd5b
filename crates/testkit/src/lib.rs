//! What tests are built from; never shipped.
//!
//! **Owns** [`event()`], the builder of CloudTrail records for tests. **Must not** be a dependency of anything but tests.
//! Its `fail` dependency switches the failpoints on that crash tests use.

mod builder;

pub use builder::{EventBuilder, console_login, event};
