//! A fluent builder of CloudTrail records in the shapes AWS documents.

use std::hash::{DefaultHasher, Hash, Hasher};

use event::Event;
use serde_json::{Map, Value, json};

/// The account that calls and receives unless a test says otherwise. It is AWS's own example account.
const ACCOUNT: &str = "111122223333";

/// Starts a record of a successful call to IAM by the IAM user `alice`.
///
/// ```
/// let event = testkit::event("CreateUser").request(serde_json::json!({"userName": "bob"})).to_event();
/// assert_eq!(event.name(), "CreateUser");
/// assert_eq!(event.user_name(), Some("alice"));
/// ```
pub fn event(name: &str) -> EventBuilder {
    let read_only = ["Get", "List", "Describe", "Lookup"].iter().any(|verb| name.starts_with(verb));
    let builder = EventBuilder { record: Map::new(), account: ACCOUNT.to_owned() };
    builder
        .field("eventVersion", json!("1.11"))
        .iam_user("alice")
        .at("2026-01-15T12:00:00Z")
        .source("iam")
        .field("eventName", json!(name))
        .region("us-east-1")
        .ip("198.51.100.7")
        .user_agent("aws-cli/2.22.0")
        .request(Value::Null)
        .response(Value::Null)
        .field("requestID", json!("00000000-0000-4000-8000-000000000000"))
        .field("readOnly", json!(read_only))
        .field("eventType", json!("AwsApiCall"))
        .field("managementEvent", json!(true))
        .field("recipientAccountId", json!(ACCOUNT))
        .field("eventCategory", json!("Management"))
}

/// Starts a record of a console sign-in by the IAM user `alice` with MFA; `outcome` is `Success` or `Failure`.
pub fn console_login(outcome: &str) -> EventBuilder {
    let builder = event("ConsoleLogin")
        .source("signin")
        .field("eventType", json!("AwsConsoleSignIn"))
        .user_agent("Mozilla/5.0")
        .response(json!({"ConsoleLogin": outcome}))
        .mfa_used(true);
    if outcome == "Failure" { builder.error_message("Failed authentication") } else { builder }
}

/// A CloudTrail record in the making.
#[derive(Debug, Clone)]
#[must_use]
pub struct EventBuilder {
    record: Map<String, Value>,
    account: String,
}

