//! `trailhound aws` against answers as the services' documentation has them: states, refusals and trails that the
//! emulator does not play.

mod cloud;
mod functions;
mod status;

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

pub(crate) use self::cloud::*;
use crate::support::Ran;

#[test]
fn nothing_of_a_stack_is_tagged() {
    let cloud = Cloud::new();
    let made = cloud.deploy(ALL, &[]).code(0);
    assert!(made.stderr().contains("trailhound aws init --stack trailhound"), "{}", made.stderr());
    assert_eq!(cloud.stacks(), ["trailhound", "trailhound-artifacts"]);
    let proposals = cloud.asked("CreateChangeSet");
    assert_eq!(proposals.len(), 2);
    // What a stack is tagged with CloudFormation puts on its resources, which the deployer's policy does not allow.
    let names = proposals.iter().flatten().map(|(name, _)| name);
    assert_eq!(names.filter(|name| name.starts_with("Tags")).count(), 0, "{proposals:?}");
}

const OWN: &str = "arn:aws:cloudtrail:eu-central-1:111122223333:trail/own";
const ORGANIZATION: &str = "arn:aws:cloudtrail:eu-central-1:999988887777:trail/everybody";

fn basic(management: bool, kind: &str) -> Value {
    json!({"EventSelectors": [{"IncludeManagementEvents": management, "ReadWriteType": kind, "DataResources": []}]})
}

