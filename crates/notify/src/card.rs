//! What a message says, before it is written in a channel's format.

use detect::Severity;
use pipeline::alert::{Alert, Arrival};
use pipeline::escape::single_line;
use pipeline::message::{headline, line};
use pipeline::notify::{Kind, Parcel};

/// The most characters of one fact.
const FACT_MAX: usize = 300;
/// The most characters of a sentence.
const SENTENCE_MAX: usize = 1500;
/// The most alerts that are listed beside the first.
const LISTED_MAX: usize = 15;

/// A message's parts, each on one line, bounded and with nothing hidden in it. They still are a stranger's text to the
/// format they are written in: see [`markup`](crate::markup).
#[derive(Debug, Clone)]
pub(crate) struct Card {
    /// The severity of the most serious alert.
    pub(crate) severity: Severity,
    /// What it is about.
    pub(crate) title: String,
    /// Who did what; of a digest, nothing.
    pub(crate) summary: Option<String>,
    /// What is known, with its label.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// What to do, in a line.
    pub(crate) action: Option<String>,
    /// Other alerts, a line each.
    pub(crate) list: Vec<String>,
    /// How many more there are.
    pub(crate) unlisted: usize,
    /// What it can be found by.
    pub(crate) footer: String,
}

impl Card {
    pub(crate) fn of(parcel: &Parcel) -> Card {
        let first = parcel.first();
        let is_digest = parcel.kind() == Kind::Digest;
        let listed: Vec<&Alert> = if is_digest { parcel.alerts().collect() } else { parcel.others().iter().collect() };
        let sentence = |text: &str| Some(single_line(text, SENTENCE_MAX).into_owned()).filter(|_| !is_digest);
        Card {
            severity: parcel.severity(),
            title: headline(parcel),
            summary: sentence(&first.summary),
            facts: if is_digest { Vec::new() } else { facts(first) },
            action: sentence(&first.action_required),
            list: listed.iter().take(LISTED_MAX).map(|alert| line(alert)).collect(),
            unlisted: listed.len().saturating_sub(LISTED_MAX),
            footer: if is_digest { format!("{} alerts", parcel.count()) } else { footer(first) },
        }
    }

    /// The severity as people are used to see it.
    pub(crate) fn label(&self) -> String {
        self.severity.as_str().to_ascii_uppercase()
    }

    /// The lines of the list, the last one telling how many are missing.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let rest = (self.unlisted > 0).then(|| format!("and {} more", self.unlisted));
        self.list.iter().cloned().chain(rest)
    }
}

fn facts(alert: &Alert) -> Vec<(&'static str, String)> {
    let time = Some(alert.event_time.to_string());
    let facts = [
        ("User", &alert.user),
        ("Session", &alert.session),
        ("Event", &alert.event_name),
        ("Service", &alert.event_source),
        ("Account", &alert.account),
        ("Region", &alert.region),
        ("Source IP", &alert.source_ip),
        ("User agent", &alert.user_agent),
        ("Time", &time),
    ];
    let said = facts.into_iter().filter_map(|(label, text)| Some((label, text.as_deref()?)));
    said.filter(|(_, text)| !text.is_empty())
        .map(|(label, text)| (label, single_line(text, FACT_MAX).into_owned()))
        .collect()
}

fn footer(alert: &Alert) -> String {
    let late = match alert.arrival {
        Arrival::Live => "",
        Arrival::Late => " · late: found while catching up after an outage",
        Arrival::Backfill => " · found in old logs",
    };
    let techniques =
        if alert.techniques.is_empty() { String::new() } else { format!(" · {}", alert.techniques.join(", ")) };
    let detection = single_line(&alert.detection, FACT_MAX);
    let event = single_line(&alert.event_id, FACT_MAX);
    format!("{detection}{techniques} · alert {} · event {event}{late}", alert.id.short())
}
