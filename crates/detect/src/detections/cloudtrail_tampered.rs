//! `cloudtrail-tampered`

use event::Event;
use event::arn::Arn;
use serde_json::Value;

use crate::config::Settings;
use crate::request::{Read, first_text, flag, named, number, readable, text, value};
use crate::text::clip;
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "cloudtrail-tampered",
    title: "CloudTrail Tampered With",
    severity: Severity::Critical,
    attempted_severity: Some(Severity::High),
    techniques: &["T1562.008"],
    triggers: Triggers::Calls(&[
        Calls {
            service: "cloudtrail",
            names: &[
                "StopLogging",
                "DeleteTrail",
                "UpdateTrail",
                "PutEventSelectors",
                "PutInsightSelectors",
                "DeleteEventDataStore",
                "StopEventDataStoreIngestion",
                "UpdateEventDataStore",
                "DeregisterOrganizationDelegatedAdmin",
            ],
        },
        Calls { service: "organizations", names: &["DisableAWSServiceAccess"] },
    ]),
    action_required: "Switch logging on again at once, and look at what happened around it in another trail or Event history.",
    docs: Docs {
        summary: "Finds CloudTrail being stopped, deleted or narrowed: a trail or event data store that is stopped or \
                  deleted, loses regions, global services, the organization, validation or its notifications, writes to \
                  another bucket or with another account's key, keeps events for less than 90 days, or whose selectors \
                  leave out management events, reads, writes or services; Insights switched off; CloudTrail's place in \
                  the organization given up.",
        why: "Without logs nobody sees what follows, and nobody can prove it afterwards. Switching them off is among the \
              first things intruders do, and hardly anybody else does it.",
        false_positives: "Replacing trails, cutting cost (leaving out KMS and RDS Data API events is medium), trails \
                          for data events only, and the console's trail set-up, which sets empty Insights selectors \
                          (medium). One event does not show what stood before, so every setting is judged by itself; \
                          data events that are no longer logged are not found for the same reason.",
        what_to_do: "Start logging again and restore the settings. Find the caller's other actions: Event history keeps \
                     management events for 90 days whatever happens to trails. Deny these calls by an organization policy.",
        references: &[
            "https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_StopLogging.html",
            "https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_UpdateTrail.html",
            "https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_PutEventSelectors.html",
            "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/best-practices-security.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

/// Event data stores that keep events for fewer days than Event history does are worth a word.
const MINIMUM_RETENTION_DAYS: i64 = 90;

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    let trail = || named(event, "trail", &["name", "trailName"]);
    let store = || named(event, "event data store", &["eventDataStore"]);
    match event.name() {
        "StopLogging" => Some(Deed::new("stopped the logging of", "stop the logging of", trail())),
        "DeleteTrail" => Some(Deed::new("deleted", "delete", trail())),
        "UpdateTrail" => narrowed(event, trail, trail_losses(event)),
        "PutEventSelectors" if !has_selectors(event) => Some(Deed::new("changed", "change", trail()).unreadable()),
        "PutEventSelectors" => narrowed(event, trail, selector_losses(event)),
        "PutInsightSelectors" => insights(event),
        "DeleteEventDataStore" => Some(Deed::new("deleted", "delete", store())),
        "StopEventDataStoreIngestion" => Some(Deed::new("stopped the ingestion of", "stop the ingestion of", store())),
        "UpdateEventDataStore" => narrowed(event, store, store_losses(event)),
        "DeregisterOrganizationDelegatedAdmin" => {
            let admin = named(event, "account", &["delegatedAdminAccountId"]);
            let object = format!("{admin} as the organization's administrator of CloudTrail");
            Some(Deed::new("removed", "remove", object).severity(Severity::High))
        }
        _ => service_access(event),
    }
}

/// Something that is no longer logged, protected or told of.
#[derive(Debug, Clone, PartialEq)]
struct Loss {
    what: String,
    severity: Severity,
}

impl Loss {
    fn new(severity: Severity, what: impl Into<String>) -> Loss {
        Loss { what: what.into(), severity }
    }
}

/// The deed of a change that takes something away, if it does.
fn narrowed(event: &Event<'_>, object: impl Fn() -> String, losses: Vec<Loss>) -> Option<Deed> {
    let deed = || Deed::new("changed", "change", object());
    if !readable(event) {
        return Some(deed().unreadable());
    }
    let severity = losses.iter().map(|loss| loss.severity).max()?;
    let what: Vec<&str> = losses.iter().map(|loss| loss.what.as_str()).collect();
    Some(deed().severity(severity).note(format!("In this request, it {}", what.join("; "))))
}

fn trail_losses(event: &Event<'_>) -> Vec<Loss> {
    use Severity::{Critical, High};
    let mut losses = Vec::new();
    let switches = [
        ("isMultiRegionTrail", Critical, "logs a single region"),
        ("includeGlobalServiceEvents", Critical, "leaves out global services such as IAM"),
        ("isOrganizationTrail", Critical, "is no trail of the organization"),
        ("enableLogFileValidation", High, "writes no digest files, so that changed logs go unnoticed"),
    ];
    for (parameter, severity, what) in switches {
        if flag(event, parameter) == Some(false) {
            losses.push(Loss::new(severity, what));
        }
    }
    if let Some(bucket) = first_text(event, &["s3BucketName"]) {
        losses.push(Loss::new(High, format!("writes to the bucket {}", clip(bucket))));
    }
    for (parameter, what) in [
        ("cloudWatchLogsLogGroupArn", "no longer writes to CloudWatch Logs"),
        ("snsTopicName", "no longer notifies of new files"),
    ] {
        if text(event, parameter) == Read::Known("") {
            losses.push(Loss::new(High, what));
        }
    }
    let foreign_key = first_text(event, &["kmsKeyId"]).and_then(Arn::parse).and_then(|key| key.account_id());
    if let (Some(key), Some(own)) = (foreign_key, event.account_id())
        && key != own
    {
        losses.push(Loss::new(Critical, format!("encrypts with a key of account {}", clip(key))));
    }
    losses
}

fn store_losses(event: &Event<'_>) -> Vec<Loss> {
    use Severity::{Critical, High};
    let mut losses = Vec::new();
    let switches = [
        ("multiRegionEnabled", Critical, "collects a single region"),
        ("organizationEnabled", Critical, "no longer collects the organization's events"),
        ("terminationProtectionEnabled", High, "can be deleted"),
    ];
    for (parameter, severity, what) in switches {
        if flag(event, parameter) == Some(false) {
            losses.push(Loss::new(severity, what));
        }
    }
    if let Some(days) = number(event, "retentionPeriod").filter(|days| *days < MINIMUM_RETENTION_DAYS) {
        losses.push(Loss::new(High, format!("keeps events for {days} days")));
    }
    losses.extend(selector_losses(event));
    losses
}

/// Whether the request names event selectors, readable or not.
fn has_selectors(event: &Event<'_>) -> bool {
    ["eventSelectors", "advancedEventSelectors"].iter().any(|parameter| value(event, parameter) != Read::Absent)
}

/// What event selectors leave out of management events. Several selectors add up.
fn selector_losses(event: &Event<'_>) -> Vec<Loss> {
    let seen: Vec<Management<'_>> = match (value(event, "advancedEventSelectors"), value(event, "eventSelectors")) {
        (Read::Known(Value::Array(advanced)), _) => advanced.iter().filter_map(Management::of_advanced).collect(),
        (Read::Absent, Read::Known(Value::Array(basic))) => basic.iter().filter_map(Management::of_basic).collect(),
        (Read::Absent, Read::Absent) => return Vec::new(),
        _ => return vec![Loss::new(Severity::Critical, "has event selectors that could not be read")],
    };
    let reads = seen.iter().any(|selector| selector.reads);
    let writes = seen.iter().any(|selector| selector.writes);
    let everywhere = |reads: bool| {
        seen.iter().any(|selector| selector.left_out.is_empty() && if reads { selector.reads } else { selector.writes })
    };
    match (reads, writes) {
        (false, false) => vec![Loss::new(Severity::Critical, "logs no management events")],
        (true, false) => vec![Loss::new(Severity::Critical, "logs no management events that write")],
        (false, true) => vec![Loss::new(Severity::High, "logs no management events that read")],
        (true, true) if everywhere(true) && everywhere(false) => Vec::new(),
        (true, true) => {
            let left_out: Vec<&str> = seen.iter().flat_map(|selector| selector.left_out.iter().copied()).collect();
            let usual = left_out.iter().all(|what| USUALLY_LEFT_OUT.contains(what));
            let severity = if usual { Severity::Medium } else { Severity::Critical };
            vec![Loss::new(severity, format!("leaves out {}", crate::text::list(left_out)))]
        }
    }
}

