//! A DynamoDB on this machine, and processes that use it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use aws::{Access, Aws, TableNames, Tables};
use event::Timestamp;
use serde_json::Value;

pub(crate) struct Stage {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    endpoint: String,
}

pub(crate) struct Ended {
    pub(crate) success: bool,
    said: String,
}

impl Stage {
    /// `None` where there is no Python to play with.
    pub(crate) fn open() -> Option<Stage> {
        let Some(python) = std::env::var_os("TRAILHOUND_PYTHON").filter(|path| !path.is_empty()) else {
            eprintln!("skipped: TRAILHOUND_PYTHON is not set");
            return None;
        };
        let mut command = Command::new(python);
        command.arg("tests/tables/tables.py").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut stage = Stage { child, input, output, endpoint: String::new() };
        stage.endpoint = stage.line()["endpoint"].as_str().unwrap().to_owned();
        Some(stage)
    }

    /// Runs one process against fresh tables.
    pub(crate) fn play(process: &str) {
        if let Some(stage) = Stage::open() {
            stage.check(process);
        }
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("the tables: {error}: {line:?}"))
    }

    pub(crate) fn items(&mut self, table: &str) -> Vec<Value> {
        writeln!(self.input, "scan {table}").unwrap();
        self.line().as_array().unwrap().clone()
    }

    pub(crate) fn put(&mut self, table: &str, item: &Value) {
        writeln!(self.input, "put {table} {item}").unwrap();
        self.line();
    }

    /// Runs a process that is to end well.
    pub(crate) fn check(&self, process: &str) {
        let ended = self.run(process, &[]);
        assert!(ended.success && ended.said.contains("1 passed"), "{process}: {}", ended.said);
    }

    pub(crate) fn run(&self, process: &str, environment: &[(&str, &str)]) -> Ended {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([process, "--exact", "--ignored", "--nocapture"]);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        command
            .envs([("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "us-east-1")])
            .envs([("AWS_CONFIG_FILE", "none"), ("AWS_SHARED_CREDENTIALS_FILE", "none")])
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL_DYNAMODB", &self.endpoint)
            .envs(environment.iter().copied());
        let output = command.output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ended { success: output.status.success(), said }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Nothing more is wanted of it, whatever state it is in.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The tables, as a process uses them.
pub(crate) fn tables() -> Tables {
    let aws = Aws::open(&Access::default(), None).unwrap();
    let mut account = aws.unnamed();
    account.id = "111122223333".to_owned();
    Tables::new(&account, TableNames::of_stack("trail"), None)
}

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}
