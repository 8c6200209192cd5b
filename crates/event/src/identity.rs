//! Who acted: the twelve types of `userIdentity`, resolved to names.
//!
//! Source: "CloudTrail userIdentity element", AWS CloudTrail User Guide.
//!
//! `userIdentity` is read in one pass ([`Claims`]), each part as its text, because a stranger's record may hold anything
//! anywhere. Names are borrowed from the record wherever they stand in it as they are.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::Event;
use crate::arn::Arn;
use crate::column::Column;
use crate::record::{Fields, Key, text};

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

/// What `userIdentity` says, part by part, not yet judged.
#[derive(Debug, Default)]
struct Claims<'a> {
    actor_type: Option<&'a RawValue>,
    user_name: Option<&'a RawValue>,
    arn: Option<&'a RawValue>,
    account_id: Option<&'a RawValue>,
    principal_id: Option<&'a RawValue>,
    access_key_id: Option<&'a RawValue>,
    invoked_by: Option<&'a RawValue>,
    identity_provider: Option<&'a RawValue>,
    on_behalf_of: Option<&'a RawValue>,
    source_identity: Option<&'a RawValue>,
    issuer_type: Option<&'a RawValue>,
    issuer_arn: Option<&'a RawValue>,
    issuer_account: Option<&'a RawValue>,
    issuer_name: Option<&'a RawValue>,
    mfa_authenticated: Option<&'a RawValue>,
}

impl<'a> Identity<'a> {
    /// Resolves the text of `userIdentity`; `event` holds the columns that were read before it.
    pub(crate) fn resolve(user_identity: Option<&'a str>, event: &Event<'a>) -> Identity<'a> {
        let claims = Claims::read(user_identity.unwrap_or_default());
        let mut identity = Identity {
            actor_type: said(claims.actor_type),
            actor_arn: said(claims.arn),
            actor_account_id: said(claims.account_id),
            principal_id: said(claims.principal_id),
            access_key_id: said(claims.access_key_id),
            invoked_by: said(claims.invoked_by),
            source_identity: said(claims.source_identity),
            // A string in trail files, a boolean in some exports.
            mfa_authenticated: claims.mfa_authenticated.and_then(|raw| match raw.get() {
                "\"true\"" | "true" => Some(true),
                "\"false\"" | "false" => Some(false),
                _ => None,
            }),
            ..Identity::default()
        };
        if identity.actor_account_id.is_none() {
            identity.actor_account_id = identity.account_elsewhere(&claims);
        }
        let own_name = said(claims.user_name);
        let by_type = match identity.actor_type.as_deref() {
            Some("Root") => Some(Cow::Borrowed("root")),
            Some("AssumedRole") => identity.assumed_role(&claims, own_name),
            Some("Role") => {
                identity.role_arn = identity.actor_arn.clone();
                own_name.or_else(|| identity.arn_tail())
            }
            Some("FederatedUser") => {
                // arn:aws:sts::111122223333:federated-user/NAME, a session of the user who is its issuer.
                identity.session_name = identity.arn_tail();
                own_name
            }
            Some("IdentityCenterUser") => own_name.or_else(|| center_user(&claims, event)),
            Some("AWSService") => identity.invoked_by.clone().or(own_name),
            Some("AWSAccount") => {
                // Another account's session shows here as `AROA…:session-name`.
                identity.session_name = identity.principal_session();
                own_name
            }
            // IAMUser, Directory, SAMLUser, WebIdentityUser, Unknown, and what AWS adds next.
            _ => own_name,
        };
        identity.user_name = by_type.or_else(|| identity.best_name(&claims, event));
        if crate::target::family(event.source()) == "signin"
            && let Some(used) = mfa_used(event)
        {
            identity.mfa_authenticated = Some(used);
        }
        identity
    }

    /// A role session acts under its role's name, with the person in the session's name.
    fn assumed_role(&mut self, claims: &Claims<'a>, own_name: Option<Cow<'a, str>>) -> Option<Cow<'a, str>> {
        let by_user = claims.issuer_type.is_some_and(|kind| matches!(kind.get(), "\"User\"" | "\"IAMUser\""));
        self.role_arn = said(claims.issuer_arn).filter(|_| !by_user);
        self.session_name =
            self.actor_arn.as_ref().and_then(|arn| part(arn, session_of_arn)).or_else(|| self.principal_session());
        said(claims.issuer_name)
            .or_else(|| self.actor_arn.as_ref().and_then(|arn| part(arn, role_of_arn)))
            .or_else(|| self.role_arn.as_ref().and_then(|arn| part(arn, tail)))
            .or(own_name)
    }

    /// The part of `AROAEXAMPLE:session` behind the colon.
    fn principal_session(&self) -> Option<Cow<'a, str>> {
        part(self.principal_id.as_ref()?, |id| id.split_once(':').map(|(_, session)| session))
    }

    fn arn_tail(&self) -> Option<Cow<'a, str>> {
        part(self.actor_arn.as_ref()?, tail)
    }

    fn account_elsewhere(&self, claims: &Claims<'a>) -> Option<Cow<'a, str>> {
        let of_arn = |arn: &Cow<'a, str>| part(arn, |arn| Arn::parse(arn).map(|arn| arn.account));
        self.actor_arn
            .as_ref()
            .and_then(of_arn)
            .or_else(|| said(claims.issuer_account))
            .or_else(|| said(claims.issuer_arn).as_ref().and_then(of_arn))
    }

    /// The best name there is, where the type's own rule gives none.
    fn best_name(&self, claims: &Claims<'a>, event: &Event<'a>) -> Option<Cow<'a, str>> {
        self.arn_tail()
            .or_else(|| self.principal_id.clone())
            .or_else(|| said(claims.user_name))
            .or_else(|| said(claims.issuer_name))
            .or_else(|| self.invoked_by.clone())
            .or_else(|| center_user(claims, event))
            .or_else(|| self.source_identity.clone())
            .or_else(|| said(claims.issuer_arn))
            .or_else(|| said(claims.identity_provider))
            .or_else(|| self.actor_account_id.clone())
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

/// The text of a claim, if it says anything.
fn said(claim: Option<&RawValue>) -> Option<Cow<'_, str>> {
    claim.and_then(text).filter(|text| !text.is_empty())
}

