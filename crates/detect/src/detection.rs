//! What a detection is made of.

use std::fmt;

use event::Event;

use crate::Severity;
use crate::config::Settings;
use crate::deed::Deed;

/// One behaviour worth telling people about: its metadata, its documentation and the code that finds it.
pub struct Detection {
    /// The stable id, in kebab case: what configuration, suppressions and the alert ledger name.
    pub id: &'static str,
    /// The title of an alert, such as `Root Account Login`.
    pub title: &'static str,
    /// How much the deed matters.
    pub severity: Severity,
    /// How much a denied or failed attempt matters. `None` for a detection that is about the outcome itself: its title
    /// stands as it is, whatever the outcome.
    pub attempted_severity: Option<Severity>,
    /// MITRE ATT&CK technique ids, such as `T1098.001`.
    pub techniques: &'static [&'static str],
    /// The events it looks at.
    pub triggers: Triggers,
    /// What to do about it, in one line.
    pub action_required: &'static str,
    /// The documentation.
    pub docs: Docs,
    /// Looks at one event out of [`triggers`](Self::triggers), failed or not.
    pub(crate) check: Check,
    /// Events to be tested with.
    #[cfg(test)]
    pub(crate) examples: fn() -> crate::registry::tests::Examples,
}

/// Judges one event.
pub(crate) type Check = fn(&Event<'_>, &Settings) -> Option<Deed>;

/// A detection's documentation, in Markdown.
#[derive(Debug)]
pub struct Docs {
    /// What it finds.
    pub summary: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// When it fires without reason, and what it cannot see.
    pub false_positives: &'static str,
    /// What to do.
    pub what_to_do: &'static str,
    /// Pages to read on.
    pub references: &'static [&'static str],
}

/// Which events a detection looks at.
#[derive(Debug, Clone, Copy)]
pub enum Triggers {
    /// Calls by service and name; found with one look-up.
    Calls(&'static [Calls]),
    /// Every event there is: for few detections, whose first question is cheap.
    EveryEvent,
    /// Every event for which no other detection fires.
    Otherwise,
}

/// Calls of one service.
#[derive(Debug, Clone, Copy)]
pub struct Calls {
    /// The event source up to its first dot, such as `iam` of `iam.amazonaws.com` (and `.amazonaws.com.cn`).
    pub service: &'static str,
    /// Event names as CloudTrail writes them.
    pub names: &'static [&'static str],
}

#[cfg(test)]
impl Triggers {
    /// Whether an event is one to look at: what the registry's index answers, asked of one detection.
    pub(crate) fn include(&self, event: &Event<'_>) -> bool {
        match self {
            Triggers::Calls(calls) => {
                let service = service(event);
                calls.iter().any(|calls| calls.service == service && calls.names.contains(&event.name()))
            }
            Triggers::EveryEvent | Triggers::Otherwise => true,
        }
    }
}

/// The event source up to its first dot.
pub(crate) fn service<'e>(event: &'e Event<'_>) -> &'e str {
    let source = event.source();
    source.split_once('.').map_or(source, |(service, _)| service)
}

impl fmt::Debug for Detection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Detection({})", self.id)
    }
}

impl PartialEq for Detection {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Detection {}