/// Deploys beside these trails; gives what was told of them, and what became of `CreateTrail`.
fn beside(trails: &[Trail], denied: &[&'static str]) -> (String, Option<String>) {
    let cloud = Cloud::new();
    {
        let mut state = cloud.state.lock().unwrap();
        (state.trails, state.denied) = (trails.to_vec(), denied.to_vec());
    }
    let told = cloud.deploy(ALL, &[]).code(0).stderr();
    (told, cloud.given("trailhound", "CreateTrail"))
}

#[test]
fn only_a_trail_that_delivers_changes_counts_as_one() {
    let off = Some("false".to_owned());
    assert_eq!(beside(&[], &[]).1, None);

    let (told, created) = beside(&[(OWN, true, basic(true, "All"))], &[]);
    assert_eq!(created, off);
    assert!(
        told.contains(&format!("there is a trail already, {OWN}, and a second copy of management events is")),
        "{told}"
    );

    let (told, created) = beside(&[(OWN, false, basic(true, "All"))], &[]);
    assert_eq!(created, None, "{told}");
    assert!(
        told.contains(&format!("there is a trail already, {OWN}, but it is stopped, and EventBridge delivers nothing"))
    );

    let data = json!({"AdvancedEventSelectors": [{"Name": "S3", "FieldSelectors": [
        {"Field": "eventCategory", "Equals": ["Data"]}, {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
    ]}]});
    for selectors in [data.clone(), basic(false, "All")] {
        let (told, created) = beside(&[(OWN, true, selectors)], &[]);
        assert_eq!(created, None, "{told}");
        assert!(told.contains("but it logs no management events, and"), "{told}");
    }
    let (told, created) = beside(&[(OWN, true, basic(true, "ReadOnly"))], &[]);
    assert_eq!(created, None);
    assert!(told.contains("but it logs no management events that change anything, and"), "{told}");

    let (told, created) = beside(&[(OWN, true, basic(true, "WriteOnly"))], &[]);
    assert_eq!(created, off);
    assert!(told.contains("CreateTrail=false; it logs no management events that only read"), "{told}");

    // The one that delivers the most counts.
    let (told, created) = beside(&[(OWN, true, data), (ORGANIZATION, true, basic(true, "All"))], &[]);
    assert_eq!(created, off);
    assert!(told.contains(&format!("already, {ORGANIZATION}, and")), "{told}");
}

#[test]
fn a_trail_that_cannot_be_asked_counts_and_the_action_is_named() {
    for (target, action) in [("GetTrailStatus", "GetTrailStatus"), ("GetEventSelectors", "GetEventSelectors")] {
        let (told, created) = beside(&[(ORGANIZATION, true, basic(true, "All"))], &[target]);
        assert_eq!(created.as_deref(), Some("false"));
        assert!(told.contains(&format!("access denied: cloudtrail:{action} is not allowed")), "{told}");
    }
    let (told, created) = beside(&[(OWN, true, basic(true, "All"))], &["DescribeTrails"]);
    assert_eq!(created, None);
    assert!(told.contains("whether there is a trail already cannot be found out: cloudtrail:DescribeTrails"), "{told}");
}

#[test]
fn without_alerts_no_region_forwards_and_none_is_missed() {
    let cloud = Cloud::new();
    let folder = cloud.zips(ALL);
    cloud.has("trailhound-forwarder", "CREATE_COMPLETE", &[]);
    let deploy = ["deploy", "--functions", &folder, "--yes", "--parameter", "EnableSecurityAlerts=false"];
    let made = cloud.run(&deploy).code(0).stdout();
    assert!(made.contains("is deleted: EnableSecurityAlerts is off\n") && !made.contains("are forwarded"), "{made}");
    assert_eq!(cloud.stacks(), ["trailhound", "trailhound-artifacts"]);
    let status = cloud.run(&["status", "--format", "json"]).code(4).json();
    assert_eq!(status["missing"], json!(["nothing was collected yet: `trailhound aws init`"]));
    let status = cloud.run(&["status"]).code(4).stdout();
    assert!(status.contains("forwarders none, because EnableSecurityAlerts is off\n"), "{status}");

    // With alerts they are put there, and missed where they are not.
    cloud.has("trailhound", "CREATE_COMPLETE", &[("EnableSecurityAlerts", "true")]);
    let status = cloud.run(&["status"]).code(4).stdout();
    assert!(status.contains("its events reach the alerter only by the schedule (forwarder: none)"), "{status}");
    let made = cloud.run(&["deploy", "--functions", &folder, "--yes"]).code(0).stdout();
    assert!(made.contains("are forwarded\n"), "{made}");
}

#[test]
fn a_forwarder_keeps_the_topic_of_its_alarm() {
    let cloud = Cloud::new();
    let folder = cloud.zips(ALL);
    let deploy = ["deploy", "--functions", &folder, "--yes", "--forward-from", "us-west-2"];
    let kept = || {
        let forms = cloud.asked("CreateChangeSet");
        let forwarder = forms.iter().rfind(|form| form.contains(&pair("StackName", "trailhound-forwarder"))).unwrap();
        let topic = forwarder.iter().find(|(_, value)| value == "AlarmTopicArn");
        topic.map(|(key, _)| forwarder.contains(&pair(&key.replace("ParameterKey", "UsePreviousValue"), "true")))
    };
    cloud.run(&deploy).code(0);
    assert_eq!(kept(), None);
    cloud.has("trailhound-forwarder", "UPDATE_COMPLETE", &[("AlarmTopicArn", "arn:aws:sns:us-west-2:1:ops")]);
    cloud.run(&deploy).code(0);
    assert_eq!(kept(), Some(true));
}

#[test]
fn analytics_without_the_exporter_are_refused_before_anything_is_made() {
    let cloud = Cloud::new();
    let functions = ["tracker", "alerter"];
    cloud.has("trailhound", "CREATE_COMPLETE", &[("EnableAnalytics", "true")]);
    let refused = cloud.deploy(&functions, &[]).code(2).stderr();
    assert!(refused.contains("exporter-x86_64-test.zip is not beside the others"), "{refused}");
    assert!(refused.contains("--parameter EnableAnalytics=false"), "{refused}");
    assert_eq!(cloud.stacks(), ["trailhound"], "no bucket is made for it");
    cloud.deploy(&functions, &["--parameter", "EnableAnalytics=false"]).code(0);
    // What is off stays off.
    cloud.deploy(&functions, &[]).code(0);
    cloud.deploy(&functions, &["--parameter", "EnableAnalytics=true"]).code(2);

    let fresh = Cloud::new();
    fresh.deploy(&functions, &["--parameter", "EnableAnalytics=true"]).code(2);
    let made = fresh.deploy(&functions, &[]).code(0).stderr();
    assert!(made.contains("the stack is made without analytics"), "{made}");
    assert_eq!(fresh.given("trailhound", "EnableAnalytics").as_deref(), Some("false"));
}

/// Runs a command on a terminal of its own, and types this.
pub(crate) fn typed(command: &Command, keys: &str) -> Ran {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => terminal.env(name, value),
            None => terminal.env_remove(name),
        };
    }
    let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    Ran(child.wait_with_output().unwrap())
}

