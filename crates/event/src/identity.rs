//! Who acted: the twelve types of `userIdentity`, resolved to names.
//!
//! Source: "CloudTrail userIdentity element", AWS CloudTrail User Guide.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::Event;
use crate::arn::Arn;
use crate::column::Column;
use crate::record::{Fields, text};

/// The columns that come out of `userIdentity`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Identity<'a> {
    actor_type: Option<Cow<'a, str>>,
    user_name: Option<Cow<'a, str>>,
    actor_arn: Option<Cow<'a, str>>,
    actor_account_id: Option<Cow<'a, str>>,
    principal_id: Option<Cow<'a, str>>,
    role_arn: Option<Cow<'a, str>>,
    session_name: Option<Cow<'a, str>>,
    source_identity: Option<Cow<'a, str>>,
    access_key_id: Option<Cow<'a, str>>,
    invoked_by: Option<Cow<'a, str>>,
    mfa_authenticated: Option<bool>,
}

/// The parts of `sessionContext` that matter.
#[derive(Default)]
struct Session<'a> {
    issuer_type: Option<Cow<'a, str>>,
    issuer_arn: Option<Cow<'a, str>>,
    issuer_account: Option<Cow<'a, str>>,
    issuer_name: Option<Cow<'a, str>>,
    mfa: Option<bool>,
    source_identity: Option<Cow<'a, str>>,
}

impl<'a> Identity<'a> {
    /// Resolves the text of `userIdentity`; `event` holds the columns that were read before it.
    pub(crate) fn resolve(user_identity: Option<&'a str>, event: &Event<'_>) -> Identity<'a> {
        let fields = object(user_identity);
        let mut identity = Identity {
            actor_type: fields.text("type"),
            actor_arn: fields.text("arn"),
            actor_account_id: fields.text("accountId"),
            principal_id: fields.text("principalId"),
            access_key_id: fields.text("accessKeyId").filter(|key| !key.is_empty()),
            invoked_by: fields.text("invokedBy"),
            ..Identity::default()
        };
        let session = Session::read(fields.get("sessionContext").map(RawValue::get));
        identity.mfa_authenticated = session.mfa;
        identity.source_identity = session.source_identity.clone();
        if identity.actor_account_id.is_none() {
            identity.actor_account_id = identity.account_elsewhere(&session);
        }
        let own_name = fields.text("userName").filter(|name| !name.is_empty());
        identity.user_name = match identity.actor_type.as_deref() {
            Some("Root") => Some(Cow::Borrowed("root")),
            Some("AssumedRole") => identity.assumed_role(&session, own_name),
            Some("Role") => {
                identity.role_arn = identity.actor_arn.clone();
                own_name.or_else(|| identity.arn_tail())
            }
            Some("IdentityCenterUser") => own_name.or_else(|| center_user(&fields, event)),
            Some("AWSService") => identity.invoked_by.clone().or(own_name),
            Some("AWSAccount") => {
                // Another account's session shows here as `AROA…:session-name`.
                identity.session_name = identity.principal_session();
                own_name
            }
            // IAMUser, FederatedUser, Directory, SAMLUser, WebIdentityUser, Unknown, and what AWS adds next.
            _ => own_name,
        }
        .or_else(|| identity.best_name(&fields, event));
        if event.event_type_of_source() == "signin"
            && let Some(used) = mfa_used(event)
        {
            identity.mfa_authenticated = Some(used);
        }
        identity
    }

    /// A role session acts under its role's name, with the person in the session's name.
    fn assumed_role(&mut self, session: &Session<'a>, own_name: Option<Cow<'a, str>>) -> Option<Cow<'a, str>> {
        self.role_arn = session.issuer_arn.clone().filter(|_| session.issuer_type.as_deref() != Some("User"));
        // arn:aws:sts::111122223333:assumed-role/ROLE/SESSION
        let (role, name) = match self.actor_arn.as_deref().and_then(Arn::parse) {
            Some(arn) => {
                let mut parts = arn.resource.splitn(3, '/');
                let is_session = parts.next() == Some("assumed-role");
                let (role, name) = (parts.next(), parts.next());
                if is_session { (role.map(str::to_owned), name.map(str::to_owned)) } else { (None, None) }
            }
            None => (None, None),
        };
        self.session_name = name.map(Cow::Owned).or_else(|| self.principal_session());
        session.issuer_name.clone().filter(|name| !name.is_empty()).or(role.map(Cow::Owned)).or(own_name)
    }

    /// The part of `AROAEXAMPLE:session` behind the colon.
    fn principal_session(&self) -> Option<Cow<'a, str>> {
        let (_, session) = self.principal_id.as_deref()?.split_once(':')?;
        (!session.is_empty()).then(|| Cow::Owned(session.to_owned()))
    }

    fn arn_tail(&self) -> Option<Cow<'a, str>> {
        let arn = self.actor_arn.as_deref()?;
        let tail = arn.rsplit(['/', ':']).next().filter(|tail| !tail.is_empty())?;
        Some(Cow::Owned(tail.to_owned()))
    }

    fn account_elsewhere(&self, session: &Session<'a>) -> Option<Cow<'a, str>> {
        let of_arn =
            |arn: &str| Arn::parse(arn).map(|arn| arn.account.to_owned()).filter(|account| !account.is_empty());
        self.actor_arn
            .as_deref()
            .and_then(of_arn)
            .or_else(|| session.issuer_account.as_deref().map(str::to_owned))
            .or_else(|| session.issuer_arn.as_deref().and_then(of_arn))
            .map(Cow::Owned)
    }

    /// The best name there is, where the type's own rule gives none.
    fn best_name(&self, fields: &Fields<'a>, event: &Event<'_>) -> Option<Cow<'a, str>> {
        let present = |text: &Cow<'_, str>| !text.is_empty();
        self.arn_tail()
            .or_else(|| self.principal_id.clone().filter(present))
            .or_else(|| self.invoked_by.clone().filter(present))
            .or_else(|| additional_user(event))
            .or_else(|| center_user(fields, event))
            .or_else(|| fields.text("identityProvider").filter(present))
            .or_else(|| self.actor_account_id.clone().filter(present))
            .or_else(|| self.access_key_id.clone())
    }

    /// Puts the identity into the event's columns.
    pub(crate) fn into_columns(self, event: &mut Event<'a>) {
        event.mfa_authenticated = self.mfa_authenticated;
        event.set(Column::ActorType, self.actor_type);
        event.set(Column::UserName, self.user_name);
        event.set(Column::ActorArn, self.actor_arn);
        event.set(Column::ActorAccountId, self.actor_account_id);
        event.set(Column::PrincipalId, self.principal_id);
        event.set(Column::RoleArn, self.role_arn);
        event.set(Column::SessionName, self.session_name);
        event.set(Column::SourceIdentity, self.source_identity);
        event.set(Column::AccessKeyId, self.access_key_id);
        event.set(Column::InvokedBy, self.invoked_by);
    }
}

