//! `trailhound aws cost`: an estimate, part by part.

use aws::{TableNames, Tables};
use pipeline::collect::StreamStore;

use super::Place;
use crate::args::StackArgs;
use crate::exit::{Exit, usage};
use crate::output::count;
use crate::session::Session;

/// List prices of us-east-1 in US dollars, as of 2026, from the services' price pages.
mod price {
    /// DynamoDB on demand: a million write request units of a kilobyte, a million read request units of four.
    pub(super) const WRITES: f64 = 0.625;
    pub(super) const READS: f64 = 0.125;
    /// DynamoDB: a gigabyte a month, after the first 25 of an account.
    pub(super) const TABLE: f64 = 0.25;
    pub(super) const TABLE_FREE: f64 = 25.0;
    /// DynamoDB: a gigabyte a month that can be restored to any second.
    pub(super) const RECOVERY: f64 = 0.20;
    /// Lambda on arm64: a gigabyte for a second, and a million requests.
    pub(super) const COMPUTE: f64 = 0.000_013_333_4;
    pub(super) const REQUESTS: f64 = 0.20;
    /// S3 Standard: a gigabyte a month.
    pub(super) const OBJECTS: f64 = 0.023;
    /// CloudWatch: an alarm, after the first ten of an account.
    pub(super) const ALARM: f64 = 0.10;
}

const GIGABYTE: f64 = 1_073_741_824.0;
const MONTH_DAYS: f64 = 30.4;
/// An event of CloudTrail in the table before any is measured: a record of two kilobytes, compressed, and its attributes.
const EVENT_BYTES: f64 = 1_500.0;
/// What the tracker uses: its memory in gigabytes, passes a month, seconds for a pass without news, events it stores a second.
const TRACKER: (f64, f64, f64, f64) = (0.25, 730.0, 20.0, 100.0);
/// The share of events that EventBridge hands to the alerter, and the seconds it takes for one, in an eighth of a gigabyte.
const ALERTER: (f64, f64, f64) = (0.2, 0.05, 0.125);
/// The exporter's memory in gigabytes, runs a month, seconds for a run without news, events it exports a second.
const EXPORTER: (f64, f64, f64, f64) = (1.0, 30.4, 5.0, 5_000.0);
/// An event in the lake, in bytes: a tenth of its record.
const LAKE_BYTES: f64 = 200.0;
/// Alarms of the template beyond an account's free ten.
const ALARMS: f64 = 6.0;

pub(super) fn run(session: &mut Session, arguments: &StackArgs, events_per_month: Option<u64>) -> anyhow::Result<Exit> {
    let (events, bytes, source) = match events_per_month {
        Some(events) => (events as f64, EVENT_BYTES, "as given".to_owned()),
        None => measured(session, arguments)?,
    };
    session.out.line(&format!(
        "{} events a month ({source}), {} bytes each in the table",
        count(events as u64),
        count(bytes as u64)
    ))?;
    let parts = parts(events, bytes);
    let sum: f64 = parts.iter().map(|(_, _, dollars)| dollars).sum();
    for (part, what, dollars) in &parts {
        session.out.line(&format!("{dollars:>10.2} USD  {part:<22} {what}"))?;
    }
    session
        .out
        .line(&format!("{sum:>10.2} USD  a month, an estimate by list prices of us-east-1, a year of events kept"))?;
    crate::note(
        "not in it: the trail's own bucket, data events, Detective, what is asked of Athena (5 USD a terabyte)",
    );
    Ok(Exit::Done)
}

/// What the deployment stores.
fn measured(session: &mut Session, arguments: &StackArgs) -> anyhow::Result<(f64, f64, String)> {
    let place = Place::open(session, arguments)?;
    place.stack()?;
    let tables = Tables::new(&place.account, TableNames::of_stack(&place.name), None);
    let states = tables.control().streams()?;
    let stored: u64 = states.iter().map(|state| state.health.events).sum();
    let days =
        states.iter().filter_map(|state| state.coverage.span()).map(|span| span.duration().as_secs_f64() / 86_400.0);
    let days = days.fold(0.0, f64::max);
    if stored == 0 || days < 1.0 {
        return Err(usage("too little is collected to measure: say --events-per-month"));
    }
    let (items, size) = tables.event_sizes()?;
    // DynamoDB counts every few hours.
    let bytes = if items > 0 { size as f64 / items as f64 } else { EVENT_BYTES };
    Ok((stored as f64 / days * MONTH_DAYS, bytes, format!("measured over {days:.0} days")))
}

/// What each part costs a month: its name, how much of it, and dollars.
fn parts(events: f64, bytes: f64) -> Vec<(&'static str, String, f64)> {
    let million = |number: f64| number / 1e6;
    // The item by its kilobytes, and its keys in two indexes.
    let writes = events * ((bytes / 1024.0).ceil() + 2.0);
    // Each event is looked up before it is written, once more by the pass that reads its minutes again, and read by two
    // exports: that of its day, and the look at the day before.
    let reads = events * 4.0 * (bytes / 4096.0).ceil();
    let table = events * 12.0 * (bytes + 2.0 * 200.0) / GIGABYTE;
    let (memory, passes, idle, rate) = TRACKER;
    let tracker = memory * (passes * idle + events / rate);
    let (memory, runs, idle, rate) = EXPORTER;
    let exporter = memory * (runs * idle + events / rate);
    let (share, seconds, alerter_memory) = ALERTER;
    let invoked = events * share;
    let lake = events * 12.0 * LAKE_BYTES / GIGABYTE;
    vec![
        ("DynamoDB writes", format!("{:.2} million units", million(writes)), million(writes) * price::WRITES),
        ("DynamoDB reads", format!("{:.2} million units", million(reads)), million(reads) * price::READS),
        (
            "DynamoDB storage",
            format!("{table:.1} GB after a year, 25 GB free"),
            (table - price::TABLE_FREE).max(0.0) * price::TABLE,
        ),
        ("DynamoDB recovery", format!("{table:.1} GB to any second, by default"), table * price::RECOVERY),
        ("Lambda, tracker", format!("{tracker:.0} GB-seconds"), tracker * price::COMPUTE),
        (
            "Lambda, alerter",
            format!("{:.2} million events", million(invoked)),
            million(invoked) * price::REQUESTS + invoked * seconds * alerter_memory * price::COMPUTE,
        ),
        ("Lambda, exporter", format!("{exporter:.0} GB-seconds"), exporter * price::COMPUTE),
        ("S3, lake", format!("{lake:.1} GB after a year"), lake * price::OBJECTS),
        ("CloudWatch alarms", format!("{ALARMS:.0} beyond the free ten"), ALARMS * price::ALARM),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_account_costs_next_to_nothing() {
        let sum = |events: f64| parts(events, EVENT_BYTES).iter().map(|(_, _, dollars)| dollars).sum::<f64>();
        assert!(sum(30_000.0) < 1.0, "{}", sum(30_000.0));
        // Ten million events a month: after a year, keeping them costs more than writing them.
        let large = parts(1e7, EVENT_BYTES);
        assert_eq!(large[0].1, "40.00 million units");
        assert!((large[0].2 - 25.0).abs() < 1e-9);
    }
}