/// A part of a text, borrowed where the text is; nothing where it is empty.
fn part<'a>(of: &Cow<'a, str>, find: impl for<'t> Fn(&'t str) -> Option<&'t str>) -> Option<Cow<'a, str>> {
    let found = match of {
        Cow::Borrowed(text) => find(text).map(Cow::Borrowed),
        Cow::Owned(text) => find(text).map(|part| Cow::Owned(part.to_owned())),
    };
    found.filter(|part| !part.is_empty())
}

/// `ROLE` of `arn:aws:sts::111122223333:assumed-role/ROLE/SESSION`.
fn role_of_arn(arn: &str) -> Option<&str> {
    let session = Arn::parse(arn)?.resource.strip_prefix("assumed-role/")?;
    Some(session.split_once('/').map_or(session, |(role, _)| role))
}

/// `SESSION` of `arn:aws:sts::111122223333:assumed-role/ROLE/SESSION`.
fn session_of_arn(arn: &str) -> Option<&str> {
    Arn::parse(arn)?.resource.strip_prefix("assumed-role/")?.split_once('/').map(|(_, session)| session)
}

/// What stands behind the last slash or colon.
fn tail(arn: &str) -> Option<&str> {
    arn.rsplit(['/', ':']).next()
}

/// The fields of a text that is a JSON object; none for anything else.
fn object(text: Option<&str>) -> Fields<'_> {
    text.filter(|text| text.starts_with('{')).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// An Identity Center user's name, or id where the name is gone (since July 2025).
fn center_user<'a>(claims: &Claims<'a>, event: &Event<'a>) -> Option<Cow<'a, str>> {
    let additional = object(event.additional_event_data());
    let name = said(additional.get("UserName")).or_else(|| said(additional.get("userName")));
    name.map(|name| Cow::Owned(name.into_owned()))
        .or_else(|| said(object(claims.on_behalf_of.map(RawValue::get)).get("userId")))
}

/// What a sign-in says of MFA.
fn mfa_used(event: &Event<'_>) -> Option<bool> {
    match object(event.additional_event_data()).text("MFAUsed")?.as_ref() {
        "Yes" => Some(true),
        "No" => Some(false),
        _ => None,
    }
}

impl<'a> Claims<'a> {
    fn read(user_identity: &'a str) -> Claims<'a> {
        let mut claims = Claims::default();
        // The text is JSON already; what stops the reader nevertheless (a number that no type holds in the place of an
        // object) costs the claims behind it, not those before.
        let _ = Part { of: Of::User, claims: &mut claims }
            .deserialize(&mut serde_json::Deserializer::from_str(user_identity));
        claims
    }
}

/// Which object a field stands in.
#[derive(Clone, Copy)]
enum Of {
    User,
    Session,
    Issuer,
    Attributes,
}

/// Reads one object of `userIdentity` into the claims; anything else in its place says nothing.
struct Part<'c, 'a> {
    of: Of,
    claims: &'c mut Claims<'a>,
}

impl<'a> DeserializeSeed<'a> for Part<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Part<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let Part { of, claims } = self;
        while let Some(Key(name)) = map.next_key()? {
            let claim = match (of, name.as_ref()) {
                (Of::User, "type") => &mut claims.actor_type,
                (Of::User, "userName") => &mut claims.user_name,
                (Of::User, "arn") => &mut claims.arn,
                (Of::User, "accountId") => &mut claims.account_id,
                (Of::User, "principalId") => &mut claims.principal_id,
                (Of::User, "accessKeyId") => &mut claims.access_key_id,
                (Of::User, "invokedBy") => &mut claims.invoked_by,
                (Of::User, "identityProvider") => &mut claims.identity_provider,
                (Of::User, "onBehalfOf") => &mut claims.on_behalf_of,
                (Of::Session, "sourceIdentity") => &mut claims.source_identity,
                (Of::Issuer, "type") => &mut claims.issuer_type,
                (Of::Issuer, "arn") => &mut claims.issuer_arn,
                (Of::Issuer, "accountId") => &mut claims.issuer_account,
                (Of::Issuer, "userName") => &mut claims.issuer_name,
                (Of::Attributes, "mfaAuthenticated") => &mut claims.mfa_authenticated,
                (Of::User, "sessionContext") => {
                    map.next_value_seed(Part { of: Of::Session, claims })?;
                    continue;
                }
                (Of::Session, "sessionIssuer") => {
                    map.next_value_seed(Part { of: Of::Issuer, claims })?;
                    continue;
                }
                (Of::Session, "attributes") => {
                    map.next_value_seed(Part { of: Of::Attributes, claims })?;
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *claim = Some(map.next_value()?);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
