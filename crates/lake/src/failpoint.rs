//! The points at which a test can end the process.

/// Every failpoint of this crate, in the order in which a life of a lake meets them.
///
/// A point set to `return` (`FAILPOINTS="lake::commit::before=return"`) aborts the process there, as `SIGKILL` would;
/// [`PUT_FULL`] makes the next write meet a full disk instead. They exist only in builds with the feature
/// `fail/failpoints`.
pub const FAILPOINTS: &[&str] = &[
    "lake::create::before-log",
    "lake::create::after-log",
    "lake::put::before-write",
    "lake::put::half-written",
    "lake::put::before-sync",
    "lake::put::before-rename",
    "lake::put::after-rename",
    "lake::stage::before-put",
    "lake::stage::after-put",
    "lake::commit::before-lock",
    "lake::commit::before",
    "lake::commit::after",
    "lake::rewrite::before-put",
    "lake::rewrite::after-put",
    "lake::checkpoint::before",
    "lake::checkpoint::after",
    "lake::checkpoint::after-cleanup",
    "lake::compact::before-put",
    "lake::compact::after-put",
    "lake::compact::before-commit",
    "lake::compact::after-commit",
    "lake::expire::before-commit",
    "lake::expire::after-commit",
    "lake::vacuum::before-delete",
    "lake::vacuum::between-deletes",
    "lake::vacuum::after-delete",
    "lake::export::before-write",
    "lake::export::after-write",
];

/// The failpoint that turns a write into a full disk. It ends nothing, so it is not in [`FAILPOINTS`].
pub const PUT_FULL: &str = "lake::put::full";

/// Ends the process if a test set the point so.
macro_rules! failpoint {
    ($name:expr) => {
        fail::fail_point!($name, |_| std::process::abort())
    };
}
pub(crate) use failpoint;
