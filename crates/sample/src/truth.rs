//! The truth beside the trail: what was planted and which detections should say so.

use crate::record::quoted;

/// One planted step, as a line of `truth.jsonl` or `benign.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The step's place in its story, from 1.
    pub step: usize,
    /// When it happened, as the record's `eventTime`.
    pub time: String,
    /// The record's `eventID`, which stands in the trail once.
    pub event_id: String,
    /// The account whose trail has the record.
    pub account: String,
    /// The record's `awsRegion`.
    pub region: String,
    /// The record's `eventName`.
    pub event_name: String,
    /// Who acted: a user's name, `role/session`, `root` or a service.
    pub actor: String,
    /// What happened, in a sentence.
    pub what: String,
    /// The ids of the detections that should fire on this event alone; empty where none covers it.
    pub detections: Vec<&'static str>,
}

impl Step {
    /// The step as one line of JSON.
    pub(crate) fn to_json(&self) -> String {
        let detections: Vec<String> = self.detections.iter().map(|id| quoted(id)).collect();
        format!(
            r#"{{"step":{},"time":{},"event_id":{},"account":{},"region":{},"event_name":{},"actor":{},"what":{},"detections":[{}]}}"#,
            self.step,
            quoted(&self.time),
            quoted(&self.event_id),
            quoted(&self.account),
            quoted(&self.region),
            quoted(&self.event_name),
            quoted(&self.actor),
            quoted(&self.what),
            detections.join(","),
        )
    }
}

/// A planted step with its record.
pub(crate) struct Planted {
    pub(crate) step: Step,
    pub(crate) account: usize,
    pub(crate) region: usize,
    pub(crate) time: i64,
    pub(crate) record: String,
}