/// The chatty services that the console offers to leave out.
const USUALLY_LEFT_OUT: [&str; 2] = ["kms.amazonaws.com", "rdsdata.amazonaws.com"];

/// Which management events one selector takes in.
struct Management<'e> {
    reads: bool,
    writes: bool,
    left_out: Vec<&'e str>,
}

impl<'e> Management<'e> {
    /// A basic selector. Source: `EventSelector` in the CloudTrail API reference; both defaults are "everything".
    fn of_basic(selector: &'e Value) -> Option<Management<'e>> {
        if selector["includeManagementEvents"] == Value::Bool(false) {
            return None;
        }
        let kind = selector["readWriteType"].as_str().unwrap_or("All");
        Some(Management {
            reads: kind != "WriteOnly",
            writes: kind != "ReadOnly",
            left_out: strings(&selector["excludeManagementEventSources"]),
        })
    }

    /// An advanced selector: fields that must all hold. Source: `AdvancedFieldSelector` in the CloudTrail API reference.
    fn of_advanced(selector: &'e Value) -> Option<Management<'e>> {
        let fields = selector["fieldSelectors"].as_array()?;
        let is_management =
            |field: &&Value| field["field"] == "eventCategory" && strings(&field["equals"]).contains(&"Management");
        fields.iter().find(is_management)?;
        let mut management = Management { reads: true, writes: true, left_out: Vec::new() };
        for field in fields {
            match field["field"].as_str() {
                Some("eventCategory") => {}
                Some("readOnly") => {
                    let wanted = strings(&field["equals"]);
                    management.reads &= wanted.contains(&"true");
                    management.writes &= wanted.contains(&"false");
                }
                Some("eventSource") if !strings(&field["notEquals"]).is_empty() => {
                    management.left_out.extend(strings(&field["notEquals"]));
                }
                // Some services, events, sessions … only: whatever else happens is left out.
                other => management.left_out.push(match other {
                    Some("eventSource") => "most services",
                    Some("eventName") => "some event names",
                    _ => "some events",
                }),
            }
        }
        Some(management)
    }
}

/// The strings of a list; a single string counts as a list of one.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        Value::String(text) => vec![text],
        _ => Vec::new(),
    }
}

