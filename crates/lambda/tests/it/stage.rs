//! An account on this machine, and functions in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::deployment::Deployment;
use testkit::http::lambda::Runtime;
use testkit::http::{Setup, serve};

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// What a row of the outbox and an item of an event say differently from one run to the next.
const FLEETING: [&str; 9] =
    ["ingested_at", "first_seen", "sent_at", "message_id", "alert", "attempts", "last_error", "due", "arrival"];

pub(crate) struct Stage {
    pub(crate) deployment: Deployment,
    pub(crate) cloudtrail: String,
    history: TempDir,
}

impl Stage {
    /// With these records in the history when it begins; `None` where there is no Python to play with.
    pub(crate) fn open(records: &[Value]) -> Option<Stage> {
        let Some(deployment) = Deployment::open() else {
            eprintln!("skipped: TRAILHOUND_PYTHON is not set");
            return None;
        };
        let history = TempDir::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let cloudtrail = format!("http://{}", listener.local_addr().unwrap());
        let setup = Setup { data: history.path().join("data"), unlimited: true, ..Setup::default() };
        std::fs::create_dir(&setup.data).unwrap();
        let stage = Stage { deployment, cloudtrail, history };
        stage.add("0.json", records);
        // It ends with the test program.
        std::thread::spawn(move || serve(&listener, setup, || ()));
        Some(stage)
    }

    pub(crate) fn add(&self, name: &str, records: &[Value]) {
        // Renamed into its place: the service must not see half of a file.
        let beside = self.history.path().join("beside");
        std::fs::write(&beside, json!({ "Records": records }).to_string()).unwrap();
        std::fs::rename(beside, self.history.path().join("data").join(name)).unwrap();
        // The service does not look at its folder more often.
        std::thread::sleep(Duration::from_micros(testkit::http::data::EVERY.unsigned_abs()));
    }

    pub(crate) fn function(&self, name: &str, environment: &[(&str, &str)]) -> Function {
        let path = match name {
            "tracker" => env!("CARGO_BIN_EXE_tracker"),
            "alerter" => env!("CARGO_BIN_EXE_alerter"),
            "exporter" => env!("CARGO_BIN_EXE_exporter"),
            other => panic!("there is no function {other}"),
        };
        // Others are measured than are tested: those that are shipped.
        let shipped = std::env::var_os("TRAILHOUND_FUNCTIONS").map(|folder| PathBuf::from(folder).join(name));
        let path = shipped.unwrap_or_else(|| path.into());
        let runtime = Runtime::open();
        let mut command = Command::new(path);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        command
            .env_remove("FAILPOINTS")
            .envs([("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")])
            .envs([("AWS_REGION", "us-east-1"), ("AWS_EC2_METADATA_DISABLED", "true")])
            .envs([("AWS_CONFIG_FILE", "none"), ("AWS_SHARED_CREDENTIALS_FILE", "none")])
            .envs([("AWS_LAMBDA_FUNCTION_NAME", name), ("AWS_LAMBDA_FUNCTION_VERSION", "1")])
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_RUNTIME_API", &runtime.address)
            .env("AWS_ENDPOINT_URL", &self.cloudtrail)
            .env("AWS_ENDPOINT_URL_DYNAMODB", &self.deployment.endpoint)
            .env("AWS_ENDPOINT_URL_SNS", &self.deployment.endpoint)
            .envs([
                ("AWS_ENDPOINT_URL_S3", self.deployment.endpoint.as_str()),
                ("ANALYTICS_BUCKET_NAME", Deployment::BUCKET),
            ])
            .envs([("STACK_NAME", Deployment::STACK), ("CALLS_PER_SECOND", "0")])
            .env("ALERTS_SNS_TOPIC_ARN", &self.deployment.topic)
            .envs(environment.iter().copied());
        if std::env::var_os("TRAILHOUND_SHOW").is_none() {
            let said = OpenOptions::new().create(true).append(true).open(self.said(name)).unwrap();
            let logged = OpenOptions::new().create(true).append(true).open(self.logged(name)).unwrap();
            command.stdout(said).stderr(logged);
        }
        Function { child: command.spawn().unwrap(), runtime }
    }

    /// What a function wrote to its standard output.
    fn said(&self, name: &str) -> PathBuf {
        self.history.path().join(format!("{name}.out"))
    }

    /// What a function logged.
    fn logged(&self, name: &str) -> PathBuf {
        self.history.path().join(format!("{name}.err"))
    }

    /// The lines of a function's log, as Lambda would filter them.
    pub(crate) fn log(&self, function: &str) -> Vec<Value> {
        let log = std::fs::read_to_string(self.logged(function)).unwrap();
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }

