//! What a deployment costs a month, by list prices, from its parameters and from how much it stores.

use std::str::FromStr;

use pipeline::collect::{AccountScope, Partition, Rules, streams};

use crate::commands::aws::TEMPLATE;
use crate::exit::usage;
use crate::output::count;

/// List prices of us-east-1 in US dollars, as public sources have them in 2026.
mod price {
    /// DynamoDB on demand: a million write request units of a kilobyte, a million read request units of four.
    pub(super) const WRITES: f64 = 0.625;
    pub(super) const READS: f64 = 0.125;
    /// DynamoDB: a gigabyte a month, after the first 25 of an account in a region; one that can be restored to any second.
    pub(super) const TABLE: f64 = 0.25;
    pub(super) const TABLE_FREE: f64 = 25.0;
    pub(super) const RECOVERY: f64 = 0.20;
    /// Lambda: a gigabyte for a second on either processor, and a million requests.
    pub(super) const ARM: f64 = 0.000_013_333_4;
    pub(super) const X86: f64 = 0.000_016_666_7;
    pub(super) const REQUESTS: f64 = 0.20;
    /// SQS: a million requests, after the first million of an account.
    pub(super) const QUEUE: f64 = 0.40;
    /// EventBridge: a million events that go to another region.
    pub(super) const FORWARDED: f64 = 1.00;
    /// SNS: a million messages, after the first million of an account; a million e-mails, after the first 1,000.
    pub(super) const MESSAGES: f64 = 0.50;
    pub(super) const MAILS: f64 = 20.00;
    pub(super) const MAILS_FREE: f64 = 1_000.0;
    /// CloudTrail: a million management events of a copy that is not the account's first.
    pub(super) const COPY: f64 = 20.00;
    /// S3: a gigabyte a month in Standard, Infrequent Access, Glacier Instant Retrieval; a million objects that are put, and
    /// that a lifecycle moves to each of the colder classes.
    pub(super) const STANDARD: f64 = 0.023;
    pub(super) const INFREQUENT: f64 = 0.0125;
    pub(super) const INSTANT: f64 = 0.004;
    pub(super) const PUTS: f64 = 5.00;
    pub(super) const TO_INFREQUENT: f64 = 10.00;
    pub(super) const TO_INSTANT: f64 = 20.00;
    /// CloudWatch Logs: a gigabyte that comes in, after the first five of an account.
    pub(super) const LOGS: f64 = 0.50;
    pub(super) const LOGS_FREE: f64 = 5.0;
    /// CloudWatch: an alarm and a metric, after the first ten of each of an account. A metric counts in the hours in which
    /// something is written to it.
    pub(super) const ALARM: f64 = 0.10;
    pub(super) const METRIC: f64 = 0.30;
    pub(super) const TEN_FREE: f64 = 10.0;
    /// KMS: a key a month, as much again for each of its first two rotations, and a million calls, after the first 20,000 of
    /// an account.
    pub(super) const KEY: f64 = 1.00;
    pub(super) const ROTATION: f64 = 1.00;
    pub(super) const KEY_CALLS: f64 = 3.00;
    pub(super) const KEY_CALLS_FREE: f64 = 20_000.0;
    /// X-Ray: a million traces, after the first 100,000 of an account.
    pub(super) const TRACES: f64 = 5.00;
    pub(super) const TRACES_FREE: f64 = 100_000.0;
}

const GIGABYTE: f64 = 1_073_741_824.0;
const MILLION: f64 = 1e6;
pub(super) const MONTH_DAYS: f64 = 365.0 / 12.0;
const MONTH_HOURS: f64 = MONTH_DAYS * 24.0;
const MONTH_SECONDS: f64 = MONTH_HOURS * 3600.0;

