//! `cloudtrail-tampered`

use event::Event;
use event::arn::Arn;
use serde_json::Value;

use crate::config::Settings;
use crate::request::{Read, as_flag, first_text, flag, named, number, readable, text, value};
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
        Calls { service: "organizations", names: &["DisableAWSServiceAccess", "DeregisterDelegatedAdministrator"] },
    ]),
    action_required: "Switch logging on again at once, and look at what happened around it in another trail or Event history.",
    docs: Docs {
        summary: "Finds CloudTrail being stopped, deleted or narrowed: a trail or event data store that is stopped or \
                  deleted, loses regions, global services, the organization, validation or its notifications, writes to \
                  another bucket or with another account's key, keeps events for less than 90 days, or whose selectors \
                  leave out management events, reads, writes or services; Insights switched off; CloudTrail's place in \
                  the organization, or its administrator there, given up.",
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
        "DeregisterOrganizationDelegatedAdmin" => Some(administrator_removed(event, "CloudTrail")),
        "DeregisterDelegatedAdministrator" => {
            of_cloudtrail_in_organization(event, |service| administrator_removed(event, service))
        }
        _ => of_cloudtrail_in_organization(event, service_access_removed),
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
    losses.extend(foreign_key(event));
    losses
}

/// A key of another account, which can withdraw it.
fn foreign_key(event: &Event<'_>) -> Option<Loss> {
    let key = first_text(event, &["kmsKeyId"]).and_then(Arn::parse).and_then(|key| key.account_id())?;
    let is_foreign = event.account_id().is_some_and(|own| own != key);
    is_foreign.then(|| Loss::new(Severity::Critical, format!("encrypts with a key of account {}", clip(key))))
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
    losses.extend(foreign_key(event));
    if !holds_no_management_events(event) {
        losses.extend(selector_losses(event));
    }
    losses
}

/// What an event data store holds instead of events of trails. No later change lets it hold them.
/// Source: `AdvancedFieldSelector`, `eventCategory`, in the CloudTrail API reference.
const OTHER_CATEGORIES: [&str; 4] = ["ConfigurationItem", "Insight", "Evidence", "ActivityAuditLog"];

/// Whether a store is of a kind that has no management events to lose: each of its selectors is for something else.
fn holds_no_management_events(event: &Event<'_>) -> bool {
    let Read::Known(Value::Array(selectors)) = value(event, "advancedEventSelectors") else { return false };
    let is_other = |selector: &Value| {
        let is_category = |field: &&Value| field["field"] == "eventCategory";
        let fields = selector["fieldSelectors"].as_array();
        let categories: Vec<&str> =
            fields.into_iter().flatten().filter(is_category).flat_map(|field| strings(&field["equals"])).collect();
        !categories.is_empty() && categories.iter().all(|category| OTHER_CATEGORIES.contains(category))
    };
    !selectors.is_empty() && selectors.iter().all(is_other)
}

/// Whether the request names event selectors, readable or not.
fn has_selectors(event: &Event<'_>) -> bool {
    ["eventSelectors", "advancedEventSelectors"].iter().any(|parameter| value(event, parameter) != Read::Absent)
}

/// What event selectors leave out of management events. Several selectors add up.
fn selector_losses(event: &Event<'_>) -> Vec<Loss> {
    let advanced = value(event, "advancedEventSelectors");
    let basic = value(event, "eventSelectors");
    // A request has the one kind or the other; an empty list of one beside the other says nothing.
    let is_empty = |read: &Read<&Value>| matches!(read, Read::Known(Value::Array(selectors)) if selectors.is_empty());
    let advanced = if is_empty(&advanced) && basic != Read::Absent { Read::Absent } else { advanced };
    let seen: Vec<Management<'_>> = match (advanced, basic) {
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
        if as_flag(&selector["includeManagementEvents"]) == Some(false) {
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
                Some("eventSource") => {
                    let excluded = strings(&field["notEquals"]);
                    if excluded.is_empty() || !has_only(field, "notEquals") {
                        management.left_out.push("most services");
                    }
                    management.left_out.extend(excluded);
                }
                // Some events, sessions … only: whatever else happens is left out.
                other => management.left_out.push(match other {
                    Some("eventName") => "some event names",
                    _ => "some events",
                }),
            }
        }
        Some(management)
    }
}

