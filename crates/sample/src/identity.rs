//! Who calls: the `userIdentity` of each kind of caller, with where the call comes from and through what.
//!
//! A caller is rendered once and used for all records of its session. Shapes follow the CloudTrail user guide's
//! "userIdentity element" and records seen in the wild.

use crate::calendar::iso;
use crate::organisation::{Account, IamUser, Organisation, Person, role_path};

/// A caller with its rendered `userIdentity`.
#[derive(Clone)]
pub(crate) struct Caller {
    /// The `userIdentity` object as JSON.
    pub(crate) identity: String,
    /// What an access-denied message calls it.
    pub(crate) arn: String,
    /// A short name for the truth.
    pub(crate) name: String,
    pub(crate) address: String,
    /// The user agent; plain text without quotes or backslashes.
    pub(crate) agent: String,
    /// The VPC endpoint the calls go through, if any.
    pub(crate) endpoint: Option<String>,
    /// True where a client's TLS connection stands behind the call; services calling each other have none.
    pub(crate) tls: bool,
    /// True for credentials of a console session.
    pub(crate) console: bool,
}

impl Caller {
    /// A caller whose calls come straight from a client.
    pub(crate) fn client(identity: String, arn: String, name: &str, address: &str, agent: &str) -> Self {
        let name = name.to_owned();
        Self {
            identity,
            arn,
            name,
            address: address.to_owned(),
            agent: agent.to_owned(),
            endpoint: None,
            tls: true,
            console: false,
        }
    }

    /// An AWS service acting on its own.
    pub(crate) fn service(service: &str) -> Self {
        let identity = format!(r#"{{"type":"AWSService","invokedBy":"{service}"}}"#);
        Self { tls: false, ..Self::client(identity, service.to_owned(), service, service, service) }
    }

    /// An IAM user with its long-lived access key.
    pub(crate) fn user(user: &IamUser, account: &Account) -> Self {
        let arn = format!("arn:aws:iam::{}:user/{}", account.id, user.name);
        let identity = user_identity(user, account, &user.key, "");
        Self::client(identity, arn, user.name, user.address, user.agent)
    }

    /// An IAM user in a console session opened at `created`.
    pub(crate) fn user_in_console(user: &IamUser, account: &Account, key: &str, created: i64, mfa: bool) -> Self {
        let arn = format!("arn:aws:iam::{}:user/{}", account.id, user.name);
        let attributes = session_attributes(created, mfa);
        let identity =
            user_identity(user, account, key, &format!(r#","sessionContext":{{"attributes":{attributes}}}"#));
        Self { console: true, ..Self::client(identity, arn, user.name, user.address, user.agent) }
    }

    /// The root user of an account with the given key (empty for a sign-in).
    pub(crate) fn root(account: &Account, key: &str, session: &str, address: &str, agent: &str) -> Self {
        let id = &account.id;
        let arn = format!("arn:aws:iam::{id}:root");
        let identity = format!(
            r#"{{"type":"Root","principalId":"{id}","arn":"{arn}","accountId":"{id}","accessKeyId":"{key}"{session}}}"#
        );
        Self::client(identity, arn, "root", address, agent)
    }

    /// A person of the Identity Center, before a role is taken.
    pub(crate) fn identity_center(person: &Person, org: &Organisation, credential: &str) -> Self {
        let identity = format!(
            r#"{{"type":"IdentityCenterUser","accountId":"{}",{},"credentialId":"{credential}"}}"#,
            org.accounts[crate::organisation::MANAGEMENT].id,
            on_behalf_of(person, org),
        );
        Self { tls: false, ..Self::client(identity, person.mail.clone(), &person.mail, person.office, person.browser) }
    }
}

/// A session of a role: what it takes to render an `AssumedRole` identity.
pub(crate) struct Session<'a> {
    pub(crate) account: &'a Account,
    pub(crate) role: &'a str,
    pub(crate) name: &'a str,
    pub(crate) key: &'a str,
    pub(crate) created: i64,
    /// More of `sessionContext`, after `attributes`, starting with a comma.
    pub(crate) context: &'a str,
    /// More of `userIdentity`, after `sessionContext`, starting with a comma.
    pub(crate) more: &'a str,
    /// The `webIdFederationData` of a web identity's session.
    pub(crate) federation: Option<&'a str>,
}

impl<'a> Session<'a> {
    /// A plain session of a role.
    pub(crate) fn new(account: &'a Account, role: &'a str, name: &'a str, key: &'a str, created: i64) -> Self {
        Self { account, role, name, key, created, context: "", more: "", federation: None }
    }

    /// The caller that this session is.
    pub(crate) fn caller(&self, address: &str, agent: &str) -> Caller {
        let Self { account, role, name, key, .. } = *self;
        let (id, role_id, arn) = (&account.id, account.role_id(role), assumed_arn(account, role, name));
        let role_arn = role_arn(account, role);
        let federation = self.federation.map(|data| format!(r#""webIdFederationData":{data},"#)).unwrap_or_default();
        let attributes = session_attributes(self.created, false);
        let identity = format!(
            r#"{{"type":"AssumedRole","principalId":"{role_id}:{name}","arn":"{arn}","accountId":"{id}","accessKeyId":"{key}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"{role_id}","arn":"{role_arn}","accountId":"{id}","userName":"{role}"}},{federation}"attributes":{attributes}{}}}{}}}"#,
            self.context, self.more,
        );
        Caller::client(identity, arn, &format!("{role}/{name}"), address, agent)
    }
}

/// The `onBehalfOf` member that names an Identity Center person.
pub(crate) fn on_behalf_of(person: &Person, org: &Organisation) -> String {
    format!(r#""onBehalfOf":{{"userId":"{}","identityStoreArn":"{}"}}"#, person.user_id, org.identity_store)
}

/// The ARN of a role.
pub(crate) fn role_arn(account: &Account, role: &str) -> String {
    format!("arn:aws:iam::{}:role{}{role}", account.id, role_path(role))
}

/// The ARN of a role's session.
pub(crate) fn assumed_arn(account: &Account, role: &str, session: &str) -> String {
    format!("arn:aws:sts::{}:assumed-role/{role}/{session}", account.id)
}

/// The `attributes` of a session context.
pub(crate) fn session_attributes(created: i64, mfa: bool) -> String {
    format!(r#"{{"creationDate":"{}","mfaAuthenticated":"{mfa}"}}"#, iso(created))
}

fn user_identity(user: &IamUser, account: &Account, key: &str, session: &str) -> String {
    let (id, account, name) = (&user.id, &account.id, user.name);
    format!(
        r#"{{"type":"IAMUser","principalId":"{id}","arn":"arn:aws:iam::{account}:user/{name}","accountId":"{account}","accessKeyId":"{key}","userName":"{name}"{session}}}"#
    )
}