/// An event in the table before any is measured: what the sample trail's records take, compressed, with their attributes.
pub(super) const EVENT_BYTES: f64 = 1_500.0;
/// What DynamoDB adds to every item it keeps. It is in the bill for storage alone: neither in units nor in what DescribeTable
/// says. <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
const ITEM_BYTES: f64 = 100.0;
/// An entry of an index that holds keys alone.
const ENTRY_BYTES: f64 = 100.0;
/// An event in the lake, as the sample trail's are stored.
const LAKE_BYTES: f64 = 180.0;
/// The regions that are on by default, and the streams that an account has in them.
const REGIONS: usize = 17;
pub(super) const STREAMS: f64 = 40.0;
/// Units in which a stream's state is written and read in a pass: two kilobytes, which are read for themselves before they
/// are written, and with all the others' before the pass and after it.
const STREAM_UNITS: f64 = 2.0;
/// Seconds of the tracker for a pass without news over the streams of one account, events it stores a second (what one
/// region's history gives), and seconds after which it ends in any case.
const TRACKER: (f64, f64, f64) = (20.0, 100.0, 900.0);
/// The share of events that EventBridge hands to the alerter, and the seconds it takes for one.
const ALERTER: (f64, f64) = (0.2, 0.05);
/// The share of those that come from another region.
const ELSEWHERE: f64 = 0.5;
/// Requests of the alerter's pollers a month while nothing comes, and those that an event takes.
const POLLS: f64 = 5.0 * 3.0 * 60.0 * 24.0 * MONTH_DAYS;
const MESSAGE: f64 = 3.0;
/// Seconds of the exporter for a run without news, and events it exports a second: less than the 19,500 that were measured
/// with a processor of its own and tables nearby.
const EXPORTER: (f64, f64) = (5.0, 10_000.0);
/// The share of events that raise an alert, and the units that one is written in: its item and its index, three times.
const ALERTS: (f64, f64) = (0.001, 12.0);
/// Management events of the trail for each event that is collected, and about how many bytes they take in its files and in
/// a log group. In files of few events it is more.
const TRAIL: f64 = 5.0;
const TRAIL_BYTES: (f64, f64) = (220.0, 1_550.0);
/// The most files a trail writes a month in 17 regions: one every five minutes; and its digests, hourly in any case.
const TRAIL_FILES: f64 = 17.0 * 12.0 * 24.0 * MONTH_DAYS;
const DIGESTS: f64 = 17.0 * 24.0 * MONTH_DAYS;
/// Smaller objects than this do not move to colder classes.
const MOVED: f64 = 131_072.0;
/// Bytes that the functions log for an invocation.
const LOGGED: f64 = 2_000.0;
/// Metrics that the tracker writes, those of them that the alerter writes too, and the exporter's.
pub(super) const METRICS: (f64, f64, f64) = (9.0, 3.0, 2.0);
/// Alarms of the template, of which some are there with the alerter and the exporter alone.
pub(super) const ALARMS: (f64, f64, f64) = (10.0, 4.0, 4.0);
/// Calls of KMS a month, whatever is stored: data keys of tables, queues and topic.
const KEY_CALLS: f64 = 100_000.0;
/// X-Ray traces each invocation up to one a second, and this share of those beyond.
const TRACED: f64 = 0.05;

/// What is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Volume {
    /// Events a month.
    pub(super) events: f64,
    /// Bytes of one in the table, as DynamoDB reckons units.
    pub(super) bytes: f64,
    /// Streams of all accounts.
    pub(super) streams: f64,
}

impl Volume {
    /// What it would be by other parameters, as far as that is known: of the streams alone.
    pub(super) fn asked(self, before: &Shape, after: &Shape) -> Volume {
        Volume { streams: self.streams * after.streams / before.streams, ..self }
    }
}

