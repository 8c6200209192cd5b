//! What a deployment costs a month, by list prices, from its parameters and from how much it stores.

use crate::commands::aws::TEMPLATE;
use crate::exit::usage;

/// List prices of us-east-1 in US dollars, as of 2026, from the services' price pages.
mod price {
    /// DynamoDB on demand: a million write request units of a kilobyte, a million read request units of four.
    pub(super) const WRITES: f64 = 0.625;
    pub(super) const READS: f64 = 0.125;
    /// DynamoDB: a gigabyte a month, after the first 25 of an account; one that can be restored to any second.
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
    /// SNS: a million messages, after the first million of an account.
    pub(super) const MESSAGES: f64 = 0.50;
    /// S3: a gigabyte a month in Standard, Infrequent Access, Glacier Instant Retrieval; a million objects that are put.
    pub(super) const STANDARD: f64 = 0.023;
    pub(super) const INFREQUENT: f64 = 0.0125;
    pub(super) const INSTANT: f64 = 0.004;
    pub(super) const PUTS: f64 = 5.00;
    /// CloudWatch Logs: a gigabyte that comes in, after the first five of an account.
    pub(super) const LOGS: f64 = 0.50;
    pub(super) const LOGS_FREE: f64 = 5.0;
    /// CloudWatch: an alarm and a metric, after the first ten of each of an account.
    pub(super) const ALARM: f64 = 0.10;
    pub(super) const METRIC: f64 = 0.30;
    pub(super) const TEN_FREE: f64 = 10.0;
    /// KMS: a key a month, and a million calls, after the first 20,000 of an account.
    pub(super) const KEY: f64 = 1.00;
    pub(super) const KEY_CALLS: f64 = 3.00;
    /// X-Ray: a million traces, after the first 100,000 of an account.
    pub(super) const TRACES: f64 = 5.00;
}

const GIGABYTE: f64 = 1_073_741_824.0;
const MILLION: f64 = 1e6;
pub(super) const MONTH_DAYS: f64 = 365.0 / 12.0;

/// An event in the table before any is measured: what the sample trail's records take, compressed, with their attributes.
pub(super) const EVENT_BYTES: f64 = 1_500.0;
/// An entry of an index that holds keys alone, with what DynamoDB adds to every item.
const ENTRY_BYTES: f64 = 200.0;
/// An event in the lake, as the sample trail's are stored.
const LAKE_BYTES: f64 = 180.0;
/// Streams of an account in the regions that are on by default, and the kilobytes that one's state takes.
const STREAMS: f64 = 40.0;
const STREAM_UNITS: f64 = 2.0;
/// Seconds of the tracker for a pass without news, and events it stores a second: what one region's history gives.
const TRACKER: (f64, f64) = (20.0, 100.0);
/// The share of events that EventBridge hands to the alerter, the seconds it takes for one, its memory in gigabytes.
const ALERTER: (f64, f64, f64) = (0.2, 0.05, 0.125);
/// The share of those that come from another region.
const ELSEWHERE: f64 = 0.5;
/// Requests of the alerter's pollers a month while nothing comes, and those that an event takes.
const POLLS: f64 = 5.0 * 3.0 * 60.0 * 24.0 * MONTH_DAYS;
const MESSAGE: f64 = 3.0;
/// Seconds of the exporter for a run without news, and events it exports a second.
const EXPORTER: (f64, f64) = (5.0, 5_000.0);
/// The share of events that raise an alert, and the units that one is written in: its item and its index, three times.
const ALERTS: (f64, f64) = (0.001, 12.0);
/// Management events of the trail for each event that is collected, and their bytes in its files and in a log group.
const TRAIL: f64 = 5.0;
const TRAIL_BYTES: (f64, f64) = (220.0, 1_550.0);
/// The most files a trail writes a month in 17 regions: one every five minutes; and its digests, hourly in any case.
const TRAIL_FILES: f64 = 17.0 * 12.0 * 24.0 * MONTH_DAYS;
const DIGESTS: f64 = 17.0 * 24.0 * MONTH_DAYS;
/// Smaller objects than this do not move to colder classes.
const MOVED: f64 = 131_072.0;
/// Bytes that the functions log for an invocation.
const LOGGED: f64 = 2_000.0;
/// Metrics that the functions write.
const METRICS: f64 = 11.0;
/// Alarms of the template, of which some are there with the alerter and the exporter alone.
pub(super) const ALARMS: (f64, f64, f64) = (9.0, 4.0, 3.0);
/// Calls of KMS a month, whatever is stored: data keys of tables, queues and topic.
const KEY_CALLS: f64 = 100_000.0;