impl EventBuilder {
    /// Sets any field of the record.
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.record.insert(name.to_owned(), value.into());
        self
    }

    /// Removes a field of the record.
    pub fn without(mut self, name: &str) -> Self {
        self.record.remove(name);
        self
    }

    /// Sets the service: a prefix such as `sso`, or a whole name such as `sso.amazonaws.com`.
    pub fn source(self, source: &str) -> Self {
        let source = if source.contains('.') { source.to_owned() } else { format!("{source}.amazonaws.com") };
        self.field("eventSource", source)
    }

    /// Sets `recipientAccountId` and the account of identities that are set after it.
    pub fn account(mut self, account: &str) -> Self {
        self.account = account.to_owned();
        self.field("recipientAccountId", account)
    }

    /// Sets the region.
    pub fn region(self, region: &str) -> Self {
        self.field("awsRegion", region)
    }

    /// Sets the time, such as `2026-01-15T12:00:00Z`.
    pub fn at(self, time: &str) -> Self {
        self.field("eventTime", time)
    }

    /// Sets the event's id. Without it the id follows from the record's content.
    pub fn id(self, id: &str) -> Self {
        self.field("eventID", id)
    }

    /// Sets the source address.
    pub fn ip(self, ip: &str) -> Self {
        self.field("sourceIPAddress", ip)
    }

    /// Sets the user agent.
    pub fn user_agent(self, agent: &str) -> Self {
        self.field("userAgent", agent)
    }

    /// Sets `userIdentity` as a whole.
    pub fn identity(self, identity: Value) -> Self {
        self.field("userIdentity", identity)
    }

    /// Lets an IAM user act, with a long-term access key.
    pub fn iam_user(self, name: &str) -> Self {
        let account = self.account.clone();
        self.identity(json!({
            "type": "IAMUser",
            "principalId": "AIDACKCEVSQ6C2EXAMPLE",
            "arn": format!("arn:aws:iam::{account}:user/{name}"),
            "accountId": account,
            "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
            "userName": name,
        }))
    }

    /// Lets the account's root user act.
    pub fn root(self) -> Self {
        let account = self.account.clone();
        self.identity(json!({
            "type": "Root",
            "principalId": account,
            "arn": format!("arn:aws:iam::{account}:root"),
            "accountId": account,
            "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        }))
    }

    /// Lets a session of a role act.
    pub fn role_session(self, role: &str, session: &str) -> Self {
        let account = self.account.clone();
        let path_end = role.rsplit('/').next().unwrap_or(role);
        self.identity(json!({
            "type": "AssumedRole",
            "principalId": format!("AROACKCEVSQ6C2EXAMPLE:{session}"),
            "arn": format!("arn:aws:sts::{account}:assumed-role/{path_end}/{session}"),
            "accountId": account,
            "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": "AROACKCEVSQ6C2EXAMPLE",
                    "arn": format!("arn:aws:iam::{account}:role/{role}"),
                    "accountId": account,
                    "userName": path_end,
                },
                "attributes": {"creationDate": "2026-01-15T11:30:00Z", "mfaAuthenticated": "false"},
            },
        }))
    }

    /// Lets a user of Identity Center act, named by id as since July 2025.
    pub fn identity_center(self, user_id: &str) -> Self {
        let account = self.account.clone();
        self.identity(json!({
            "type": "IdentityCenterUser",
            "accountId": account,
            "onBehalfOf": {
                "userId": user_id,
                "identityStoreArn": format!("arn:aws:identitystore::{account}:identitystore/d-1234567890"),
            },
            "credentialId": "90e292de-EXAMPLE",
        }))
    }

    /// Lets an AWS service act by itself.
    pub fn aws_service(self, service: &str) -> Self {
        self.identity(json!({"type": "AWSService", "invokedBy": service})).ip(service).user_agent(service)
    }

    /// Sets a field of `userIdentity`.
    pub fn identity_field(mut self, name: &str, value: impl Into<Value>) -> Self {
        if let Some(Value::Object(identity)) = self.record.get_mut("userIdentity") {
            identity.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Says that an AWS service made the call for the caller.
    pub fn invoked_by(self, service: &str) -> Self {
        self.identity_field("invokedBy", service)
    }

    /// Sets what a sign-in says of MFA (`additionalEventData.MFAUsed`).
    pub fn mfa_used(self, used: bool) -> Self {
        self.additional(json!({
            "LoginTo": "https://console.aws.amazon.com/console/home",
            "MobileVersion": "No",
            "MFAUsed": if used { "Yes" } else { "No" },
        }))
    }

    /// Sets `requestParameters`.
    pub fn request(self, parameters: Value) -> Self {
        self.field("requestParameters", parameters)
    }

    /// Sets `responseElements`.
    pub fn response(self, elements: Value) -> Self {
        self.field("responseElements", elements)
    }

    /// Sets `additionalEventData`.
    pub fn additional(self, data: Value) -> Self {
        self.field("additionalEventData", data)
    }

    /// Makes the call fail with an error code.
    pub fn error(self, code: &str) -> Self {
        self.field("errorCode", code).response(Value::Null)
    }

    /// Sets `errorMessage`; a failed sign-in has it without a code.
    pub fn error_message(self, message: &str) -> Self {
        self.field("errorMessage", message)
    }

    /// The record, in CloudTrail's shape.
    #[must_use]
    pub fn build(mut self) -> Value {
        if !self.record.contains_key("eventID") {
            let id = derived_id(&Value::Object(self.record.clone()).to_string());
            self.record.insert("eventID".to_owned(), Value::String(id));
        }
        Value::Object(self.record)
    }

    /// The record as JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.clone().build().to_string()
    }

    /// The record as the event it decodes to.
    ///
    /// # Panics
    /// Where the record is none, such as one with a broken time.
    #[must_use]
    pub fn to_event(&self) -> Event<'static> {
        let text = self.to_json();
        match event::decode::record(&text) {
            Ok(event) => event.into_owned(),
            Err(error) => panic!("the test's record is no CloudTrail record: {error}\n{text}"),
        }
    }
}

/// A UUID made of a text: the same record has the same id in every run.
fn derived_id(text: &str) -> String {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, text).hash(&mut hasher);
        hasher.finish()
    };
    let hex = format!("{:016x}{:016x}", half(1), half(2));
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_one_id_and_another_content_another() {
        let id = |builder: EventBuilder| builder.build()["eventID"].clone();
        assert_eq!(id(event("CreateUser")), id(event("CreateUser")));
        assert_ne!(id(event("CreateUser")), id(event("CreateUser").ip("203.0.113.1")));
        assert_eq!(id(event("CreateUser")).as_str().map(str::len), Some(36));
        assert_eq!(id(event("CreateUser").id("chosen")), "chosen");
    }

    #[test]
    fn a_record_decodes_to_the_event_it_describes() {
        let event = event("CreateAccountAssignment")
            .source("sso")
            .role_session("ops/Admin", "bob")
            .error("AccessDenied")
            .to_event();
        assert_eq!(event.source(), "sso.amazonaws.com");
        assert_eq!(event.who(), Some("bob"));
        assert_eq!(event.user_name(), Some("Admin"));
        assert!(event.failed());
        assert!(!console_login("Success").to_event().failed());
        assert!(console_login("Failure").root().to_event().failed());
    }
}
