//! Who acted: the twelve types of `userIdentity`, resolved to names.
//!
//! Source: "CloudTrail userIdentity element", AWS CloudTrail User Guide.
//!
//! `userIdentity` is read in one pass ([`Claims`]), each part as its text, because a stranger's record may hold anything
//! anywhere. Names are borrowed from the record wherever they stand in it as they are.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::RandomState;
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
    /// What names the caller where nothing else of the record does.
    last_resort: Option<Cow<'a, str>>,
    /// `onBehalfOf.userId`: an Identity Center user's id.
    user_id: Option<Cow<'a, str>>,
}

/// The identities of a file by their text: a session makes many calls.
#[derive(Default)]
pub(crate) struct Identities<'a>(Option<HashMap<&'a str, Identity<'a>, RandomState>>);

impl<'a> Identities<'a> {
    /// Remembers each identity for the next record with the same.
    pub(crate) fn remembered() -> Identities<'a> {
        Identities(Some(HashMap::default()))
    }

    /// What the text of `userIdentity` resolves to.
    pub(crate) fn of(&mut self, user_identity: &'a str) -> Identity<'a> {
        match &mut self.0 {
            Some(known) => known.entry(user_identity).or_insert_with(|| Identity::resolve(user_identity)).clone(),
            None => Identity::resolve(user_identity),
        }
    }
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
    /// Resolves the text of `userIdentity`, as far as it says who acted.
    fn resolve(user_identity: &'a str) -> Identity<'a> {
        let claims = Claims::read(user_identity);
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
            user_id: said(object(claims.on_behalf_of.map(RawValue::get)).get("userId")),
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
                // arn:aws:sts::111122223333:federated-user/NAME: a session with the rights of the IAM user who made it,
                // and under that user's name, or a stolen key could hide behind a name of the thief's choice.
                identity.session_name = identity.arn_tail().or_else(|| identity.principal_session());
                said(claims.issuer_name).or(own_name)
            }
            Some("AWSService") => identity.invoked_by.clone().or(own_name),
            Some("AWSAccount") => {
                // Another account's session shows here as `AROA…:session-name`.
                identity.session_name = identity.principal_session();
                own_name
            }
            // IAMUser, IdentityCenterUser, Directory, SAMLUser, WebIdentityUser, Unknown, and what AWS adds next.
            _ => own_name,
        };
        let elsewhere = by_type.is_none().then(|| identity.named_elsewhere(&claims)).flatten();
        if identity.actor_type.as_deref() == Some("IdentityCenterUser") {
            // Its name can stand beside the identity, its id in it; both say more than a principal's.
            (identity.user_name, identity.last_resort) = (by_type, elsewhere);
        } else {
            identity.user_name = by_type.or(elsewhere);
        }
        if identity.user_name.is_none() && identity.last_resort.is_none() {
            identity.last_resort = identity.last_resort(&claims);
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
    fn named_elsewhere(&self, claims: &Claims<'a>) -> Option<Cow<'a, str>> {
        self.arn_tail()
            .or_else(|| self.principal_id.clone())
            .or_else(|| said(claims.user_name))
            .or_else(|| said(claims.issuer_name))
            .or_else(|| self.invoked_by.clone())
    }

    /// What is no name of the caller's but tells whence the call came.
    fn last_resort(&self, claims: &Claims<'a>) -> Option<Cow<'a, str>> {
        self.source_identity
            .clone()
            .or_else(|| self.actor_arn.clone())
            .or_else(|| said(claims.issuer_arn))
            .or_else(|| said(claims.identity_provider))
            .or_else(|| self.actor_account_id.clone())
            .or_else(|| self.access_key_id.clone())
    }

    /// Puts the identity into the columns of an event, which holds the columns that were read before it.
    pub(crate) fn into_columns(self, event: &mut Event<'a>) {
        let user_name = self.user_name.or_else(|| additional_user(event)).or(self.user_id).or(self.last_resort);
        let is_sign_in = crate::target::family(event.source()) == "signin";
        event.mfa_authenticated = is_sign_in.then(|| mfa_used(event)).flatten().or(self.mfa_authenticated);
        event.set(Column::ActorType, self.actor_type);
        event.set(Column::UserName, user_name);
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

/// The name of an Identity Center user that stands beside the identity (gone since July 2025).
fn additional_user<'a>(event: &Event<'_>) -> Option<Cow<'a, str>> {
    let additional = object(event.additional_event_data());
    let name = said(additional.get("UserName")).or_else(|| said(additional.get("userName")))?;
    Some(Cow::Owned(name.into_owned()))
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
