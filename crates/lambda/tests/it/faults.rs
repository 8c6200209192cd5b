//! What goes wrong on the way: nothing is lost, and nobody is told twice.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use testkit::http::HttpFaults;
use testkit::http::proxy::Proxy;

use crate::stage::{Stage, are_the_calls, batch, record};

fn history() -> Vec<Value> {
    let mut records: Vec<Value> =
        (0..140).map(|n| record("CreateUser", "iam", "us-east-1", 3600 + n * 60, &n.to_string())).collect();
    records.extend((0..60).map(|n| record("AssumeRole", "sts", "eu-west-1", 3000 + n, &n.to_string())));
    records
}

fn news() -> Vec<Value> {
    (0..12).map(|n| record("CreateAccessKey", "iam", "us-east-1", 10 + n, &format!("n{n}"))).collect()
}

/// Everything that lasts of a run: what is stored, where the alerts stand, and what was told.
type World = (BTreeMap<String, Value>, BTreeMap<(String, String), Value>, Vec<String>);

fn calm(history: &[Value], news: &[Value]) -> Option<World> {
    let mut stage = Stage::open(history)?;
    let tracker = stage.function("tracker", &[]);
    tracker.invoke(&json!({})).unwrap();
    stage.function("alerter", &[]).invoke(&batch(&news[..6])).unwrap();
    stage.add("1.json", news);
    tracker.invoke(&json!({})).unwrap();
    Some((stage.stored(), stage.alerts(), stage.told()))
}

#[test]
fn throttling_failures_and_parts_of_batches_change_nothing() {
    let (history, news) = (history(), news());
    let Some(calm) = calm(&history, &news) else { return };
    assert_eq!(calm.2.len(), news.len());
    let mut faults: BTreeMap<String, u64> = BTreeMap::new();
    let mut called: [BTreeSet<String>; 2] = Default::default();
    for seed in 0..3 {
        let mut stage = Stage::open(&history).unwrap();
        let chances = HttpFaults { throttled: 0.12, unavailable: 0.12, cut: 0.0, token_lost: 0.0, seed };
        let proxies = [0, 1].map(|_| Proxy::open(&stage.deployment.endpoint, chances, 0.5));
        let counts = || proxies.each_ref().map(Proxy::counts);
        let function = |name: &str, Proxy { endpoint, .. }: &Proxy| {
            stage.function(name, &[("AWS_ENDPOINT_URL_DYNAMODB", endpoint), ("AWS_ENDPOINT_URL_SNS", endpoint)])
        };
        let tracker = function("tracker", &proxies[0]);
        let until_complete = |what: &str| {
            for _ in 0..20 {
                if tracker.invoke(&json!({})).is_ok_and(|answer| answer["complete"] == true) {
                    return;
                }
            }
            panic!("{what} never came to its end, seed {seed}: {:?}", counts());
        };
        until_complete("the history");
        // What is not done comes again, as from a queue.
        let alerter = function("alerter", &proxies[1]);
        let mut waiting = news[..6].to_vec();
        // A message that fails four times waits for more than a minute between them.
        for _ in 0..400 {
            let Ok(answer) = alerter.invoke(&batch(&waiting)) else { continue };
            let again = answer["batchItemFailures"].as_array().unwrap();
            let place = |item: &Value| item["itemIdentifier"].as_str().unwrap()[1..].parse::<usize>().unwrap();
            waiting = again.iter().map(|item| waiting[place(item)].clone()).collect();
            if waiting.is_empty() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        assert!(waiting.is_empty(), "seed {seed}: {:?}", counts());
        stage.add("1.json", &news);
        until_complete("the news");
        let mut told = stage.told();
        for _ in 0..120 {
            if told.len() >= news.len() {
                break;
            }
            // What could not be sent waits a while before it is tried again.
            std::thread::sleep(std::time::Duration::from_secs(1));
            let _ = tracker.invoke(&json!({}));
            told.extend(stage.told());
        }
        told.sort();
        for (operation, (_, wrong)) in counts().into_iter().flatten() {
            *faults.entry(operation).or_default() += wrong;
        }
        called.iter_mut().zip(&proxies).for_each(|(called, proxy)| called.append(&mut proxy.calls()));
        assert_eq!(stage.stored(), calm.0, "seed {seed}");
        assert_eq!(stage.alerts(), calm.1, "seed {seed}");
        assert_eq!(told, calm.2, "seed {seed}");
    }
    for operation in ["BatchWriteItem", "BatchGetItem", "PutItem", "UpdateItem", "Query", "Scan", "GetItem", "Publish"]
    {
        assert!(faults.remove(operation).is_some_and(|wrong| wrong > 0), "{operation}: {faults:?}");
    }
    assert!(faults.is_empty(), "something else is asked: {faults:?}");
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
            let mut function = stage.function(name, &[("FAILPOINTS", setting.as_str())]);
            assert_eq!(function.invoke_for(event, std::time::Duration::from_secs(10)), None, "{point} was not met");
            assert!(function.child.try_wait().unwrap().is_some(), "{point}");
        };
        died(&stage, "tracker", &json!({}));
        let tracker = stage.function("tracker", &[]);
        tracker.invoke(&json!({})).unwrap();
        stage.function("alerter", &[]).invoke(&batch(&news[..6])).unwrap();
        stage.add("1.json", &news);
        died(&stage, "tracker", &json!({}));
        tracker.invoke(&json!({})).unwrap();
        assert_eq!(stage.stored(), calm.0, "{point}");
        assert_eq!(stage.alerts(), calm.1, "{point}");
        assert_eq!(stage.told(), calm.2, "{point}");
    }
}