/// What is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Volume {
    /// Events a month.
    pub(super) events: f64,
    /// Bytes of one in the table.
    pub(super) bytes: f64,
}

/// What of the stack's parameters costs anything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    is_arm: bool,
    alerts: bool,
    analytics: bool,
    trail: bool,
    trail_log: bool,
    recovery: bool,
    own_key: bool,
    key: bool,
    alarms: bool,
    tracing: bool,
    tracker_memory: f64,
    exporter_memory: f64,
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
            text.parse::<f64>().map_err(|_| usage(format!("{name}={text}: it is no number")))
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
            analytics: is_on("EnableAnalytics"),
            trail,
            trail_log: trail && is_on("TrailToCloudWatchLogs"),
            recovery: is_on("PointInTimeRecovery"),
            own_key: is_on("CreateKmsKey"),
            key: is_on("CreateKmsKey") || !text("KmsKeyArn").is_empty(),
            alarms: is_on("EnableAlarms"),
            tracing: is_on("EnableTracing"),
            tracker_memory: number("TrackerMemory")? / 1024.0,
            exporter_memory: number("ExporterMemory")? / 1024.0,
            tracker_runs: runs("ScheduleExpression")?,
            exporter_runs: runs("ExportScheduleExpression")?,
            days_back: number("ExportDaysBack")?,
            kept_months: if retention > 0.0 { (retention / MONTH_DAYS).min(12.0) } else { 12.0 },
        })
    }
}