/// What of the stack's parameters costs anything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    is_arm: bool,
    alerts: bool,
    mails: bool,
    analytics: bool,
    pub(super) trail: bool,
    /// Whether all accounts of the organization are read, however many they are.
    pub(super) organization: bool,
    /// Streams, as far as parameters say: of an organization those of one account.
    pub(super) streams: f64,
    trail_log: bool,
    recovery: bool,
    own_key: bool,
    key: bool,
    alarms: bool,
    tracing: bool,
    /// Gigabytes.
    tracker_memory: f64,
    alerter_memory: f64,
    exporter_memory: f64,
    /// Times a month.
    tracker_runs: f64,
    exporter_runs: f64,
    days_back: f64,
    /// Months that an event is in the table when a year has passed.
    kept_months: f64,
}

impl Shape {
    /// By parameters of the stack; what they do not say is as the template has it by default.
    pub(super) fn of(parameter: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Shape> {
        let text = |name: &str| parameter(name).or_else(|| default_of(name).map(str::to_owned)).unwrap_or_default();
        let is_on = |name: &str| text(name) == "true";
        let number = |name: &str| {
            let text = text(name);
            u32::from_str(&text).map(f64::from).map_err(|_| usage(format!("{name}={text}: it is no whole number")))
        };
        let memory = |function: &str| match memory_of(function) {
            Ok(megabytes) => Ok(f64::from(megabytes) / 1024.0),
            Err(parameter) => Ok::<_, anyhow::Error>(number(parameter)? / 1024.0),
        };
        let list = |name: &str| -> Vec<String> {
            text(name).split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
        };
        let runs = |name: &str| {
            let text = text(name);
            runs(&text).ok_or_else(|| usage(format!("{name}={text}: it is no rate, such as rate(1 day)")))
        };
        let trail = is_on("CreateTrail");
        let retention = number("RetentionDays")?;
        Ok(Shape {
            is_arm: text("Architecture") != "x86_64",
            alerts: is_on("EnableSecurityAlerts"),
            mails: !text("AlertsEmailAddress").is_empty(),
            analytics: is_on("EnableAnalytics"),
            trail,
            organization: text("MemberAccounts") == "organization",
            streams: streams_of(&list("MemberAccounts"), list("Regions"), &text("SSORegion"), &list("ExtraSources")),
            trail_log: trail && is_on("TrailToCloudWatchLogs"),
            recovery: is_on("PointInTimeRecovery"),
            own_key: is_on("CreateKmsKey"),
            key: is_on("CreateKmsKey") || !text("KmsKeyArn").is_empty(),
            alarms: is_on("EnableAlarms"),
            tracing: is_on("EnableTracing"),
            tracker_memory: memory("TrackerFunction")?,
            alerter_memory: memory("AlerterFunction")?,
            exporter_memory: memory("ExporterFunction")?,
            tracker_runs: runs("ScheduleExpression")?,
            exporter_runs: runs("ExportScheduleExpression")?,
            days_back: number("ExportDaysBack")?,
            kept_months: if retention > 0.0 { (retention / MONTH_DAYS).min(12.0) } else { 12.0 },
        })
    }
}

/// How many streams are read: the tracker's own reckoning, for its account and the named ones.
fn streams_of(members: &[String], regions: Vec<String>, sso_region: &str, extra: &[String]) -> f64 {
    let accounts = 1 + members.iter().filter(|member| *member != "organization").count();
    let by_default = || (1..REGIONS).map(|place| format!("region-{place}")).collect();
    let scope = AccountScope {
        account: String::new(),
        partition: Partition::default(),
        regions: if regions.is_empty() { by_default() } else { regions },
        sso_region: Some(sso_region.to_owned()),
    };
    (accounts * streams(&scope, extra).len()) as f64
}

/// The megabytes that the shipped template gives a function, or the parameter that says how many.
fn memory_of(function: &str) -> Result<u32, &'static str> {
    let below = TEMPLATE.split_once(&*format!("\n  {function}:\n")).map_or("", |(_, below)| below);
    let memory = below.lines().find_map(|line| line.strip_prefix("      MemorySize: "));
    let memory = memory.expect("a function of the template says its memory");
    memory
        .strip_prefix("!Ref ")
        .map_or_else(|| Ok(memory.parse().expect("the memory of a function is a number or a parameter")), Err)
}

