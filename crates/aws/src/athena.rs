//! Amazon Athena without its SDK: a statement is sent, waited for, and its rows are read page by page.
//!
//! Read in this order: [`Athena::run`] (a statement from its start to its end), `results` (rows and their types),
//! `cost` (what was scanned and what that costs), `catalog` (workgroups and tables).

mod catalog;
mod cost;
mod error;
mod results;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pipeline::service::CallError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::access::Account;
use crate::edge::Edge;
use crate::signed::{Operation, Signed};

pub use catalog::{NewWorkgroup, Table, Workgroup};
pub use cost::{LEAST_BYTES, Scan, USD_PER_TERABYTE};
pub use error::AthenaError;
pub use results::{Column, Rows};

/// One operation by its name, as the permission and the target have it.
macro_rules! operation {
    ($name:literal) => {
        Operation {
            permission: concat!("athena:", $name),
            service: "Athena",
            host: "athena",
            target: Some(concat!("AmazonAthena.", $name)),
            ..Operation::POST
        }
    };
}
use operation;

/// <https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html>
const START: Operation<'_> = operation!("StartQueryExecution");
/// <https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryExecution.html>
const LOOK: Operation<'_> = operation!("GetQueryExecution");
/// <https://docs.aws.amazon.com/athena/latest/APIReference/API_StopQueryExecution.html>
const STOP: Operation<'_> = operation!("StopQueryExecution");

/// How long one call may take.
const CALL: Duration = Duration::from_secs(20);
/// The waits before a call that was throttled or not answered is made again; after the last it has failed.
const WAITS: [Duration; 6] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
    Duration::from_millis(3200),
    Duration::from_millis(6400),
];
/// How often a statement that runs is looked after: soon at first, since most take a second or two, then less often.
const FIRST_LOOK: Duration = Duration::from_millis(150);
const LAST_LOOK: Duration = Duration::from_secs(3);
/// The most bytes of one answer: a page has up to 1,000 rows, and a row may hold whole documents.
const ANSWER_MAX: usize = 256 * 1024 * 1024;

/// The Athena of an account in a region.
#[derive(Clone)]
pub struct Athena {
    edge: Arc<Edge>,
    signed: Signed,
    region: String,
}

impl fmt::Debug for Athena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Athena").field("region", &self.region).finish_non_exhaustive()
    }
}

/// Where a statement runs. What is not named is left to the workgroup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The workgroup; Athena's `primary` if `None`.
    pub workgroup: Option<String>,
    /// The database that names without one are looked up in.
    pub database: Option<String>,
    /// Where results are written: `s3://BUCKET/PREFIX/`.
    pub output_location: Option<String>,
    /// How old a result may be, in minutes, to be given again without scanning; 0 for none.
    pub reuse_minutes: u16,
}

/// What kind of statement Athena took it for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementType {
    /// A query (`DML`).
    Query,
    /// It makes, changes or removes a database, a table or a view (`DDL`).
    Definition,
    /// `SHOW`, `DESCRIBE`, `EXPLAIN` (`UTILITY`).
    Utility,
}