/// What the shipped template gives a parameter by default.
pub(super) fn default_of(name: &str) -> Option<&'static str> {
    parameter(name)?.lines().find_map(|line| line.strip_prefix("    Default: ")).map(|text| text.trim_matches('"'))
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
pub(super) fn parts(Volume { events, bytes }: Volume, shape: &Shape) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut part = |name, what: String, dollars| parts.push(Part { name, what, dollars });
    let compute = if shape.is_arm { price::ARM } else { price::X86 };
    let alerted = if shape.alerts { events * ALERTER.0 } else { 0.0 };
    let alerts = if shape.alerts { events * ALERTS.0 } else { 0.0 };

    // The item by its kilobytes, and its keys in two indexes.
    let writes = (events * ((bytes / 1024.0).ceil() + 2.0) + alerts * ALERTS.1) / MILLION;
    part("DynamoDB, writes", format!("{writes:.2} million units"), writes * price::WRITES);
    // Each event is looked up before it is written, and once more by the pass that reads its minutes again. Every export
    // reads the last days, and a day once more when something late came to it.
    let exports =
        if shape.analytics { (shape.exporter_runs / MONTH_DAYS * shape.days_back).max(1.0) + 1.0 } else { 0.0 };
    let reads = events * (2.0 + exports) * (bytes / 4096.0).ceil() / MILLION;
    part("DynamoDB, reads", format!("{reads:.2} million units"), reads * price::READS);
    let state = shape.tracker_runs * STREAMS * STREAM_UNITS / MILLION;
    part("DynamoDB, streams", format!("{state:.2} million units either way"), state * (price::WRITES + price::READS));
    let held = events * shape.kept_months * bytes / GIGABYTE;
    let indexed = events * shape.kept_months * 2.0 * ENTRY_BYTES / GIGABYTE;
    let table = held + indexed;
    part(
        "DynamoDB, storage",
        format!("{table:.1} GB, 25 of them free"),
        (table - price::TABLE_FREE).max(0.0) * price::TABLE,
    );
    if shape.recovery {
        part("DynamoDB, recovery", format!("{held:.1} GB to any second"), held * price::RECOVERY);
    }

    let (idle, rate) = TRACKER;
    let tracker = shape.tracker_memory * (shape.tracker_runs * idle + events / rate);
    part("Lambda, tracker", format!("{tracker:.0} GB-seconds"), tracker * compute);
    if shape.alerts {
        let (_, seconds, memory) = ALERTER;
        let dollars = alerted / MILLION * price::REQUESTS + alerted * seconds * memory * compute;
        part("Lambda, alerter", format!("{:.2} million events", alerted / MILLION), dollars);
        let requests = (POLLS + alerted * MESSAGE) / MILLION;
        part(
            "SQS",
            format!("{requests:.2} million requests, one of them free"),
            (requests - 1.0).max(0.0) * price::QUEUE,
        );
        let forwarded = alerted * ELSEWHERE / MILLION;
        part("EventBridge", format!("{forwarded:.2} million events of other regions"), forwarded * price::FORWARDED);
        let messages = alerts / MILLION;
        part(
            "SNS",
            format!("{messages:.2} million alerts, one of them free"),
            (messages - 1.0).max(0.0) * price::MESSAGES,
        );
    }
    if shape.analytics {
        let (idle, rate) = EXPORTER;
        let exporter = shape.exporter_memory * (shape.exporter_runs * idle + events * exports / rate);
        part("Lambda, exporter", format!("{exporter:.0} GB-seconds"), exporter * compute);
        let lake = events * 12.0 * LAKE_BYTES / GIGABYTE;
        part("S3, lake", format!("{lake:.1} GB"), lake * price::STANDARD);
    }
    let recorded = events * TRAIL;
    let files = recorded.min(TRAIL_FILES) + DIGESTS;
    if shape.trail {
        let month = recorded * TRAIL_BYTES.0 / GIGABYTE;
        let is_moved = recorded * TRAIL_BYTES.0 / files >= MOVED;
        let months = if is_moved {
            price::STANDARD + 2.0 * price::INFREQUENT + 9.0 * price::INSTANT
        } else {
            12.0 * price::STANDARD
        };
        let what = format!("{:.1} GB in {:.2} million files a month", month * 12.0, files / MILLION);
        part("S3, trail", what, month * months + files / MILLION * price::PUTS);
    }
    if shape.trail_log {
        let written = recorded * TRAIL_BYTES.1 / GIGABYTE;
        part("CloudWatch, trail", format!("{written:.1} GB"), written * price::LOGS);
    }
    let exporter_runs = if shape.analytics { shape.exporter_runs } else { 0.0 };
    let invocations = shape.tracker_runs + exporter_runs + alerted;
    let logged = invocations * LOGGED / GIGABYTE;
    part(
        "CloudWatch, logs",
        format!("{logged:.1} GB, five of them free"),
        (logged - price::LOGS_FREE).max(0.0) * price::LOGS,
    );
    part(
        "CloudWatch, metrics",
        format!("{METRICS:.0}, ten of them free"),
        (METRICS - price::TEN_FREE).max(0.0) * price::METRIC,
    );
    if shape.alarms {
        let (always, alerter, exporter) = ALARMS;
        let if_on = |is_on: bool, number: f64| if is_on { number } else { 0.0 };
        let alarms = always + if_on(shape.alerts, alerter) + if_on(shape.analytics, exporter);
        part(
            "CloudWatch, alarms",
            format!("{alarms:.0}, ten of them free"),
            (alarms - price::TEN_FREE).max(0.0) * price::ALARM,
        );
    }
    if shape.key {
        let calls = KEY_CALLS + if shape.trail { files } else { 0.0 };
        let kept = if shape.own_key { price::KEY } else { 0.0 };
        let dollars = kept + (calls - 20_000.0).max(0.0) / MILLION * price::KEY_CALLS;
        part("KMS", format!("{:.2} million calls", calls / MILLION), dollars);
    }
    if shape.tracing {
        let traces = (invocations - 100_000.0).max(0.0) / MILLION;
        part("X-Ray", format!("{traces:.2} million traces beyond the free ones"), traces * price::TRACES);
    }
    parts
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
    Ok((name.to_owned(), value.to_owned()))
}