/// What the shipped template gives a parameter by default.
pub(super) fn default_of(name: &str) -> Option<&'static str> {
    property(name, "Default").map(|text| text.trim_matches('"'))
}

/// What the shipped template says of a parameter, where that is a single line.
fn property(name: &str, property: &str) -> Option<&'static str> {
    parameter(name)?.lines().find_map(|line| line.trim_start().strip_prefix(property)?.strip_prefix(": "))
}

/// Whether the shipped template has a parameter.
pub(super) fn has_parameter(name: &str) -> bool {
    parameter(name).is_some()
}

/// What stands below a parameter's name in the template.
fn parameter(name: &str) -> Option<&'static str> {
    let (_, parameters) = TEMPLATE.split_once("\nParameters:\n")?;
    let (parameters, _) = parameters.split_once("\nRules:\n")?;
    let (_, below) = parameters.split_once(&*format!("\n  {name}:\n"))?;
    let ends = below.match_indices("\n  ").find(|(at, _)| !below[at + 3..].starts_with(' '));
    let end = ends.map_or(below.len(), |(at, _)| at);
    Some(&below[..end])
}

/// How often a month a rate is.
fn runs(rate: &str) -> Option<f64> {
    let (number, unit) = rate.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let hours = match unit.trim_end_matches('s') {
        "minute" => 1.0 / 60.0,
        "hour" => 1.0,
        "day" => 24.0,
        _ => return None,
    };
    let every = number.parse::<f64>().ok().filter(|number| *number > 0.0)? * hours;
    Some(MONTH_DAYS * 24.0 / every)
}

/// What costs something.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) name: &'static str,
    /// How much of it.
    pub(super) what: String,
    pub(super) dollars: f64,
}