#[test]
fn on_a_terminal_a_new_stack_is_filled_if_that_is_wanted() {
    let invoked = |cloud: &Cloud| {
        cloud.script.asked().iter().any(|asked| asked.call.ends_with("/trailhound-tracker/invocations"))
    };
    for (answer, fills) in [("y", true), ("n", false)] {
        let cloud = Cloud::new();
        let folder = cloud.zips(ALL);
        let deploy = cloud.command(&["deploy", "--functions", &folder, "--forward-from", "none"]);
        // The bucket, the stack, and then the question.
        let said = typed(&deploy, &format!("y\ny\n{answer}\n")).code(0).stdout();
        assert!(said.contains("Fill it now with what the event history holds?"), "{said}");
        assert_eq!(said.contains("what CloudTrail's event history holds is collected"), fills, "{said}");
        assert_eq!(said.contains("trailhound aws init --stack trailhound"), !fills, "{said}");
        assert_eq!(invoked(&cloud), fills);
        // It is asked of a new stack alone.
        let again = typed(&deploy, "y\n").code(0).stdout();
        assert!(!again.contains("Fill it now"), "{again}");
    }
    let cloud = Cloud::new();
    let folder = cloud.zips(ALL);
    let deploy = cloud.command(&["deploy", "--functions", &folder, "--forward-from", "none", "--yes"]);
    let said = typed(&deploy, "").code(0).stdout();
    assert!(said.contains("trailhound aws init --stack trailhound") && !invoked(&cloud), "{said}");
}

#[test]
fn a_stack_in_a_state_that_cannot_be_changed_says_what_helps_before_anything_is_made() {
    for (status, advice) in [
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name trailhound --region us-east-1"),
        ("ROLLBACK_COMPLETE", "`trailhound aws destroy --stack trailhound` removes it"),
        ("UPDATE_IN_PROGRESS", "wait until it is done"),
    ] {
        let cloud = Cloud::new();
        cloud.has("trailhound", status, &[]);
        let said = cloud.deploy(ALL, &[]).code(1).stderr();
        assert!(said.contains(status) && said.contains(advice), "{said}");
        assert!(cloud.asked("CreateChangeSet").is_empty() && cloud.stacks() == ["trailhound"]);
    }
}

#[test]
fn what_is_not_allowed_is_named() {
    for (denied, action, left) in [
        ("DescribeStacks", "cloudformation:DescribeStacks", &[][..]),
        ("CreateChangeSet", "cloudformation:CreateChangeSet", &[]),
        ("PutObject", "s3:PutObject", &["trailhound-artifacts"]),
        ("GetTemplateSummary", "cloudformation:GetTemplateSummary", &["trailhound-artifacts"]),
    ] {
        let cloud = Cloud::new();
        cloud.state.lock().unwrap().denied = vec![denied];
        let said = cloud.deploy(ALL, &[]).code(1).stderr();
        assert!(said.contains(&format!("access denied: {action} is not allowed")), "{said}");
        // What was made until then goes again.
        assert_eq!(cloud.stacks(), left);
        cloud.state.lock().unwrap().denied.clear();
        cloud.run(&["destroy", "--yes"]).code(0);
        assert!(cloud.stacks().is_empty(), "{action}");
    }
}

