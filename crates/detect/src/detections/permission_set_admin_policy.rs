//! `permission-set-admin-policy`

use event::Event;

use crate::config::Settings;
use crate::document::{admin_grants, document};
use crate::request::{Read, named, text};
use crate::text::{clip, last_part};
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "permission-set-admin-policy",
    title: "Admin Policy Attached To Permission Set",
    severity: Severity::Critical,
    attempted_severity: Some(Severity::Medium),
    techniques: &["T1098.003"],
    triggers: Triggers::Calls(&[Calls {
        service: "sso",
        names: &[
            "AttachManagedPolicyToPermissionSet",
            "AttachCustomerManagedPolicyReferenceToPermissionSet",
            "PutInlinePolicyToPermissionSet",
            "PutPermissionsPolicy",
        ],
    }]),
    action_required: "Verify that everybody with this permission set is meant to be an administrator.",
    docs: Docs {
        summary: "Finds a permission set of Identity Center that is given administrator rights: by a policy of the list \
                  (AdministratorAccess and its like, `detect.admin_policies`), by a customer-managed policy of such a \
                  name, or by an inline policy that grants every action, all of IAM or all of STS, or as good as that.",
        why: "It makes administrators of all who are assigned to the permission set, in all its accounts, at once.",
        false_positives: "Setting up the organization's administrators. The content of a customer-managed policy is not \
                          in the event, only its name. A permissions boundary gives no rights; where one is removed or \
                          emptied, `permissions-boundary-removed` says so.",
        what_to_do: "Ask the caller. If it was not meant: detach the policy, provision the permission set again, and \
                     look at the sessions of its roles (`AWSReservedSSO_…`) in all accounts.",
        references: &[
            "https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_AttachManagedPolicyToPermissionSet.html",
            "https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_PutInlinePolicyToPermissionSet.html",
            "https://docs.aws.amazon.com/singlesignon/latest/userguide/permissionsetcustom.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, settings: &Settings) -> Option<Deed> {
    let attached = |policy: &str| {
        let set = named(event, "permission set", &["permissionSetArn", "permissionSetId"]);
        Deed::new("attached", "attach", format!("{policy} to {set}"))
    };
    let name_of_policy = match event.name() {
        "AttachManagedPolicyToPermissionSet" => text(event, "managedPolicyArn"),
        "AttachCustomerManagedPolicyReferenceToPermissionSet" => text(event, "customerManagedPolicyReference.name"),
        // The last one is how the console attached inline policies before there was a public API.
        _ => {
            return match document(event, &["inlinePolicy", "permissionsPolicy", "policy"]) {
                Read::Known(policy) => {
                    Some(attached(&format!("an inline policy that grants {}", admin_grants(&policy)?)))
                }
                Read::Absent | Read::Unreadable => Some(attached("an inline policy").unreadable()),
            };
        }
    };
    match name_of_policy {
        Read::Known(policy) if settings.is_admin_policy(policy) => Some(attached(&clip(last_part(policy)))),
        Read::Known(_) => None,
        Read::Absent | Read::Unreadable => Some(attached("a policy").unreadable()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use testkit::{EventBuilder, event};

    use crate::Registry;
    use crate::registry::tests::Examples;

    fn call(name: &str, parameter: &str, value: Value) -> EventBuilder {
        let mut request = json!({"permissionSetArn": "arn:aws:sso:::permissionSet/ssoins-1/ps-1"});
        request[parameter] = value;
        event(name).source("sso").request(request)
    }

    fn managed(policy: &str) -> EventBuilder {
        let arn = json!(format!("arn:aws:iam::aws:policy/{policy}"));
        call("AttachManagedPolicyToPermissionSet", "managedPolicyArn", arn)
    }

    fn customer(name: &str) -> EventBuilder {
        let reference = json!({"name": name, "path": "/"});
        call("AttachCustomerManagedPolicyReferenceToPermissionSet", "customerManagedPolicyReference", reference)
    }

    fn inline(document: &str) -> EventBuilder {
        call("PutInlinePolicyToPermissionSet", "inlinePolicy", json!(document))
    }

    fn allow(action: &str) -> String {
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": "*"}})
            .to_string()
    }

    pub(super) fn examples() -> Examples {
        Examples {
            fires: vec![
                managed("AdministratorAccess"),
                managed("AWSSSOMasterAccountAdministrator"),
                customer("PowerUserAccess"),
                inline(&allow("iam:*")),
                inline("HIDDEN_DUE_TO_SECURITY_REASONS"),
                inline("not a document"),
                event("AttachManagedPolicyToPermissionSet").source("sso"),
                event("PutPermissionsPolicy").source("sso").request(json!({"permissionSetId": "ps-1"})),
            ],
            attempts: vec![
                managed("AdministratorAccess").error("ConflictException"),
                inline(&allow("*")).error("AccessDenied"),
            ],
            quiet: vec![
                managed("ReadOnlyAccess"),
                customer("TeamPolicy"),
                inline(&allow("s3:*")),
                managed("AdministratorAccess").source("iam"),
                call(
                    "DetachManagedPolicyFromPermissionSet",
                    "managedPolicyArn",
                    json!("arn:aws:iam::aws:policy/AdministratorAccess"),
                ),
            ],
        }
    }

    #[test]
    fn the_sentence_tells_what_the_inline_policy_grants() {
        let summary = &Registry::default().findings(&inline(&allow("*")).to_event())[0].summary;
        assert_eq!(
            summary,
            "alice attached an inline policy that grants * to the permission set arn:aws:sso:::permissionSet/ssoins-1/ps-1."
        );
    }
}
