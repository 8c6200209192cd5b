//! `trailhound aws cost`: an estimate, part by part.

mod estimate;

use std::collections::BTreeMap;

use aws::{Stack, TableNames, Tables};
use pipeline::collect::StreamStore;

use self::estimate::{EVENT_BYTES, MONTH_DAYS, Shape, Volume, given, parts, sum};
use super::Place;
use crate::args::StackArgs;
use crate::exit::{Exit, usage};
use crate::output::count;
use crate::session::Session;

pub(super) fn run(
    session: &mut Session,
    arguments: &StackArgs,
    events_per_month: Option<u64>,
    parameters: &[String],
) -> anyhow::Result<Exit> {
    let parameters = parameters.iter().map(|text| given(text)).collect::<anyhow::Result<BTreeMap<_, _>>>()?;
    let (volume, source, stack) = match events_per_month {
        Some(events) => (Volume { events: events as f64, bytes: EVENT_BYTES }, "as given".to_owned(), None),
        None => measured(session, arguments)?,
    };
    let of_stack = |name: &str| stack.as_ref().and_then(|stack| stack.parameter(name)).map(str::to_owned);
    let shape = Shape::of(&|name| parameters.get(name).cloned().or_else(|| of_stack(name)))?;
    session.out.line(&format!(
        "{} events a month ({source}), {} bytes each in the table",
        count(volume.events as u64),
        count(volume.bytes as u64)
    ))?;
    let parts = parts(volume, &shape);
    for part in &parts {
        session.out.line(&format!("{:>10.2} USD  {:<22} {}", part.dollars, part.name, part.what))?;
    }
    session.out.line(&format!(
        "{:>10.2} USD  a month, an estimate by list prices of us-east-1, with all that is kept of a year",
        sum(&parts)
    ))?;
    crate::note(
        "not in it: data events of the trail, Detective, what is asked of Athena (5 USD a terabyte); of the trail it is \
         assumed that it records five events for each that is collected",
    );
    Ok(Exit::Done)
}

/// What the deployment stores.
fn measured(session: &mut Session, arguments: &StackArgs) -> anyhow::Result<(Volume, String, Option<Stack>)> {
    let place = Place::open(session, arguments)?;
    let stack = place.stack()?;
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
    let volume = Volume { events: stored as f64 / days * MONTH_DAYS, bytes };
    Ok((volume, format!("measured over {days:.0} days"), Some(stack)))
}

#[cfg(test)]
mod tests {
    use super::estimate::{ALARMS, Part, default_of, has_parameter};
    use super::*;
    use crate::commands::aws::TEMPLATE;

    const PAGE: &str = "../../docs/deploy.md";
    const BEGIN: &str = "<!-- estimate: written by the test of `aws cost` -->\n";
    const END: &str = "<!-- end of estimate -->";

