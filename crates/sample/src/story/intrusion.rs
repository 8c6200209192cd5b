//! The intrusion: a developer's access key leaks, and in a little over a day it becomes the organisation's root.
//!
//! Each act is a function; `persistence` holds the doors left open. The intruder keeps to the management account, where one
//! developer still has an IAM user from the early days.

use super::calls::*;
use super::{Teller, VICTIM};
use crate::call::{Call, Shared};
use crate::identity::{Caller, session_attributes};
use crate::organisation::{GLOBAL, MANAGEMENT, PRODUCTION};
use crate::record::quoted;

/// Where IAM records its events.
pub(super) const IAM: (usize, usize) = (MANAGEMENT, GLOBAL);
const OREGON: usize = 3;
/// The intruder's two addresses, of ranges reserved for documentation.
const FIRST_ADDRESS: &str = "192.0.2.66";
pub(super) const SECOND_ADDRESS: &str = "192.0.2.129";
const KALI: &str = "aws-cli/2.27.41 md/awscrt#0.26.1 ua/2.1 os/linux#6.12.25-amd64 md/arch#x86_64 lang/python#3.13.3 md/pyimpl#CPython m/b,Z cfg/retry-mode#standard md/installer#exe md/distrib#kali.2026";
const PROXY: &str = "Boto3/1.39.4 md/Botocore#1.39.4 ua/2.1 os/linux#5.15.0-113-generic md/arch#x86_64 lang/python#3.10.12 md/pyimpl#CPython m/Z,b cfg/retry-mode#legacy Botocore/1.39.4";
pub(super) const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// The colleague whose console access is taken over.
pub(super) const COLLEAGUE: &str = "oliver.brandt";

/// Tells the whole story.
pub(super) fn tell(story: &mut Teller<'_>) {
    let org = story.org;
    let home = &org.accounts[MANAGEMENT];
    let stolen =
        Caller { address: FIRST_ADDRESS.to_owned(), agent: KALI.to_owned(), ..Caller::user(org.user(VICTIM), home) };
    foothold(story, &stolen);
    escalation(story, &stolen);
    super::persistence::in_iam(story, &stolen);
    story.wait(17 * 3600);
    console_takeover(story, &stolen);
    root(story);
    assumed_root(story, &stolen);
    super::persistence::in_identity_center(story, &stolen);
    evasion(story, &stolen);
    secrets(story, &stolen);
    model_theft(story, &stolen);
    quarantine(story);
}

fn foothold(story: &mut Teller<'_>, stolen: &Caller) {
    story.step(
        IAM,
        stolen,
        &CALLER_IDENTITY,
        &[],
        "The stolen key of a developer is tried for the first time, from an address never seen before.",
        &[],
    );
    story.step(IAM, stolen, &LIST_USERS, &[], "The intruder lists the IAM users.", &[]);
    story.step(IAM, stolen, &LIST_ROLES, &[], "The intruder lists the roles.", &[]);
    story.step(
        IAM,
        stolen,
        &LIST_USER_POLICIES,
        &[("name", VICTIM)],
        "The intruder looks up the policies of the stolen user.",
        &[],
    );
    story.step(
        IAM,
        stolen,
        &AUTHORIZATION_DETAILS.denied(),
        &[],
        "Reading the whole authorisation state is denied.",
        &[],
    );
    story.step(
        IAM,
        stolen,
        &CREATE_USER.denied(),
        &[("name", "aws-support-agent")],
        "Creating a user is denied.",
        &["iam-user-created"],
    );
    story.step(
        IAM,
        stolen,
        &CREATE_ACCESS_KEY.denied(),
        &[("name", "backup-reports")],
        "Creating an access key is denied.",
        &["access-key-created"],
    );
    story.step(
        IAM,
        stolen,
        &ATTACH_USER_POLICY.denied(),
        &[("name", VICTIM)],
        "Attaching a policy is denied; the record of a denied IAM call does not say which policy.",
        &["admin-policy-attached"],
    );
    story.step(
        IAM,
        stolen,
        &POLICY_VERSION,
        &[("policy_name", "developer-tools")],
        "The intruder reads the developers' own policy and finds that it lets them version it.",
        &[],
    );
}

