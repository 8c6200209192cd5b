//! The figures for Prometheus, in its text format.

use std::fmt::Write;
use std::time::Duration;

use event::Timestamp;

use super::deadman::Pulse;
use super::{Status, StreamStatus};
use crate::collect::PassReport;
use crate::history::{RecordCounts, SeverityCounts};
use crate::notify::ChannelHealth;

/// What a process has done since it began.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Passes that came to their end.
    pub passes: u64,
    /// Passes that the store, the state or the disk ended.
    pub failed_passes: u64,
    /// When the last one came to its end.
    pub last_pass: Option<Timestamp>,
    /// How long it took, in seconds.
    pub last_pass_seconds: f64,
    /// Calls that were answered.
    pub calls: u64,
    /// Calls that were not.
    pub failed_calls: u64,
    /// What became of the records.
    pub records: RecordCounts,
    /// New alerts.
    pub alerts: SeverityCounts,
}

impl Totals {
    /// Adds a pass.
    pub fn add(&mut self, report: &PassReport, seconds: f64) {
        self.passes += 1;
        self.last_pass = Some(report.ended);
        self.last_pass_seconds = seconds;
        self.calls += report.streams.iter().map(|stream| stream.calls).sum::<u64>();
        self.failed_calls += report.streams.iter().map(|stream| stream.failed_calls).sum::<u64>();
        let counts = report.totals.records();
        self.records.read += counts.read;
        self.records.stored += counts.stored;
        self.records.duplicate += counts.duplicate;
        self.records.variant += counts.variant;
        self.records.filtered += counts.filtered;
        self.records.rejected += counts.rejected;
        self.records.insight += counts.insight;
        self.alerts.merge(&report.totals.alerts.new);
    }
}

/// Writes metrics: each with its help and type, whatever it is measured of.
#[derive(Default)]
struct Page(String);

/// Labels and a value.
type Sample<'a> = (Vec<(&'a str, &'a str)>, f64);

impl Page {
    fn metric<'a>(&mut self, name: &str, kind: &str, help: &str, samples: impl IntoIterator<Item = Sample<'a>>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let page = &mut self.0;
        // Writing to a text does not fail.
        let _ = writeln!(page, "# HELP trailhound_{name} {help}\n# TYPE trailhound_{name} {kind}");
        for (labels, value) in samples {
            let labels: Vec<String> =
                labels.iter().map(|(name, text)| format!("{name}=\"{}\"", escaped(text))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(page, "trailhound_{name}{labels} {value}");
        }
    }
}

