//! What goes wrong on the way: nothing is lost, and nobody is told twice, but where SNS told and its answer was lost.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use testkit::http::HttpFaults;
use testkit::http::proxy::Proxy;

use crate::stage::{ACCOUNT, Function, Stage, are_the_calls, batch, record};

/// Another account of the organization.
const MEMBER: &str = "444455556666";
/// What the template tells the tracker of an organization whose accounts it reads.
const ORGANIZATION: [(&str, &str); 3] =
    [("AWS_ACCOUNT_ID", ACCOUNT), ("MEMBER_ACCOUNTS", "organization"), ("MEMBER_ROLE_NAME", "trailhound-member")];

fn of_member(record: &Value) -> Value {
    serde_json::from_str(&record.to_string().replace(ACCOUNT, MEMBER)).unwrap()
}

fn history() -> Vec<Value> {
    let mut records: Vec<Value> =
        (0..140).map(|n| record("CreateUser", "iam", "us-east-1", 3600 + n * 60, &n.to_string())).collect();
    records.extend((0..60).map(|n| record("AssumeRole", "sts", "eu-west-1", 3000 + n, &n.to_string())));
    records.extend((0..60).map(|n| of_member(&record("AssumeRole", "sts", "eu-west-1", 3000 + n, &format!("m{n}")))));
    records
}

fn news() -> Vec<Value> {
    let mut records: Vec<Value> =
        (0..12).map(|n| record("CreateAccessKey", "iam", "us-east-1", 10 + n, &format!("n{n}"))).collect();
    records.extend(
        (0..3).map(|n| of_member(&record("CreateAccessKey", "iam", "us-east-1", 10 + n, &format!("member-n{n}")))),
    );
    records
}

/// Everything that lasts of a run: what is stored, where the alerts stand, and what was told.
type World = (BTreeMap<String, Value>, BTreeMap<(String, String), Value>, Vec<String>);

fn calm(history: &[Value], news: &[Value]) -> Option<World> {
    let mut stage = Stage::open(history)?;
    let tracker = stage.function("tracker", &ORGANIZATION);
    tracker.invoke(&json!({})).unwrap();
    stage.function("alerter", &[]).invoke(&batch(&news[..6])).unwrap();
    stage.add("1.json", news);
    tracker.invoke(&json!({})).unwrap();
    let told = stage.told_of();
    assert!(told.len() == news.len() && told.is_sorted_by(|one, two| one < two), "{told:?}");
    Some((stage.stored(), stage.alerts(), told))
}

/// Proxies before everything that a function asks. Each has chances of its own, so that what goes wrong with messages
/// does not hang on how many tables are asked at once.
struct Proxies {
    tables: Proxy,
    topic: Proxy,
    history: Proxy,
    accounts: Proxy,
}

impl Proxies {
    fn open(stage: &Stage, seed: u64) -> Proxies {
        let open = |upstream: &str, (throttled, unavailable, cut), partial| {
            Proxy::open(upstream, HttpFaults { throttled, unavailable, cut, token_lost: 0.0, seed }, partial)
        };
        Proxies {
            tables: open(&stage.deployment.endpoint, (0.08, 0.08, 0.06), 0.5),
            topic: open(&stage.deployment.endpoint, (0.1, 0.1, 0.15), 0.0),
            history: open(&stage.cloudtrail, (0.05, 0.05, 0.05), 0.0),
            accounts: open(&stage.cloudtrail, (0.16, 0.16, 0.12), 0.0),
        }
    }

    fn all(&self) -> [&Proxy; 4] {
        [&self.tables, &self.topic, &self.history, &self.accounts]
    }

    fn function(&self, stage: &Stage, name: &str) -> Function {
        let accounts = &*self.accounts.endpoint;
        let endpoints = [
            ("AWS_ENDPOINT_URL_DYNAMODB", &*self.tables.endpoint),
            ("AWS_ENDPOINT_URL_SNS", &self.topic.endpoint),
            ("AWS_ENDPOINT_URL_CLOUDTRAIL", &self.history.endpoint),
            ("AWS_ENDPOINT_URL_ACCOUNT", accounts),
            ("AWS_ENDPOINT_URL_STS", accounts),
            ("AWS_ENDPOINT_URL_ORGANIZATIONS", accounts),
        ];
        stage.function(name, &[&endpoints[..], &ORGANIZATION].concat())
    }

    /// Of every operation, how often something went wrong with it.
    fn wrong(&self) -> BTreeMap<String, u64> {
        let counts = self.all().into_iter().flat_map(Proxy::counts);
        counts.map(|(operation, (_, wrong))| (operation, wrong)).collect()
    }

    /// The calls of tables and topics.
    fn calls(&self) -> BTreeSet<String> {
        self.all().into_iter().flat_map(Proxy::calls).collect()
    }
}

/// One world of faults: how often something went wrong with each operation, how often its answer was lost, and what was
/// called by the tracker and by the alerter.
type Met = ([BTreeMap<String, u64>; 2], [BTreeSet<String>; 2]);

