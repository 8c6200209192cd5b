//! OCSF 1.5: the class Detection Finding with the profile `cloud`.
//!
//! <https://schema.ocsf.io/1.5.0/classes/detection_finding?profiles=cloud>

use std::net::IpAddr;

use detect::Severity;
use pipeline::alert::Alert;
use pipeline::escape::single_line;
use serde_json::{Value, json};

/// The most characters of one text.
const TEXT_MAX: usize = 2000;

/// The Detection Finding of an alert.
#[must_use]
pub fn ocsf(alert: &Alert) -> Value {
    let text = |text: &str| single_line(text, TEXT_MAX).into_owned();
    let (severity_id, severity) = match alert.severity {
        Severity::Informational => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    };
    let (time, seen) = (alert.event_time.micros() / 1000, alert.first_seen.micros() / 1000);
    let detection = detect::find(&alert.detection);
    let references = detection.map(|detection| detection.docs.references).unwrap_or_default();
    let mut finding = json!({
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "category_uid": 2,
        "category_name": "Findings",
        "activity_id": 1,
        "activity_name": "Create",
        "type_uid": 200_401,
        "type_name": "Detection Finding: Create",
        "severity_id": severity_id,
        "severity": severity,
        "status_id": 1,
        "status": "New",
        "is_alert": true,
        "time": time,
        "message": text(&alert.summary),
        "metadata": {
            "version": "1.5.0",
            "profiles": ["cloud"],
            "uid": alert.id.as_str(),
            "logged_time": seen,
            "product": {"name": "Trailhound", "vendor_name": "Trailhound", "version": env!("CARGO_PKG_VERSION")},
        },
        "finding_info": {
            "uid": alert.id.as_str(),
            "title": text(&alert.title),
            "desc": text(&alert.summary),
            "created_time": seen,
            "first_seen_time": time,
            "last_seen_time": time,
            "data_sources": ["AWS CloudTrail"],
            "analytic": {"uid": text(&alert.detection), "name": text(&alert.title), "type_id": 1, "type": "Rule"},
        },
        "cloud": {"provider": "AWS"},
        "remediation": {"desc": text(&alert.action_required), "references": references},
        "evidences": [evidence(alert)],
    });
    let attacks: Vec<Value> = alert.techniques.iter().map(|technique| attack(technique)).collect();
    if !attacks.is_empty() {
        finding["finding_info"]["attacks"] = json!(attacks);
    }
    if let Some(account) = &alert.account {
        finding["cloud"]["account"] = json!({"uid": text(account), "type_id": 10, "type": "AWS Account"});
    }
    if let Some(region) = &alert.region {
        finding["cloud"]["region"] = json!(text(region));
    }
    finding
}

/// A technique of ATT&CK; what stands behind the dot is a sub-technique.
fn attack(technique: &str) -> Value {
    match technique.split_once('.') {
        Some((parent, _)) => json!({"technique": {"uid": parent}, "sub_technique": {"uid": technique}}),
        None => json!({"technique": {"uid": technique}}),
    }
}

/// Who called what from where.
fn evidence(alert: &Alert) -> Value {
    let text = |text: &str| single_line(text, TEXT_MAX).into_owned();
    let mut evidence = json!({
        "uid": text(&alert.event_id),
        "api": {"operation": text(alert.event_name.as_deref().unwrap_or("-"))},
    });
    if let Some(service) = &alert.event_source {
        evidence["api"]["service"] = json!({"name": text(service)});
    }
    let names = [("name", &alert.user), ("uid", &alert.actor_arn)];
    let mut user: serde_json::Map<String, Value> =
        names.into_iter().filter_map(|(key, name)| Some((key.to_owned(), json!(text(name.as_deref()?))))).collect();
    if !user.is_empty() {
        if let Some(account) = &alert.account {
            user.insert("account".to_owned(), json!({"uid": text(account)}));
        }
        evidence["actor"] = json!({"user": user});
        if let (Some(session), Some(role)) = (&alert.session, &alert.role_arn) {
            evidence["actor"]["session"] = json!({"uid": text(session), "issuer": text(role)});
        }
    }
    match alert.source_ip.as_deref() {
        Some(address) if address.parse::<IpAddr>().is_ok() => evidence["src_endpoint"] = json!({"ip": address}),
        Some(service) => evidence["src_endpoint"] = json!({"svc_name": text(service)}),
        None => {}
    }
    if let Some(agent) = &alert.user_agent {
        evidence["http_request"] = json!({"user_agent": text(agent)});
    }
    evidence
}