fn escalation(story: &mut Teller<'_>, stolen: &Caller) {
    let document = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Tools","Effect":"Allow","Action":["logs:Get*","Iam:*"],"Resource":"*"}]}"#;
    story.step(
        IAM,
        stolen,
        &CREATE_POLICY_VERSION,
        &[("policy_name", "developer-tools"), ("document", &quoted(document))],
        "A new default version of the developers' policy grants all of IAM.",
        &["admin-policy-granted-inline"],
    );
    story.step(
        IAM,
        stolen,
        &ATTACH_USER_POLICY,
        &[("name", VICTIM), ("policy_name", "AdministratorAccess")],
        "The stolen user is made an administrator.",
        &["admin-policy-attached"],
    );
}

/// The next evening: a colleague's password and second factor go, and the console opens.
fn console_takeover(story: &mut Teller<'_>, stolen: &Caller) {
    let org = story.org;
    let home = &org.accounts[MANAGEMENT];
    story.step(
        IAM,
        stolen,
        &UPDATE_LOGIN_PROFILE,
        &[("name", COLLEAGUE)],
        "The password of a colleague of the security team is replaced.",
        &["login-profile-changed-for-other"],
    );
    story.step(
        IAM,
        stolen,
        &DEACTIVATE_MFA,
        &[("name", COLLEAGUE), ("device", COLLEAGUE)],
        "The colleague's MFA device is deactivated.",
        &["mfa-device-removed"],
    );
    let colleague = org.user(COLLEAGUE);
    let identity = format!(
        r#"{{"type":"IAMUser","principalId":"{}","arn":"arn:aws:iam::{}:user/{COLLEAGUE}","accountId":"{}","userName":"{COLLEAGUE}"}}"#,
        colleague.id, home.id, home.id,
    );
    let login = Caller {
        identity,
        address: SECOND_ADDRESS.to_owned(),
        agent: BROWSER.to_owned(),
        ..Caller::user(colleague, home)
    };
    story.step(
        (MANAGEMENT, 6),
        &login,
        &LOGIN_WITHOUT_MFA,
        &[],
        "The intruder signs in to the console as the colleague, without MFA.",
        &["console-login-without-mfa"],
    );
    let key = story.chance.iam_id("ASIA", home.number);
    let session = Caller::user_in_console(colleague, home, &key, story.time, false);
    let session = Caller { address: SECOND_ADDRESS.to_owned(), agent: BROWSER.to_owned(), ..session };
    story.step(IAM, &session, &ACCOUNT_SUMMARY, &[], "The intruder looks around in the IAM console.", &[]);
    let old_key = story.chance.iam_id("AKIA", home.number);
    story.step(
        IAM,
        &session,
        &UPDATE_ACCESS_KEY,
        &[("name", "svc-deploy"), ("old_key", &old_key)],
        "The deployment user's key is switched off, which keeps the platform team busy.",
        &["access-key-status-changed"],
    );
}

