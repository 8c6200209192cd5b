//! Findings against the published schemas: OCSF's JSON schema, and the shapes of the service model of AWS Security Hub
//! with the lengths that the page on the format gives.

use pipeline::alert::Alert;
use regex::Regex;
use serde_json::Value;

use crate::{alert, hostile};

const OCSF: &str = include_str!("../schemas/ocsf.json");
const ASFF: &str = include_str!("../schemas/asff.json");

/// Alerts of every detection, a stranger's, and one that says nothing.
fn all() -> Vec<Alert> {
    let now = event::Timestamp::parse("2026-01-15T12:00:00Z").unwrap();
    let mut alerts = notify::samples(now);
    alerts.extend([alert(), hostile(), pipeline::notify::trouble("pager", "HTTP 500", now)]);
    let long = || Some("漢".repeat(9000));
    let addresses = ["2001:db8::1", "203.0.113.9", "signin.amazonaws.com", ""];
    alerts.extend(addresses.map(|address| Alert { source_ip: Some(address.to_owned()), ..alert() }));
    alerts.push(Alert { actor_arn: Some("arn:aws:iam::111122223333:root".to_owned()), role_arn: None, ..alert() });
    alerts.push(Alert {
        user: long(),
        session: long(),
        actor_arn: long(),
        role_arn: long(),
        account: long(),
        region: long(),
        title: "漢".repeat(9000),
        summary: "漢".repeat(9000),
        ..alert()
    });
    let empty = || Some(String::new());
    alerts.push(Alert {
        user: empty(),
        session: empty(),
        account: empty(),
        region: empty(),
        event_name: empty(),
        event_source: empty(),
        title: String::new(),
        summary: String::new(),
        ..alert()
    });
    alerts
}

/// Checks a value against the parts of JSON Schema that OCSF uses.
fn check_json(value: &Value, schema: &Value, root: &Value, path: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#')).ok_or(format!("{path}: no {reference}"))?;
        return check_json(value, target, root, path);
    }
    let fits = |wanted: &str| match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => false,
    };
    let wrong = |what: &str| Err(format!("{path}: {what}: {value}"));
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|wanted| fits(wanted)) {
        return wrong("type");
    }
    if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
        return wrong("enum");
    }
    if schema.get("const").is_some_and(|wanted| wanted != value) {
        return wrong("const");
    }
    for (key, holds) in [("anyOf", 1..usize::MAX), ("oneOf", 1..2)] {
        if let Some(options) = schema[key].as_array() {
            let fitting = options.iter().filter(|option| check_json(value, option, root, path).is_ok()).count();
            if !holds.contains(&fitting) {
                return wrong(key);
            }
        }
    }
    if let Some(text) = value.as_str() {
        let max = schema["maxLength"].as_u64().unwrap_or(u64::MAX);
        if text.chars().count() as u64 > max {
            return wrong("maxLength");
        }
        if let Some(pattern) = schema["pattern"].as_str()
            && !Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
        {
            return wrong("pattern");
        }
    }
    if let Some(object) = value.as_object() {
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(required) {
                return wrong(&format!("required {required}"));
            }
        }
        for (key, value) in object {
            match schema["properties"].get(key) {
                Some(schema) => check_json(value, schema, root, &format!("{path}.{key}"))?,
                None if schema["additionalProperties"] == false => return Err(format!("{path}.{key}: unknown")),
                None => {}
            }
        }
    }
    if let (Some(items), Some(schema)) = (value.as_array(), schema.get("items")) {
        for (place, item) in items.iter().enumerate() {
            check_json(item, schema, root, &format!("{path}[{place}]"))?;
        }
    }
    Ok(())
}

#[test]
fn ocsf_findings_are_valid() {
    let schema: Value = serde_json::from_str(OCSF).unwrap();
    for alert in all() {
        let finding = notify::ocsf(&alert);
        check_json(&finding, &schema, &schema, "finding").unwrap();
    }
    // The check can fail.
    let mut broken = notify::ocsf(&alert());
    broken["severity_id"] = 42.into();
    assert!(check_json(&broken, &schema, &schema, "finding").is_err());
    let mut broken = notify::ocsf(&alert());
    broken["finding_info"]["made_up"] = 1.into();
    assert!(check_json(&broken, &schema, &schema, "finding").is_err());
    let mut broken = notify::ocsf(&alert());
    broken.as_object_mut().unwrap().remove("cloud");
    assert!(check_json(&broken, &schema, &schema, "finding").is_err());
}