fn survive(seed: u64, history: &[Value], news: &[Value], calm: &World) -> Met {
    let mut stage = Stage::open(history).unwrap();
    let proxies = [0, 1].map(|place| Proxies::open(&stage, seed * 2 + place));
    let tracker = proxies[0].function(&stage, "tracker");
    let until_complete = |stage: &mut Stage, what: &str| {
        let (mut is_complete, mut last) = (false, Ok(Value::Null));
        for _ in 0..30 {
            // What could not be sent has waited its while.
            if !stage.later() && is_complete {
                return;
            }
            last = tracker.invoke(&json!({}));
            is_complete = last.as_ref().is_ok_and(|answer| answer["complete"] == true);
        }
        panic!("{what} never came to its end, seed {seed}: {last:?} {:?}", proxies[0].wrong());
    };
    until_complete(&mut stage, "the history");
    // What is not done comes again, as from a queue.
    let alerter = proxies[1].function(&stage, "alerter");
    let mut waiting = news[..6].to_vec();
    for _ in 0..30 {
        stage.later();
        let Ok(answer) = alerter.invoke(&batch(&waiting)) else { continue };
        let again = answer["batchItemFailures"].as_array().unwrap();
        let place = |item: &Value| item["itemIdentifier"].as_str().unwrap()[1..].parse::<usize>().unwrap();
        waiting = again.iter().map(|item| waiting[place(item)].clone()).collect();
        if waiting.is_empty() {
            break;
        }
    }
    assert!(waiting.is_empty(), "seed {seed}: {:?}", proxies[1].wrong());
    stage.add("1.json", news);
    until_complete(&mut stage, "the news");

    assert_eq!(stage.stored(), calm.0, "seed {seed}");
    assert_eq!(stage.alerts(), calm.1, "seed {seed}");
    let mut told = stage.told_of();
    let mut cuts: BTreeMap<String, u64> = BTreeMap::new();
    for (operation, number) in proxies.iter().flat_map(Proxies::all).flat_map(Proxy::cuts) {
        *cuts.entry(operation).or_default() += number;
    }
    // SNS had told, and nobody heard so: those messages are sent again, and no others.
    let again = cuts.get("Publish").copied().unwrap_or(0);
    assert_eq!(told.len() as u64, news.len() as u64 + again, "seed {seed}: {told:?}");
    told.dedup();
    assert_eq!(told, calm.2, "seed {seed}");
    let mut wrong = proxies[0].wrong();
    for (operation, number) in proxies[1].wrong() {
        *wrong.entry(operation).or_default() += number;
    }
    ([wrong, cuts], proxies.each_ref().map(Proxies::calls))
}

#[test]
fn throttling_failures_and_parts_of_batches_and_answers_change_nothing() {
    let (history, news) = (history(), news());
    let Some(calm) = calm(&history, &news) else { return };
    // Each waits most of its time.
    let worlds: Vec<Met> = std::thread::scope(|scope| {
        let survive = |seed| survive(seed, &history, &news, &calm);
        let worlds: Vec<_> = (0..3).map(|seed| scope.spawn(move || survive(seed))).collect();
        worlds.into_iter().map(|world| world.join().unwrap()).collect()
    });
    let mut faults: [BTreeMap<String, u64>; 2] = Default::default();
    let mut called: [BTreeSet<String>; 2] = Default::default();
    for (met, calls) in worlds {
        for (faults, met) in faults.iter_mut().zip(met) {
            met.into_iter().for_each(|(operation, number)| *faults.entry(operation).or_default() += number);
        }
        called.iter_mut().zip(calls).for_each(|(called, mut calls)| called.append(&mut calls));
    }
    let [mut wrong, cuts] = faults;
    let tables = ["BatchWriteItem", "BatchGetItem", "PutItem", "UpdateItem", "Query", "Scan", "GetItem"];
    let accounts = ["GetCallerIdentity", "ListAccounts", "AssumeRole", "ListRegions"];
    for operation in tables.iter().chain(&accounts).chain(&["LookupEvents", "Publish"]) {
        assert!(wrong.remove(*operation).is_some_and(|wrong| wrong > 0), "{operation}: {wrong:?}");
    }
    assert!(wrong.is_empty(), "something else is asked: {wrong:?}");
    for operation in ["BatchWriteItem", "PutItem", "UpdateItem", "LookupEvents", "Publish"] {
        assert!(cuts.contains_key(operation), "no answer was cut to {operation}: {cuts:?}");
    }
    are_the_calls("tracker", &called[0]);
    are_the_calls("alerter", &called[1]);
}

/// A function that Lambda kills anywhere, and the next invocation.
#[test]
fn a_function_that_is_killed_loses_nothing() {
    let (history, news) = (history(), news());
    let Some(calm) = calm(&history, &news) else { return };
    let points =
        ["pipeline::after-alerts", "pipeline::after-events", "pipeline::after-coverage", "aws::between-events"];
    for point in points {
        let mut stage = Stage::open(&history).unwrap();
        let died = |stage: &Stage, name: &str, event: &Value| {
            let setting = format!("{point}=return");
            let setting = [("FAILPOINTS", setting.as_str())];
            let mut function = stage.function(name, &[&setting[..], &ORGANIZATION].concat());
            assert!(function.dies(event), "{point} was not met");
        };
        died(&stage, "tracker", &json!({}));
        let tracker = stage.function("tracker", &ORGANIZATION);
        tracker.invoke(&json!({})).unwrap();
        stage.function("alerter", &[]).invoke(&batch(&news[..6])).unwrap();
        stage.add("1.json", &news);
        died(&stage, "tracker", &json!({}));
        tracker.invoke(&json!({})).unwrap();
        assert_eq!(stage.stored(), calm.0, "{point}");
        assert_eq!(stage.alerts(), calm.1, "{point}");
        assert_eq!(stage.told_of(), calm.2, "{point}");
    }
}
