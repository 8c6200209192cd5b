//! `security-hub`: findings in the AWS Security Finding Format. Importing them is a port.
//!
//! <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format-syntax.html>, with the sizes that
//! page gives. `BatchImportFindings` updates a finding of the same `Id`, so a repetition is none.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use detect::Severity;
use pipeline::alert::Alert;
use pipeline::escape::single_line;
use pipeline::notify::{Notifier, Parcel, Verdict};
use pipeline::service::CallError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::build::{BuildError, Tools};
use crate::kinds::Kind;

/// The most findings that one call takes.
const BATCH: usize = 100;

/// The keys of `kind = "security-hub"`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityHubConfig {}

/// The port to AWS Security Hub.
pub trait ImportFindings: Send + Sync {
    /// The account and the region whose Security Hub takes the findings. With the default product, findings are of the
    /// account that imports them.
    fn home(&self) -> (String, String);

    /// Imports at most 100 findings, and says how it went: within the limit, whatever the service does.
    fn import(&self, findings: &[Value], limit: Duration) -> Verdict;
}

/// Finds out which Security Hub takes the findings. AWS is asked for that, and may not answer.
pub type FindImporter = dyn Fn() -> Result<Arc<dyn ImportFindings>, CallError> + Send + Sync;

impl Kind for SecurityHubConfig {
    const FOR_PEOPLE: bool = false;

    fn build(&self, tools: &mut Tools<'_>) -> Result<Box<dyn Notifier>, BuildError> {
        match &tools.means.importer {
            Some(find) => {
                let importer = find().map_err(|error| tools.away(&error.to_string(), &error))?;
                Ok(Box::new(SecurityHub { importer, limit: tools.limit }))
            }
            None => Err(tools.wrong("AWS Security Hub cannot be reached from here")),
        }
    }
}

struct SecurityHub {
    importer: Arc<dyn ImportFindings>,
    /// For all the batches of a parcel together.
    limit: Duration,
}

impl SecurityHub {
    fn findings(&self, parcel: &Parcel) -> Vec<Value> {
        let (account, region) = self.importer.home();
        parcel.alerts().map(|alert| asff(alert, Some((&account, &region)))).collect()
    }
}

impl Notifier for SecurityHub {
    fn send(&self, parcel: &Parcel) -> Verdict {
        let findings = self.findings(parcel);
        let start = Instant::now();
        let left = || self.limit.saturating_sub(start.elapsed());
        let verdicts = findings.chunks(BATCH).map(|batch| self.importer.import(batch, left()));
        // The rest of the batches waits for the one that failed: importing the first ones again does no harm.
        verdicts.into_iter().find(|verdict| *verdict != Verdict::Delivered).unwrap_or(Verdict::Delivered)
    }

    fn preview(&self, parcel: &Parcel) -> String {
        serde_json::to_string_pretty(&self.findings(parcel)).unwrap_or_default()
    }
}

/// The finding of an alert, for the Security Hub of an account and a region; without those, of the alert's own.
#[must_use]
pub fn asff(alert: &Alert, home: Option<(&str, &str)>) -> Value {
    let text = |text: &str, max: usize| single_line(text, max).into_owned();
    let own_account = alert.account.as_deref().filter(|account| is_account(account)).unwrap_or("000000000000");
    let own_region = alert.region.as_deref().filter(|region| is_region(region)).unwrap_or("us-east-1");
    let (account, region) = home.unwrap_or((own_account, own_region));
    let partition = partition(region);
    let label = match alert.severity {
        Severity::Critical => "CRITICAL",
        Severity::High => "HIGH",
        Severity::Medium => "MEDIUM",
        Severity::Low => "LOW",
        Severity::Informational => "INFORMATIONAL",
    };
    let mut finding = json!({
        "SchemaVersion": "2018-10-08",
        "Id": format!("trailhound/{}", alert.id),
        "ProductArn": format!("arn:{partition}:securityhub:{region}:{account}:product/{account}/default"),
        "ProductName": "Trailhound",
        "GeneratorId": or_dash(&format!("trailhound/{}", text(&alert.detection, 400))),
        "AwsAccountId": account,
        "Types": ["Unusual Behaviors/User"],
        "FirstObservedAt": alert.event_time.to_string(),
        "LastObservedAt": alert.event_time.to_string(),
        "CreatedAt": alert.first_seen.to_string(),
        "UpdatedAt": alert.first_seen.to_string(),
        "Severity": {"Label": label, "Original": alert.severity.as_str()},
        "Title": or_dash(&text(&alert.title, 256)),
        "Description": or_dash(&text(&alert.summary, 1024)),
        "Remediation": {"Recommendation": {"Text": or_dash(&text(&alert.action_required, 512))}},
        "ProductFields": product_fields(alert),
        "Resources": [resource(alert, account, partition)],
        "Action": action(alert),
        "Workflow": {"Status": "NEW"},
        "RecordState": "ACTIVE",
    });
    if let (Some(resources), Some(region)) = (finding["Resources"].as_array_mut(), &alert.region) {
        resources[0]["Region"] = json!(or_dash(&text(region, 64)));
    }
    finding
}

