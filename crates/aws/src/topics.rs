//! Amazon SNS: Publish behind the port of notifying.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use event::arn::Arn;
use notify::{Publication, Publish};
use pipeline::collect::LookupError;
use pipeline::notify::Verdict;

use crate::access::Aws;
use crate::date::UserAgent;
use crate::edge::Edge;
use crate::error::{classify, verdict};
use crate::signed::is_region;

/// The permission that publishing needs.
const CALL: &str = "sns:Publish";
/// The group of every message to a FIFO topic: alerts arrive in the order in which they were sent.
const GROUP: &str = "trailhound";

/// Topics of Amazon SNS, in whichever region each of them lies.
pub struct Topics {
    edge: Arc<Edge>,
    config: SdkConfig,
    /// By region.
    clients: Mutex<HashMap<String, Client>>,
}

/// A client would show its configuration.
impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Topics")
    }
}

impl Aws {
    /// Amazon SNS, published to with the credentials themselves.
    #[must_use]
    pub fn topics(&self) -> Topics {
        Topics { edge: Arc::clone(&self.edge), config: self.base.clone(), clients: Mutex::default() }
    }
}

impl Topics {
    /// The client of a region: it keeps its connections and credentials from one message to the next.
    fn client(&self, region: &str) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(region.to_owned()).or_insert_with(|| {
            let config = aws_sdk_sns::config::Builder::from(&self.config)
                .region(Region::new(region.to_owned()))
                // The outbox decides what is tried again, and counts it.
                .retry_config(RetryConfig::disabled())
                .interceptor(UserAgent)
                .build();
            Client::from_conf(config)
        });
        client.clone()
    }

    /// Publishes, and gives back what SNS calls the message.
    fn try_publish(
        &self,
        publication: &Publication,
        region: &str,
        limit: Duration,
    ) -> Result<Option<String>, LookupError> {
        let attributes = publication.attributes.iter().map(|attribute| {
            let value = MessageAttributeValue::builder().data_type("String").string_value(&attribute.value).build();
            Ok((attribute.name.to_owned(), value.map_err(|error| LookupError::Refused(error.to_string()))?))
        });
        let attributes = attributes.collect::<Result<HashMap<_, _>, LookupError>>()?;
        let mut call = self
            .client(region)
            .publish()
            .topic_arn(&publication.topic)
            .subject(&publication.subject)
            .message(&publication.message)
            .set_message_attributes(Some(attributes));
        // Other topics refuse both.
        if publication.topic.ends_with(".fifo") {
            call = call.message_group_id(GROUP).message_deduplication_id(&publication.deduplication_id);
        }
        match self.edge.run(async { tokio::time::timeout(limit, call.send()).await }) {
            Ok(Ok(published)) => Ok(published.message_id),
            Ok(Err(error)) => Err(classify(CALL, &error)),
            Err(_) => Err(LookupError::Unavailable("no answer in time".to_owned())),
        }
    }
}

impl Publish for Topics {
    fn publish(&self, publication: &Publication, limit: Duration) -> Verdict {
        self.publish_for_receipt(publication, limit).0
    }

    fn publish_for_receipt(&self, publication: &Publication, limit: Duration) -> (Verdict, Option<String>) {
        let arn = Arn::parse(&publication.topic).filter(|arn| arn.service == "sns" && is_region(arn.region));
        let Some(arn) = arn else {
            return (Verdict::refused(format!("{:?} is no ARN of a topic", publication.topic)), None);
        };
        match self.try_publish(publication, arn.region, limit) {
            Ok(receipt) => (Verdict::Delivered, receipt),
            Err(error) => (verdict(Err(error)), None),
        }
    }
}