fn insights(event: &Event<'_>) -> Option<Deed> {
    let deed = || {
        let of = named(event, "trail", &["trailName", "eventDataStore"]);
        Deed::new("switched off the Insights of", "switch off the Insights of", of).severity(Severity::Medium)
    };
    match value(event, "insightSelectors") {
        Read::Known(Value::Array(selectors)) if selectors.is_empty() => Some(deed()),
        Read::Known(_) => None,
        Read::Absent | Read::Unreadable => Some(deed().unreadable()),
    }
}

fn service_access(event: &Event<'_>) -> Option<Deed> {
    let deed = |service: &str| {
        Deed::new("took", "take", format!("from {service} its access to the organization")).severity(Severity::High)
    };
    match text(event, "servicePrincipal") {
        Read::Known(service) if service.starts_with("cloudtrail.") => Some(deed("CloudTrail")),
        Read::Known(_) => None,
        Read::Absent | Read::Unreadable => Some(deed("a service").unreadable()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use testkit::{EventBuilder, event};

    use crate::registry::tests::Examples;
    use crate::{Registry, Severity};

    fn call(name: &str, request: Value) -> EventBuilder {
        event(name).source("cloudtrail").request(request)
    }

    fn update(parameter: &str, value: Value) -> EventBuilder {
        let mut request = json!({"name": "main"});
        request[parameter] = value;
        call("UpdateTrail", request)
    }

    fn select(selectors: Value) -> EventBuilder {
        call("PutEventSelectors", json!({"trailName": "main", "eventSelectors": selectors}))
    }

    /// Advanced selectors, each given by its fields besides the category.
    fn select_advanced(selectors: &[&[Value]]) -> EventBuilder {
        let selector = |fields: &&[Value]| {
            let category = json!({"field": "eventCategory", "equals": ["Management"]});
            let fields: Vec<&Value> = std::iter::once(&category).chain(fields.iter()).collect();
            json!({"name": "some", "fieldSelectors": fields})
        };
        let selectors: Vec<Value> = selectors.iter().map(selector).collect();
        call("PutEventSelectors", json!({"trailName": "main", "advancedEventSelectors": selectors}))
    }

    pub(super) fn examples() -> Examples {
        let everything = json!({"readWriteType": "All", "includeManagementEvents": true, "dataResources": []});
        let read_only = json!({"field": "readOnly", "equals": ["true"]});
        let write_only = json!({"field": "readOnly", "equals": ["false"]});
        let no_kms = json!({"field": "eventSource", "notEquals": ["kms.amazonaws.com"]});
        let only_s3 = json!({"field": "eventSource", "equals": ["s3.amazonaws.com"]});
        let data_only = json!([{"fieldSelectors": [{"field": "eventCategory", "equals": ["Data"]}]}]);
        let organization = |service: &str| {
            event("DisableAWSServiceAccess").source("organizations").request(json!({"servicePrincipal": service}))
        };
        Examples {
            fires: vec![
                call("StopLogging", json!({"name": "main"})),
                call("DeleteTrail", Value::Null),
                update("isMultiRegionTrail", json!(false)),
                update("includeGlobalServiceEvents", json!("false")),
                update("isOrganizationTrail", json!(false)),
                update("enableLogFileValidation", json!(false)),
                update("s3BucketName", json!("elsewhere")),
                update("cloudWatchLogsLogGroupArn", json!("")),
                update("kmsKeyId", json!("arn:aws:kms:us-east-1:444455556666:key/k-1")),
                call("UpdateTrail", Value::Null),
                select(json!([])),
                select(json!([{"readWriteType": "ReadOnly", "includeManagementEvents": true}])),
                select(json!([{"readWriteType": "WriteOnly"}])),
                select(json!([{"readWriteType": "All", "includeManagementEvents": false}])),
                select(json!([{"excludeManagementEventSources": ["kms.amazonaws.com"]}])),
                select(json!("cut")),
                call("PutEventSelectors", json!({"trailName": "main"})),
                select_advanced(&[]),
                select_advanced(&[std::slice::from_ref(&read_only)]),
                select_advanced(&[std::slice::from_ref(&no_kms)]),
                select_advanced(&[std::slice::from_ref(&only_s3)]),
                call("PutEventSelectors", json!({"trailName": "main", "advancedEventSelectors": data_only})),
                call("PutInsightSelectors", json!({"trailName": "main", "insightSelectors": []})),
                call("DeleteEventDataStore", json!({"eventDataStore": "e-1"})),
                call("StopEventDataStoreIngestion", json!({"eventDataStore": "e-1"})),
                call("UpdateEventDataStore", json!({"eventDataStore": "e-1", "multiRegionEnabled": false})),
                call("UpdateEventDataStore", json!({"eventDataStore": "e-1", "retentionPeriod": 7})),
                call("UpdateEventDataStore", json!({"eventDataStore": "e-1", "advancedEventSelectors": data_only})),
                call("DeregisterOrganizationDelegatedAdmin", json!({"delegatedAdminAccountId": "444455556666"})),
                organization("cloudtrail.amazonaws.com"),
            ],
            attempts: vec![
                call("StopLogging", Value::Null).error("AccessDenied"),
                call("UpdateTrail", Value::Null).error("AccessDenied"),
                call("DeleteTrail", json!({"name": "main"})).error("TrailNotFoundException"),
            ],
            quiet: vec![
                call("StartLogging", json!({"name": "main"})),
                call("StopLogging", json!({"name": "main"})).source("example"),
                update("isMultiRegionTrail", json!(true)),
                update("cloudWatchLogsRoleArn", json!("arn:aws:iam::111122223333:role/logs")),
                update("kmsKeyId", json!("arn:aws:kms:us-east-1:111122223333:key/k-1")),
                select(json!([everything])),
                select(json!([{"readWriteType": "ReadOnly"}, {"readWriteType": "WriteOnly"}])),
                select_advanced(&[&[]]),
                select_advanced(&[std::slice::from_ref(&read_only), std::slice::from_ref(&write_only)]),
                call("PutInsightSelectors", json!({"insightSelectors": [{"insightType": "ApiCallRateInsight"}]})),
                call("UpdateEventDataStore", json!({"eventDataStore": "e-1", "retentionPeriod": 365})),
                organization("config.amazonaws.com"),
            ],
        }
    }

    #[test]
    fn what_is_lost_decides_on_the_severity() {
        let severity = |event: EventBuilder| Registry::default().findings(&event.to_event())[0].severity;
        assert_eq!(severity(select(json!([{"includeManagementEvents": false}]))), Severity::Critical);
        assert_eq!(severity(select(json!([{"readWriteType": "WriteOnly"}]))), Severity::High);
        let left_out = |service: &str| select(json!([{"excludeManagementEventSources": [service]}]));
        assert_eq!(severity(left_out("rdsdata.amazonaws.com")), Severity::Medium);
        assert_eq!(severity(left_out("sts.amazonaws.com")), Severity::Critical);
    }

    #[test]
    fn the_sentence_names_every_loss() {
        let mut request = json!({"name": "main", "isMultiRegionTrail": false, "s3BucketName": "elsewhere"});
        request["enableLogFileValidation"] = json!(true);
        assert_eq!(
            Registry::default().findings(&call("UpdateTrail", request).to_event())[0].summary,
            "alice changed the trail main. In this request, it logs a single region; writes to the bucket elsewhere."
        );
    }
}