fn product_fields(alert: &Alert) -> Map<String, Value> {
    let techniques = Some(alert.techniques.join(","));
    let fields = [
        ("trailhound/event_id", Some(&alert.event_id)),
        ("trailhound/event_name", alert.event_name.as_ref()),
        ("trailhound/event_source", alert.event_source.as_ref()),
        ("trailhound/account", alert.account.as_ref()),
        ("trailhound/user", alert.user.as_ref()),
        ("trailhound/session", alert.session.as_ref()),
        ("trailhound/principal", alert.actor_arn.as_ref()),
        ("trailhound/source_ip", alert.source_ip.as_ref()),
        ("trailhound/user_agent", alert.user_agent.as_ref()),
        ("trailhound/techniques", techniques.as_ref()),
    ];
    let said = fields.into_iter().filter_map(|(name, text)| Some((name, single_line(text?, 1024).into_owned())));
    said.filter(|(_, text)| !text.trim().is_empty()).map(|(name, text)| (name.to_owned(), json!(text))).collect()
}

/// The principal, or the account where it has no ARN.
fn resource(alert: &Alert, account: &str, partition: &str) -> Value {
    let arn = [&alert.role_arn, &alert.actor_arn].into_iter().flatten().find(|arn| arn.starts_with("arn:"));
    let (kind, id) = match arn {
        Some(arn) if arn.contains(":role/") => ("AwsIamRole", arn.clone()),
        Some(arn) if arn.contains(":user/") => ("AwsIamUser", arn.clone()),
        Some(arn) if !arn.ends_with(":root") => ("Other", arn.clone()),
        _ => {
            let account = alert.account.as_deref().filter(|account| is_account(account)).unwrap_or(account);
            ("AwsAccount", format!("AWS::::Account:{account}"))
        }
    };
    json!({"Type": kind, "Id": or_dash(&single_line(&id, 512)), "Partition": partition})
}

fn action(alert: &Alert) -> Value {
    let or_unknown = |text: &Option<String>| or_dash(&single_line(text.as_deref().unwrap_or_default(), 255)).to_owned();
    let mut call = json!({"Api": or_unknown(&alert.event_name), "ServiceName": or_unknown(&alert.event_source)});
    match alert.source_ip.as_deref() {
        Some(address) if address.parse::<Ipv4Addr>().is_ok() => {
            call["CallerType"] = json!("remoteIp");
            call["RemoteIpDetails"] = json!({"IpAddressV4": address});
        }
        // An IPv6 address has no place here; it stands among the product's fields.
        Some(address) if address.contains(':') || address.trim().is_empty() => {}
        Some(service) => {
            call["CallerType"] = json!("domain");
            call["DomainDetails"] = json!({"Domain": single_line(service, 128)});
        }
        None => {}
    }
    json!({"ActionType": "AWS_API_CALL", "AwsApiCallAction": call})
}

/// Texts must say something.
fn or_dash(text: &str) -> &str {
    if text.trim().is_empty() { "-" } else { text }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_region(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn partition(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "aws-cn",
        Some("us") if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
