//! What is to be collected: the streams, and what kept us from finding out about more.

use serde::Serialize;

use super::port::LookupError;
use super::state::{Trouble, TroubleKind};
use super::stream::Stream;

/// What was to be collected last, as far as it could be found out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// The streams, in the order in which they are read and shown.
    pub streams: Vec<Stream>,
    /// What could not be found out, by subject.
    pub unknown: Vec<Unknown>,
}

/// Something that could not be found out: the regions of an account, the accounts of the organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// What: an account's number, `organization`, `credentials`.
    pub subject: String,
    /// Why. Its beginning is that of the first time in a row.
    pub trouble: Trouble,
}

impl Unknown {
    /// Something that could not be found out now.
    #[must_use]
    pub fn new(subject: impl Into<String>, call: &str, error: &LookupError, now: event::Timestamp) -> Unknown {
        // What is not allowed names the action itself.
        let message = match error {
            LookupError::AccessDenied { .. } => error.to_string(),
            _ => format!("{call}: {error}"),
        };
        let trouble = Trouble { kind: TroubleKind::of(error), message, since: now, last: now };
        Unknown { subject: subject.into(), trouble }
    }
}

impl Scope {
    /// The accounts of the streams, each once.
    pub fn accounts(&self) -> std::collections::BTreeSet<&str> {
        self.streams.iter().map(|stream| stream.account.as_str()).collect()
    }

    /// Takes over the beginnings of troubles that were there before.
    pub fn continue_from(&mut self, before: &Scope) {
        for unknown in &mut self.unknown {
            let old = before.unknown.iter().find(|old| old.subject == unknown.subject);
            unknown.trouble = unknown.trouble.clone().continued(old.map(|old| &old.trouble));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(error: &LookupError, at: &str) -> Unknown {
        let now = event::Timestamp::parse(at).expect("a time");
        Unknown::new("organization", "organizations:ListAccounts", error, now)
    }

    #[test]
    fn what_cannot_be_found_out_lasts_whatever_hinders() {
        let before = unknown(&LookupError::Unavailable("cut".to_owned()), "2026-04-01T12:00:00Z");
        let mut scope =
            Scope { unknown: vec![unknown(&LookupError::Throttled, "2026-04-01T12:20:00Z")], ..Scope::default() };
        scope.continue_from(&Scope { unknown: vec![before.clone()], ..Scope::default() });
        let Unknown { trouble, .. } = &scope.unknown[0];
        assert_eq!((trouble.kind, trouble.since), (TroubleKind::Throttled, before.trouble.since));
        let dense = Trouble { kind: TroubleKind::TooDense, ..before.trouble };
        let denied = Trouble { kind: TroubleKind::AccessDenied, ..trouble.clone() };
        let denied = Trouble { since: denied.last, ..denied };
        // A second that was too dense is no beginning of what came behind it.
        assert_eq!(denied.clone().continued(Some(&dense)), denied);
    }
}
