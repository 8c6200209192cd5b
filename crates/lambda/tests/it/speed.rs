//! What the functions cost. `cargo xtask bench-functions` builds them as they are shipped and prints this table.
//!
//! Services are on this machine. Where what a function takes itself is measured by the clock on the wall or by its memory,
//! DynamoDB is played by answers that are made before the clock runs; the alerter's share is its processors' time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stage::{ACCOUNT, Function, Stage, batch, record};

/// What a page of a query holds, 1 MB by DynamoDB's reckoning.
const PAGE: usize = 1 << 20;
/// How long DynamoDB takes to find a page, and the network to bring it.
const QUERY: Duration = Duration::from_millis(25);
/// What one write unit pays for.
const WRITE_UNIT: usize = 1 << 10;
/// How often a function is started, and how often the alerter is invoked.
const STARTS: usize = 15;
const INVOCATIONS: usize = 300;
/// No measurement takes longer.
const PATIENCE: Duration = Duration::from_secs(900);

/// How many events are measured with.
fn events(variable: &str) -> usize {
    std::env::var(variable).map_or(10_000, |count| count.parse().unwrap())
}

#[test]
#[ignore = "measures"]
fn starts() {
    let Some(stage) = Stage::open(&[]) else { return };
    for name in ["tracker", "alerter", "exporter"] {
        let mut starts: Vec<Duration> = (0..STARTS).map(|_| start(&stage, name)).collect();
        starts.sort();
        line(name, "from its start to its first request for work, median", &milliseconds(starts[STARTS / 2]), "150 ms");
    }
}

