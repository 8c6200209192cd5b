//! `trailhound aws cost`: an estimate, part by part.

mod estimate;

use std::collections::BTreeMap;

use aws::{Stack, TableNames, Tables};
use pipeline::collect::StreamStore;

use self::estimate::{EVENT_BYTES, MONTH_DAYS, Shape, Volume, further_copy, given, parts, sum};
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
    let measured = match events_per_month {
        Some(_) => None,
        None => Some(measure(session, arguments)?),
    };
    let of_stack = |name: &str| measured.as_ref()?.stack.parameter(name).map(str::to_owned);
    let shape = Shape::of(&|name| parameters.get(name).cloned().or_else(|| of_stack(name)))?;
    let (volume, source) = match &measured {
        Some(Measured { volume, days, .. }) => {
            (volume.asked(&Shape::of(&of_stack)?, &shape), format!("as measured over {days:.0} days"))
        }
        None => {
            let events = events_per_month.unwrap_or_default() as f64;
            (Volume { events, bytes: EVENT_BYTES, streams: shape.streams }, "as given".to_owned())
        }
    };
    session.out.line(&format!(
        "{} events a month, {source}; {} bytes each in the table; {} streams",
        count(volume.events as u64),
        count(volume.bytes as u64),
        count(volume.streams as u64),
    ))?;
    let mut parts = parts(volume, &shape);
    let sum = sum(&parts);
    // What costs the most first, the rest in the order of an event's path.
    parts.sort_by(|left, right| right.dollars.total_cmp(&left.dollars));
    for part in &parts {
        session.out.line(&format!("{:>10.2} USD  {:<21}  {}", part.dollars, part.name, part.what))?;
    }
    let sum = session.out.bold(&format!("{sum:>10.2} USD  a month, once it has run for a year"));
    session.out.line(&sum)?;
    crate::note(
        "an estimate, by list prices of us-east-1; what an account has for free of the services is taken as free",
    );
    if shape.trail {
        let further = further_copy(volume.events, &shape);
        let further = if further < 10.0 { format!("{further:.2}") } else { count(further.round() as u64) };
        crate::note(&format!(
            "the trail is taken to record five events for each that is collected. Only an account's first copy of them \
             is free: beside another trail, this one costs {further} USD a month more, which CreateTrail=false saves"
        ));
    }
    if shape.organization && measured.is_none() {
        crate::note("MemberAccounts=organization: one account is counted; in a stack that runs all of them are");
    }
    crate::note(
        "not in it: data events, Detective, a dashboard beyond the third, what Athena scans (5 USD a terabyte)",
    );
    Ok(Exit::Done)
}

/// A deployment, and what it stores.
struct Measured {
    volume: Volume,
    days: f64,
    stack: Stack,
}

fn measure(session: &mut Session, arguments: &StackArgs) -> anyhow::Result<Measured> {
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
    let volume = Volume { events: stored as f64 / days * MONTH_DAYS, bytes, streams: states.len() as f64 };
    Ok(Measured { volume, days, stack })
}

#[cfg(test)]
mod tests {
    use super::estimate::{ALARMS, METRICS, Part, STREAMS, default_of, has_parameter};
    use super::*;
    use crate::commands::aws::TEMPLATE;

    const PAGE: &str = "../../docs/deploy.md";
    const BEGIN: &str = "<!-- estimate: written by the test of `aws cost` -->\n";
    const END: &str = "<!-- end of estimate -->";

    const GIGABYTE: f64 = 1_073_741_824.0;