/// A statement that has ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// Athena's id of it.
    pub id: String,
    /// What kind of statement it was.
    pub kind: StatementType,
    /// What it read, and whether it did.
    pub scan: Scan,
    /// The time that the engine took.
    pub engine: Duration,
    /// The time from its start to its end, in the queue too.
    pub total: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Started {
    query_execution_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Looked {
    query_execution: Found,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    #[serde(default)]
    statement_type: String,
    status: Status,
    #[serde(default)]
    statistics: Statistics,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    state: String,
    #[serde(default)]
    state_change_reason: Option<String>,
    #[serde(default)]
    athena_error: Option<Said>,
}

/// <https://docs.aws.amazon.com/athena/latest/APIReference/API_AthenaError.html>
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Said {
    #[serde(default)]
    error_category: Option<i32>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Statistics {
    data_scanned_in_bytes: u64,
    engine_execution_time_in_millis: u64,
    total_execution_time_in_millis: u64,
    result_reuse_information: Option<Reused>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reused {
    reused_previous_result: bool,
}

/// What has become of a statement so far.
enum State {
    Running,
    Done(Execution),
}

impl Account {
    /// The account's Athena in this region, or in the one that the environment or the profile say.
    #[must_use]
    pub fn athena(&self, region: Option<&str>) -> Athena {
        let configured = || self.config.region().map_or(self.partition.global_region(), |region| region.as_ref());
        let region = region.unwrap_or_else(configured).to_owned();
        let signed = Signed::new(&self.edge, &self.config).reading(ANSWER_MAX);
        Athena { edge: Arc::clone(&self.edge), signed, region }
    }
}

impl Athena {
    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Runs a statement to its end. Where the program is to end before that, or Athena no longer says how far it is, the
    /// statement is stopped: what it goes on to scan would be paid for.
    ///
    /// # Errors
    ///
    /// [`AthenaError`].
    pub fn run(&self, statement: &str, place: &Place) -> Result<Execution, AthenaError> {
        let id = self.start(statement, place)?;
        let mut wait = FIRST_LOOK;
        loop {
            if !self.edge.pause(wait) {
                let unstopped = self.stop(&id).err();
                return Err(AthenaError::Interrupted { id, unstopped });
            }
            match self.look(&id) {
                Ok(State::Done(execution)) => return Ok(execution),
                Ok(State::Running) => wait = (wait * 3 / 2).min(LAST_LOOK),
                // It may go on for long, and nobody would read what it finds.
                Err(error @ AthenaError::Call { .. }) => {
                    let unstopped = self.stop(&id).err();
                    return Err(AthenaError::OutOfSight { id, source: Box::new(error), unstopped });
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn start(&self, statement: &str, place: &Place) -> Result<String, AthenaError> {
        // The same token makes the same statement of a call that is made twice.
        let mut body = json!({ "QueryString": statement, "ClientRequestToken": token()? });
        if let Some(workgroup) = &place.workgroup {
            body["WorkGroup"] = json!(workgroup);
        }
        if let Some(database) = &place.database {
            body["QueryExecutionContext"] = json!({ "Database": database });
        }
        if let Some(location) = &place.output_location {
            body["ResultConfiguration"] = json!({ "OutputLocation": location });
        }
        if place.reuse_minutes > 0 {
            let by_age = json!({ "Enabled": true, "MaxAgeInMinutes": place.reuse_minutes });
            body["ResultReuseConfiguration"] = json!({ "ResultReuseByAgeConfiguration": by_age });
        }
        Ok(self.call::<Started>(&START, &body)?.query_execution_id)
    }

    fn look(&self, id: &str) -> Result<State, AthenaError> {
        let found = self.call::<Looked>(&LOOK, &json!({ "QueryExecutionId": id }))?.query_execution;
        let Found { statement_type, status, statistics } = found;
        let kind = match statement_type.as_str() {
            "DML" => StatementType::Query,
            "DDL" => StatementType::Definition,
            _ => StatementType::Utility,
        };
        let reason = || status.state_change_reason.clone().unwrap_or_else(|| "no reason was given".to_owned());
        match status.state.as_str() {
            "SUCCEEDED" => Ok(State::Done(Execution {
                id: id.to_owned(),
                kind,
                scan: Scan {
                    bytes: statistics.data_scanned_in_bytes,
                    is_reused: statistics.result_reuse_information.is_some_and(|reused| reused.reused_previous_result),
                    is_query: kind == StatementType::Query,
                },
                engine: Duration::from_millis(statistics.engine_execution_time_in_millis),
                total: Duration::from_millis(statistics.total_execution_time_in_millis),
            })),
            "FAILED" => {
                let category = status.athena_error.as_ref().and_then(|said| said.error_category);
                Err(error::failed(id, &reason(), category))
            }
            "CANCELLED" => Err(AthenaError::Cancelled { id: id.to_owned(), reason: error::bounded(&reason()) }),
            _ => Ok(State::Running),
        }
    }

    fn stop(&self, id: &str) -> Result<(), CallError> {
        let body = json!({ "QueryExecutionId": id });
        // Once more where it was throttled, at once: somebody waits to end the program.
        let stop = || self.signed.call::<Map<String, Value>>(&STOP, &self.region, &body, CALL).map(drop);
        stop().or_else(|error| if error.may_pass() { stop() } else { Err(error) })
    }

    /// Calls, and calls again what may pass.
    fn call<T: DeserializeOwned>(
        &self,
        operation: &'static Operation<'static>,
        body: &Value,
    ) -> Result<T, AthenaError> {
        let mut waits = WAITS.into_iter();
        loop {
            let error = match self.signed.call(operation, &self.region, body, CALL) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let is_again = error.may_pass() && waits.next().is_some_and(|wait| self.edge.pause(wait));
            if !is_again {
                return Err(AthenaError::Call { call: operation.permission, source: error::refused(error) });
            }
        }
    }
}

/// A token that nobody else has: 32 hexadecimal digits.
fn token() -> Result<String, AthenaError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| AthenaError::Randomness(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
