//! Lambda's Invoke and the log groups of functions, without their SDKs.

use std::fmt;
use std::time::Duration;

use event::Timestamp;
use pipeline::service::CallError;
use serde_json::{Value, json};

use crate::access::Account;
use crate::bucket::TrailBucket;
use crate::signed::{Operation, Signed};

/// A function may run for fifteen minutes.
const INVOKE: Duration = Duration::from_secs(16 * 60);
/// How long one look at a log may take, and the most lines of it.
const LOOK: Duration = Duration::from_secs(30);
const LINES: u32 = 1000;

/// Functions of an account in a region.
pub struct Functions {
    signed: Signed,
    region: String,
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions").field("region", &self.region).finish_non_exhaustive()
    }
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Its own id.
    pub id: String,
    /// When it was written.
    pub at: Timestamp,
    /// What it says. May quote a stranger's text.
    pub text: String,
}

impl Account {
    /// Functions in a region, or in that of the credentials. Asks nothing yet.
    #[must_use]
    pub fn functions(&self, region: Option<&str>) -> Functions {
        let region = region.map_or_else(|| TrailBucket::region_of(self), str::to_owned);
        Functions { signed: Signed::new(&self.edge, &self.config), region }
    }
}

impl Functions {
    /// Invokes a function and waits for its answer. What the function itself says of a failure is in the answer, as
    /// `errorType` and `errorMessage`.
    ///
    /// # Errors
    /// [`CallError`]: it could not be invoked.
    pub fn invoke(&self, name: &str, event: &Value) -> Result<Value, CallError> {
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if name.is_empty() || !is_name {
            return Err(CallError::Refused(format!("{name:?} is no name of a function")));
        }
        let path = format!("/2015-03-31/functions/{name}/invocations");
        let operation = Operation {
            permission: "lambda:InvokeFunction",
            service: "Lambda",
            host: "lambda",
            path: &path,
            ..Operation::POST
        };
        self.signed.call(&operation, &self.region, event, INVOKE)
    }

    /// The lines of a log group since a time, the oldest first; and the token with which the rest is asked for.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn log(
        &self,
        group: &str,
        since: Timestamp,
        token: Option<&str>,
    ) -> Result<(Vec<LogLine>, Option<String>), CallError> {
        const FILTER: Operation<'_> = Operation {
            permission: "logs:FilterLogEvents",
            service: "CloudWatch Logs",
            host: "logs",
            target: Some("Logs_20140328.FilterLogEvents"),
            ..Operation::POST
        };
        let mut request = json!({"logGroupName": group, "startTime": since.micros() / 1000, "limit": LINES});
        if let Some(token) = token {
            request["nextToken"] = json!(token);
        }
        let answer: Value = self.signed.call(&FILTER, &self.region, &request, LOOK)?;
        let lines = answer["events"].as_array().into_iter().flatten().filter_map(|line| {
            Some(LogLine {
                id: line["eventId"].as_str()?.to_owned(),
                at: Timestamp::from_micros(line["timestamp"].as_i64()?.checked_mul(1000)?)?,
                text: line["message"].as_str()?.trim_end().to_owned(),
            })
        });
        Ok((lines.collect(), answer["nextToken"].as_str().map(str::to_owned)))
    }
}
