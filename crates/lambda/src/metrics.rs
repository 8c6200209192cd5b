//! Metrics as lines of the log, in CloudWatch's embedded metric format: no call, no SDK.

use std::io::Write;

use event::Timestamp;
use serde_json::{Map, Value, json};

/// Where they are found.
const NAMESPACE: &str = "Trailhound";

/// Writes metrics of a stack, each with its unit.
pub(crate) fn put(stack: &str, now: Timestamp, metrics: &[(&str, &str, f64)]) {
    let line = line(stack, now, metrics);
    // Standard output is what CloudWatch reads. A line that cannot be written is no reason to fail.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn line(stack: &str, now: Timestamp, metrics: &[(&str, &str, f64)]) -> Value {
    let units: Vec<Value> = metrics.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now.micros() / 1000,
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [["Stack"]], "Metrics": units}],
        }),
    );
    line.insert("Stack".to_owned(), json!(stack));
    line.extend(metrics.iter().map(|(name, _, value)| ((*name).to_owned(), json!(value))));
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_name_their_stack_and_their_units() {
        let now = Timestamp::parse("2026-01-15T12:00:00.5Z").unwrap();
        let line = line("trail", now, &[("EventsStored", "Count", 12.0)]);
        assert_eq!(
            line.to_string(),
            r#"{"_aws":{"Timestamp":1768478400500,"CloudWatchMetrics":[{"Namespace":"Trailhound","Dimensions":[["Stack"]],"Metrics":[{"Name":"EventsStored","Unit":"Count"}]}]},"Stack":"trail","EventsStored":12.0}"#
        );
    }
}