    /// The values of a metric, as CloudWatch would read them from a function's output.
    pub(crate) fn metric(&self, function: &str, name: &str) -> Vec<f64> {
        let said = std::fs::read_to_string(self.said(function)).unwrap();
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["Stack"] == Deployment::STACK).filter_map(|line| line[name].as_f64()).collect()
    }

    /// What is stored, but for what differs from one run to the next.
    pub(crate) fn stored(&mut self) -> BTreeMap<String, Value> {
        let items = self.deployment.items("trail-events");
        items.into_iter().map(|item| (item["event_id"]["S"].as_str().unwrap().to_owned(), lasting(item))).collect()
    }

    /// The alerts, by event and detection: where each stands.
    pub(crate) fn alerts(&mut self) -> BTreeMap<(String, String), Value> {
        let items = self.deployment.items("trail-alerts");
        let text = |item: &Value, name: &str| item[name]["S"].as_str().unwrap().to_owned();
        items.into_iter().map(|item| ((text(&item, "event_id"), text(&item, "alert_type")), lasting(item))).collect()
    }

    /// An item of the control table.
    pub(crate) fn control(&mut self, key: &str) -> Value {
        let items = self.deployment.items("trail-control");
        items.into_iter().find(|item| item["region"]["S"] == key).unwrap()
    }

    /// What came out of the topic since this was asked last: the detections and the events' ids, sorted. Who is told twice
    /// sees by both that it is the same.
    pub(crate) fn told_of(&mut self) -> Vec<String> {
        let told_of = |message: &Value| {
            let lines = || message["Message"].as_str().unwrap().lines();
            let named = |label: &str| lines().find_map(|line| line.strip_prefix(label)).unwrap().to_owned();
            format!("{} {}", named("- Detection: "), named("- Event ID: "))
        };
        let mut told: Vec<String> = self.deployment.messages().iter().map(told_of).collect();
        told.sort();
        told
    }

    /// Makes every alert due that waits, as time would. Returns whether any does.
    pub(crate) fn later(&mut self) -> bool {
        let mut waiting = self.deployment.items("trail-alerts");
        waiting.retain(|item| item["pending"].is_object());
        for item in &mut waiting {
            item["due"] = json!({"N": "0"});
            self.deployment.put("trail-alerts", item);
        }
        !waiting.is_empty()
    }

    /// What came out of the topic since this was asked last: the detections and event names, sorted.
    pub(crate) fn told(&mut self) -> Vec<String> {
        let attribute = |message: &Value, name: &str| {
            message["MessageAttributes"][name]["Value"].as_str().unwrap_or_default().to_owned()
        };
        let messages = self.deployment.messages();
        let mut told: Vec<String> =
            messages.iter().map(|m| format!("{} {}", attribute(m, "detection"), attribute(m, "event_name"))).collect();
        told.sort();
        told
    }
}

fn lasting(mut item: Value) -> Value {
    item.as_object_mut().unwrap().retain(|name, _| !FLEETING.contains(&name.as_str()));
    item
}

/// A function that is running.
pub(crate) struct Function {
    pub(crate) child: Child,
    runtime: Runtime,
}

impl Function {
    /// What it answers, well or not.
    #[track_caller]
    pub(crate) fn invoke(&self, event: &Value) -> Result<Value, Value> {
        self.invoke_for(event, LIMIT).expect("an answer in time")
    }

    /// Whether the process ends over an invocation.
    pub(crate) fn dies(&mut self, event: &Value) -> bool {
        let (runtime, event) = (self.runtime.clone(), event.clone());
        let invocation = std::thread::spawn(move || runtime.invoke(&event, LIMIT).is_some());
        while !invocation.is_finished() {
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// When it first asked for work.
    pub(crate) fn first_request(&self) -> std::time::Instant {
        self.runtime.first_request().expect("it asks for work")
    }

    pub(crate) fn invoke_for(&self, event: &Value, limit: Duration) -> Option<Result<Value, Value>> {
        self.runtime.invoke(event, limit)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // Nothing more is wanted of it, whatever state it is in.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every call of tables and topics that a function makes. The template's roles allow these, and no more.
#[track_caller]
pub(crate) fn are_the_calls(function: &str, found: &BTreeSet<String>) {
    let known: Value = serde_json::from_str(include_str!("../calls.json")).unwrap();
    let found: BTreeSet<String> = found.iter().map(|call| call.replace(" trail-", " ")).collect();
    assert_eq!(json!(found), known[function], "{function}");
}

/// A record so many seconds old.
pub(crate) fn record(name: &str, source: &str, region: &str, age: i64, id: &str) -> Value {
    #[expect(clippy::disallowed_methods, reason = "the binary lives in the real time")]
    let now = jiff::Timestamp::now().as_second();
    let time = jiff::Timestamp::from_second(now - age).unwrap().to_string();
    let event = testkit::event(name).source(source).region(region).account(ACCOUNT).at(&time).iam_user("alice");
    event.id(&format!("{name}-{id}")).build()
}

/// A batch of SQS, of events as EventBridge gives them.
pub(crate) fn batch(records: &[Value]) -> Value {
    let message = |(place, record): (usize, &Value)| {
        let detail = json!({"version": "0", "source": "aws.iam", "detail-type": "AWS API Call via CloudTrail",
                            "detail": record});
        let body = if record.is_string() { record.as_str().unwrap().to_owned() } else { detail.to_string() };
        json!({"messageId": format!("m{place}"), "eventSource": "aws:sqs", "body": body})
    };
    json!({"Records": records.iter().enumerate().map(message).collect::<Vec<_>>()})
}