impl<'a> Session<'a> {
    fn read(session_context: Option<&'a str>) -> Session<'a> {
        let fields = object(session_context);
        let issuer = object(fields.get("sessionIssuer").map(RawValue::get));
        let attributes = object(fields.get("attributes").map(RawValue::get));
        Session {
            issuer_type: issuer.text("type"),
            issuer_arn: issuer.text("arn"),
            issuer_account: issuer.text("accountId"),
            issuer_name: issuer.text("userName"),
            // A string in trail files, a boolean in some exports.
            mfa: attributes.get("mfaAuthenticated").and_then(|raw| match raw.get() {
                "\"true\"" | "true" => Some(true),
                "\"false\"" | "false" => Some(false),
                _ => None,
            }),
            source_identity: fields.text("sourceIdentity"),
        }
    }
}

/// The fields of a text that is a JSON object; none for anything else.
fn object(text: Option<&str>) -> Fields<'_> {
    text.filter(|text| text.starts_with('{')).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// An Identity Center user's name, or id where the name is gone (since July 2025).
fn center_user<'a>(fields: &Fields<'a>, event: &Event<'_>) -> Option<Cow<'a, str>> {
    additional_user(event).or_else(|| object(fields.get("onBehalfOf").map(RawValue::get)).text("userId"))
}

fn additional_user(event: &Event<'_>) -> Option<Cow<'static, str>> {
    let fields = object(event.additional_event_data());
    let name = fields.text("UserName").or_else(|| fields.text("userName"))?;
    (!name.is_empty()).then(|| Cow::Owned(name.into_owned()))
}

/// What a sign-in says of MFA.
fn mfa_used(event: &Event<'_>) -> Option<bool> {
    let fields = object(event.additional_event_data());
    match text(fields.get("MFAUsed")?)?.as_ref() {
        "Yes" => Some(true),
        "No" => Some(false),
        _ => None,
    }
}
