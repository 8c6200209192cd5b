//! The tables, the topic and the analytics bucket of a deployment, which moto plays on this machine.
//!
//! `TRAILHOUND_PYTHON` names an interpreter with moto installed; without it there is no deployment, and a test says so.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// A running deployment. It ends with this value.
#[derive(Debug)]
pub struct Deployment {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Where DynamoDB, SNS and S3 answer.
    pub endpoint: String,
    /// The topic's ARN.
    pub topic: String,
}

impl Deployment {
    /// The name that the tables begin with.
    pub const STACK: &'static str = "trail";
    /// The analytics bucket.
    pub const BUCKET: &'static str = "trail-analytics";
    /// The bucket of the trail.
    pub const LOGS: &'static str = "trail-logs";

    /// Starts one; `None` where there is no Python to play with.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn open() -> Option<Deployment> {
        let python = std::env::var_os("TRAILHOUND_PYTHON").filter(|path| !path.is_empty())?;
        let mut command = Command::new(python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/deployment.py"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python starts");
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (endpoint, topic) = Default::default();
        let mut deployment = Deployment { child, input, output, endpoint, topic };
        let said = deployment.line();
        let text = |name: &str| said[name].as_str().expect("a text").to_owned();
        (deployment.endpoint, deployment.topic) = (text("endpoint"), text("topic"));
        Some(deployment)
    }

    fn ask(&mut self, what: &str) -> Value {
        writeln!(self.input, "{what}").expect("it listens");
        self.line()
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("the deployment: {error}: {line:?}"))
    }

    /// Every item of a table, as DynamoDB writes them; bytes are told by their number.
    ///
    /// # Panics
    /// It does not answer.
    pub fn items(&mut self, table: &str) -> Vec<Value> {
        self.ask(&format!("scan {table}")).as_array().expect("items").clone()
    }

    /// Puts an item into a table.
    ///
    /// # Panics
    /// It does not answer.
    pub fn put(&mut self, table: &str, item: &Value) {
        self.ask(&format!("put {table} {item}"));
    }

    /// Deletes an item of a table, as DynamoDB does when its time is over.
    ///
    /// # Panics
    /// It does not answer.
    pub fn delete(&mut self, table: &str, key: &Value) {
        self.ask(&format!("delete {table} {key}"));
    }

    /// What arrived at a queue that subscribes to the topic, since this was asked last.
    ///
    /// # Panics
    /// It does not answer.
    pub fn messages(&mut self) -> Vec<Value> {
        self.ask("messages").as_array().expect("messages").clone()
    }
}

impl Deployment {
    /// Puts a log file into the bucket of the trail.
    ///
    /// # Panics
    /// It does not answer.
    pub fn log(&mut self, key: &str, content: &Value) {
        self.ask(&format!("log {key} {content}"));
    }

    /// The keys of the analytics bucket, with what changes when an object does.
    ///
    /// # Panics
    /// It does not answer.
    pub fn objects(&mut self) -> BTreeMap<String, String> {
        serde_json::from_value(self.ask("objects")).expect("keys")
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        // Nothing more is wanted of it, whatever state it is in.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
