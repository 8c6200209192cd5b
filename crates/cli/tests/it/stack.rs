//! `trailhound aws` against answers as the services' documentation has them: states, refusals and trails that the
//! emulator does not play.

mod functions;
mod status;

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use testkit::http::script::{Asked, Script};

use crate::live::Live;
use crate::support::Ran;

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const TEMPLATE: &str = include_str!("../../../../deploy/trailhound.yaml");

/// An account with CloudFormation, S3, CloudTrail, Lambda and what they have.
pub(crate) struct Cloud {
    live: Live,
    pub(crate) script: Script,
    pub(crate) state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) stacks: BTreeMap<String, Stack>,
    pub(crate) buckets: BTreeMap<String, Bucket>,
    /// What was proposed last.
    proposed: Option<(String, Pairs)>,
    trails: Vec<Trail>,
    /// What is said to change, where it is not a table.
    pub(crate) changes: Option<&'static str>,
    /// What Lambda has left to reserve.
    pub(crate) concurrency: u64,
    /// Actions and targets that are denied.
    pub(crate) denied: Vec<&'static str>,
    /// What functions answer, before they answer as they always do.
    answers: VecDeque<(u16, Value)>,
    /// The items of the control table by their keys, and those of the alerts.
    control: BTreeMap<String, Value>,
    alerts: Vec<Value>,
    /// An action of CloudFormation that is refused, and why.
    pub(crate) refused: Option<(&'static str, &'static str)>,
}

/// A bucket by the stack that has made it, its name there, and the number of its objects.
#[derive(Clone, Default)]
pub(crate) struct Bucket {
    pub(crate) stack: &'static str,
    pub(crate) logical: &'static str,
    pub(crate) objects: usize,
}

#[derive(Clone, Default)]
pub(crate) struct Stack {
    pub(crate) status: String,
    parameters: Pairs,
    outputs: Pairs,
    /// The type and the name of each.
    pub(crate) resources: Pairs,
}

pub(crate) type Pairs = Vec<(String, String)>;

