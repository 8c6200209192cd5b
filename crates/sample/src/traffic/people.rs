//! People: signing in through the Identity Center, looking around, changing things; IAM users; the nightly audit.

use super::ASSUME_ROLE;
use crate::actions::{
    AUDIT, Action, BILLING, CONSOLE, ENGINEER, GLOBAL_CONSOLE, LAMBDA, MACHINE_LEARNING, WORKER, pick,
};
use crate::calendar::{WINDOW, at_work};
use crate::call::Call;
use crate::day::{Day, stream_of};
use crate::identity::{Caller, Session, on_behalf_of};
use crate::organisation::{
    DEVELOPMENT, GLOBAL, HOME, MANAGEMENT, PRODUCTION, Person, REGIONS, REGIONS_IN_USE, SANDBOX, SECURITY, STAGING,
    Team, reserved_role,
};
use crate::record::Kind;
use crate::scene::Scene;
use crate::story::VICTIM;

const CHALLENGE: Call = Call::service("signin", "CredentialChallenge", r#"{"CredentialChallenge":"Success"}"#)
    .with(r#"{"AuthWorkflowID":"$workflow","CredentialType":"PASSWORD"}"#);
const PASSWORD: Call = Call::service("signin", "CredentialVerification", r#"{"CredentialVerification":"Success"}"#)
    .with(r#"{"AuthWorkflowID":"$workflow","CredentialType":"PASSWORD"}"#);
const WRONG_PASSWORD: Call =
    Call::service("signin", "CredentialVerification", r#"{"CredentialVerification":"Failure"}"#)
        .with(r#"{"AuthWorkflowID":"$workflow","CredentialType":"PASSWORD"}"#);
const SECOND_FACTOR: Call =
    Call::service("signin", "CredentialVerification", r#"{"CredentialVerification":"Success"}"#)
        .with(r#"{"AuthWorkflowID":"$workflow","CredentialType":"WEBAUTHN"}"#);
const AUTHENTICATED: Call = Call::service("signin", "UserAuthentication", r#"{"UserAuthentication":"Success"}"#)
    .with(r#"{"AuthWorkflowID":"$workflow","LoginTo":"https://fernhill.awsapps.com/start/","CredentialType":"PASSWORD,WEBAUTHN","UserName":"$mail"}"#);
const CREATE_TOKEN: Call = Call::write(
    "sso-oauth",
    "CreateToken",
    r#"{"clientId":"$client","clientSecret":"HIDDEN_DUE_TO_SECURITY_REASONS","grantType":"authorization_code","code":"HIDDEN_DUE_TO_SECURITY_REASONS","redirectUri":"http://127.0.0.1:51234/oauth/callback","codeVerifier":"HIDDEN_DUE_TO_SECURITY_REASONS"}"#,
    r#"{"accessToken":"HIDDEN_DUE_TO_SECURITY_REASONS","tokenType":"Bearer","expiresIn":28800,"refreshToken":"HIDDEN_DUE_TO_SECURITY_REASONS"}"#,
);
const LIST_ACCOUNTS: Call = Call { read_only: true, ..Call::service("sso", "ListAccounts", "") };
const LIST_ROLES: Call =
    Call { read_only: true, ..Call::service("sso", "ListAccountRoles", r#"{"account_id":"$target"}"#) };
const ROLE_CREDENTIALS: Call = Call {
    read_only: true,
    ..Call::service("sso", "GetRoleCredentials", r#"{"role_name":"$set","account_id":"$target"}"#)
};
const FEDERATE: Call = Call::service("sso", "Federate", r#"{"role_name":"$set","account_id":"$target"}"#);
const DESCRIBE_USER: Call =
    Call::read("identitystore", "DescribeUser", r#"{"identityStoreId":"$store","userId":"$person"}"#);
const WITH_SAML: Call = Call {
    read_only: true,
    ..Call::write(
        "sts",
        "AssumeRoleWithSAML",
        r#"{"sAMLAssertionID":"_$uuid","roleSessionName":"$session","roleArn":"$role_arn","principalArn":"$provider","durationSeconds":28800}"#,
        r#"{"credentials":{"accessKeyId":"$access_key","sessionToken":"$session_token","expiration":"$later"},"assumedRoleUser":{"assumedRoleId":"$role_id:$session","arn":"$assumed_arn"},"subject":"$session","subjectType":"persistent","issuer":"$issuer","audience":"https://signin.aws.amazon.com/saml","nameQualifier":"$qualifier"}"#,
    )
    .on(r#"[{"accountId":"$account","type":"AWS::IAM::Role","ARN":"$role_arn"},{"accountId":"$account","type":"AWS::IAM::SAMLProvider","ARN":"$provider"}]"#)
    .with(r#"{"RequestDetails":{"endpointType":"regional","awsServingRegion":"$region"}}"#)
};
/// A federated sign-in to the console: `MFAUsed` says No whatever the identity provider asked for.
const FEDERATED_LOGIN: Call = Call {
    kind: Kind::ConsoleSignIn,
    ..Call::write("signin", "ConsoleLogin", "null", r#"{"ConsoleLogin":"Success"}"#)
        .with(r#"{"MobileVersion":"No","MFAUsed":"No"}"#)
};
const USER_LOGIN: Call = Call {
    kind: Kind::ConsoleSignIn,
    ..Call::write("signin", "ConsoleLogin", "null", r#"{"ConsoleLogin":"Success"}"#)
        .with(r#"{"LoginTo":"https://console.aws.amazon.com/console/home","MobileVersion":"No","MFAUsed":"Yes","MFAIdentifier":"$mfa"}"#)
};

/// AssumeRole across accounts: the role is of another account than the one whose trail has the record.
const CROSS_ACCOUNT: Call = ASSUME_ROLE
    .on(r#"[{"accountId":"$home","type":"AWS::IAM::Role","ARN":"$role_arn"}]"#)
    .with(r#"{"RequestDetails":{"awsServingRegion":"$region","endpointType":"regional"}}"#);

const SAML_AGENT: &str = "aws-sdk-java/2.33.9 md/io#sync md/http#Apache ua/2.1 api/STS#2.33.x os/Linux#4.14.355 lang/java#17.0.16 md/vendor#Amazon.com_Inc. md/en_US m/E,N";

impl<'a> Day<'a> {
    /// A person's visit: sign-in, a role in some account, and what they do with it, perhaps over an hour or two.
    pub(super) fn visit(&mut self) {
        let org = self.org;
        let person = self.chance.pick(&org.people);
        let (account, set) = self.errand(person);
        let portal = stream_of(MANAGEMENT, HOME).expect("the Identity Center's region is in use");
        let target = stream_of(account, HOME).expect("every account is in use in the home region");
        let quieter = if self.windows[target].len() < self.windows[portal].len() { target } else { portal };
        let Some(window) = self.working_window(quieter, person) else { return };
        let (mut scene, caller) = self.sign_in(person, account, set, window);
        let first_calls = self.chance.between(8, 30) as usize;
        self.errands(&mut scene, &caller, person.team, set, first_calls);
        // The session goes on elsewhere or later: it lasts eight hours.
        for _ in 0..self.chance.below(3) {
            let region = if self.chance.one_in(2) { GLOBAL } else { self.chance.below(REGIONS_IN_USE) };
            let Some(stream) = stream_of(account, region) else { continue };
            let later = self.any_window(stream);
            if later > window && later < window + 7 * 3600 {
                let mut scene = self.scene(stream, later);
                let calls = self.chance.between(8, 30) as usize;
                self.errands(&mut scene, &caller, person.team, set, calls);
            }
        }
    }

    /// Where a person goes and with which permission set.
    fn errand(&mut self, person: &Person) -> (usize, &'static str) {
        let options: &[(usize, &'static str)] = match person.team {
            Team::Platform => &[
                (PRODUCTION, "PowerUser"),
                (PRODUCTION, "AdministratorAccess"),
                (STAGING, "PowerUser"),
                (DEVELOPMENT, "PowerUser"),
                (SANDBOX, "AdministratorAccess"),
                (MANAGEMENT, "ReadOnly"),
            ],
            Team::Backend => &[
                (DEVELOPMENT, "PowerUser"),
                (DEVELOPMENT, "PowerUser"),
                (STAGING, "PowerUser"),
                (PRODUCTION, "ReadOnly"),
                (SANDBOX, "PowerUser"),
            ],
            Team::Data | Team::Machine => {
                &[(DEVELOPMENT, "DataScience"), (PRODUCTION, "DataScience"), (SANDBOX, "DataScience")]
            }
            Team::Security => {
                &[(SECURITY, "SecurityAudit"), (PRODUCTION, "SecurityAudit"), (MANAGEMENT, "SecurityAudit")]
            }
            Team::Finance => &[(MANAGEMENT, "Billing")],
        };
        *self.chance.pick(options)
    }

    /// One of a stream's windows within a person's working hours; out of hours only now and then.
    fn working_window(&mut self, stream: usize, person: &Person) -> Option<i64> {
        for _ in 0..10 {
            let window = self.any_window(stream);
            if at_work(window, person.utc_offset) || self.chance.one_in(60) {
                return Some(window);
            }
        }
        None
    }

    /// Signs a person in at the portal and gives them a role; the scene goes on in the role's account.
    fn sign_in(&mut self, person: &Person, account: usize, set: &'static str, window: i64) -> (Scene<'a>, Caller) {
        let org = self.org;
        let portal = stream_of(MANAGEMENT, HOME).expect("the Identity Center's region is in use");
        let console = self.chance.one_in(2);
        let mut credential = String::new();
        self.chance.push_base62(86, &mut credential);
        let address = if self.chance.one_in(3) { person.home.as_str() } else { person.office };
        let mut visitor = Caller { address: address.to_owned(), ..Caller::identity_center(person, org, &credential) };
        let mut scene = self.scene(portal, window);
        let mut workflow = vec![CHALLENGE, PASSWORD, SECOND_FACTOR, AUTHENTICATED, LIST_ACCOUNTS, LIST_ROLES];
        if self.chance.one_in(12) {
            workflow.insert(1, WRONG_PASSWORD);
        }
        if console {
            workflow.extend([DESCRIBE_USER, FEDERATE]);
        } else {
            workflow.extend([CREATE_TOKEN, ROLE_CREDENTIALS]);
        }
        let workflow_id = self.chance.uuid();
        for call in &workflow {
            if matches!(call.source, "sso-oauth") {
                visitor.agent = person.cli.to_owned();
            }
            self.pass(&mut scene);
            scene.bind("workflow", workflow_id.as_str());
            scene.bind("mail", person.mail.as_str());
            scene.bind("client", format!("cli-{}", person.user_id));
            scene.bind("target", org.accounts[account].id.as_str());
            scene.bind("set", set);
            scene.bind("store", org.directory.as_str());
            scene.bind("person", person.user_id.as_str());
            self.record(&mut scene, &visitor, call, None);
        }
        let mut scene = Scene::new(org, account, HOME, scene.time);
        self.pass(&mut scene);
        let (home, role) = (&org.accounts[account], reserved_role(set));
        let key = self.chance.iam_id("ASIA", home.number);
        self.assume_with_saml(&mut scene, person, &role, &key);
        let more = format!(",{}", on_behalf_of(person, org));
        let session = Session { more: &more, ..Session::new(home, &role, &person.mail, &key, scene.time) };
        let agent = if console { person.browser } else { person.cli };
        let caller = Caller { console, ..session.caller(address, agent) };
        if console {
            self.pass(&mut scene);
            self.record(&mut scene, &caller, &FEDERATED_LOGIN, None);
        }
        (scene, caller)
    }

    fn assume_with_saml(&mut self, scene: &mut Scene<'_>, person: &Person, role: &str, key: &str) {
        let home = scene.account();
        let qualifier = "q7XvB1n2RkzJ0f4TtYw8LdMhC3o=";
        let identity = format!(
            r#"{{"type":"SAMLUser","principalId":"{qualifier}:{mail}","userName":"{mail}","identityProvider":"{qualifier}"}}"#,
            mail = person.mail,
        );
        let from = format!("198.19.200.{}", 1 + self.chance.below(250));
        let federated = Caller::client(identity, person.mail.clone(), &person.mail, &from, SAML_AGENT);
        self.bind_role(scene, role, &person.mail, key);
        scene.bind("provider", format!("arn:aws:iam::{}:saml-provider/{}", home.id, home.saml_provider));
        scene.bind(
            "issuer",
            format!("https://portal.sso.{}.amazonaws.com/saml/assertion/{}", REGIONS[HOME], self.org.sso_instance),
        );
        scene.bind("qualifier", qualifier);
        self.record(scene, &federated, &WITH_SAML, None);
    }

    fn errands(&mut self, scene: &mut Scene<'_>, caller: &Caller, team: Team, set: &str, calls: usize) {
        for _ in 0..calls {
            let changes = matches!(set, "PowerUser" | "AdministratorAccess") && self.chance.one_in(5);
            let group: &'static [Action] = match team {
                Team::Finance => BILLING,
                Team::Security if self.chance.one_in(2) => AUDIT,
                Team::Machine if self.chance.one_in(2) => MACHINE_LEARNING,
                Team::Data if self.chance.one_in(4) => MACHINE_LEARNING,
                _ if changes => ENGINEER,
                _ if scene.region == GLOBAL && self.chance.one_in(3) => GLOBAL_CONSOLE,
                _ => CONSOLE,
            };
            self.burst(scene, caller, group, 1);
        }
    }

    /// One of the remaining IAM users: scripts with long-lived keys, and two people who still have one.
    pub(super) fn iam_user(&mut self) {
        let org = self.org;
        let user = self.chance.pick(&org.users);
        let region = match user.account {
            PRODUCTION | SANDBOX => self.chance.below(2),
            _ => GLOBAL,
        };
        let stream = stream_of(user.account, region).expect("the users' accounts are in use in the first two regions");
        let window = self.any_window(stream);
        let home = &org.accounts[user.account];
        let person = user.name.contains('.');
        let switched_off = user.name == VICTIM && window + WINDOW > self.key_off;
        if switched_off || person && !at_work(window, 1) {
            return;
        }
        let mut scene = self.scene(stream, window);
        let mut caller = Caller::user(user, home);
        if person && self.chance.one_in(3) {
            let key = self.chance.iam_id("ASIA", home.number);
            let identity = format!(
                r#"{{"type":"IAMUser","principalId":"{}","arn":"{}","accountId":"{}","userName":"{}"}}"#,
                user.id, caller.arn, home.id, user.name,
            );
            let browser = org.people[1].browser;
            let login = Caller { identity, agent: browser.to_owned(), ..caller.clone() };
            scene.bind("mfa", format!("arn:aws:iam::{}:mfa/{}", home.id, user.name));
            self.record(&mut scene, &login, &USER_LOGIN, None);
            caller =
                Caller { agent: browser.to_owned(), ..Caller::user_in_console(user, home, &key, scene.time, true) };
        }
        let group: &'static [Action] = match user.name {
            "svc-erp-sync" | "lab-robot" => WORKER,
            "offsite-backup" | "backup-reports" => LAMBDA,
            _ => CONSOLE,
        };
        let calls = self.chance.between(6, 20) as usize;
        for _ in 0..calls {
            let action = pick(group, &mut self.chance);
            // Keys outside AWS neither write function logs nor report as instances.
            if matches!(action.source, "logs" | "ecr") || matches!(action.name, "UpdateInstanceInformation" | "Invoke")
            {
                continue;
            }
            self.pass(&mut scene);
            self.act(&mut scene, &caller, action);
        }
    }

    /// The security team's audit: a session of the security account takes a role in another account, and both accounts'
    /// trails have a copy of that call.
    pub(super) fn audit(&mut self) {
        let org = self.org;
        let from = stream_of(SECURITY, HOME).expect("the security account is in use in the home region");
        let account = *self.chance.pick(&[PRODUCTION, STAGING, DEVELOPMENT, MANAGEMENT, SANDBOX]);
        let to = stream_of(account, HOME).expect("every account is in use in the home region");
        let quieter = if self.windows[to].len() < self.windows[from].len() { to } else { from };
        let window = self.any_window(quieter);
        let auditor = self.session(
            from,
            window,
            "security-audit",
            |day, key, created| {
                let session = Session::new(&org.accounts[SECURITY], "security-audit", "nightly-audit", key, created);
                let private = format!("10.20.3.{}", 10 + day.chance.below(40));
                ("nightly-audit".to_owned(), session.caller(&private, org.users[2].agent))
            },
            "ecs-tasks.amazonaws.com",
        );
        let home = &org.accounts[account];
        let key = self.chance.iam_id("ASIA", home.number);
        let shared = self.shared();
        let mut scene = self.scene(from, window);
        let time = scene.time;
        let security = &org.accounts[SECURITY];
        let stranger = Caller {
            identity: format!(
                r#"{{"type":"AWSAccount","principalId":"{}:nightly-audit","accountId":"{}"}}"#,
                security.role_id("security-audit"),
                security.id,
            ),
            ..(*auditor).clone()
        };
        for (place, caller) in [(from, &*auditor), (to, &stranger)] {
            let (seen_by, region, _) = crate::organisation::STREAMS[place];
            scene = Scene::new(org, account, region, time);
            self.bind_role(&mut scene, "log-reader", "nightly-audit", &key);
            scene.bind("home", home.id.as_str());
            scene.account = seen_by;
            self.record(&mut scene, caller, &CROSS_ACCOUNT, Some(&shared));
        }
        let session = Session::new(home, "log-reader", "nightly-audit", &key, time);
        let caller = Caller { ..session.caller(&auditor.address, &auditor.agent) };
        let mut scene = Scene::new(org, account, HOME, time);
        let size = self.chance.between(10, 30) as usize;
        self.burst(&mut scene, &caller, AUDIT, size);
    }
}
