//! Suppressions and acknowledgements of a deployment: the real command line, against tables that moto plays.
//!
//! `TRAILHOUND_PYTHON` names an interpreter with moto installed; without it this test says so and passes.

use serde_json::{Value, json};
use testkit::deployment::Deployment;
use testkit::http::HttpFaults;
use testkit::http::proxy::Proxy;

use crate::live::{Live, record};
use crate::support::Ran;

const STORE: [&str; 2] = ["--store", "dynamodb://trail"];

struct Stage {
    live: Live,
    deployment: Deployment,
    proxy: Proxy,
}

impl Stage {
    /// Alerts of this machine, recorded in a deployment's table as not sent yet.
    fn open(records: &[Value]) -> Option<Stage> {
        let Some(mut deployment) = Deployment::open() else {
            #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
            {
                eprintln!("skipped: TRAILHOUND_PYTHON is not set");
            }
            return None;
        };
        let live = Live::new(|_| ());
        let logs = live.world.file("logs.json", json!({ "Records": records }).to_string());
        live.run(["ingest", logs.to_str().unwrap()]).code(0);
        for line in live.run(["alerts", "export"]).code(0).stdout().lines() {
            let alert: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| json!({"S": alert[name]});
            let severity = alert["severity"].as_str().unwrap().to_uppercase();
            let item = json!({
                "event_id": text("event_id"), "alert_id": text("id"), "title": text("title"),
                "alert_type": {"S": format!("{severity}#{}", alert["detection"].as_str().unwrap())},
                "event_time": text("event_time"), "first_seen": text("first_seen"), "arrival": {"S": "live"},
                "alert": {"S": line}, "pending": {"S": "topic"}, "due": {"N": "1"}, "attempts": {"N": "0"},
            });
            deployment.put("trail-alerts", &item);
        }
        let proxy = Proxy::open(&deployment.endpoint, HttpFaults::default(), 0.0);
        Some(Stage { live, deployment, proxy })
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.live.command();
        command.env("AWS_ENDPOINT_URL_DYNAMODB", &self.proxy.endpoint).env("AWS_REGION", "us-east-1");
        Ran(command.args(arguments).output().unwrap())
    }

    fn at_store(&self, arguments: &[&str]) -> Ran {
        self.run(&[arguments, &STORE].concat())
    }

    /// The alerts that are listed, by event.
    fn listed(&self, more: &[&str]) -> Vec<Value> {
        let all = [&["alerts", "list", "--format", "json"], more].concat();
        self.at_store(&all).code(0).json().as_array().unwrap().clone()
    }

    fn item(&mut self, event: &str) -> Value {
        let items = self.deployment.items("trail-alerts");
        items.into_iter().find(|item| item["event_id"]["S"] == event).unwrap()
    }
}