/// What each part costs a month, when a year has passed.
pub(super) fn parts(Volume { events, bytes, streams }: Volume, shape: &Shape) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut part = |name, what: String, dollars| parts.push(Part { name, what, dollars });
    let compute = if shape.is_arm { price::ARM } else { price::X86 };
    let exporter_runs = if shape.analytics { shape.exporter_runs } else { 0.0 };
    let alerted = if shape.alerts { events * ALERTER.0 } else { 0.0 };
    let alerts = if shape.alerts { events * ALERTS.0 } else { 0.0 };

    // The item by its kilobytes, and its keys in two indexes.
    let writes = events * ((bytes / 1024.0).ceil() + 2.0) + alerts * ALERTS.1;
    part("DynamoDB, writes", units(writes), writes / MILLION * price::WRITES);
    // Each event is looked up before it is written, and once more where the next pass reads the newest minutes again. That is
    // consistent, and each item counts for itself; what is not there is a unit.
    let again = (Rules::default().settle.as_secs_f64() * shape.tracker_runs / MONTH_SECONDS).min(1.0);
    let lookups = 1.0 + again * (bytes / 4096.0).ceil();
    // Every export reads the last days, and a day once more when something late came to it. A query is not consistent, and
    // adds items up before it rounds: half a unit for four kilobytes.
    let exports =
        if shape.analytics { (shape.exporter_runs / MONTH_DAYS * shape.days_back).max(1.0) + 1.0 } else { 0.0 };
    // The alerter looks twice for alerts that wait, each time it is called; an answer without any is half a unit.
    let reads = events * (lookups + exports * bytes / 8192.0) + alerted;
    part("DynamoDB, reads", units(reads), reads / MILLION * price::READS);
    let state = shape.tracker_runs * streams * STREAM_UNITS;
    let either_way = format!("{} either way, for {} streams", units(state), whole(streams));
    part("DynamoDB, state", either_way, state / MILLION * (price::WRITES + price::READS));
    let held = events * shape.kept_months * (bytes + ITEM_BYTES) / GIGABYTE;
    let indexed = events * shape.kept_months * 2.0 * (ENTRY_BYTES + ITEM_BYTES) / GIGABYTE;
    let table = held + indexed;
    part(
        "DynamoDB, storage",
        format!("{}, the first 25 GB are free", size(table)),
        (table - price::TABLE_FREE).max(0.0) * price::TABLE,
    );
    if shape.recovery {
        part("DynamoDB, recovery", format!("{}, to any second", size(held)), held * price::RECOVERY);
    }

    let (idle, rate, longest) = TRACKER;
    let idle = idle * streams / STREAMS;
    let seconds = (shape.tracker_runs * idle + events / rate).min(shape.tracker_runs * longest);
    let tracker = shape.tracker_memory * seconds;
    part("Lambda, tracker", format!("{} GB-seconds", whole(tracker)), tracker * compute);
    if shape.alerts {
        let alerter = alerted * ALERTER.1 * shape.alerter_memory;
        part(
            "Lambda, alerter",
            format!("{} GB-seconds for {} events", whole(alerter), whole(alerted)),
            alerter * compute + alerted / MILLION * price::REQUESTS,
        );
        let requests = POLLS + alerted * MESSAGE;
        part(
            "SQS",
            format!("{} requests, the first million is free", whole(requests)),
            (requests / MILLION - 1.0).max(0.0) * price::QUEUE,
        );
        let forwarded = alerted * ELSEWHERE;
        part(
            "EventBridge",
            format!("{} events of other regions", whole(forwarded)),
            forwarded / MILLION * price::FORWARDED,
        );
        let published = (alerts / MILLION - 1.0).max(0.0) * price::MESSAGES;
        let (mails, free) = if shape.mails {
            ((alerts - price::MAILS_FREE).max(0.0), "by e-mail, the first 1,000 are free")
        } else {
            (0.0, "the first million is free")
        };
        part("SNS", format!("{} alerts, {free}", whole(alerts)), published + mails / MILLION * price::MAILS);
    }
    if shape.analytics {
        let (idle, rate) = EXPORTER;
        let exporter = shape.exporter_memory * (exporter_runs * idle + events * exports / rate);
        part("Lambda, exporter", format!("{} GB-seconds", whole(exporter)), exporter * compute);
        // At most: what nobody asks for is in a cheaper class after a month.
        let lake = events * 12.0 * LAKE_BYTES / GIGABYTE;
        part("S3, lake", size(lake), lake * price::STANDARD);
    }
    let recorded = events * TRAIL;
    let logs = recorded.min(TRAIL_FILES);
    let files = logs + DIGESTS;
    if shape.trail {
        let month = recorded * TRAIL_BYTES.0 / GIGABYTE;
        // Digests are small. What is kept for longer than this year goes to a class that is cheaper still.
        let is_moved = recorded * TRAIL_BYTES.0 >= logs * MOVED;
        let (months, moves) = if is_moved {
            (price::STANDARD + 2.0 * price::INFREQUENT + 9.0 * price::INSTANT, price::TO_INFREQUENT + price::TO_INSTANT)
        } else {
            (12.0 * price::STANDARD, 0.0)
        };
        part(
            "S3, trail",
            format!("{}, {} files a month", size(month * 12.0), whole(files)),
            month * months + files / MILLION * price::PUTS + logs / MILLION * moves,
        );
    }
    if shape.trail_log {
        let written = recorded * TRAIL_BYTES.1 / GIGABYTE;
        part("CloudWatch, trail", size(written), written * price::LOGS);
    }
    let invocations = shape.tracker_runs + exporter_runs + alerted;
    let logged = invocations * LOGGED / GIGABYTE;
    part(
        "CloudWatch, logs",
        format!("{}, the first 5 GB are free", size(logged)),
        (logged - price::LOGS_FREE).max(0.0) * price::LOGS,
    );
    let (of_tracker, of_both, of_exporter) = METRICS;
    let hourly = |runs: f64| (runs / MONTH_HOURS).min(1.0);
    let metrics = (of_tracker - of_both) * hourly(shape.tracker_runs)
        + of_both * hourly(shape.tracker_runs + alerted)
        + of_exporter * hourly(exporter_runs);
    part(
        "CloudWatch, metrics",
        format!("{metrics:.1} on average, the first ten are free"),
        (metrics - price::TEN_FREE).max(0.0) * price::METRIC,
    );
    if shape.alarms {
        let (always, alerter, exporter) = ALARMS;
        let if_on = |is_on: bool, number: f64| if is_on { number } else { 0.0 };
        let alarms = always + if_on(shape.alerts, alerter) + if_on(shape.analytics, exporter);
        part(
            "CloudWatch, alarms",
            format!("{alarms:.0}, the first ten are free"),
            (alarms - price::TEN_FREE).max(0.0) * price::ALARM,
        );
    }
    if shape.key {
        let calls = KEY_CALLS + if shape.trail { files } else { 0.0 };
        // After a year it was rotated once. A key that is given is paid for in any case.
        let (kept, key) = if shape.own_key { (price::KEY + price::ROTATION, "a key and ") } else { (0.0, "") };
        let dollars = kept + (calls - price::KEY_CALLS_FREE).max(0.0) / MILLION * price::KEY_CALLS;
        part("KMS", format!("{key}{} calls, the first 20,000 are free", whole(calls)), dollars);
    }
    if shape.tracing {
        let traces = invocations.min(MONTH_SECONDS) + TRACED * (invocations - MONTH_SECONDS).max(0.0);
        part(
            "X-Ray",
            format!("{} traces, the first 100,000 are free", whole(traces)),
            (traces - price::TRACES_FREE).max(0.0) / MILLION * price::TRACES,
        );
    }
    parts
}

