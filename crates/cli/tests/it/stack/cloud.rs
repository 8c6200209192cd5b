//! An account that answers as a test says: stacks, buckets, trails and functions, and what was asked of them.

use std::collections::{BTreeMap, VecDeque};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use testkit::http::script::{Asked, Script};

use crate::live::Live;
use crate::support::Ran;

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const TEMPLATE: &str = include_str!("../../../../../deploy/trailhound.yaml");

/// An account with CloudFormation, S3, CloudTrail, Lambda and what they have.
pub(crate) struct Cloud {
    pub(crate) live: Live,
    pub(crate) script: Script,
    pub(crate) state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) stacks: BTreeMap<String, Stack>,
    pub(crate) buckets: BTreeMap<String, Bucket>,
    /// What was proposed last.
    pub(crate) proposed: Option<(String, Pairs)>,
    pub(crate) trails: Vec<Trail>,
    /// What is said to change, where it is not a table.
    pub(crate) changes: Option<&'static str>,
    /// What Lambda has left to reserve.
    pub(crate) concurrency: u64,
    /// Actions and targets that are denied.
    pub(crate) denied: Vec<&'static str>,
    /// What functions answer, before they answer as they always do.
    pub(crate) answers: VecDeque<(u16, Value)>,
    /// The items of the control table by their keys, and those of the alerts.
    pub(crate) control: BTreeMap<String, Value>,
    pub(crate) alerts: Vec<Value>,
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
    pub(crate) parameters: Pairs,
    pub(crate) outputs: Pairs,
    /// The type and the name of each.
    pub(crate) resources: Pairs,
}

pub(crate) type Pairs = Vec<(String, String)>;

/// A trail's ARN, whether it is logging, and its selectors.
pub(crate) type Trail = (&'static str, bool, Value);

pub(crate) fn pairs(all: &[(&str, &str)]) -> Pairs {
    all.iter().map(|(name, value)| pair(name, value)).collect()
}

pub(crate) fn pair(name: &str, value: &str) -> (String, String) {
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

    pub(crate) fn trailhound(&self, arguments: &[&str]) -> Command {
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

pub(crate) fn answer(state: &mut State, asked: &Asked) -> (u16, String) {
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
pub(crate) fn of_bucket(call: &str) -> Option<(&str, &str, &str)> {
    let (method, path) = call.split_once(" /")?;
    let (name, of) = path.split_once("/?")?;
    Some((method, name, of.split(['=', '&']).next()?))
}

pub(crate) fn bucket(state: &mut State, method: &str, name: &str, of: &str) -> (u16, String) {
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

pub(crate) fn of_json(state: &State, target: &str, request: &Value) -> Value {
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

pub(crate) fn error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    )
}

pub(crate) fn described(name: &str, stack: &Stack) -> String {
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
pub(crate) fn parameters() -> impl Iterator<Item = &'static str> {
    let section = TEMPLATE.split_once("\nParameters:\n").unwrap().1.split_once("\nRules:\n").unwrap().0;
    section.lines().filter(|line| line.starts_with("  ") && !line[2..].starts_with([' ', '#'])).map(|line| {
        let (name, _) = line.trim().split_once(':').unwrap();
        name
    })
}

/// The fields of a form.
pub(crate) fn form(body: &str) -> Pairs {
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
