//! `mfa-device-removed`

use event::Event;

use crate::actor::is_root;
use crate::config::Settings;
use crate::request::{first_text, named};
use crate::text::{clip, last_part};
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "mfa-device-removed",
    title: "MFA Device Removed",
    severity: Severity::Critical,
    attempted_severity: Some(Severity::Medium),
    techniques: &["T1556.006"],
    triggers: Triggers::Calls(&[
        Calls { service: "iam", names: &["DeactivateMFADevice", "DeleteVirtualMFADevice"] },
        Calls { service: "sso-directory", names: IDENTITY_CENTER },
        Calls { service: "identitystore", names: IDENTITY_CENTER },
        Calls { service: "sso", names: IDENTITY_CENTER },
    ]),
    action_required: "Ask the device's owner; if they did not ask for it, lock the account until MFA is back.",
    docs: Docs {
        summary: "Finds an MFA device of an IAM user, the root user or an Identity Center user that is deactivated or \
                  deleted, and changes to Identity Center's MFA settings (high: the record does not show which).",
        why: "Without the second factor a password alone opens the account. Intruders remove the device of their victim, \
              then register one of their own.",
        false_positives: "A new telephone: the old device goes and a new one comes within minutes. Setting up a virtual \
                          device and giving up halfway deletes a device that nobody had used.",
        what_to_do: "Ask the owner. If they know nothing: disable the password and keys, end the sessions, have a new \
                     device registered, and follow the caller's trail.",
        references: &[
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeactivateMFADevice.html",
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteVirtualMFADevice.html",
            "https://docs.aws.amazon.com/singlesignon/latest/userguide/manage-mfa.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

/// Calls about Identity Center's devices and settings. Seen from each of its services.
const IDENTITY_CENTER: &[&str] = &["DeleteMfaDeviceForUser", "PutMfaDeviceManagementForDirectory"];

fn check(event: &Event<'_>, _: &Settings) -> Option<Deed> {
    if event.name() == "PutMfaDeviceManagementForDirectory" {
        let deed = Deed::new("changed", "change", "the MFA settings of Identity Center");
        return Some(deed.title("Identity Center MFA Settings Changed").severity(Severity::High));
    }
    let (done, infinitive) = match event.name() {
        "DeactivateMFADevice" => ("deactivated", "deactivate"),
        _ => ("deleted", "delete"),
    };
    let device = named(event, "MFA device", &["serialNumber", "deviceId", "mfaDeviceId"]);
    let object = match first_text(event, &["userName", "userId"]) {
        Some(user) => format!("{device} of the user {}", clip(user)),
        None if is_root(event) => format!("{device} of the root user"),
        // The serial number of a virtual device ends in its owner's name more often than not; that is for people to read.
        None => device,
    };
    let deed = Deed::new(done, infinitive, object);
    let root_device =
        first_text(event, &["serialNumber"]).is_some_and(|serial| last_part(serial) == "root-account-mfa-device");
    Some(if root_device { deed.note("By its name it is the root user's device") } else { deed })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::event;

    use crate::registry::tests::Examples;
    use crate::{Registry, Severity};

    fn deactivate() -> testkit::EventBuilder {
        event("DeactivateMFADevice")
            .request(json!({"userName": "bob", "serialNumber": "arn:aws:iam::111122223333:mfa/bob"}))
    }

    pub(super) fn examples() -> Examples {
        let virtual_device = json!({"serialNumber": "arn:aws:iam::111122223333:mfa/root-account-mfa-device"});
        let center = json!({"userId": "94482488-3041-7076", "deviceId": "11111111-2222"});
        Examples {
            fires: vec![
                deactivate(),
                event("DeleteVirtualMFADevice").root().request(virtual_device),
                event("DeleteVirtualMFADevice"),
                event("DeleteMfaDeviceForUser").source("sso-directory").request(center.clone()),
                event("DeleteMfaDeviceForUser").source("identitystore").request(center),
                event("PutMfaDeviceManagementForDirectory").source("identitystore"),
                event("PutMfaDeviceManagementForDirectory").source("sso").request(json!({"directoryId": "d-1"})),
            ],
            attempts: vec![deactivate().error("AccessDenied"), event("DeleteVirtualMFADevice").error("DeleteConflict")],
            quiet: vec![
                event("EnableMFADevice"),
                event("ResyncMFADevice"),
                event("ListMfaDevicesForUser").source("sso-directory"),
                event("ListMfaDevicesForUser").source("identitystore"),
                deactivate().source("example"),
            ],
        }
    }

    #[test]
    fn changed_settings_have_a_title_and_severity_of_their_own() {
        let settings = event("PutMfaDeviceManagementForDirectory").source("sso").to_event();
        let finding = &Registry::default().findings(&settings)[0];
        assert_eq!(
            (finding.title.as_str(), finding.severity),
            ("Identity Center MFA Settings Changed", Severity::High)
        );
        let finding = &Registry::default().findings(&deactivate().to_event())[0];
        assert_eq!(
            finding.summary,
            "alice deactivated the MFA device arn:aws:iam::111122223333:mfa/bob of the user bob."
        );
    }
}