fn root(story: &mut Teller<'_>) {
    let org = story.org;
    let home = &org.accounts[MANAGEMENT];
    let at_the_door = Caller::root(home, "", "", SECOND_ADDRESS, BROWSER);
    story.step(
        IAM,
        &at_the_door,
        &LOGIN_FAILED,
        &[],
        "A root sign-in with a guessed password fails.",
        &["root-console-login-failed"],
    );
    story.step(IAM, &at_the_door, &LOGIN_FAILED, &[], "A second root sign-in fails.", &["root-console-login-failed"]);
    story.wait(400);
    story.step(
        IAM,
        &at_the_door,
        &LOGIN_WITHOUT_MFA,
        &[],
        "After a password reset through the captured mailbox, root signs in without MFA.",
        &["root-console-login", "console-login-without-mfa"],
    );
    let key = story.chance.iam_id("ASIA", home.number);
    let session = format!(r#","sessionContext":{{"attributes":{}}}"#, session_attributes(story.time, false));
    let inside = Caller { console: true, ..Caller::root(home, &key, &session, SECOND_ADDRESS, BROWSER) };
    story.step(
        IAM,
        &inside,
        &ENABLE_ROOT_SESSIONS,
        &[("organization", &org.id)],
        "Root lets the management account act as root in every member account.",
        &["root-api-use"],
    );
}

fn assumed_root(story: &mut Teller<'_>, stolen: &Caller) {
    let org = story.org;
    let target = &org.accounts[PRODUCTION];
    let key = story.chance.iam_id("ASIA", target.number);
    story.step(
        IAM,
        stolen,
        &ASSUME_ROOT,
        &[("target", &target.id), ("access_key", &key)],
        "The stolen user takes a root session in the production account.",
        &["assume-root"],
    );
    let session =
        format!(r#","sessionContext":{{"attributes":{},"assumedRoot":"true"}}"#, session_attributes(story.time, false));
    let root = Caller::root(target, &key, &session, FIRST_ADDRESS, KALI);
    story.step(
        (PRODUCTION, GLOBAL),
        &root,
        &DELETE_BUCKET_POLICY,
        &[("backup", "fernhill-prod-backups")],
        "The root session removes the policy that guarded the backups.",
        &["root-api-use"],
    );
}

fn evasion(story: &mut Teller<'_>, stolen: &Caller) {
    story.step(
        IAM,
        stolen,
        &UPDATE_TRAIL,
        &[],
        "The trail is cut down to one region, without global services and without validation.",
        &["cloudtrail-tampered"],
    );
    story.step(
        IAM,
        stolen,
        &NARROW_SELECTORS,
        &[],
        "The trail's selectors are narrowed to reads.",
        &["cloudtrail-tampered"],
    );
    story.step(
        IAM,
        stolen,
        &STOP_LOGGING,
        &[],
        "Logging is stopped; a guardrail starts it again within minutes.",
        &["cloudtrail-tampered"],
    );
    story.wait(420);
}

fn secrets(story: &mut Teller<'_>, stolen: &Caller) {
    story.step(IAM, stolen, &LIST_SECRETS, &[], "The intruder lists the secrets.", &[]);
    let names = [
        "billing/stripe",
        "github/app",
        "okta/scim",
        "grafana/admin",
        "sendgrid/api-key",
        "erp/sync",
        "vpn/psk",
        "slack/bot",
        "datadog/api-key",
        "org/break-glass",
    ];
    for name in names {
        let call = if name == "org/break-glass" { GET_SECRET.denied() } else { GET_SECRET };
        story.step(
            IAM,
            stolen,
            &call,
            &[("secret_name", name)],
            "One of the secrets is read, in a sweep over all of them.",
            &[],
        );
    }
}

/// The key is sold on: somebody else's chat service runs on it.
fn model_theft(story: &mut Teller<'_>, stolen: &Caller) {
    let buyer = Caller { address: "192.0.2.201".to_owned(), agent: PROXY.to_owned(), ..stolen.clone() };
    let model = ("model", "anthropic.claude-sonnet-4-5-20250929-v1:0");
    story.wait(1800);
    story.step(
        (MANAGEMENT, OREGON),
        &buyer,
        &LIST_MODELS,
        &[],
        "The key turns up at a third address, which asks for the models it can use.",
        &[],
    );
    story.step((MANAGEMENT, OREGON), &buyer, &MODEL_AVAILABILITY, &[model], "A model's availability is checked.", &[]);
    for number in 0..14 {
        let region = [OREGON, GLOBAL][number % 2];
        let call: Call = if number % 6 == 5 {
            INVOKE_MODEL.failed("ThrottlingException", "Too many tokens, please wait before trying again.")
        } else {
            INVOKE_MODEL
        };
        story.step(
            (MANAGEMENT, region),
            &buyer,
            &call,
            &[model],
            "A model is invoked with the stolen key, on the organisation's account.",
            &[],
        );
    }
}

fn quarantine(story: &mut Teller<'_>) {
    story.wait(900);
    let aws = Caller::service("AWS Internal");
    let shared = Shared { shared_event_id: story.chance.uuid(), request_id: story.chance.uuid() };
    story.step_shared(
        IAM,
        &aws,
        &ATTACH_USER_POLICY,
        &[("name", VICTIM), ("policy_name", "AWSCompromisedKeyQuarantineV3")],
        "AWS finds the key in public and quarantines the user.",
        &["credentials-quarantined"],
        Some(&shared),
    );
}