#[test]
fn alerts_of_a_deployment_are_silenced_and_acknowledged() {
    let of_iam = |name, age, id| record(name, "iam", "us-east-1", age, id);
    let records =
        [of_iam("CreateAccessKey", 90, "a"), of_iam("CreateAccessKey", 80, "b"), of_iam("CreateUser", 60, "c")];
    let Some(mut stage) = Stage::open(&records) else { return };
    assert_eq!(stage.listed(&[]).len(), 3);
    let empty = stage.at_store(&["suppress", "list"]).code(0);
    assert!(empty.stdout().is_empty() && empty.stderr().ends_with("no suppressions\n"), "{}", empty.stderr());

    let add = ["suppress", "add", "--detection", "access-key-*", "--reason", "rotation", "--until", "2099-01-01"];
    let added = stage.at_store(&add).code(0).stdout();
    assert!(added.contains(" added, until ") && added.ends_with("; 2 open alerts silenced\n"), "{added}");
    let again = stage.at_store(&add).code(0).stdout();
    assert!(again.contains(" was there already, until ") && again.ends_with("; 0 open alerts silenced\n"), "{again}");
    // What the outbox held of them is gone; the other waits as before.
    let silent = stage.item("CreateAccessKey-a");
    assert_eq!(silent["suppressed_by"]["S"], added.split(' ').nth(1).unwrap());
    assert!(silent["pending"].is_null() && silent["due"].is_null() && silent["alert"].is_object(), "{silent}");
    assert_eq!(stage.item("CreateUser-c")["pending"]["S"], "topic");
    let open = stage.listed(&[]);
    assert_eq!((open.len(), &open[0]["event_name"]), (1, &json!("CreateUser")));
    let states: Vec<Value> = stage.listed(&["--suppressed"]).iter().map(|alert| alert["state"].clone()).collect();
    assert_eq!(states, ["open", "suppressed", "suppressed"]);

    let list = ["suppress", "list", "--format", "json"];
    let listed = stage.at_store(&list).code(0).json();
    let (id, row) = (added.split(' ').nth(1).unwrap(), &listed[0]);
    assert_eq!((listed.as_array().unwrap().len(), &row["id"]), (1, &json!(id)));
    assert_eq!((&row["silenced"], &row["state"], &row["by"]), (&json!(2), &json!("in force"), &json!("tester")));
    assert_eq!(stage.run(&list).code(0).json(), json!([]), "this machine has none");
    let removed = stage.at_store(&["suppress", "remove", &id[..5]]).code(0).stdout();
    assert_eq!(removed, format!("suppression {id} removed; what it silenced stays silenced\n"));
    let removed = stage.at_store(&["suppress", "remove", id]).code(0).stdout();
    assert_eq!(removed, format!("suppression {id} was removed before\n"));
    assert_eq!(stage.listed(&[]).len(), 1);
    let unknown = stage.at_store(&["suppress", "remove", "0000000000"]).code(1).stderr();
    assert!(unknown.contains("there is no suppression \"0000000000\""), "{unknown}");

    // One alert, by its id or its event and detection.
    let user = open[0]["id"].as_str().unwrap();
    let shown = stage.at_store(&["alerts", "show", user, "--json"]).code(0).json();
    assert_eq!((&shown["event_id"], &shown["record"]["eventName"]), (&json!("CreateUser-c"), &json!("CreateUser")));
    let shown = stage.at_store(&["alerts", "show", "CreateAccessKey-a/access-key-created"]).code(0).stdout();
    assert!(shown.contains(&format!("suppressed   by {id}\n")), "{shown}");
    assert!(
        stage.at_store(&["alerts", "show", "00000000"]).code(1).stderr().contains("there is no alert \"00000000\"")
    );
    assert!(stage.at_store(&["alerts", "show", "x"]).code(1).stderr().contains("\"x\" names no alert"));

    let wrong = stage.at_store(&["alerts", "ack", user, "00000000"]).code(1);
    assert!(wrong.stderr().contains("there is no alert") && stage.listed(&[]).len() == 1, "nothing was marked");
    let acked = stage.at_store(&["alerts", "ack", user, "--note", "planned"]).code(0).stdout();
    assert_eq!(acked, "1 alert acknowledged\n");
    assert!(stage.listed(&[]).is_empty() && stage.item("CreateUser-c")["pending"].is_null());
    let seen = stage.listed(&["--acked"]);
    assert_eq!((&seen[0]["note"], &seen[0]["acknowledged_by"]), (&json!("planned"), &json!("tester")));
    assert_eq!(stage.at_store(&["alerts", "ack", user, "--undo"]).code(0).stdout(), "1 alert opened again\n");
    assert_eq!(stage.listed(&[]).len(), 1);
    stage.run(&["suppress", "list", "--store", "trail"]).code(2);

    // What docs/deploy.md lets people do who may silence.
    let known: Value = serde_json::from_str(include_str!("../../../lambda/tests/calls.json")).unwrap();
    let calls: Vec<String> = stage.proxy.calls().iter().map(|call| call.replace(" trail-", " ")).collect();
    assert_eq!(json!(calls), known["silencer"]);
}