    fn shape(parameters: &[(&str, &str)]) -> Shape {
        let given = |name: &str| {
            let found = parameters.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Shape::of(&given).unwrap()
    }

    fn with(events: f64, parameters: &[(&str, &str)]) -> Vec<Part> {
        let shape = shape(parameters);
        parts(Volume { events, bytes: EVENT_BYTES, streams: shape.streams }, &shape)
    }

    /// What one part costs.
    #[track_caller]
    fn cost(events: f64, parameters: &[(&str, &str)], name: &str) -> f64 {
        dollars(&with(events, parameters), name).unwrap()
    }

    #[track_caller]
    fn assert_close(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-6, "{left}, not {right}");
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
        let further = [1e4, 1e6, 1e8].map(|events| further_copy(events, &shape(&[])));
        table.push_str(&row("more, if the account has another trail", further));
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
            ("AlertsEmailAddress", "security@example.com", "SNS"),
            ("MemberAccounts", "111122223333", "DynamoDB, state"),
            ("MemberAccounts", "111122223333", "Lambda, tracker"),
            ("ExtraSources", "kms", "DynamoDB, state"),
        ] {
            let (parts, before) = (of(&[(name, value)]), dollars(&by_default, dearer).unwrap_or(0.0));
            assert!(dollars(&parts, dearer).unwrap() > before, "{name}: {dearer}");
        }
        let seldom = of(&[("ScheduleExpression", "rate(1 day)"), ("RetentionDays", "90")]);
        assert!(dollars(&seldom, "DynamoDB, state") < dollars(&by_default, "DynamoDB, state"));
        assert!(dollars(&seldom, "DynamoDB, storage") < dollars(&by_default, "DynamoDB, storage"));
    }

    #[test]
    fn defaults_and_alarms_are_those_of_the_template() {
        assert_eq!(default_of("TrackerMemory"), Some("256"));
        assert_eq!(default_of("ScheduleExpression"), Some("rate(1 hour)"));
        assert_eq!(default_of("EnableAnalytics"), Some("true"));
        assert_eq!((default_of("KmsKeyArn"), default_of("CodeVersion")), (Some(""), None));
        assert!(has_parameter("ArtifactBucket") && !has_parameter("OneKey") && !has_parameter("Nothing"));
        let written = ["tracker", "alerter", "exporter"].map(|function| {
            let code = std::fs::read_to_string(format!("../lambda/src/{function}.rs")).unwrap();
            let units = ["Count", "Seconds", "None"].map(|unit| code.matches(&format!("\", \"{unit}\", ")).count());
            units.iter().sum::<usize>() as f64
        });
        assert_eq!(written, [METRICS.0, METRICS.1, METRICS.2]);
        let alarms = ["HasAlarms", "HasAlerterAlarms", "HasExporterAlarms"]
            .map(|condition| TEMPLATE.matches(&format!("Alarm\n    Condition: {condition}\n")).count() as f64);
        assert_eq!(alarms, [ALARMS.0, ALARMS.1, ALARMS.2]);
        assert!(Shape::of(&|_| Some("maybe".to_owned())).is_err());
    }

    #[test]
    fn only_keys_are_counted_of_an_index_because_it_holds_no_more() {
        assert_eq!(TEMPLATE.matches("ProjectionType: ").count(), TEMPLATE.matches("ProjectionType: KEYS_ONLY").count());
        let writes = with(1e7, &[("EnableSecurityAlerts", "false")]);
        assert_eq!(writes[0].what, "40,000,000 units");
        assert!((writes[0].dollars - 25.0).abs() < 1e-9);
    }

    #[test]
    fn reads_are_lookups_the_newest_minutes_again_exports_and_the_alerters_looks() {
        const EVENTS: f64 = 1e7;
        let quiet = ("EnableSecurityAlerts", "false");
        let units = |parameters: &[(&str, &str)]| cost(EVENTS, parameters, "DynamoDB, reads") / 0.125 * 1e6 / EVENTS;
        let no_exports = ("EnableAnalytics", "false");
        // A quarter of each hour is read again.
        assert_close(units(&[quiet, no_exports]), 1.25);
        assert_close(units(&[quiet, no_exports, ("ScheduleExpression", "rate(1 day)")]), 1.0 + 0.25 / 24.0);
        // Two exports, half a unit for 4,096 bytes each.
        assert_close(units(&[quiet]), 1.25 + 2.0 * EVENT_BYTES / 8192.0);
        // A fifth of the events come to the alerter, which asks its index twice.
        assert_close(units(&[no_exports]), 1.25 + 0.2);
        // Each item that is looked up is rounded for itself, where it is there.
        let large = parts(Volume { events: EVENTS, bytes: 5_000.0, streams: STREAMS }, &shape(&[quiet, no_exports]));
        assert_close(dollars(&large, "DynamoDB, reads").unwrap() / 0.125, EVENTS / 1e6 * (1.0 + 0.25 * 2.0));
    }

    #[test]
    fn storage_has_what_is_added_to_every_item_and_units_have_not() {
        const KEPT: f64 = 12.0 * 1e8 / GIGABYTE;
        assert_close(cost(1e8, &[], "DynamoDB, recovery"), KEPT * 1_600.0 * 0.20);
        assert_close(cost(1e8, &[], "DynamoDB, storage"), (KEPT * (1_600.0 + 2.0 * 200.0) - 25.0) * 0.25);
        // An item that would be over two kilobytes with it is not.
        let quiet = shape(&[("EnableSecurityAlerts", "false")]);
        let writes = parts(Volume { events: 1e6, bytes: 2_000.0, streams: STREAMS }, &quiet);
        assert_eq!(writes[0].what, "4,000,000 units");
    }

    #[test]
    fn a_trails_files_are_moved_where_they_are_large_enough_and_moving_costs() {
        let (logs, digests) = (17.0 * 288.0 * MONTH_DAYS, 17.0 * 24.0 * MONTH_DAYS);
        let expected = |recorded: f64, months: f64, moves: f64| {
            recorded * 220.0 / GIGABYTE * months + (logs + digests) / 1e6 * 5.0 + logs / 1e6 * moves
        };
        // 133 KB a file; with the digests, which stay where they are, it would be 123.
        assert_close(cost(1.8e7, &[], "S3, trail"), expected(9e7, 0.023 + 2.0 * 0.0125 + 9.0 * 0.004, 30.0));
        assert_close(cost(1.7e7, &[], "S3, trail"), expected(8.5e7, 12.0 * 0.023, 0.0));
    }

    #[test]
    fn a_metric_counts_by_its_hours() {
        let metrics = |events: f64, parameters: &[(&str, &str)]| {
            let parts = with(events, parameters);
            let part = parts.iter().find(|part| part.name == "CloudWatch, metrics").unwrap();
            (part.what.split(' ').next().unwrap().to_owned(), part.dollars)
        };
        let daily = ("ScheduleExpression", "rate(1 day)");
        assert_eq!(metrics(1e6, &[]), ("9.1".to_owned(), 0.0));
        assert_eq!(metrics(1e6, &[("EnableAnalytics", "false")]), ("9.0".to_owned(), 0.0));
        assert_eq!(metrics(1e6, &[daily, ("EnableSecurityAlerts", "false")]).0, "0.5");
        // The alerter writes three of them in every hour.
        assert_eq!(metrics(1e6, &[daily]).0, "3.3");
        assert_eq!(metrics(0.0, &[daily]).0, "0.5");
    }

    #[test]
    fn a_key_that_is_rotated_costs_twice_as_much_after_a_year() {
        let given = ("KmsKeyArn", "arn:aws:kms:eu-central-1:111122223333:key/1");
        let own = cost(1e6, &[("CreateKmsKey", "true")], "KMS");
        assert_close(own - cost(1e6, &[given], "KMS"), 2.0);
    }

    #[test]
    fn e_mails_are_paid_for_beyond_the_first_thousand() {
        let mails = ("AlertsEmailAddress", "security@example.com");
        assert_close(cost(1e6, &[mails], "SNS"), 0.0);
        assert_close(cost(1e8, &[mails], "SNS"), 99_000.0 * 0.000_02);
        assert_close(cost(1e8, &[], "SNS"), 0.0);
    }

    #[test]
    fn x_ray_takes_one_trace_a_second_and_a_twentieth_of_those_beyond() {
        let traces = |events: f64| cost(events, &[("EnableTracing", "true")], "X-Ray") / 5.0 * 1e6 + 100_000.0;
        let runs = MONTH_DAYS * 25.0;
        let second = MONTH_DAYS * 86_400.0;
        assert_close(traces(1e6), 200_000.0 + runs);
        assert_close(traces(1e8), second + 0.05 * (2e7 + runs - second));
    }

    #[test]
    fn streams_are_those_that_the_parameters_ask_for_and_time_and_state_grow_with_them() {
        let streams = |parameters: &[(&str, &str)]| shape(parameters).streams;
        assert_close(streams(&[]), STREAMS);
        assert_close(streams(&[("MemberAccounts", "111122223333, 444455556666")]), 3.0 * STREAMS);
        assert_close(streams(&[("ExtraSources", "kms")]), STREAMS + 17.0);
        // STS and sign-ins of two regions, IAM, organizations and Identity Center.
        assert_close(streams(&[("Regions", "eu-central-1")]), 2.0 * 2.0 + 6.0);
        assert_close(streams(&[("MemberAccounts", "organization")]), STREAMS);

        let of = |streams: f64, name: &str| {
            dollars(&parts(Volume { events: 0.0, bytes: EVENT_BYTES, streams }, &shape(&[])), name).unwrap()
        };
        assert_close(of(4.0 * STREAMS, "DynamoDB, state"), 4.0 * of(STREAMS, "DynamoDB, state"));
        assert_close(of(4.0 * STREAMS, "Lambda, tracker"), 4.0 * of(STREAMS, "Lambda, tracker"));
        // What is measured grows as the parameters' streams do.
        let measured = Volume { events: 1e6, bytes: EVENT_BYTES, streams: 30.0 };
        let asked = measured.asked(&shape(&[]), &shape(&[("MemberAccounts", "111122223333")]));
        assert_close(asked.streams, 60.0);
        // A run ends after fifteen minutes, however much there is to read.
        let most = MONTH_DAYS * 24.0 * 900.0 * 0.25 * 0.000_013_333_4;
        assert_close(of(1e6, "Lambda, tracker"), most);
        assert_close(cost(1e10, &[], "Lambda, tracker"), most);
    }

    #[test]
    fn a_functions_memory_is_what_the_template_gives_it() {
        let memory = ["Tracker", "Alerter", "Exporter"].map(|name| {
            let (_, below) = TEMPLATE.split_once(&format!("\n  {name}Function:\n")).unwrap();
            let (_, memory) = below.split_once("\n      MemorySize: ").unwrap();
            let memory = memory.lines().next().unwrap();
            memory.strip_prefix("!Ref ").map_or(Some(memory), default_of).unwrap().parse::<f64>().unwrap() / 1024.0
        });
        let per_second = 0.000_013_333_4;
        assert_close(cost(0.0, &[], "Lambda, tracker"), MONTH_DAYS * 24.0 * 20.0 * memory[0] * per_second);
        assert_close(cost(1e7, &[], "Lambda, alerter"), 2.0 * 0.20 + 2e6 * 0.05 * memory[1] * per_second);
        assert_close(cost(0.0, &[], "Lambda, exporter"), MONTH_DAYS * 5.0 * memory[2] * per_second);
    }

    #[test]
    fn a_parameter_has_a_value_that_the_template_takes() {
        let refused = |text: &str| given(text).unwrap_err().to_string();
        assert_eq!(refused("EnableAnalytics=no"), "--parameter EnableAnalytics=no: it is one of true, false");
        assert_eq!(
            refused("ScheduleExpression=rate(5 minutes)"),
            "--parameter ScheduleExpression=rate(5 minutes): it is one of rate(1 hour), rate(6 hours), rate(12 hours), rate(1 day)"
        );
        assert_eq!(refused("RetentionDays=-1"), "--parameter RetentionDays=-1: it is a whole number from 0 to 3653");
        assert_eq!(refused("TrackerMemory=64"), "--parameter TrackerMemory=64: it is a whole number from 128 to 10240");
        assert!(given("RetentionDays=90").is_ok() && given("ScheduleExpression=rate(6 hours)").is_ok());
        assert!(given("AlertsEmailAddress=security@example.com").is_ok());
    }
}