/// Checks a value against a shape of a service model.
fn check_shape(value: &Value, name: &str, shapes: &Value, path: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{path}: {what}: {value}"));
    let Some(shape) = shapes.get(name) else { return wrong("a shape that is not kept") };
    let within = |size: usize| {
        let bound = |key: &str, default: u64| shape[key].as_u64().unwrap_or(default);
        (bound("min", 0)..=bound("max", u64::MAX)).contains(&(size as u64))
    };
    match (shape["type"].as_str().unwrap_or_default(), value) {
        ("structure", Value::Object(members)) => {
            for required in shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !members.contains_key(required) {
                    return wrong(&format!("required {required}"));
                }
            }
            for (key, value) in members {
                let Some(member) = shape["members"][key].as_str() else { return Err(format!("{path}.{key}: unknown")) };
                check_shape(value, member, shapes, &format!("{path}.{key}"))?;
            }
            Ok(())
        }
        ("list", Value::Array(items)) if within(items.len()) => {
            let member = shape["member"].as_str().unwrap_or_default();
            items
                .iter()
                .enumerate()
                .try_for_each(|(place, item)| check_shape(item, member, shapes, &format!("{path}[{place}]")))
        }
        ("map", Value::Object(entries)) if within(entries.len()) => {
            let of = |key: &str| shape[key].as_str().unwrap_or_default().to_owned();
            let (key_shape, value_shape) = (of("key"), of("value"));
            entries.iter().try_for_each(|(key, value)| {
                check_shape(&Value::from(key.as_str()), &key_shape, shapes, path)?;
                check_shape(value, &value_shape, shapes, &format!("{path}.{key}"))
            })
        }
        ("string", Value::String(text)) if within(text.chars().count()) => {
            let pattern = shape["pattern"].as_str().is_none_or(|pattern| {
                Regex::new(&format!("^(?s:{pattern})$")).is_ok_and(|pattern| pattern.is_match(text))
            });
            let is_one_of = shape["enum"].as_array().is_none_or(|values| values.contains(value));
            if pattern && is_one_of { Ok(()) } else { wrong("pattern or enum") }
        }
        ("timestamp", Value::String(_)) | ("boolean", Value::Bool(_)) => Ok(()),
        ("integer" | "long", Value::Number(_)) | ("double", Value::Number(_)) => Ok(()),
        (kind, _) => wrong(kind),
    }
}

/// The lengths that the service model leaves out.
fn check_lengths(finding: &Value) -> Result<(), String> {
    let resource = &finding["Resources"][0];
    let limits = [
        (&finding["Id"], 512),
        (&finding["GeneratorId"], 512),
        (&finding["Title"], 256),
        (&finding["Description"], 1024),
        (&finding["ProductArn"], 2048),
        (&finding["Remediation"]["Recommendation"]["Text"], 512),
        (&resource["Id"], 512),
        (&resource["Type"], 256),
        (&finding["Action"]["AwsApiCallAction"]["Api"], 255),
        (&finding["Action"]["AwsApiCallAction"]["DomainDetails"]["Domain"], 128),
    ];
    for (value, max) in limits {
        if value.as_str().is_some_and(|text| text.chars().count() > max) {
            return Err(format!("longer than {max}: {value}"));
        }
    }
    let fields = finding["ProductFields"].as_object().unwrap();
    let fits = fields.len() <= 50
        && fields.iter().all(|(key, value)| key.len() <= 128 && value.as_str().unwrap().chars().count() <= 2048);
    if !fits || finding.to_string().len() > 240 * 1024 {
        return Err("too large".to_owned());
    }
    Ok(())
}

#[test]
fn asff_findings_are_valid() {
    let model: Value = serde_json::from_str(ASFF).unwrap();
    let check = |finding: &Value| {
        check_shape(finding, "AwsSecurityFinding", &model["shapes"], "finding").and_then(|()| check_lengths(finding))
    };
    for alert in all() {
        for home in [None, Some(("999999999999", "eu-central-1"))] {
            check(&notify::asff(&alert, home)).unwrap();
        }
    }
    // The check can fail.
    for (key, value) in
        [("Title", Value::from("")), ("Severity", serde_json::json!({"Label": "SEVERE"})), ("MadeUp", 1.into())]
    {
        let mut broken = notify::asff(&alert(), None);
        broken[key] = value;
        assert!(check(&broken).is_err(), "{key}");
    }
}
