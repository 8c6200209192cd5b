//! The points at which a test can end the process.

/// The points of one transaction that writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub(super) before: &'static str,
    pub(super) before_commit: &'static str,
    pub(super) after_commit: &'static str,
    /// There is no room for it, as long as there is ballast.
    pub(super) full: &'static str,
}

macro_rules! operations {
    ($($constant:ident $name:literal;)*) => {
        $(pub(super) const $constant: Operation = Operation {
            before: concat!("state::", $name, "::before"),
            before_commit: concat!("state::", $name, "::before-commit"),
            after_commit: concat!("state::", $name, "::after-commit"),
            full: concat!("state::", $name, "::full"),
        };)*

        /// Every failpoint of the state: around each transaction that writes, and between the parts of the one that
        /// writes two things.
        ///
        /// A point set to `return` (`FAILPOINTS="state::record-alerts::before=return"`) aborts the process there, as
        /// `SIGKILL` would. They exist only in builds with the feature `fail/failpoints`.
        pub const FAILPOINTS: &[&str] = &[
            $($constant.before, $constant.before_commit, $constant.after_commit,)*
            BEFORE_OUTBOX,
        ];
    };
}

operations! {
    MIGRATE "migrate";
    RECORD_ALERTS "record-alerts";
    ACKNOWLEDGE "acknowledge";
    UNACKNOWLEDGE "unacknowledge";
    SUPPRESS_ALERTS "suppress-alerts";
    EXPIRE_ALERTS "expire-alerts";
    CLAIM "claim";
    SETTLE "settle";
    ADD_SUPPRESSION "add-suppression";
    REMOVE_SUPPRESSION "remove-suppression";
    BEGIN_RUN "begin-run";
    END_RUN "end-run";
    MARK_OBJECTS "mark-objects";
    FIT_LAKE "fit-lake";
    SAVE_STREAMS "save-streams";
    SAVE_SCOPE "save-scope";
    PAUSE_STREAM "pause-stream";
    ADD_EVIDENCE "add-evidence";
    PROVE "prove";
    FAILURES_TOLD "failures-told";
}

/// An alert is written, its rows in the outbox are not.
pub(super) const BEFORE_OUTBOX: &str = "state::record-alerts::before-outbox";

/// Ends the process if a test set the point so.
macro_rules! failpoint {
    ($name:expr) => {{
        // Named in every build, so that builds without failpoints know no unused names.
        let _name: &str = $name;
        fail::fail_point!(_name, |_| std::process::abort());
    }};
}

/// Finds the disk full as long as something holds, if a test set the point so.
macro_rules! full_while {
    ($name:expr, $holds:expr, $path:expr) => {{
        let _name: &str = $name;
        fail::fail_point!(_name, $holds, |_| Err(StateError::Full { path: $path.to_owned() }));
    }};
}
pub(super) use {failpoint, full_while};
