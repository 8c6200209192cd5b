//! `password-policy-weakened`

use event::Event;

use crate::config::Settings;
use crate::request::{flag, number, readable};
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "password-policy-weakened",
    title: "Password Policy Weakened",
    severity: Severity::Medium,
    attempted_severity: Some(Severity::Low),
    techniques: &["T1556"],
    triggers: Triggers::Calls(&[Calls {
        service: "iam",
        names: &["UpdateAccountPasswordPolicy", "DeleteAccountPasswordPolicy"],
    }]),
    action_required: "Put the password policy back to at least 14 characters and 24 remembered passwords.",
    docs: Docs {
        summary: "Finds an account password policy that is deleted, or set below what the CIS benchmark asks for: at \
                  least 14 characters, the last 24 passwords not used again. Or to ask for none of symbols, numbers, \
                  upper and lower case. What a call leaves out falls back to AWS's default (6 characters, of any kind, \
                  nothing remembered), and is judged as that.",
        why: "Weak passwords of IAM users can be guessed or are found in lists of leaked ones.",
        false_positives: "A policy that is made stronger but stays below these minimums: one event does not show what \
                          stood before. Long passphrases without rules about characters. Accounts without IAM users with passwords lose nothing.",
        what_to_do: "Ask the caller, and set the policy again. Best have no console passwords in IAM at all, but people \
                     in Identity Center.",
        references: &[
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccountPasswordPolicy.html",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_passwords_account-policy.html",
            "https://docs.aws.amazon.com/securityhub/latest/userguide/iam-controls.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

/// CIS AWS Foundations Benchmark 1.8 (Security Hub IAM.15).
const MINIMUM_LENGTH: i64 = 14;
/// CIS AWS Foundations Benchmark 1.9 (Security Hub IAM.16).
const MINIMUM_REMEMBERED: i64 = 24;
/// What AWS takes where `MinimumPasswordLength` is left out.
const DEFAULT_LENGTH: i64 = 6;

/// What a policy can ask of a password's characters; what is left out is not asked for.
const CHARACTERS: [&str; 4] =
    ["requireSymbols", "requireNumbers", "requireUppercaseCharacters", "requireLowercaseCharacters"];

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    if event.name() == "DeleteAccountPasswordPolicy" {
        return Some(Deed::new("deleted", "delete", "the account's password policy"));
    }
    let deed = Deed::new("set", "set", "the account's password policy");
    if !readable(event) {
        return Some(deed.unreadable());
    }
    let length = number(event, "minimumPasswordLength").unwrap_or(DEFAULT_LENGTH);
    let remembered = number(event, "passwordReusePrevention").unwrap_or(0);
    let of_any_kind = CHARACTERS.iter().all(|parameter| flag(event, parameter) != Some(true));
    if length >= MINIMUM_LENGTH && remembered >= MINIMUM_REMEMBERED && !of_any_kind {
        return None;
    }
    let deed = deed.note(format!(
        "It asks for {length} characters (at least {MINIMUM_LENGTH} are wanted) and remembers {remembered} passwords \
         ({MINIMUM_REMEMBERED} are wanted)"
    ));
    Some(if of_any_kind { deed.note("It demands none of symbols, numbers, upper and lower case") } else { deed })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use testkit::{EventBuilder, event};

    use crate::registry::tests::Examples;

    fn update(length: impl Into<Value>, remembered: impl Into<Value>) -> EventBuilder {
        let (length, remembered) = (length.into(), remembered.into());
        event("UpdateAccountPasswordPolicy").request(json!({
            "minimumPasswordLength": length,
            "passwordReusePrevention": remembered,
            "requireSymbols": true,
        }))
    }

    fn simple(required: impl Into<Value>) -> EventBuilder {
        event("UpdateAccountPasswordPolicy").request(json!({
            "minimumPasswordLength": 20,
            "passwordReusePrevention": 24,
            "requireSymbols": false,
            "requireNumbers": required.into(),
            "requireUppercaseCharacters": false,
            "requireLowercaseCharacters": false,
        }))
    }

    pub(super) fn examples() -> Examples {
        Examples {
            fires: vec![
                update(13, 24),
                update(14, 23),
                update("8", "24"),
                simple(false),
                simple("false"),
                event("UpdateAccountPasswordPolicy")
                    .request(json!({"minimumPasswordLength": 20, "passwordReusePrevention": 24})),
                event("UpdateAccountPasswordPolicy").request(json!({"passwordReusePrevention": 24})),
                event("UpdateAccountPasswordPolicy").request(json!({"omitted": true})),
                event("DeleteAccountPasswordPolicy"),
            ],
            attempts: vec![
                update(6, 1).error("AccessDenied"),
                event("DeleteAccountPasswordPolicy").error("NoSuchEntity"),
            ],
            quiet: vec![
                update(14, 24),
                update("20", "24"),
                simple(true),
                simple("true"),
                event("GetAccountPasswordPolicy"),
            ],
        }
    }
}
