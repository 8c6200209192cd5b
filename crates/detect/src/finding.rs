//! What a detection says of an event.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Detection;

/// How much a finding matters, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Informational,
    /// Look at it when there is time.
    Low,
    /// Look at it this week.
    Medium,
    /// Look at it today.
    High,
    /// Look at it now.
    Critical,
}

impl Severity {
    /// Every severity, from the least to the most.
    pub const ALL: [Severity; 5] =
        [Severity::Informational, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// The name in lower case, as configuration and output write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Informational => "informational",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    /// The next lower severity; of the lowest, itself.
    pub(crate) const fn one_below(self) -> Severity {
        match self {
            Severity::Informational | Severity::Low => Severity::Informational,
            Severity::Medium => Severity::Low,
            Severity::High => Severity::Medium,
            Severity::Critical => Severity::High,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One detection's verdict on one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The detection that fired.
    pub detection: &'static Detection,
    /// How much this instance matters: a denied or failed attempt matters less than the deed.
    pub severity: Severity,
    /// The title people know, such as `Root Account Login`; for an attempt `Attempted: …`.
    pub title: String,
    /// One sentence or more on who did what to whom. A stranger's text stands in it, cut where it is long: escape it for
    /// where it is shown.
    pub summary: String,
    /// Whether the call was denied or failed, so that nothing has happened yet.
    pub attempted: bool,
}
