//! A queue of SQS behind the port of reading trails.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::Region;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    MessageSystemAttributeName,
};
use event::Timestamp;
use pipeline::service::CallError;
use pipeline::trail::port::AT_ONCE;
use pipeline::trail::{Message, Queue, Undone};

use crate::access::Account;
use crate::date::UserAgent;
use crate::edge::Edge;
use crate::error::{AwsError, classify};

/// The permissions that are needed.
const RECEIVE: &str = "sqs:ReceiveMessage";
const EXTEND: &str = "sqs:ChangeMessageVisibility";
const DELETE: &str = "sqs:DeleteMessage";
const SEND: &str = "sqs:SendMessage";

/// The longest that SQS waits for a message, and the longest that it keeps one from others.
const LONGEST_WAIT: i32 = 20;
const LONGEST_VISIBILITY: i32 = 12 * 3600;
/// How long a call may take beyond what SQS waits.
const CALL: Duration = Duration::from_secs(LONGEST_WAIT as u64 + 20);

/// A queue, as an account may read it.
pub struct TrailQueue {
    name: String,
    url: String,
    client: Client,
    edge: Arc<Edge>,
}

impl fmt::Debug for TrailQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its client would show what its credentials come from.
        f.debug_struct("TrailQueue").field("url", &self.url).finish_non_exhaustive()
    }
}

impl TrailQueue {
    /// The queue at an address such as `https://sqs.eu-west-1.amazonaws.com/111122223333/trail`; `region` where the
    /// address does not tell. Asks nothing yet.
    ///
    /// # Errors
    /// [`AwsError::Queue`]: the address is none.
    pub fn new(account: &Account, url: &str, region: Option<&str>) -> Result<TrailQueue, AwsError> {
        let (host, name) = parts(url).ok_or_else(|| AwsError::Queue(url.to_owned()))?;
        let region = region.or_else(|| region_of(host)).map(|region| Region::new(region.to_owned()));
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(CALL).build();
        let mut config = aws_sdk_sqs::config::Builder::from(&account.config)
            // Whoever works the queue off decides what is tried again, and counts it.
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .interceptor(UserAgent);
        if region.is_some() {
            config = config.region(region);
        }
        let client = Client::from_conf(config.build());
        Ok(TrailQueue { name: format!("sqs://{name}"), url: url.to_owned(), client, edge: Arc::clone(&account.edge) })
    }

    /// Puts a message into the queue.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn send(&self, body: &str) -> Result<(), CallError> {
        let call = self.client.send_message().queue_url(&self.url).message_body(body).send();
        self.edge.run(call).map(drop).map_err(|error| classify(SEND, &error))
    }
}

/// The host of a queue's address, and its account and name.
fn parts(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let (host, path) = rest.split_once('/')?;
    let (account, name) = path.split_once('/')?;
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    (!host.is_empty() && is_name(account) && is_name(name)).then_some((host, path))
}

/// The region in `sqs.eu-west-1.amazonaws.com`, or in `eu-west-1.queue.amazonaws.com` as it was written once.
fn region_of(host: &str) -> Option<&str> {
    let host = host.split(':').next()?;
    let name = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    name.strip_prefix("sqs.").or_else(|| name.strip_suffix(".queue")).filter(|region| !region.contains('.'))
}

impl Queue for TrailQueue {
    fn name(&self) -> &str {
        &self.name
    }

    fn receive(&self, wait: Duration, visibility: Duration) -> Result<Vec<Message>, CallError> {
        let call = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(AT_ONCE as i32)
            .wait_time_seconds(seconds(wait, LONGEST_WAIT))
            .visibility_timeout(seconds(visibility, LONGEST_VISIBILITY))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send();
        let answer = self.edge.run(call).map_err(|error| classify(RECEIVE, &error))?;
        let messages = answer.messages.unwrap_or_default().into_iter().filter_map(message);
        Ok(messages.collect())
    }