    fn with(events: f64, parameters: &[(&str, &str)]) -> Vec<Part> {
        let given = |name: &str| {
            let found = parameters.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        parts(Volume { events, bytes: EVENT_BYTES }, &Shape::of(&given).unwrap())
    }

    fn dollars(parts: &[Part], name: &str) -> Option<f64> {
        parts.iter().find(|part| part.name == name).map(|part| part.dollars)
    }

    #[test]
    fn the_page_has_the_estimate() {
        let sizes = [1e4, 1e6, 1e8].map(|events| with(events, &[]));
        let mut table = String::from(
            "\n| | small: 10,000 events a month | medium: 1 million | very large: 100 million |\n|---|---:|---:|---:|\n",
        );
        let row = |name: &str, values: [f64; 3]| {
            let [small, medium, large] = values.map(|dollars| format!("{dollars:.2}"));
            format!("| {name} | {small} | {medium} | {large} |\n")
        };
        for (place, part) in sizes[0].iter().enumerate() {
            table.push_str(&row(part.name, [0, 1, 2].map(|size: usize| sizes[size][place].dollars)));
        }
        table.push_str(&row("**USD a month**", [0, 1, 2].map(|size: usize| sum(&sizes[size]))));
        let old = std::fs::read_to_string(PAGE).unwrap();
        let (before, rest) = old.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        let page = format!("{before}{BEGIN}{table}\n{END}{after}");
        if std::env::var_os("TRAILHOUND_BLESS").is_some() {
            std::fs::write(PAGE, page).unwrap();
            return;
        }
        assert!(old == page, "docs/deploy.md is out of date: TRAILHOUND_BLESS=1 writes its estimate");
    }

    #[test]
    fn a_small_account_costs_next_to_nothing() {
        let small = with(10_000.0, &[]);
        assert!(sum(&small) < 5.0, "{}", sum(&small));
        // A hundred million events a month: after a year, keeping them costs more than writing them.
        let large = with(1e8, &[]);
        assert!(dollars(&large, "DynamoDB, storage") > dollars(&large, "DynamoDB, writes"));
    }

    #[test]
    fn the_templates_switches_are_in_it() {
        let by_default = with(1e7, &[]);
        let all: f64 = sum(&by_default);
        let of = |parameters: &[(&str, &str)]| with(1e7, parameters);
        for (name, value, gone) in [
            ("PointInTimeRecovery", "false", "DynamoDB, recovery"),
            ("EnableAnalytics", "false", "Lambda, exporter"),
            ("EnableAnalytics", "false", "S3, lake"),
            ("EnableSecurityAlerts", "false", "Lambda, alerter"),
            ("CreateTrail", "false", "S3, trail"),
            ("EnableAlarms", "false", "CloudWatch, alarms"),
        ] {
            let parts = of(&[(name, value)]);
            assert!(dollars(&by_default, gone).is_some() && dollars(&parts, gone).is_none(), "{name}: {gone}");
            assert!(sum(&parts) < all, "{name}");
        }
        for (name, value, dearer) in [
            ("CreateKmsKey", "true", "KMS"),
            ("TrailToCloudWatchLogs", "true", "CloudWatch, trail"),
            ("EnableTracing", "true", "X-Ray"),
            ("TrackerMemory", "1024", "Lambda, tracker"),
            ("ExporterMemory", "4096", "Lambda, exporter"),
            ("ExportScheduleExpression", "rate(6 hours)", "DynamoDB, reads"),
            ("ExportDaysBack", "7", "DynamoDB, reads"),
            ("Architecture", "x86_64", "Lambda, tracker"),
        ] {
            let (parts, before) = (of(&[(name, value)]), dollars(&by_default, dearer).unwrap_or(0.0));
            assert!(dollars(&parts, dearer).unwrap() > before, "{name}: {dearer}");
        }
        let seldom = of(&[("ScheduleExpression", "rate(1 day)"), ("RetentionDays", "90")]);
        assert!(dollars(&seldom, "DynamoDB, streams") < dollars(&by_default, "DynamoDB, streams"));
        assert!(dollars(&seldom, "DynamoDB, storage") < dollars(&by_default, "DynamoDB, storage"));
    }

    #[test]
    fn defaults_and_alarms_are_those_of_the_template() {
        assert_eq!(default_of("TrackerMemory"), Some("256"));
        assert_eq!(default_of("ScheduleExpression"), Some("rate(1 hour)"));
        assert_eq!(default_of("EnableAnalytics"), Some("true"));
        assert_eq!((default_of("KmsKeyArn"), default_of("CodeVersion")), (Some(""), None));
        assert!(has_parameter("ArtifactBucket") && !has_parameter("OneKey") && !has_parameter("Nothing"));
        let alarms = ["HasAlarms", "HasAlerterAlarms", "HasExporterAlarms"]
            .map(|condition| TEMPLATE.matches(&format!("Alarm\n    Condition: {condition}\n")).count() as f64);
        assert_eq!(alarms, [ALARMS.0, ALARMS.1, ALARMS.2]);
        assert!(Shape::of(&|_| Some("maybe".to_owned())).is_err());
    }

    #[test]
    fn only_keys_are_counted_of_an_index_because_it_holds_no_more() {
        assert_eq!(TEMPLATE.matches("ProjectionType: ").count(), TEMPLATE.matches("ProjectionType: KEYS_ONLY").count());
        let writes = with(1e7, &[("EnableSecurityAlerts", "false")]);
        assert_eq!(writes[0].what, "40.00 million units");
        assert!((writes[0].dollars - 25.0).abs() < 1e-9);
    }
}