#[test]
fn without_credentials_nothing_is_asked() {
    let cloud = Cloud::new();
    let folder = cloud.zips(ALL);
    for arguments in [&["deploy", "--functions", &folder, "--yes"][..], &["status"], &["destroy", "--yes"], &["logs"]] {
        let mut command = cloud.command(arguments);
        let command = command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        let said = Ran(command.output().unwrap()).code(1).stderr();
        assert!(said.contains("the credentials are not accepted: none were found: set AWS_PROFILE"), "{said}");
    }
    assert!(cloud.script.asked().is_empty());
}

#[test]
fn logs_are_shown_in_the_order_of_their_time_without_what_a_stranger_put_there() {
    let cloud = Cloud::new();
    cloud.run(&["logs"]).code(2);
    cloud.has("trailhound", "CREATE_COMPLETE", &[]);
    let shown = cloud.run(&["logs", "--since", "6h"]).code(0).stdout();
    let lines = ["2026-01-31T12:00:00Z tracker  {\"stored\":3}", "2026-01-31T12:00:01Z tracker  \\u{1b}[31mred"];
    assert_eq!(shown.lines().collect::<Vec<_>>(), lines);
    assert_eq!(cloud.run(&["logs", "--function", "alerter"]).code(0).stdout(), "");
    cloud.run(&["logs", "--since", "yesterday"]).code(2);
    // Later pages and other functions are asked for, too.
    let groups = cloud.script.asked().into_iter().filter(|asked| asked.target.ends_with("FilterLogEvents"));
    let groups: Vec<Value> = groups.map(|asked| serde_json::from_str(&asked.body).unwrap()).collect();
    assert_eq!(groups.len(), 5);
    assert_eq!(
        (&groups[1]["nextToken"], &groups[4]["logGroupName"]),
        (&json!("2"), &json!("/aws/lambda/trailhound-alerter"))
    );

    cloud.state.lock().unwrap().denied = vec!["FilterLogEvents"];
    let said = cloud.run(&["logs"]).code(1).stderr();
    assert!(said.contains("logs:FilterLogEvents is not allowed"), "{said}");
}

#[test]
fn templates_are_checked_by_the_service() {
    let cloud = Cloud::new();
    // What was not checked is neither right nor wrong.
    let before = cloud.run(&["validate"]).code(3).stdout();
    assert!(before.contains("forwarder.yaml is a template with "), "{before}");
    assert!(before.contains("trailhound.yaml is not checked: it is too long for a request"), "{before}");
    cloud.has("trailhound-artifacts", "CREATE_COMPLETE", &[]);
    let number = parameters().count();
    let after = cloud.run(&["validate"]).code(0).stdout();
    assert!(after.contains(&format!("trailhound.yaml is a template with {number} parameters\n")), "{after}");
    cloud.state.lock().unwrap().denied = vec!["GetTemplateSummary"];
    let said = cloud.run(&["validate"]).code(1).stderr();
    assert!(said.contains("forwarder.yaml is refused") && said.contains("cloudformation:GetTemplateSummary"), "{said}");
}

#[test]
fn days_are_exported_from_the_trails_files() {
    let cloud = Cloud::new();
    cloud.run(&["export", "--from", "2026-01-02", "--to", "2026-01-01"]).code(2);
    cloud.run(&["export", "--from", "january", "--to", "2026-01-01"]).code(2);
    let days = ["export", "--from", "2026-01-01", "--to", "2026-01-31"];
    cloud.run(&days).code(2);
    cloud.has("trailhound", "CREATE_COMPLETE", &[]);
    let done = cloud.run(&days).code(0);
    assert_eq!(done.stdout(), "5 events are new in the lake\n");
    assert!(done.stderr().contains("7 events read, 5 of them new\n"), "{}", done.stderr());
    let last = cloud.script.asked().pop().unwrap();
    assert!(last.call.ends_with("/trailhound-exporter/invocations"), "{}", last.call);
    let event: Value = serde_json::from_str(&last.body).unwrap();
    assert_eq!(event, json!({"trail": {"from": "2026-01-01", "to": "2026-01-31"}}));
}