/// A label's value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Everything there is to measure.
#[must_use]
pub fn metrics(status: &Status, channels: &[ChannelHealth], totals: &Totals) -> String {
    let mut page = Page::default();
    let one = |value: f64| [(Vec::new(), value)];
    let seconds = |time: Timestamp| time.micros() as f64 / 1e6;
    page.metric(
        "passes_total",
        "counter",
        "Passes over all streams that came to their end.",
        one(totals.passes as f64),
    );
    page.metric(
        "failed_passes_total",
        "counter",
        "Passes that the store or the disk ended.",
        one(totals.failed_passes as f64),
    );
    page.metric(
        "last_pass_timestamp_seconds",
        "gauge",
        "When the last pass came to its end.",
        totals.last_pass.map(|at| (Vec::new(), seconds(at))),
    );
    page.metric("last_pass_duration_seconds", "gauge", "How long it took.", one(totals.last_pass_seconds));
    page.metric("lookup_calls_total", "counter", "LookupEvents calls that were answered.", one(totals.calls as f64));
    page.metric(
        "lookup_calls_failed_total",
        "counter",
        "LookupEvents calls that were not.",
        one(totals.failed_calls as f64),
    );
    let RecordCounts { read: _, stored, duplicate, variant, filtered, rejected, insight } = totals.records;
    let fates = [
        ("stored", stored),
        ("duplicate", duplicate),
        ("variant", variant),
        ("filtered", filtered),
        ("rejected", rejected),
        ("insight", insight),
    ];
    page.metric(
        "records_total",
        "counter",
        "Records that were read, by what became of them.",
        fates.map(|(fate, number)| (vec![("fate", fate)], number as f64)),
    );
    page.metric(
        "alerts_total",
        "counter",
        "New alerts, suppressed ones left out.",
        totals.alerts.iter().map(|(severity, number)| (vec![("severity", severity.as_str())], number as f64)),
    );
    let labels = |stream: &StreamStatus| {
        let stream = stream.stream.clone();
        [("account", stream.account), ("region", stream.region), ("source", stream.source)]
    };
    let all: Vec<_> = status.streams.iter().map(|stream| (labels(stream), stream)).collect();
    let each = |value: fn(&StreamStatus) -> Option<f64>| -> Vec<Sample<'_>> {
        all.iter()
            .filter_map(|(labels, stream)| {
                let labels = labels.iter().map(|(name, text)| (*name, text.as_str())).collect();
                Some((labels, value(stream)?))
            })
            .collect()
    };
    page.metric(
        "stream_covered_to_timestamp_seconds",
        "gauge",
        "Up to when everything of the stream is stored.",
        each(|stream| stream.covered_to.map(|to| to.micros() as f64 / 1e6)),
    );
    page.metric(
        "stream_lag_seconds",
        "gauge",
        "How long ago that is.",
        each(|stream| stream.lag_seconds.map(|lag| lag as f64)),
    );
    page.metric(
        "stream_gaps",
        "gauge",
        "Stretches of time that should be covered and are not.",
        each(|stream| Some(stream.gaps.len() as f64)),
    );
    page.metric(
        "stream_events_total",
        "counter",
        "Records that the stream ever gave.",
        each(|stream| Some(stream.health.events as f64)),
    );
    page.metric(
        "stream_trouble",
        "gauge",
        "1 where the stream cannot be read.",
        each(|stream| Some(f64::from(u8::from(stream.health.trouble.is_some())))),
    );
    page.metric(
        "scope_unknown",
        "gauge",
        "Regions, accounts or credentials that could not be found out.",
        one(status.unknown.len() as f64),
    );
    let samples = channels.iter().flat_map(|channel| {
        let ChannelHealth { waiting, retrying, failed, sent, .. } = *channel;
        let states = [("waiting", waiting), ("retrying", retrying), ("failed", failed), ("sent", sent)];
        states.map(|(state, number)| (vec![("channel", channel.channel.as_str()), ("state", state)], number as f64))
    });
    page.metric("notifications", "gauge", "Notifications, by how far they are.", samples);
    page.0
}

/// What is wrong with collecting, for a health check; `None` where it goes well.
#[must_use]
pub fn ailment(pulse: Pulse, within: Duration) -> Option<String> {
    (pulse.silent_for > within)
        .then(|| format!("no pass has come to its end for {} minutes", pulse.silent_for.as_secs() / 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::{Rules, Scope, Stream};
    use crate::status::Expectation;

    fn values(page: &str) -> std::collections::BTreeMap<&str, f64> {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, value)| (name, value.parse().unwrap())).collect()
    }

    #[test]
    fn a_page_says_what_is_known() {
        let now = Timestamp::parse("2026-04-01T12:00:00Z").unwrap();
        let streams = vec![Stream::new("1\"2", "us-east-1", "iam.amazonaws.com")];
        let scope = Scope { streams, ..Scope::default() };
        let expectation = Expectation { rules: Rules::default(), every: Duration::from_secs(300) };
        let status = Status::new(&scope, &[], &expectation, now);
        let channel = ChannelHealth { channel: "mail".to_owned(), waiting: 3, ..ChannelHealth::default() };
        let totals = Totals { passes: 2, last_pass: Some(now), ..Totals::default() };
        let page = metrics(&status, &[channel], &totals);
        let values = values(&page);
        assert_eq!(values["trailhound_passes_total"], 2.0);
        assert_eq!(values["trailhound_last_pass_timestamp_seconds"], 1_775_044_800.0);
        assert_eq!(values["trailhound_notifications{channel=\"mail\",state=\"waiting\"}"], 3.0);
        let gaps = "trailhound_stream_gaps{account=\"1\\\"2\",region=\"us-east-1\",source=\"iam.amazonaws.com\"}";
        assert_eq!(values[gaps], 1.0);
        assert!(!page.contains("stream_lag_seconds{"), "nothing is covered, so there is no lag");
    }

    #[test]
    fn a_process_that_gets_nothing_done_is_ill() {
        let silent_for = |seconds| Pulse { last: None, silent_for: Duration::from_secs(seconds) };
        let hour = Duration::from_secs(3600);
        assert_eq!(ailment(silent_for(3600), hour), None);
        let told = ailment(silent_for(5400), hour);
        assert_eq!(told.as_deref(), Some("no pass has come to its end for 90 minutes"));
    }
}