/// A trail's ARN, whether it is logging, and its selectors.
type Trail = (&'static str, bool, Value);

pub(crate) fn pairs(all: &[(&str, &str)]) -> Pairs {
    all.iter().map(|(name, value)| pair(name, value)).collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

impl Cloud {
    pub(crate) fn new() -> Cloud {
        let state = Arc::new(Mutex::new(State { concurrency: 1000, ..State::default() }));
        let behind = Arc::clone(&state);
        let script = Script::open(move |asked| answer(&mut behind.lock().unwrap(), asked));
        Cloud { live: Live::new(|_| ()), script, state }
    }

    pub(crate) fn has(&self, name: &str, status: &str, parameters: &[(&str, &str)]) {
        let stack = Stack { status: status.to_owned(), parameters: pairs(parameters), ..Stack::default() };
        self.state.lock().unwrap().stacks.insert(name.to_owned(), stack);
    }

    pub(crate) fn stacks(&self) -> Vec<String> {
        self.state.lock().unwrap().stacks.keys().cloned().collect()
    }

    /// The functions' zip files, of these names.
    pub(crate) fn zips(&self, functions: &[&str]) -> String {
        for function in functions {
            self.live.world.file(&format!("functions/{function}-x86_64-test.zip"), "zip");
        }
        self.live.world.path("functions").to_str().unwrap().to_owned()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.trailhound(&[&["aws"], arguments].concat())
    }

    fn trailhound(&self, arguments: &[&str]) -> Command {
        let mut command = self.live.command();
        for service in ["CLOUDFORMATION", "S3", "CLOUDTRAIL", "LAMBDA", "CLOUDWATCH_LOGS", "DYNAMODB", "SQS"] {
            command.env(format!("AWS_ENDPOINT_URL_{service}"), &self.script.endpoint);
        }
        command.env("AWS_REGION", "us-east-1").args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran(self.command(arguments).output().unwrap())
    }

    /// Deploys without asking, without forwarders.
    pub(crate) fn deploy(&self, functions: &[&str], more: &[&str]) -> Ran {
        let folder = self.zips(functions);
        self.run(&[&["deploy", "--functions", &folder, "--forward-from", "none", "--yes"], more].concat())
    }

    /// The forms of one action, in their order.
    pub(crate) fn asked(&self, action: &str) -> Vec<Pairs> {
        let forms = self.script.asked().into_iter().map(|asked| form(&asked.body));
        forms.filter(|form| form.first().is_some_and(|(_, name)| name == action)).collect()
    }

    /// What a stack was given for a parameter.
    pub(crate) fn given(&self, stack: &str, parameter: &str) -> Option<String> {
        let state = self.state.lock().unwrap();
        let found = state.stacks[stack].parameters.iter().find(|(name, _)| name == parameter);
        found.map(|(_, value)| value.clone())
    }
}

pub(crate) const ALL: &[&str] = &["tracker", "alerter", "exporter"];

fn answer(state: &mut State, asked: &Asked) -> (u16, String) {
    if let Some(target) = asked.target.rsplit('.').next().filter(|target| !target.is_empty()) {
        if state.denied.contains(&target) {
            return (400, json!({"__type": "AccessDeniedException", "message": "no"}).to_string());
        }
        return (200, of_json(state, target, &serde_json::from_str(&asked.body).unwrap()).to_string());
    }
    if asked.call.ends_with("/account-settings/") {
        let limit = json!({"AccountLimit": {"UnreservedConcurrentExecutions": state.concurrency}});
        return (200, limit.to_string());
    }
    if let Some((method, name, of)) = of_bucket(&asked.call) {
        return bucket(state, method, name, of);
    }
    if asked.call.starts_with("HEAD ") {
        return (404, String::new());
    }
    if asked.call.starts_with("PUT ") {
        let refused = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>".to_owned();
        return if state.denied.contains(&"PutObject") { (403, refused) } else { (200, String::new()) };
    }
    if asked.call.contains("/2015-03-31/functions/") {
        if let Some((status, said)) = state.answers.pop_front() {
            return (status, said.to_string());
        }
        return (200, json!({"complete": true, "stored": 3, "events_read": 7, "events_stored": 5}).to_string());
    }
    let form = form(&asked.body);
    let field = |name: &str| form.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
    let action = field("Action");
    if state.denied.contains(&action) {
        let message =
            format!("User: arn:aws:iam::{ACCOUNT}:user/x is not authorized to perform: cloudformation:{action}");
        return (403, error("AccessDenied", &message));
    }
    if let Some((_, why)) = state.refused.filter(|(refused, _)| *refused == action) {
        return (400, error("ValidationError", why));
    }
    let name = field("StackName");
    let name = name.split('/').nth(1).unwrap_or(name).to_owned();
    let stack = state.stacks.get(&name).cloned();
    let result = match (action, stack) {
        ("DescribeStacks" | "ListStackResources", None) => {
            return (400, error("ValidationError", &format!("Stack with id {name} does not exist")));
        }
        ("DescribeStacks", Some(stack)) => described(&name, &stack),
        ("ListStackResources", Some(stack)) => {
            let member = |(kind, name): &(String, String)| {
                format!(
                    "<member><LogicalResourceId>It</LogicalResourceId><PhysicalResourceId>{name}</PhysicalResourceId>\
                     <ResourceType>{kind}</ResourceType><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>"
                )
            };
            let members: String = stack.resources.iter().map(member).collect();
            format!("<StackResourceSummaries>{members}</StackResourceSummaries>")
        }
        ("GetTemplateSummary", _) => {
            let names = parameters().map(|name| format!("<member><ParameterKey>{name}</ParameterKey></member>"));
            format!("<Parameters>{}</Parameters>", names.collect::<String>())
        }
        ("CreateChangeSet", stack) => {
            let mut given: Pairs = stack.map(|stack| stack.parameters).unwrap_or_default();
            for place in 1.. {
                let key = field(&format!("Parameters.member.{place}.ParameterKey"));
                if key.is_empty() {
                    break;
                }
                if field(&format!("Parameters.member.{place}.UsePreviousValue")) != "true" {
                    given.retain(|(known, _)| known != key);
                    given
                        .push((key.to_owned(), field(&format!("Parameters.member.{place}.ParameterValue")).to_owned()));
                }
            }
            state.proposed = Some((name, given));
            "<Id>arn:aws:cloudformation:us-east-1:111122223333:changeSet/x/1</Id>".to_owned()
        }
        ("DescribeChangeSet", _) => {
            let change = state.changes.unwrap_or(
                "<Action>Add</Action><LogicalResourceId>EventsTable</LogicalResourceId>\
                 <ResourceType>AWS::DynamoDB::Table</ResourceType>",
            );
            format!(
                "<Status>CREATE_COMPLETE</Status><Changes><member><Type>Resource</Type>\
                 <ResourceChange>{change}</ResourceChange></member></Changes>"
            )
        }
        ("ExecuteChangeSet", _) => {
            let (name, parameters) = state.proposed.take().unwrap();
            if let Some((_, bucket)) = parameters.iter().find(|(name, _)| name == "BucketName") {
                let made = Bucket { stack: "trailhound-artifacts", logical: "Bucket", objects: 0 };
                state.buckets.insert(bucket.clone(), made);
            }
            let outputs = pairs(&[("TrackerFunctionName", "trailhound-tracker")]);
            let mut resources = state.stacks.get(&name).map(|stack| stack.resources.clone()).unwrap_or_default();
            let removed = state.changes.filter(|change| change.contains("<Action>Remove")).unwrap_or_default();
            resources.retain(|(_, name)| !removed.contains(name));
            state.stacks.insert(name, Stack { status: "CREATE_COMPLETE".to_owned(), parameters, outputs, resources });
            String::new()
        }
        ("DeleteStack", _) => {
            state.stacks.remove(&name);
            String::new()
        }
        _ => String::new(),
    };
    (200, format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"))
}

/// The method, the bucket and what is asked of it as a whole.
fn of_bucket(call: &str) -> Option<(&str, &str, &str)> {
    let (method, path) = call.split_once(" /")?;
    let (name, of) = path.split_once("/?")?;
    Some((method, name, of.split(['=', '&']).next()?))
}

fn bucket(state: &mut State, method: &str, name: &str, of: &str) -> (u16, String) {
    let said = |code: &str| format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
    let Some(bucket) = state.buckets.get_mut(name) else { return (404, said("NoSuchBucket")) };
    match (method, of) {
        ("GET", "tagging") if bucket.stack.is_empty() => (404, said("NoSuchTagSet")),
        ("GET", "tagging") => {
            let tag = |key: &str, value: &str| {
                format!("<Tag><Key>aws:cloudformation:{key}</Key><Value>{value}</Value></Tag>")
            };
            let stack = format!("arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/{}/1", bucket.stack);
            let tags = [tag("stack-id", &stack), tag("logical-id", bucket.logical)].concat();
            (200, format!("<Tagging><TagSet>{tags}</TagSet></Tagging>"))
        }
        ("GET", "versions") => {
            let version = |n| format!("<Version><Key>k{n}</Key><VersionId>1</VersionId></Version>");
            let versions: String = (0..bucket.objects).map(version).collect();
            (200, format!("<ListVersionsResult><Name>b</Name>{versions}</ListVersionsResult>"))
        }
        ("POST", "delete") => {
            bucket.objects = 0;
            (200, String::new())
        }
        ("DELETE", _) if bucket.objects > 0 => (409, said("BucketNotEmpty")),
        ("DELETE", _) => {
            state.buckets.remove(name);
            (204, String::new())
        }
        _ => (200, String::new()),
    }
}

fn of_json(state: &State, target: &str, request: &Value) -> Value {
    let trail = |name: &Value| state.trails.iter().find(|(arn, ..)| name == arn).unwrap();
    match target {
        "DescribeTrails" => {
            let all = state.trails.iter().map(|(arn, ..)| {
                json!({"Name": "trail", "TrailARN": arn, "IsMultiRegionTrail": true, "HomeRegion": "eu-central-1"})
            });
            json!({"trailList": all.collect::<Vec<_>>()})
        }
        "GetTrailStatus" => json!({"IsLogging": trail(&request["Name"]).1}),
        "GetEventSelectors" => trail(&request["TrailName"]).2.clone(),
        "FilterLogEvents" => {
            let line = |id: &str, at: i64, text: &str| json!({"eventId": id, "timestamp": at, "message": text});
            let group = request["logGroupName"].as_str().unwrap();
            match (group, request["nextToken"].as_str()) {
                ("/aws/lambda/trailhound-tracker", None) => {
                    json!({"events": [line("1", 1_769_860_800_000, "{\"stored\":3}\n")], "nextToken": "2"})
                }
                ("/aws/lambda/trailhound-tracker", Some("2")) => {
                    json!({"events": [line("2", 1_769_860_801_000, "\u{1b}[31mred")]})
                }
                _ => json!({"events": []}),
            }
        }
        "Scan" => json!({"Items": state.control.values().collect::<Vec<_>>()}),
        "GetItem" => json!({"Item": state.control.get(request["Key"]["region"]["S"].as_str().unwrap())}),
        "Query" => json!({"Items": state.alerts}),
        _ => json!({}),
    }
}

fn error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    )
}

fn described(name: &str, stack: &Stack) -> String {
    let members = |pairs: &Pairs, kind: &str| -> String {
        let member = |(name, value): &(String, String)| {
            format!("<member><{kind}Key>{name}</{kind}Key><{kind}Value>{value}</{kind}Value></member>")
        };
        pairs.iter().map(member).collect()
    };
    let (parameters, outputs) = (members(&stack.parameters, "Parameter"), members(&stack.outputs, "Output"));
    format!(
        "<Stacks><member><StackName>{name}</StackName><StackStatus>{}</StackStatus>\
         <StackId>arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/{name}/1</StackId>\
         <CreationTime>2026-01-01T00:00:00Z</CreationTime>\
         <Parameters>{parameters}</Parameters><Outputs>{outputs}</Outputs></member></Stacks>",
        stack.status
    )
}

/// The parameters of the shipped template.
fn parameters() -> impl Iterator<Item = &'static str> {
    let section = TEMPLATE.split_once("\nParameters:\n").unwrap().1.split_once("\nRules:\n").unwrap().0;
    section.lines().filter(|line| line.starts_with("  ") && !line[2..].starts_with([' ', '#'])).map(|line| {
        let (name, _) = line.trim().split_once(':').unwrap();
        name
    })
}

/// The fields of a form.
fn form(body: &str) -> Pairs {
    let decoded = |text: &str| {
        let (mut bytes, mut rest) = (Vec::new(), text.replace('+', " ").into_bytes().into_iter());
        while let Some(byte) = rest.next() {
            let mut digit = || char::from(rest.next().unwrap()).to_digit(16).unwrap();
            bytes.push(if byte == b'%' { u8::try_from(digit() * 16 + digit()).unwrap() } else { byte });
        }
        String::from_utf8(bytes).unwrap()
    };
    body.split('&')
        .filter_map(|field| field.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

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
