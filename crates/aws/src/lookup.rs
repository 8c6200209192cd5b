//! CloudTrail's event history: LookupEvents behind the port of collecting.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use aws_config::Region;
use aws_config::retry::RetryConfig;
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use aws_smithy_types::DateTime;
use event::Timestamp;
use pipeline::collect::port::PAGE;
use pipeline::collect::{Lookup, LookupError, LookupEvent, LookupPage, LookupRequest, Stream};

use crate::access::Account;
use crate::date::{Date, UserAgent};
use crate::error::classify;

/// The permission that every page needs.
const CALL: &str = "cloudtrail:LookupEvents";

/// The event history of some accounts.
#[derive(Default)]
pub struct EventHistory {
    accounts: HashMap<String, Account>,
    clients: Mutex<HashMap<(String, String), Client>>,
}

/// A client would show its configuration.
impl fmt::Debug for EventHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventHistory").field("accounts", &self.accounts).finish_non_exhaustive()
    }
}

impl EventHistory {
    /// The event history of these accounts.
    #[must_use]
    pub fn new(accounts: impl IntoIterator<Item = Account>) -> EventHistory {
        let accounts = accounts.into_iter().map(|account| (account.id.clone(), account)).collect();
        EventHistory { accounts, clients: Mutex::default() }
    }

    /// The client of one account in one region: it keeps its connections from one page to the next.
    fn client(&self, account: &Account, stream: &Stream) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry((stream.account.clone(), stream.region.clone())).or_insert_with(|| {
            let config = aws_sdk_cloudtrail::config::Builder::from(&account.config)
                .region(Region::new(stream.region.clone()))
                // Whoever walks decides what is tried again, and counts it.
                .retry_config(RetryConfig::disabled())
                .interceptor(UserAgent)
                .build();
            Client::from_conf(config)
        });
        client.clone()
    }
}

impl Lookup for EventHistory {
    fn page(&self, request: &LookupRequest<'_>) -> Result<LookupPage, LookupError> {
        let account = self.accounts.get(&request.stream.account).ok_or_else(|| {
            LookupError::Credentials(format!("nobody said how to reach account {}", request.stream.account))
        })?;
        let source = LookupAttribute::builder()
            .attribute_key(LookupAttributeKey::EventSource)
            .attribute_value(&request.stream.source)
            .build()
            .map_err(|error| LookupError::Refused(error.to_string()))?;
        // `EndTime` is inclusive and events have whole seconds.
        let end = request.window.to.micros() / 1_000 - 1;
        let date = Date::default();
        let call = self
            .client(account, request.stream)
            .lookup_events()
            .lookup_attributes(source)
            .start_time(DateTime::from_millis(request.window.from.micros() / 1_000))
            .end_time(DateTime::from_millis(end))
            .max_results(i32::try_from(PAGE).unwrap_or(50))
            .set_next_token(request.token.map(str::to_owned))
            .customize()
            .interceptor(date.clone())
            .send();
        let page = account.edge.run(call).map_err(|error| classify(CALL, &error))?;
        let events = page.events.unwrap_or_default().into_iter().map(|event| LookupEvent {
            time: event.event_time.and_then(|time| Timestamp::from_seconds(time.secs())),
            record: event.cloud_trail_event.unwrap_or_default(),
        });
        // A token that says nothing would be asked for forever.
        let next = page.next_token.filter(|token| !token.is_empty());
        Ok(LookupPage { events: events.collect(), next, at: date.get() })
    }
}