/// Whether a field's condition is made of this operator alone. All of a field's operators must hold.
fn has_only(field: &Value, operator: &str) -> bool {
    let says = |value: &Value| match value {
        Value::Null => false,
        Value::Array(values) => !values.is_empty(),
        _ => true,
    };
    let mut operators = field.as_object().into_iter().flatten().filter(|(name, value)| *name != "field" && says(value));
    operators.next().is_some_and(|(name, _)| name == operator) && operators.next().is_none()
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

/// The deed of a call about a service's place in the organization, where the service is CloudTrail.
fn of_cloudtrail_in_organization(event: &Event<'_>, deed: impl Fn(&str) -> Deed) -> Option<Deed> {
    match text(event, "servicePrincipal") {
        Read::Known(service) if service.starts_with("cloudtrail.") => Some(deed("CloudTrail")),
        Read::Known(_) => None,
        Read::Absent | Read::Unreadable => Some(deed("a service").unreadable()),
    }
}

fn service_access_removed(service: &str) -> Deed {
    Deed::new("took", "take", format!("from {service} its access to the organization")).severity(Severity::High)
}

fn administrator_removed(event: &Event<'_>, service: &str) -> Deed {
    let admin = named(event, "account", &["delegatedAdminAccountId", "accountId"]);
    let object = format!("{admin} as the organization's administrator of {service}");
    Deed::new("removed", "remove", object).severity(Severity::High)
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

    fn store(parameter: &str, value: Value) -> EventBuilder {
        let mut request = json!({"eventDataStore": "e-1"});
        request[parameter] = value;
        call("UpdateEventDataStore", request)
    }

    /// Advanced selectors, one for each event category.
    fn categories(categories: &[&str]) -> Value {
        let selector = |category: &&str| json!({"fieldSelectors": [{"field": "eventCategory", "equals": [category]}]});
        categories.iter().map(selector).collect()
    }

    fn store_of(names: &[&str]) -> EventBuilder {
        store("advancedEventSelectors", categories(names))
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
        let administrator = |service: &str| {
            let request = json!({"accountId": "444455556666", "servicePrincipal": service});
            event("DeregisterDelegatedAdministrator").source("organizations").request(request)
        };
        let key = |account: &str| json!(format!("arn:aws:kms:us-east-1:{account}:key/k-1"));
        let both = |basic: Value, advanced: Value| {
            call("PutEventSelectors", json!({"eventSelectors": basic, "advancedEventSelectors": advanced}))
        };
        let management = json!([{"fieldSelectors": [{"field": "eventCategory", "equals": ["Management"]}]}]);
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
                administrator("cloudtrail.amazonaws.com"),
                event("DeregisterDelegatedAdministrator").source("organizations"),
                store("kmsKeyId", key("444455556666")),
                store_of(&["ConfigurationItem", "Data"]),
                store("advancedEventSelectors", json!([])),
                call("PutEventSelectors", json!({"advancedEventSelectors": categories(&["Insight"])})),
                both(json!([]), json!([])),
                both(json!([{"readWriteType": "ReadOnly"}]), json!([])),
                both(json!([]), data_only),
                select(json!([{"includeManagementEvents": "false"}])),
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
                select(json!([everything.clone()])),
                select(json!([{"readWriteType": "ReadOnly"}, {"readWriteType": "WriteOnly"}])),
                select_advanced(&[&[]]),
                select_advanced(&[std::slice::from_ref(&read_only), std::slice::from_ref(&write_only)]),
                call("PutInsightSelectors", json!({"insightSelectors": [{"insightType": "ApiCallRateInsight"}]})),
                call("UpdateEventDataStore", json!({"eventDataStore": "e-1", "retentionPeriod": 365})),
                organization("config.amazonaws.com"),
                administrator("config.amazonaws.com"),
                administrator("cloudtrail.amazonaws.com").source("example"),
                store("kmsKeyId", key("111122223333")),
                store_of(&["ConfigurationItem"]),
                store_of(&["Insight"]),
                store_of(&["Evidence", "ActivityAuditLog"]),
                both(json!([everything]), json!([])),
                both(json!([]), management),
                select(json!([{"includeManagementEvents": "true"}])),
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
    fn a_second_operator_beside_the_services_left_out_narrows_the_selector() {
        let finding = |mut field: Value| {
            field["field"] = json!("eventSource");
            let selected = select_advanced(&[&[field]]).to_event();
            let findings = Registry::default().findings(&selected);
            findings.into_iter().next().map(|finding| (finding.severity, finding.summary))
        };
        let kms = json!({"notEquals": ["kms.amazonaws.com"], "equals": [], "startsWith": null});
        assert_eq!(finding(kms).map(|(severity, _)| severity), Some(Severity::Medium));
        for (operator, values) in [
            ("notStartsWith", json!(["iam", "sts"])),
            ("notEndsWith", json!(["aws.com"])),
            ("equals", json!(["s3.amazonaws.com"])),
            ("startsWith", json!("s3")),
        ] {
            let (severity, summary) =
                finding(json!({"notEquals": ["kms.amazonaws.com"], operator: values})).expect("a finding");
            assert_eq!(severity, Severity::Critical, "{operator}");
            assert!(summary.ends_with("it leaves out most services, kms.amazonaws.com."), "{summary}");
        }
    }

    #[test]
    fn an_administrator_of_cloudtrail_is_removed_by_either_service() {
        let of_cloudtrail =
            call("DeregisterOrganizationDelegatedAdmin", json!({"delegatedAdminAccountId": "444455556666"}));
        let request = json!({"accountId": "444455556666", "servicePrincipal": "cloudtrail.amazonaws.com"});
        let of_organizations = event("DeregisterDelegatedAdministrator").source("organizations").request(request);
        for call in [of_cloudtrail, of_organizations] {
            let finding = &Registry::default().findings(&call.to_event())[0];
            assert_eq!(finding.severity, Severity::High);
            assert_eq!(
                finding.summary,
                "alice removed the account 444455556666 as the organization's administrator of CloudTrail."
            );
        }
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