/// What the trail costs besides where the account has another that records management events: only the first copy is free.
pub(super) fn further_copy(events: f64, shape: &Shape) -> f64 {
    if shape.trail { events * TRAIL / MILLION * price::COPY } else { 0.0 }
}

fn whole(number: f64) -> String {
    count(number.round() as u64)
}

fn units(number: f64) -> String {
    format!("{} units", whole(number))
}

fn size(gigabytes: f64) -> String {
    match gigabytes {
        ..1.0 => format!("{:.0} MB", gigabytes * 1024.0),
        ..100.0 => format!("{gigabytes:.1} GB"),
        _ => format!("{} GB", whole(gigabytes)),
    }
}

/// What all of it costs.
pub(super) fn sum(parts: &[Part]) -> f64 {
    parts.iter().map(|part| part.dollars).sum()
}

/// A parameter of the stack, as a flag gives it.
pub(super) fn given(text: &str) -> anyhow::Result<(String, String)> {
    let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        return Err(usage(format!("--parameter {text}: it is NAME=VALUE, such as EnableAnalytics=false")));
    };
    if !has_parameter(name) {
        return Err(usage(format!("--parameter {name}: there is no such parameter")));
    }
    if let Some(list) = property(name, "AllowedValues") {
        let allowed: Vec<&str> = list.trim_matches(['[', ']']).split(", ").map(|word| word.trim_matches('"')).collect();
        if !allowed.contains(&value) {
            return Err(usage(format!("--parameter {text}: it is one of {}", allowed.join(", "))));
        }
    }
    let bound = |name_of_bound: &str| property(name, name_of_bound)?.parse::<u64>().ok();
    if let (Some(least), Some(most)) = (bound("MinValue"), bound("MaxValue"))
        && !value.parse().is_ok_and(|number: u64| (least..=most).contains(&number))
    {
        return Err(usage(format!("--parameter {text}: it is a whole number from {least} to {most}")));
    }
    Ok((name.to_owned(), value.to_owned()))
}
