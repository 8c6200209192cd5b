//! The tables of a deployment: DynamoDB behind the ports of events, alerts, streams and suppressions.
//!
//! **Owns** the form of every item ([`item`]) and how calls are made: batches whose unprocessed part is sent again, and
//! conditions that make everything that is written twice the same as written once. **Must not** decide what is stored.
//!
//! Read in this order: `item`, `batch`, `events`, `control`, `suppressions`, `exports`, `alerts`, `triage`.

mod alerts;
mod batch;
mod control;
mod events;
mod exports;
mod item;
mod suppressions;
mod triage;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::Region;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use event::Timestamp;
use pipeline::service::CallError;
use pipeline::state::StateError;

use crate::access::Account;
use crate::date::UserAgent;
use crate::edge::Edge;
use crate::error::classify;

pub use alerts::AlertTable;
pub use control::ControlTable;
pub use events::{EventTable, Stored};
pub use exports::{ExportTable, Exported, Position};

/// How long one call may take, all tries together.
const CALL: Duration = Duration::from_secs(30);
/// How often the SDK tries a call that is throttled or not answered, with pauses that double.
const TRIES: u32 = 8;

/// What the tables of a deployment are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableNames {
    /// The events.
    pub events: String,
    /// How far each stream has come.
    pub control: String,
    /// The alerts, and which of them were sent.
    pub alerts: String,
}

impl TableNames {
    /// Those of a stack.
    #[must_use]
    pub fn of_stack(stack: &str) -> TableNames {
        let name = |table| format!("{stack}-{table}");
        TableNames { events: name("events"), control: name("control"), alerts: name("alerts") }
    }
}

/// The tables of a deployment, as an account may use them.
#[derive(Clone)]
pub struct Tables {
    client: Client,
    edge: Arc<Edge>,
    names: TableNames,
    account: String,
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its client would show what its credentials come from.
        f.debug_struct("Tables").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Tables {
    /// The tables in a region, or in that of the account's credentials. Asks nothing yet.
    #[must_use]
    pub fn new(account: &Account, names: TableNames, region: Option<&str>) -> Tables {
        let timeouts = TimeoutConfig::builder().operation_timeout(CALL).build();
        let retries = RetryConfig::standard().with_max_attempts(TRIES).with_initial_backoff(Duration::from_millis(50));
        let mut config = aws_sdk_dynamodb::config::Builder::from(&account.config)
            .retry_config(retries)
            .timeout_config(timeouts)
            .interceptor(UserAgent);
        if let Some(region) = region {
            config = config.region(Region::new(region.to_owned()));
        }
        let client = Client::from_conf(config.build());
        Tables { client, edge: Arc::clone(&account.edge), names, account: account.id.clone() }
    }

    /// The events.
    #[must_use]
    pub fn events(&self, retention: Option<Duration>) -> EventTable {
        EventTable::new(self.clone(), retention)
    }

    /// How far each stream has come, and the suppressions.
    #[must_use]
    pub fn control(&self) -> ControlTable {
        ControlTable::new(self.clone())
    }

    /// What was exported, and which days changed since.
    #[must_use]
    pub fn exports(&self) -> ExportTable {
        ExportTable::new(self.clone())
    }

    /// The alerts, and which of them were sent.
    #[must_use]
    pub fn alerts(&self, retention: Option<Duration>) -> AlertTable {
        AlertTable::new(self.clone(), retention)
    }

    /// How many events are stored, and in how many bytes: as DynamoDB counts them every few hours.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn event_sizes(&self) -> Result<(u64, u64), CallError> {
        let call = self.client.describe_table().table_name(&self.names.events);
        let table = self.call("dynamodb:DescribeTable", call.send())?.table;
        let count = |number: Option<i64>| number.unwrap_or_default().unsigned_abs();
        let (items, bytes) = table.map_or((None, None), |table| (table.item_count, table.table_size_bytes));
        Ok((count(items), count(bytes)))
    }

    /// Makes a call to its end: what was read is written, also where the program is about to end.
    fn call<T, E>(
        &self,
        permission: &'static str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, CallError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.edge.run(async { call.await.map_err(|error| classify(permission, &error)) })
    }
}

/// When what happened then may go, in seconds of the epoch, as `ttl` has it.
fn expiry(time: Timestamp, kept: Duration) -> i64 {
    (time.micros() / 1_000_000).saturating_add(i64::try_from(kept.as_secs()).unwrap_or(i64::MAX))
}

/// What went wrong with a table, as the state says it.
fn storage(table: &str, error: CallError) -> StateError {
    StateError::Storage { path: format!("dynamodb://{table}"), source: Box::new(error) }
}

/// An item that is not of this program's making, or damaged.
fn damaged(table: &str, reason: impl Into<String>) -> StateError {
    StateError::Damaged { path: format!("dynamodb://{table}"), reason: reason.into() }
}