    fn extend(&self, receipts: &[&str], visibility: Duration) -> Result<Vec<Undone>, CallError> {
        let visibility = seconds(visibility, LONGEST_VISIBILITY);
        let entry = |(place, receipt): (usize, &&str)| {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(place.to_string());
            entry.receipt_handle(*receipt).visibility_timeout(visibility).build()
        };
        let entries = receipts.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>();
        let entries = entries.map_err(|error| CallError::Refused(error.to_string()))?;
        let call = self.client.change_message_visibility_batch().queue_url(&self.url).set_entries(Some(entries));
        let answer = self.edge.run(call.send()).map_err(|error| classify(EXTEND, &error))?;
        let done = answer.successful.iter().map(|entry| entry.id.as_str());
        Ok(undone(receipts.len(), done, &answer.failed))
    }

    fn delete(&self, receipts: &[&str]) -> Result<Vec<Undone>, CallError> {
        let entry = |(place, receipt): (usize, &&str)| {
            DeleteMessageBatchRequestEntry::builder().id(place.to_string()).receipt_handle(*receipt).build()
        };
        let entries = receipts.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>();
        let entries = entries.map_err(|error| CallError::Refused(error.to_string()))?;
        let call = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries));
        let answer = self.edge.run(call.send()).map_err(|error| classify(DELETE, &error))?;
        let done = answer.successful.iter().map(|entry| entry.id.as_str());
        Ok(undone(receipts.len(), done, &answer.failed))
    }
}

/// A message; none without a receipt, which could never be acknowledged.
fn message(message: aws_sdk_sqs::types::Message) -> Option<Message> {
    let attribute = |name: &MessageSystemAttributeName| -> Option<i64> {
        message.attributes.as_ref()?.get(name)?.parse::<i64>().ok()
    };
    let receives = attribute(&MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or(1);
    let sent = attribute(&MessageSystemAttributeName::SentTimestamp);
    Some(Message {
        receives: u32::try_from(receives).unwrap_or(u32::MAX),
        sent: sent.and_then(|millis| Timestamp::from_micros(millis.checked_mul(1000)?)),
        id: message.message_id.unwrap_or_default(),
        receipt: message.receipt_handle?,
        body: message.body.unwrap_or_default(),
    })
}

/// Those of a batch that the answer does not call done: what it is silent about is not.
fn undone<'a>(given: usize, done: impl Iterator<Item = &'a str>, failed: &[BatchResultErrorEntry]) -> Vec<Undone> {
    let done: Vec<&str> = done.collect();
    let places = (0..given).filter(|place| !done.contains(&place.to_string().as_str()));
    let reason = |place: usize| {
        let said = failed.iter().find(|entry| entry.id == place.to_string());
        said.map_or_else(String::new, |entry| format!("{}: {}", entry.code, entry.message.as_deref().unwrap_or("")))
    };
    places.map(|place| Undone { place, reason: reason(place) }).collect()
}

fn seconds(duration: Duration, most: i32) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(most).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queues_address_tells_its_region_and_name() {
        for (url, name, region) in [
            ("https://sqs.eu-west-1.amazonaws.com/111122223333/trail", "111122223333/trail", Some("eu-west-1")),
            ("https://sqs.cn-north-1.amazonaws.com.cn/111122223333/a.fifo", "111122223333/a.fifo", Some("cn-north-1")),
            ("https://eu-west-1.queue.amazonaws.com/111122223333/trail", "111122223333/trail", Some("eu-west-1")),
            ("http://127.0.0.1:5000/111122223333/trail", "111122223333/trail", None),
        ] {
            let (host, found) = parts(url).unwrap();
            assert_eq!((found, region_of(host)), (name, region), "{url}");
        }
        for url in ["", "trail", "arn:aws:sqs:eu-west-1:111122223333:trail", "https://sqs/1", "https://h/1/a/b"] {
            assert!(parts(url).is_none(), "{url}");
        }
    }

    #[test]
    fn what_an_answer_is_silent_about_is_not_done() {
        let failed = BatchResultErrorEntry::builder().id("1").code("ReceiptHandleIsInvalid").sender_fault(true);
        let found = undone(3, ["0"].into_iter(), &[failed.build().unwrap()]);
        assert_eq!(found.iter().map(|undone| undone.place).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(found[0].reason, "ReceiptHandleIsInvalid: ");
    }

    #[test]
    fn times_are_whole_seconds_within_bounds() {
        assert_eq!(seconds(Duration::from_millis(1900), 20), 1);
        assert_eq!(seconds(Duration::MAX, 20), 20);
    }
}