fn line(function: &str, figure: &str, measured: &str, aim: &str) {
    eprintln!("| {function} | {figure} | {measured} | {aim} |");
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn start(stage: &Stage, name: &str) -> Duration {
    let started = Instant::now();
    let function = stage.function(name, &[]);
    function.first_request().duration_since(started)
}

/// The time on the processors that a process has taken, all of its threads together.
fn processors(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanoseconds = threads.map(|thread| {
        let figures = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
        figures.split_whitespace().next().and_then(|first| first.parse::<u64>().ok()).unwrap_or_default()
    });
    Duration::from_nanos(nanoseconds.sum())
}

#[test]
#[ignore = "measures"]
fn alerter() {
    let Some(stage) = Stage::open(&[]) else { return };
    let alerter = stage.function("alerter", &[]);
    let mut times = Vec::new();
    for n in 0..INVOCATIONS {
        let key = batch(&[record("CreateAccessKey", "iam", "us-east-1", 5, &format!("alerter-{n}"))]);
        let before = processors(alerter.child.id());
        assert_eq!(alerter.invoke(&key).unwrap(), json!({"batchItemFailures": []}));
        times.push(processors(alerter.child.id()).saturating_sub(before));
    }
    // The first opens its connections.
    times.remove(0);
    times.sort();
    line("alerter", "its own time for one event that alerts, median", &milliseconds(times[times.len() / 2]), "");
    line("alerter", "the same, 99 of 100", &milliseconds(times[times.len() * 99 / 100]), "50 ms");
    line("alerter", "memory at its peak", &megabytes(peak(&alerter)), "");
}

/// The first pass over 90 days, as fast as the history answers.
#[test]
#[ignore = "measures"]
fn tracker() {
    const DAYS: i64 = 89;
    let count = events("TRAILHOUND_EVENTS");
    // The regions that are on in a new account, and the one that IAM speaks in.
    let regions = [
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
        "ap-south-1",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-southeast-1",
        "ap-southeast-2",
        "ca-central-1",
        "eu-central-1",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "eu-north-1",
        "sa-east-1",
    ];
    let regional = regions.iter().flat_map(|region| [("sts", *region), ("signin", *region)]);
    let places: Vec<(&str, &str)> = regional.chain([("iam", "us-east-1")]).collect();
    let actions = ["CreateUser", "AssumeRole", "ListUsers", "GetRole", "PutRolePolicy", "GetCallerIdentity"];
    let history: Vec<Value> = (0..count)
        .map(|n| {
            let (source, region) = places[n % places.len()];
            let age = (n as i64 * 104_729) % (DAYS * 86_400) + 3600;
            record(actions[n % actions.len()], source, region, age, &format!("{n:024}"))
        })
        .collect();
    let Some(stage) = Stage::open(&history) else { return };
    let (items, bytes, units) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let written = Arc::new((items, bytes, units));
    let counted = Arc::clone(&written);
    let tables = serve(move |operation, request| {
        if operation == "batchwriteitem" {
            let (items, bytes, units) = &*counted;
            let tables = request["RequestItems"].as_object().unwrap().iter();
            for put in
                tables.filter(|(table, _)| table.ends_with("-events")).flat_map(|(_, puts)| puts.as_array()).flatten()
            {
                let size = size(&put["PutRequest"]["Item"]);
                items.fetch_add(1, Ordering::Relaxed);
                bytes.fetch_add(size, Ordering::Relaxed);
                // One for each index besides, whose entries are keys.
                units.fetch_add(size.div_ceil(WRITE_UNIT) + 2, Ordering::Relaxed);
            }
        }
        r#"{"Count": 0, "Items": [], "Responses": {}, "UnprocessedItems": {}, "UnprocessedKeys": {}}"#.to_owned()
    });
    // As the template has it.
    let environment =
        [("AWS_ENDPOINT_URL_DYNAMODB", tables.as_str()), ("MAX_WORKERS", "16"), ("MALLOC_ARENA_MAX", "1")];
    let tracker = stage.function("tracker", &environment);
    let started = Instant::now();
    let answer = tracker.invoke_for(&json!({}), PATIENCE).unwrap().unwrap();
    let took = started.elapsed().as_secs_f64();
    assert_eq!((&answer["stored"], &answer["complete"]), (&json!(count), &json!(true)), "{answer}");
    let (items, bytes, units) = &*written;
    let each = |sum: &AtomicUsize| sum.load(Ordering::Relaxed) as f64 / items.load(Ordering::Relaxed) as f64;
    line(
        "tracker",
        &format!("memory at its peak, a first pass over 90 days with {count} events"),
        &megabytes(peak(&tracker)),
        "256 MB",
    );
    line(
        "tracker",
        "events a second of that pass, without a limit of the API",
        &format!("{:.0}", count as f64 / took),
        "",
    );
    line("tracker", "bytes an event in DynamoDB", &format!("{:.0}", each(bytes)), "");
    line("tracker", "write units an event, both indexes included", &format!("{:.2}", each(units)), "");
}

/// One day, from the table to the lake.
#[test]
#[ignore = "measures"]
fn exporter() {
    let Some(stage) = Stage::open(&[]) else { return };
    let count = events("TRAILHOUND_DAY_EVENTS");
    #[expect(clippy::disallowed_methods, reason = "the binary lives in the real time")]
    let yesterday = (jiff::Timestamp::now().as_second() / 86_400 - 1) * 86_400;
    let day = event::Day::from_days(i32::try_from(yesterday / 86_400).unwrap()).to_string();
    let (pages, bytes) = pages(&items(yesterday, &day), count);
    let next = Mutex::new(0);
    let asked = AtomicU64::new(0);
    let tables = serve(move |operation, request| {
        let is_day = request["ExpressionAttributeValues"][":day"]["S"] == day.as_str();
        match (operation, is_day) {
            ("query", true) if request["Select"] == "COUNT" => r#"{"Count": 1}"#.to_owned(),
            ("query", true) => {
                asked.fetch_add(1, Ordering::Relaxed);
                let mut next = next.lock().unwrap();
                *next = if request["ExclusiveStartKey"].is_null() { 0 } else { *next + 1 };
                let page = pages[*next].clone();
                drop(next);
                std::thread::sleep(QUERY);
                page
            }
            ("query", false) => r#"{"Count": 0, "Items": []}"#.to_owned(),
            _ => "{}".to_owned(),
        }
    });
    let exporter = stage.function("exporter", &[("AWS_ENDPOINT_URL_DYNAMODB", tables.as_str())]);
    let mut took = Vec::new();
    for known in ["events_stored", "duplicates"] {
        let started = Instant::now();
        let answer = exporter.invoke_for(&json!({}), PATIENCE).unwrap().unwrap();
        assert_eq!(answer[known], count, "{answer}");
        took.push(format!("{:.1} s", started.elapsed().as_secs_f64()));
    }
    let figure = format!("a day of {count} events of {} bytes", bytes / count);
    line("exporter", &figure, &took[0], if count == 1_000_000 { "60 s" } else { "" });
    line("exporter", "the same day once more", &took[1], "");
    line("exporter", "memory at its peak", &megabytes(peak(&exporter)), "512 MB");
}

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

/// Items of a day, as the tracker writes them.
fn items(yesterday: i64, day: &str) -> Vec<Value> {
    let actions =
        ["CreateUser", "AssumeRole", "ListUsers", "GetRole", "ConsoleLogin", "PutRolePolicy", "AttachRolePolicy"];
    let item = |n: usize| {
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
    };
    (0..500).map(item).collect()
}

/// The pages of one day of so many items, each with an id of its own, and their bytes.
fn pages(items: &[Value], count: usize) -> (Vec<String>, usize) {
    let (mut pages, mut page, mut bytes, mut sum) = (Vec::new(), Vec::new(), 0, 0);
    for n in 0..count {
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

/// Plays DynamoDB: the operation, in small letters, and what is asked. Ends with the test program.
fn serve(answer: impl Fn(&str, &Value) -> String + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || play(&connection, &*answer));
        }
    });
    endpoint
}

fn play(connection: &TcpStream, answer: &dyn Fn(&str, &Value) -> String) {
    let mut reader = BufReader::new(connection);
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
        let answer = answer(target.rsplit('.').next().unwrap_or_default(), &request);
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

/// In KiB.
fn peak(function: &Function) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", function.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn megabytes(kibibytes: u64) -> String {
    format!("{:.0} MB", kibibytes as f64 * 1024.0 / 1e6)
}
