//! How fast and in how much memory a day is exported: `cargo test -p lambda speed -- --ignored --nocapture`.
//!
//! DynamoDB is played by answers that are made before the clock runs: what is measured is the function. The bucket is moto's.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use crate::stage::{ACCOUNT, Stage};

const EVENTS: usize = 100_000;
/// What a page of a query holds, 1 MB by DynamoDB's reckoning.
const PAGE: usize = 1 << 20;

/// The bytes of an item as DynamoDB reckons them: names and values.
fn size(item: &Value) -> usize {
    let value = |value: &Value| match (&value["S"], &value["B"], &value["N"]) {
        (Value::String(text), ..) => text.len(),
        (_, Value::String(base64), _) => base64.len() / 4 * 3,
        (_, _, Value::String(number)) => number.len() / 2 + 1,
        _ => 1,
    };
    item.as_object().unwrap().iter().map(|(name, attribute)| name.len() + value(attribute)).sum()
}

/// The pages of one day, made of items as the tracker wrote them, each with an id of its own.
fn pages(items: &[Value]) -> (Vec<String>, usize) {
    let (mut pages, mut page, mut bytes, mut sum) = (Vec::new(), Vec::new(), 0, 0);
    for n in 0..EVENTS {
        let mut item = items[n % items.len()].clone();
        let id = format!("{n:08x}-0000-4000-8000-{:012x}", n * 7919);
        // The record as text: an id in compressed bytes cannot be changed. It costs what inflating it would, about.
        let record = item["record"]["S"].as_str().unwrap();
        let old = item["event_id"]["S"].as_str().unwrap().to_owned();
        item["record"] = json!({"S": record.replace(&old, &id)});
        item["event_id"] = json!({"S": id});
        let size = size(&item);
        sum += size;
        if bytes + size > PAGE {
            let last = json!({"event_date": item["event_date"], "event_id": item["event_id"]});
            pages.push(json!({"Items": std::mem::take(&mut page), "LastEvaluatedKey": last}).to_string());
            bytes = 0;
        }
        bytes += size;
        page.push(item);
    }
    pages.push(json!({"Items": page}).to_string());
    (pages, sum)
}

fn play(connection: &TcpStream, day: &str, pages: &[String]) {
    let mut reader = BufReader::new(connection);
    let mut next = 0;
    loop {
        let (mut target, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end().to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("x-amz-target", value)) => target = value.to_owned(),
                Some(("content-length", value)) => length = value.parse().unwrap(),
                None if line.is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let request: Value = serde_json::from_slice(&body).unwrap();
        let is_day = request["ExpressionAttributeValues"][":day"]["S"] == day;
        let answer = match (target.rsplit('.').next(), is_day) {
            (Some("query"), true) if request["Select"] == "COUNT" => r#"{"Count": 1}"#,
            (Some("query"), true) => {
                next = if request["ExclusiveStartKey"].is_null() { 0 } else { next + 1 };
                &pages[next]
            }
            (Some("query"), false) => r#"{"Count": 0, "Items": []}"#,
            _ => "{}",
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        if (&*connection).write_all(head.as_bytes()).and_then(|()| (&*connection).write_all(answer.as_bytes())).is_err()
        {
            return;
        }
    }
}

fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "measures"]
fn a_day_of_a_hundred_thousand_events() {
    #[expect(clippy::disallowed_methods, reason = "the binary lives in the real time")]
    let yesterday = (jiff::Timestamp::now().as_second() / 86_400 - 1) * 86_400;
    let day = event::Day::from_days(i32::try_from(yesterday / 86_400).unwrap()).to_string();
    let actions =
        ["CreateUser", "AssumeRole", "ListUsers", "GetRole", "ConsoleLogin", "PutRolePolicy", "AttachRolePolicy"];
    let items: Vec<Value> = (0..500usize)
        .map(|n| {
            let time = jiff::Timestamp::from_second(yesterday + n as i64 * 150).unwrap().to_string();
            let (name, id) = (actions[n % actions.len()], format!("id-{n:06}-of-an-event"));
            let event = testkit::event(name).account(ACCOUNT).at(&time).iam_user(&format!("user-{}", n % 40)).id(&id);
            let event = event.request(json!({"userName": format!("name-{n}"), "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/r{}", n % 90),
                "tags": [{"key": "cost", "value": format!("{n}")}], "policyDocument": "{\"Version\":\"2012-10-17\",\"Statement\":[]}"}));
            let record = event.build();
            let text = |name: &str| json!({"S": record[name]});
            json!({"event_date": {"S": day}, "event_id": {"S": id}, "event_time": text("eventTime"), "event_name": text("eventName"),
                "event_source": text("eventSource"), "event_type": {"S": "iam"}, "account_id": {"S": ACCOUNT},
                "aws_region": text("awsRegion"), "user_name": {"S": format!("user-{}", n % 40)}, "source_ip": text("sourceIPAddress"),
                "source_object": {"S": format!("LookupEvents/{ACCOUNT}/us-east-1/iam.amazonaws.com")}, "ingested_at": text("eventTime"),
                "content_hash": {"S": "0123456789abcdef"}, "ttl": {"N": "1900000000"}, "record": {"S": record.to_string()}})
        })
        .collect();
    let (pages, bytes) = pages(&items);
    let Some(mut stage) = Stage::open(&[]) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tables = format!("http://{}", listener.local_addr().unwrap());
    let shared = Arc::new((day, pages));
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || play(&connection, &shared.0, &shared.1));
        }
    });
    let exporter = stage.function("exporter", &[("AWS_ENDPOINT_URL_DYNAMODB", tables.as_str())]);
    let started = Instant::now();
    let answer = exporter.invoke(&json!({})).unwrap();
    let first = started.elapsed().as_secs_f64();
    assert_eq!(answer["events_stored"], EVENTS, "{answer}");
    let peak_first = peak(exporter.child.id());
    let started = Instant::now();
    let again = exporter.invoke(&json!({})).unwrap();
    let second = started.elapsed().as_secs_f64();
    assert_eq!(again["duplicates"], EVENTS, "{again}");
    let objects: BTreeMap<String, String> = stage.deployment.objects();
    eprintln!(
        "{EVENTS} events, {} bytes an item: {first:.2} s ({:.0} events/s), peak {} MB, {} bytes an event in {} objects; again {second:.2} s, peak {} MB",
        bytes / EVENTS,
        EVENTS as f64 / first,
        peak_first / 1024,
        answer["bytes"].as_u64().unwrap() / EVENTS as u64,
        objects.len(),
        peak(exporter.child.id()) / 1024,
    );
}
