//! Lambda's Invoke and GetAccountSettings and the log groups of functions, without their SDKs.

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
        self.signed.clone().kept_alive().call(&operation, &self.region, event, INVOKE)
    }

    /// How many functions may run at once in the region beside those that have a part of that reserved.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn unreserved(&self) -> Result<u64, CallError> {
        const SETTINGS: Operation<'_> = Operation {
            permission: "lambda:GetAccountSettings",
            service: "Lambda",
            host: "lambda",
            method: "GET",
            path: "/2016-08-19/account-settings/",
            ..Operation::POST
        };
        let answer: Value = self.signed.call(&SETTINGS, &self.region, &Value::Null, LOOK)?;
        let number = answer["AccountLimit"]["UnreservedConcurrentExecutions"].as_u64();
        number.ok_or_else(|| CallError::Refused("the answer is not what it should be".to_owned()))
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::time::Instant;

    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;

    use super::*;
    use crate::access::{Access, Aws};

    /// The timers of this machine's connections to a port: `02` is that of the probes.
    /// <https://docs.kernel.org/networking/proc_net_tcp.html>
    fn timers(port: u16) -> Vec<String> {
        let (table, to) =
            (std::fs::read_to_string("/proc/self/net/tcp").expect("Linux has it"), format!(":{port:04X}"));
        let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.filter(|row| row[2].ends_with(&to)).map(|row| row[5][..2].to_owned()).collect()
    }

    #[test]
    fn the_connection_is_probed_while_the_function_works() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let aws = Aws::open(&Access::default(), None).unwrap();
        let credentials = SharedCredentialsProvider::new(Credentials::new("AKID", "hush", None, None, "test"));
        let config = aws.base.clone().into_builder().endpoint_url(format!("http://127.0.0.1:{port}"));
        let config = config.credentials_provider(credentials).build();
        let account = Account { config, ..aws.named("111122223333") };
        let works = std::thread::spawn(move || {
            account.functions(Some("eu-central-1")).invoke("trailhound-tracker", &json!({"days": 90}))
        });
        let (mut connection, _) = server.accept().unwrap();
        let mut lines = BufReader::new(connection.try_clone().unwrap()).lines().map(Result::unwrap);
        assert_eq!(lines.next().unwrap(), "POST /2015-03-31/functions/trailhound-tracker/invocations HTTP/1.1");
        // What was sent is acknowledged first.
        let until = Instant::now() + Duration::from_secs(5);
        while timers(port) != ["02"] && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(timers(port), ["02"]);
        write!(connection, "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{{\"complete\":true}}").unwrap();
        assert_eq!(works.join().unwrap(), Ok(json!({"complete": true})));
    }
}
