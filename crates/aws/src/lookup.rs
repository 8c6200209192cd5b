//! CloudTrail's event history: LookupEvents behind the port of collecting.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_config::Region;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use aws_smithy_types::DateTime;
use event::Timestamp;
use pipeline::collect::port::PAGE;
use pipeline::collect::{Lookup, LookupError, LookupEvent, LookupPage, LookupRequest, Scope, Stream};

use crate::access::{Account, CONNECT};
use crate::date::{Date, UserAgent};
use crate::error::classify;

/// The permission that every page needs.
const CALL: &str = "cloudtrail:LookupEvents";

/// How long a page may take; a second or two is usual.
const PAGE_WITHIN: Duration = Duration::from_secs(60);

/// The event history of some accounts.
#[derive(Default)]
pub struct EventHistory {
    accounts: HashMap<String, Account>,
    clients: Mutex<HashMap<(String, String), Client>>,
    /// Why some account is not among them.
    why: Option<String>,
}

/// A client would show its configuration.
impl fmt::Debug for EventHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventHistory").field("accounts", &self.accounts).finish_non_exhaustive()
    }
}

impl EventHistory {
    /// Takes over accounts that were found, and forgets those that are no longer wanted. One that could not be asked this
    /// time is reached as before.
    pub fn renew(&mut self, found: Vec<Account>, scope: &Scope) {
        let wanted = scope.accounts();
        self.why = scope.unknown.first().map(|unknown| unknown.trouble.message.clone());
        self.accounts.extend(found.into_iter().map(|account| (account.id.clone(), account)));
        self.accounts.retain(|id, _| wanted.contains(id.as_str()));
        self.clients.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether it has no account.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// The client of one account in one region: it keeps its connections from one page to the next.
    fn client(&self, account: &Account, stream: &Stream) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry((stream.account.clone(), stream.region.clone())).or_insert_with(|| {
            let config = aws_sdk_cloudtrail::config::Builder::from(&account.config)
                .region(Region::new(stream.region.clone()))
                // Whoever walks decides what is tried again, and counts it.
                .retry_config(RetryConfig::disabled())
                .timeout_config(
                    TimeoutConfig::builder().connect_timeout(CONNECT).operation_timeout(PAGE_WITHIN).build(),
                )
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
            let why = self.why.as_deref().unwrap_or("it was not found");
            LookupError::Refused(format!("account {} could not be asked: {why}", request.stream.account))
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
            .interceptor(date.clone());
        let page = account.edge.attempt(async { call.send().await.map_err(|error| classify(CALL, &error)) })?;
        let events = page.events.unwrap_or_default().into_iter().map(|event| LookupEvent {
            time: event.event_time.and_then(|time| Timestamp::from_seconds(time.secs())),
            record: event.cloud_trail_event.unwrap_or_default(),
        });
        let events: Vec<LookupEvent> = events.collect();
        // A token that says nothing would be asked for forever.
        let next = page.next_token.filter(|token| !token.is_empty());
        tracing::debug!(stream = %request.stream, events = events.len(), is_last = next.is_none(), "a page was read");
        Ok(LookupPage { events, next, at: date.get() })
    }
}
