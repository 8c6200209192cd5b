//! What a detection found, before it is worded.

use std::borrow::Cow;

use event::Event;

use crate::actor::actor;
use crate::text::clip;
use crate::{Detection, Finding, Severity};

/// Something that was done, or that somebody tried to do: one set of words for both.
///
/// `Deed::new("created", "create", "the IAM user bob")` reads `alice created the IAM user bob.` and, where the call
/// failed, `alice tried to create the IAM user bob, but the call failed (AccessDenied).`
#[derive(Debug, Clone)]
pub struct Deed {
    done: &'static str,
    infinitive: &'static str,
    object: String,
    note: Cow<'static, str>,
    title: Option<&'static str>,
    severity: Option<Severity>,
}

impl Deed {
    /// A deed by its verb, in the past tense and as an infinitive, and what it was done to.
    pub(crate) fn new(done: &'static str, infinitive: &'static str, object: impl Into<String>) -> Deed {
        Deed { done, infinitive, object: object.into(), note: Cow::Borrowed(""), title: None, severity: None }
    }

    /// Adds a sentence of its own, without a full stop.
    pub(crate) fn note(mut self, note: impl Into<Cow<'static, str>>) -> Deed {
        let note = note.into();
        self.note = if self.note.is_empty() { note } else { Cow::Owned(format!("{}. {note}", self.note)) };
        self
    }

    /// Says that what was asked could not be read, so that the worst is assumed.
    pub(crate) fn unreadable(self) -> Deed {
        self.note("The record does not show what exactly was asked for (left out, cut or not to be parsed), so it could not be judged")
    }

    /// Gives this one another title than the detection's.
    pub(crate) fn title(mut self, title: &'static str) -> Deed {
        self.title = Some(title);
        self
    }

    /// Gives this one another severity than the detection's, where it was done.
    pub(crate) fn severity(mut self, severity: Severity) -> Deed {
        self.severity = Some(severity);
        self
    }

    /// Words the finding. `configured` is the severity the configuration gives the detection.
    pub(crate) fn into_finding(
        self,
        detection: &'static Detection,
        event: &Event<'_>,
        configured: Option<Severity>,
    ) -> Finding {
        let attempted = event.failed();
        let title = self.title.unwrap_or(detection.title);
        let deed_severity = configured.or(self.severity).unwrap_or(detection.severity);
        let Some(attempted_severity) = detection.attempted_severity else {
            let summary = self.sentence(event, None);
            return Finding { detection, severity: deed_severity, title: title.to_owned(), summary, attempted };
        };
        if attempted {
            let severity = attempted_severity.min(deed_severity.one_below());
            let summary = self.sentence(event, Some(&failure(event)));
            return Finding { detection, severity, title: format!("Attempted: {title}"), summary, attempted };
        }
        let summary = self.sentence(event, None);
        Finding { detection, severity: deed_severity, title: title.to_owned(), summary, attempted }
    }

    fn sentence(&self, event: &Event<'_>, failure: Option<&str>) -> String {
        let who = actor(event);
        let Deed { done, infinitive, object, note, .. } = self;
        let mut sentence = match failure {
            None => format!("{who} {done} {object}."),
            Some(failure) => format!("{who} tried to {infinitive} {object}, but {failure}."),
        };
        if !note.is_empty() {
            sentence.push(' ');
            sentence.push_str(note);
            sentence.push('.');
        }
        sentence
    }
}

/// Why the call did nothing.
fn failure(event: &Event<'_>) -> String {
    let says = |text: &&str| !text.is_empty();
    match event.error_code().filter(says).or_else(|| event.error_message().filter(says)) {
        Some(code) if code.ends_with("DryRunOperation") => "it was a dry run".to_owned(),
        Some(code) => format!("the call failed ({})", clip(code)),
        None => "the call failed".to_owned(),
    }
}
