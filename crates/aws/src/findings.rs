//! AWS Security Hub: BatchImportFindings behind the port of notifying.

use std::time::Duration;

use notify::ImportFindings;
use pipeline::escape::single_line;
use pipeline::notify::Verdict;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::Account;
use crate::error::verdict;
use crate::signed::{Operation, Signed};

/// <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchImportFindings.html>
const IMPORT: Operation<'_> = Operation {
    permission: "securityhub:BatchImportFindings",
    service: "SecurityHub",
    host: "securityhub",
    path: "/findings/import",
    ..Operation::POST
};

/// The most refused findings that are named.
const NAMED_MAX: usize = 3;
/// The most characters that are repeated of what is said of one.
const SAID_MAX: usize = 160;

/// The Security Hub of an account in a region.
#[derive(Debug)]
pub struct SecurityHub {
    account: String,
    region: String,
    signed: Signed,
}

/// What the service has taken and what it has not.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Imported {
    failed_count: u64,
    failed_findings: Vec<Failed>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Failed {
    id: String,
    error_code: String,
    error_message: String,
}

impl Account {
    /// The account's Security Hub in this region, or in the one that the environment or the profile say.
    #[must_use]
    pub fn security_hub(&self, region: Option<&str>) -> SecurityHub {
        let configured = || self.config.region().map_or(self.partition.global_region(), |region| region.as_ref());
        let region = region.unwrap_or_else(configured).to_owned();
        SecurityHub { account: self.id.clone(), region, signed: Signed::new(&self.edge, &self.config) }
    }
}

impl ImportFindings for SecurityHub {
    fn home(&self) -> (String, String) {
        (self.account.clone(), self.region.clone())
    }

    fn import(&self, findings: &[Value], limit: Duration) -> Verdict {
        let body = json!({ "Findings": findings });
        match self.signed.call::<Imported>(&IMPORT, &self.region, &body, limit) {
            Ok(imported) => judge(&imported, findings.len()),
            Err(error) => verdict(Err(error)),
        }
    }
}

/// What was not taken is a failure of all of them: the others are merely updated when they are sent once more.
fn judge(imported: &Imported, sent: usize) -> Verdict {
    if imported.failed_count == 0 && imported.failed_findings.is_empty() {
        return Verdict::Delivered;
    }
    let said = imported.failed_findings.iter().take(NAMED_MAX).map(|failed| {
        let Failed { id, error_code, error_message } = failed;
        single_line(&format!("{id}: {error_code}: {error_message}"), SAID_MAX).into_owned()
    });
    let said: Vec<String> = said.collect();
    let count = imported.failed_count.max(imported.failed_findings.len() as u64);
    let reason = format!("Security Hub did not take {count} of {sent} findings: {}", said.join("; "));
    let is_passing = |failed: &Failed| {
        ["Internal", "Limit", "Throttl"].iter().any(|beginning| failed.error_code.starts_with(beginning))
    };
    if imported.failed_findings.iter().any(is_passing) { Verdict::retry(reason) } else { Verdict::refused(reason) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(json: &str) -> Verdict {
        judge(&serde_json::from_str(json).unwrap(), 7)
    }

    #[test]
    fn what_was_not_taken_is_told() {
        assert_eq!(judged(r#"{"FailedCount": 0, "SuccessCount": 7, "FailedFindings": []}"#), Verdict::Delivered);
        let failed = |code: &str| {
            judged(&format!(
                r#"{{"FailedCount": 1, "SuccessCount": 6,
                    "FailedFindings": [{{"Id": "trailhound/a", "ErrorCode": "{code}", "ErrorMessage": "no\nmatch"}}]}}"#
            ))
        };
        assert_eq!(
            failed("InvalidInput"),
            Verdict::refused(r"Security Hub did not take 1 of 7 findings: trailhound/a: InvalidInput: no\nmatch")
        );
        assert!(matches!(failed("InternalException"), Verdict::Retry { .. }));
        assert!(matches!(judged(r#"{"FailedCount": 2}"#), Verdict::Refused { .. }));
    }
}
