//! `sns`: a message for Amazon SNS, with the attributes that subscriptions filter on. Publishing is a port.

use std::sync::Arc;
use std::time::Duration;

use pipeline::escape::single_line;
use pipeline::message::Message;
use pipeline::notify::{Kind as ParcelKind, Notifier, Parcel, Verdict};
use serde::{Deserialize, Serialize};

use crate::build::{BuildError, Tools};
use crate::kinds::Kind;
use crate::markup::bytes;

/// The most bytes of a message's body. SNS takes 256 KiB, attributes included; mail and text messages want far less.
const BODY_MAX: usize = 64 * 1024;
/// The most characters of an attribute's value.
const VALUE_MAX: usize = 256;

/// The keys of `kind = "sns"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnsConfig {
    /// The topic's ARN.
    ///
    /// Example: `topic = "arn:aws:sns:us-east-1:111122223333:alerts"`
    pub topic: String,
}

/// What is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Publication {
    /// The topic's ARN.
    pub topic: String,
    /// At most 100 characters of printable ASCII.
    pub subject: String,
    /// Plain text.
    pub message: String,
    /// What subscriptions filter on.
    pub attributes: Vec<Attribute>,
    /// Tells a repetition: the `MessageDeduplicationId` of a FIFO topic.
    pub deduplication_id: String,
}

/// An attribute of type `String`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// Its value; never empty.
    pub value: String,
}

/// The port to Amazon SNS.
pub trait Publish: Send + Sync {
    /// Publishes a message, and says how it went: within the limit, whatever the service does.
    fn publish(&self, publication: &Publication, limit: Duration) -> Verdict;

    /// As [`publish`](Publish::publish), with the `MessageId` that the service gave the message, where it is known.
    fn publish_for_receipt(&self, publication: &Publication, limit: Duration) -> (Verdict, Option<String>) {
        (self.publish(publication, limit), None)
    }
}

impl Kind for SnsConfig {
    fn build(&self, tools: &mut Tools<'_>) -> Result<Box<dyn Notifier>, BuildError> {
        let is_arn = self.topic.starts_with("arn:") && self.topic.split(':').count() == 6;
        if !is_arn {
            return Err(tools.wrong("topic is no ARN such as arn:aws:sns:us-east-1:111122223333:alerts"));
        }
        let Some(publisher) = &tools.means.publisher else {
            return Err(tools.wrong("Amazon SNS cannot be reached from here"));
        };
        Ok(topic(&self.topic, tools.limit, Arc::clone(publisher)))
    }
}

/// Whoever tells a topic, without a configuration of channels around it.
#[must_use]
pub fn topic(arn: &str, limit: Duration, publisher: Arc<dyn Publish>) -> Box<dyn Notifier> {
    Box::new(Sns { topic: arn.to_owned(), limit, publisher })
}

struct Sns {
    topic: String,
    limit: Duration,
    publisher: Arc<dyn Publish>,
}

impl Notifier for Sns {
    fn send(&self, parcel: &Parcel) -> Verdict {
        self.send_for_receipt(parcel).0
    }

    fn send_for_receipt(&self, parcel: &Parcel) -> (Verdict, Option<String>) {
        self.publisher.publish_for_receipt(&publication(&self.topic, parcel), self.limit)
    }

    fn preview(&self, parcel: &Parcel) -> String {
        serde_json::to_string_pretty(&publication(&self.topic, parcel)).unwrap_or_default()
    }
}

fn publication(topic: &str, parcel: &Parcel) -> Publication {
    let Message { subject, mut body } = Message::of_parcel(parcel);
    if body.len() > BODY_MAX {
        let end = (0..=BODY_MAX).rev().find(|end| body.is_char_boundary(*end)).unwrap_or(0);
        body.truncate(end);
    }
    let first = parcel.first();
    let mut attributes = vec![Attribute { name: "severity", value: parcel.severity().as_str().to_ascii_uppercase() }];
    // What holds for one alert of a digest need not hold for the others.
    if parcel.kind() != ParcelKind::Digest {
        let values = [
            ("event_name", first.event_name.as_deref()),
            ("detection", Some(&*first.detection)),
            ("account", first.account.as_deref()),
            // Who is told twice, because an answer was lost, sees it by this.
            ("alert_id", Some(first.id.as_str())),
        ];
        let said =
            values.into_iter().filter_map(|(name, value)| Some((name, value?))).filter(|(_, value)| !value.is_empty());
        attributes.extend(
            said.map(|(name, value)| Attribute { name, value: bytes(&single_line(value, VALUE_MAX), VALUE_MAX) }),
        );
    }
    Publication { topic: topic.to_owned(), subject, message: body, attributes, deduplication_id: parcel.key() }
}
