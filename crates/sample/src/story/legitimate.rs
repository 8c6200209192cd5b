//! Legitimate actions that are sensitive all the same: what a security team sees in a good month, and its response in a bad one.

use super::calls::*;
use super::intrusion::COLLEAGUE;
use super::{KEY_OFF, TRAIL_RESTORED, Teller, VICTIM};
use crate::calendar::DAY;
use crate::identity::{Caller, Session, on_behalf_of, session_attributes};
use crate::organisation::{DEVELOPMENT, GLOBAL, HOME, MANAGEMENT, PRODUCTION, SANDBOX, reserved_role};
use crate::record::quoted;
use crate::truth::Planted;

const TERRAFORM: &str = "APN/1.0 HashiCorp/1.0 Terraform/1.13.2 (+https://www.terraform.io) terraform-provider-aws/6.13.0 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.39.0 ua/2.1 os/linux lang/go#1.24.6 md/GOOS#linux md/GOARCH#amd64 m/E,g";

/// Tells of a month of administration, spread over the trail's working days.
pub(super) fn tell(story: &mut Teller<'_>, end: i64, days: i64) {
    let acts: [fn(&mut Teller<'_>); 8] =
        [service_user, auditor, vendor_role, break_glass, new_phone, new_joiner, sandbox_setup, data_science_set];
    for (number, act) in acts.into_iter().enumerate() {
        let share = 1.0 - number as f64 / (acts.len() - 1) as f64;
        let day = working_day(end.div_euclid(DAY) - 2 - (share * (days - 5) as f64) as i64);
        story.time = day * DAY + 8 * 3600 + story.chance.between(0, 6 * 3600);
        act(story);
    }
}

/// Tells how the organisation answers the intrusion: a guardrail at once, the security team when AWS has quarantined the key.
pub(super) fn respond(story: &mut Teller<'_>, intrusion: &[Planted]) {
    let org = story.org;
    let when =
        |name: &str| intrusion.iter().rev().find(|planted| planted.step.event_name == name).map(|planted| planted.time);
    let home = &org.accounts[MANAGEMENT];
    if let Some(stopped) = when("StopLogging") {
        story.time = stopped + 180;
        let key = story.chance.iam_id("ASIA", home.number);
        let session = Session::new(home, "guardrail-remediation", "restart-trail", &key, stopped + 175);
        let guardrail = session.caller("198.19.12.40", org.users[2].agent);
        story.step(
            (MANAGEMENT, GLOBAL),
            &guardrail,
            &START_LOGGING,
            &[],
            "A guardrail starts the trail's logging again.",
            &[],
        );
    }
    if let Some(quarantined) = intrusion.last().map(|planted| planted.time) {
        story.time = quarantined + 1500;
        let responder = person(story, "hannah.reuter", "AdministratorAccess", MANAGEMENT);
        let key = org.user(VICTIM).key.as_str();
        story.step(
            (MANAGEMENT, GLOBAL),
            &responder,
            &UPDATE_ACCESS_KEY,
            &[("name", VICTIM), ("old_key", key)],
            KEY_OFF,
            &["access-key-status-changed"],
        );
        story.step((MANAGEMENT, GLOBAL), &responder, &RESTORE_TRAIL, &[], TRAIL_RESTORED, &[]);
    }
}

/// The working day at or before a day, in days since 1970.
fn working_day(day: i64) -> i64 {
    match (day + 3).rem_euclid(7) {
        5 => day - 1,
        6 => day - 2,
        _ => day,
    }
}

/// A person at the console with a permission set.
fn person(story: &mut Teller<'_>, name: &str, set: &str, account: usize) -> Caller {
    let org = story.org;
    let (home, person) = (&org.accounts[account], org.person(name));
    let (key, role, more) =
        (story.chance.iam_id("ASIA", home.number), reserved_role(set), format!(",{}", on_behalf_of(person, org)));
    let session = Session { more: &more, ..Session::new(home, &role, &person.mail, &key, story.time - 600) };
    Caller { console: true, ..session.caller(person.office, person.browser) }
}

/// A Terraform run in the pipeline.
fn terraform(story: &mut Teller<'_>, account: usize) -> Caller {
    let home = &story.org.accounts[account];
    let (key, run) = (
        story.chance.iam_id("ASIA", home.number),
        format!("GitHubActions-{}", 16_000_000_000 + story.chance.between(0, 999_999_999)),
    );
    let federation = format!(
        r#"{{"federatedProvider":"arn:aws:iam::{}:oidc-provider/token.actions.githubusercontent.com","attributes":{{}}}}"#,
        home.id
    );
    let session =
        Session { federation: Some(&federation), ..Session::new(home, "terraform-apply", &run, &key, story.time - 60) };
    session.caller("198.18.77.12", TERRAFORM)
}

fn service_user(story: &mut Teller<'_>) {
    let place = (PRODUCTION, GLOBAL);
    let pipeline = terraform(story, PRODUCTION);
    let number = story.org.accounts[PRODUCTION].number;
    let (user_id, key) = (story.chance.iam_id("AIDA", number), story.chance.iam_id("AKIA", number));
    story.step(
        place,
        &pipeline,
        &CREATE_USER,
        &[("name", "svc-log-forwarder"), ("user_id", &user_id)],
        "Terraform creates a service user for a log forwarder (reviewed change).",
        &["iam-user-created"],
    );
    story.step(
        place,
        &pipeline,
        &CREATE_ACCESS_KEY,
        &[("name", "svc-log-forwarder"), ("new_key", &key)],
        "Terraform creates its access key.",
        &["access-key-created"],
    );
}

fn new_joiner(story: &mut Teller<'_>) {
    let org = story.org;
    let admin = person(story, "anna.lindqvist", "AdministratorAccess", MANAGEMENT);
    let (set, target) = (story.chance.hex("ps-", 16), org.accounts[DEVELOPMENT].id.as_str());
    let joiner = org.person("ines.moreira").user_id.as_str();
    story.step(
        (MANAGEMENT, HOME),
        &admin,
        &CREATE_ASSIGNMENT,
        &[("sso", &org.sso_instance), ("set", &set), ("target", target), ("person", joiner)],
        "A new colleague is assigned to the development account.",
        &["account-assignment-created"],
    );
    story.step((MANAGEMENT, GLOBAL), &admin, &STRONG_PASSWORDS, &[], "The password policy is made stricter.", &[]);
}

fn vendor_role(story: &mut Teller<'_>) {
    let pipeline = terraform(story, PRODUCTION);
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::112233445566:root"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"fernhill-observability"}}}]}"#;
    story.step(
        (PRODUCTION, GLOBAL),
        &pipeline,
        &UPDATE_TRUST,
        &[("role_name", "log-reader"), ("document", &quoted(trust))],
        "The monitoring vendor may read logs, with an external id (reviewed change).",
        &["role-trust-opened"],
    );
}

fn break_glass(story: &mut Teller<'_>) {
    let org = story.org;
    let (home, admin) = (&org.accounts[SANDBOX], org.person("anna.lindqvist"));
    let place = (SANDBOX, GLOBAL);
    let at_the_door = Caller::root(home, "", "", admin.office, admin.browser);
    story.step(
        place,
        &at_the_door,
        &LOGIN_WITH_MFA,
        &[],
        "The yearly break-glass exercise: root signs in to the sandbox account with its security key.",
        &["root-console-login"],
    );
    let key = story.chance.iam_id("ASIA", home.number);
    let session = format!(r#","sessionContext":{{"attributes":{}}}"#, session_attributes(story.time, true));
    let root = Caller { console: true, ..Caller::root(home, &key, &session, admin.office, admin.browser) };
    story.step(place, &root, &ALTERNATE_CONTACT, &[], "Root updates the security contact.", &["root-api-use"]);
}

fn new_phone(story: &mut Teller<'_>) {
    let org = story.org;
    let home = &org.accounts[MANAGEMENT];
    let key = story.chance.iam_id("ASIA", home.number);
    let caller = Caller::user_in_console(org.user(COLLEAGUE), home, &key, story.time - 60, true);
    let caller = Caller { agent: org.person(COLLEAGUE).browser.to_owned(), ..caller };
    let place = (MANAGEMENT, GLOBAL);
    story.step(
        place,
        &caller,
        &DEACTIVATE_MFA,
        &[("name", COLLEAGUE), ("device", "oliver.brandt-old")],
        "A colleague replaces their MFA device: the old one goes.",
        &["mfa-device-removed"],
    );
    story.step(
        place,
        &caller,
        &ENABLE_MFA,
        &[("name", COLLEAGUE), ("device", COLLEAGUE)],
        "The new MFA device comes.",
        &[],
    );
}

fn data_science_set(story: &mut Teller<'_>) {
    let org = story.org;
    let admin = person(story, "jonas.becker", "AdministratorAccess", MANAGEMENT);
    let place = (MANAGEMENT, HOME);
    let set_id = story.chance.hex("ps-", 16);
    let (sso, set) = (("sso", org.sso_instance.as_str()), ("set", set_id.as_str()));
    story.step(
        place,
        &admin,
        &CREATE_PERMISSION_SET,
        &[sso, set, ("name", "ModelReview"), ("description", "Read access to model artefacts"), ("duration", "PT4H")],
        "A read-only permission set for model reviews is created.",
        &["permission-set-created"],
    );
    story.step(
        place,
        &admin,
        &ATTACH_TO_PERMISSION_SET,
        &[sso, set, ("policy_name", "AmazonSageMakerReadOnly")],
        "It gets a read-only policy.",
        &[],
    );
    story.step(
        place,
        &admin,
        &UPDATE_PERMISSION_SET,
        &[sso, set, ("duration", "PT8H")],
        "Its sessions are made to last a working day.",
        &["permission-set-updated"],
    );
    story.step(
        place,
        &admin,
        &CREATE_APPLICATION,
        &[sso, ("name", "experiment-tracker"), ("description", "Experiment tracking")],
        "The experiment tracker is connected to the Identity Center.",
        &["sso-application-created"],
    );
}

fn sandbox_setup(story: &mut Teller<'_>) {
    let place = (SANDBOX, GLOBAL);
    let admin = person(story, "priya.raman", "AdministratorAccess", SANDBOX);
    story.step(
        place,
        &admin,
        &CREATE_OIDC_PROVIDER,
        &[("issuer", "token.actions.githubusercontent.com")],
        "GitHub Actions is trusted in the sandbox account.",
        &["identity-provider-created"],
    );
    story.step(
        place,
        &admin,
        &ATTACH_ROLE_POLICY,
        &[("role_name", "github-deploy"), ("policy_name", "PowerUserAccess")],
        "The sandbox's deployment role gets PowerUserAccess.",
        &["admin-policy-attached"],
    );
    story.step(
        place,
        &admin,
        &ADD_USER_TO_GROUP,
        &[("group", "lab-machines"), ("name", "lab-robot")],
        "The lab's robot joins an ordinary group.",
        &[],
    );
}

fn auditor(story: &mut Teller<'_>) {
    let org = story.org;
    let place = (MANAGEMENT, GLOBAL);
    let admin = person(story, "hannah.reuter", "AdministratorAccess", MANAGEMENT);
    story.step(
        place,
        &admin,
        &CREATE_LOGIN_PROFILE,
        &[("name", "external-auditor"), ("reset", "true")],
        "The external auditor's user gets a password to be changed at first sign-in.",
        &["login-profile-changed-for-other"],
    );
    let number = org.accounts[MANAGEMENT].number;
    let (old_key, new_key) = (story.chance.iam_id("AKIA", number), story.chance.iam_id("AKIA", number));
    story.step(
        place,
        &admin,
        &CREATE_ACCESS_KEY,
        &[("name", "svc-reporting"), ("new_key", &new_key)],
        "A reporting user's key is rotated: the new one.",
        &["access-key-created"],
    );
    story.step(
        place,
        &admin,
        &UPDATE_ACCESS_KEY,
        &[("name", "svc-reporting"), ("old_key", &old_key)],
        "A reporting user's key is rotated: the old one is switched off.",
        &["access-key-status-changed"],
    );
}
