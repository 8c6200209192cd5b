//! Policy documents: from JSON text, percent-encoded JSON or a JSON value to [`Policy`].
//!
//! Lenient where AWS has been lenient or where being strict would hide something: a value or a list, any case of element
//! names, a repeated element (its values add up), numbers and booleans for strings.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::json::Json;
use super::pattern::{matches, matches_ignore_case};

/// The largest document that is read, in bytes. AWS itself accepts about ten thousand characters.
pub const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;

/// The most strings (actions, resources, principals, condition values) that a document may name; AWS's size limits leave
/// room for fewer.
pub const MAX_PATTERNS: usize = 4096;

/// How often a document may be wrapped: percent-encoded, or a JSON string that holds JSON.
const MAX_WRAPPINGS: usize = 4;

/// Why a policy document could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Larger than [`MAX_DOCUMENT_BYTES`].
    #[error("policy document of {bytes} bytes is over the limit of {MAX_DOCUMENT_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// More strings than [`MAX_PATTERNS`].
    #[error("policy document has more than {MAX_PATTERNS} patterns")]
    TooManyPatterns,
    /// A `%` without two hexadecimal digits, or bytes that are no UTF-8.
    #[error("policy document is not percent-encoded UTF-8")]
    PercentEncoding,
    /// Not JSON, or nested too deeply.
    #[error("policy document is malformed at line {line} column {column}")]
    Malformed {
        /// Line in the decoded text, from 1.
        line: usize,
        /// Column in the decoded text, from 1.
        column: usize,
    },
    /// JSON, but no object, or wrapped too often.
    #[error("policy document is no JSON object")]
    NotAnObject,
    /// An object without `Statement`.
    #[error("policy document has no statement")]
    NoStatement,
    /// A statement that is no object, or an element of it that has another type than the grammar gives it.
    #[error("policy statement {index} has a malformed {element}")]
    WrongType {
        /// The statement's place, from 0.
        index: usize,
        /// The element, as `Action`.
        element: &'static str,
    },
    /// A statement whose `Effect` is missing or neither `Allow` nor `Deny`.
    #[error("policy statement {index} neither allows nor denies")]
    NoEffect {
        /// The statement's place, from 0.
        index: usize,
    },
}

/// A policy document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `2012-10-17`, `2008-10-17` or whatever stands there.
    pub version: Option<String>,
    /// The statements, in their order.
    pub statements: Vec<Statement>,
}

/// One statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its `Sid`.
    pub sid: Option<String>,
    /// Allow or deny.
    pub effect: Effect,
    /// `Principal`; empty in identity policies.
    pub principals: Vec<Principal>,
    /// `NotPrincipal`.
    pub not_principals: Vec<Principal>,
    /// `Action` and `NotAction`.
    pub actions: Selection,
    /// `Resource` and `NotResource`; absent in trust policies.
    pub resources: Selection,
    /// `Condition`, one entry for each operator and key. All of them must hold.
    pub conditions: Vec<Condition>,
}

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// `Allow`
    Allow,
    /// `Deny`
    Deny,
}

/// What a pair of elements like `Action` and `NotAction` selects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// The patterns of `Action` or `Resource`.
    pub named: Vec<String>,
    /// The patterns of `NotAction` or `NotResource`: everything but these.
    pub except: Option<Vec<String>>,
}

/// Who a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Under which key it stands.
    pub kind: PrincipalKind,
    /// An ARN, account id, service or provider name, or `*`.
    pub id: String,
}

/// The key of a principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrincipalKind {
    /// `AWS`, or a plain string.
    Aws,
    /// `Service`
    Service,
    /// `Federated`
    Federated,
    /// `CanonicalUser`
    CanonicalUser,
    /// A key that AWS does not document.
    Unknown,
}

/// One operator and key of a `Condition`, with the values of which one must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// As `StringEquals` or `ForAnyValue:StringLike`. Shared by the keys under it.
    pub operator: Arc<str>,
    /// As `aws:SourceArn`.
    pub key: String,
    /// The values.
    pub values: Vec<String>,
}

impl Policy {
    /// Reads a document from text: JSON, percent-encoded JSON, or a JSON string that holds either.
    ///
    /// # Errors
    /// [`PolicyError`], for everything that is no policy document within the limits.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut text = Cow::Borrowed(text);
        for _ in 0..MAX_WRAPPINGS {
            if text.len() > MAX_DOCUMENT_BYTES {
                return Err(PolicyError::TooLarge { bytes: text.len() });
            }
            let trimmed = text.trim_start_matches('\u{feff}').trim();
            let unwrapped = match trimmed.bytes().next() {
                Some(b'{') => {
                    let json = serde_json::from_str(trimmed).map_err(|error| malformed(&error))?;
                    return Self::from_json(json);
                }
                Some(b'"') => serde_json::from_str::<String>(trimmed).map_err(|error| malformed(&error))?,
                Some(b'[') | None => return Err(PolicyError::NotAnObject),
                Some(_) if trimmed.contains('%') => percent_decode(trimmed)?,
                Some(_) => return Err(PolicyError::Malformed { line: 1, column: 1 }),
            };
            text = Cow::Owned(unwrapped);
        }
        Err(PolicyError::NotAnObject)
    }

    /// Reads a document from a JSON value: the object itself, or a string as [`Policy::parse`] takes it.
    ///
    /// # Errors
    /// [`PolicyError`], as for [`Policy::parse`].
    pub fn from_value(value: &Value) -> Result<Self, PolicyError> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Object(_) => Self::from_json(Json::deserialize(value).map_err(|error| malformed(&error))?),
            _ => Err(PolicyError::NotAnObject),
        }
    }

    fn from_json(document: Json) -> Result<Self, PolicyError> {
        let mut version = None;
        let mut raw = None;
        for (name, value) in document.into_members().ok_or(PolicyError::NotAnObject)? {
            match name.to_ascii_lowercase().as_str() {
                "version" => version = value.into_text(),
                "statement" => raw.get_or_insert_with(Vec::new).extend(value.into_items()),
                _ => {}
            }
        }

        let mut statements = Vec::new();
        let mut patterns = 0;
        for (index, statement) in raw.ok_or(PolicyError::NoStatement)?.into_iter().enumerate() {
            let statement = Statement::from_json(index, statement)?;
            patterns += statement.patterns();
            if patterns > MAX_PATTERNS {
                return Err(PolicyError::TooManyPatterns);
            }
            statements.push(statement);
        }
        Ok(Self { version, statements })
    }
}

impl Selection {
    /// Were neither of the two elements there?
    pub fn is_absent(&self) -> bool {
        self.named.is_empty() && self.except.is_none()
    }

    /// Does this select an action (`iam:CreateUser`, case does not count)?
    pub fn selects_action(&self, action: &str) -> bool {
        self.selects(|pattern| matches_ignore_case(pattern, action))
    }

    /// Does this select a resource (an ARN, case counts)?
    pub fn selects_resource(&self, resource: &str) -> bool {
        self.selects(|pattern| matches(pattern, resource))
    }

    fn exclude(&mut self, patterns: Vec<String>) {
        self.except.get_or_insert_default().extend(patterns);
    }

    pub(super) fn selects(&self, matches: impl Fn(&str) -> bool) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern));
        any(&self.named) || self.except.as_deref().is_some_and(|patterns| !any(patterns))
    }
}

impl Statement {
    fn from_json(index: usize, statement: Json) -> Result<Self, PolicyError> {
        let wrong_type = |element| PolicyError::WrongType { index, element };
        let mut effect = None;
        let mut sid = None;
        let (mut principals, mut not_principals) = (Vec::new(), Vec::new());
        let (mut actions, mut resources) = (Selection::default(), Selection::default());
        let mut conditions = Vec::new();

        for (name, value) in statement.into_members().ok_or(wrong_type("Statement"))? {
            match name.to_ascii_lowercase().as_str() {
                "sid" => sid = value.into_text(),
                "effect" => effect = value.into_text().and_then(|text| Effect::from_text(&text)),
                "action" => actions.named.extend(texts(value).ok_or(wrong_type("Action"))?),
                "notaction" => actions.exclude(texts(value).ok_or(wrong_type("NotAction"))?),
                "resource" => resources.named.extend(texts(value).ok_or(wrong_type("Resource"))?),
                "notresource" => resources.exclude(texts(value).ok_or(wrong_type("NotResource"))?),
                "principal" => principals.extend(principals_of(value).ok_or(wrong_type("Principal"))?),
                "notprincipal" => not_principals.extend(principals_of(value).ok_or(wrong_type("NotPrincipal"))?),
                "condition" => conditions.extend(conditions_of(value).ok_or(wrong_type("Condition"))?),
                _ => {}
            }
        }

        let effect = effect.ok_or(PolicyError::NoEffect { index })?;
        Ok(Self { sid, effect, principals, not_principals, actions, resources, conditions })
    }

    /// What this statement adds to the count that [`MAX_PATTERNS`] bounds; the statement itself counts as well.
    fn patterns(&self) -> usize {
        let selected = |selection: &Selection| selection.named.len() + selection.except.as_ref().map_or(0, Vec::len);
        let conditions: usize = self.conditions.iter().map(|condition| 1 + condition.values.len()).sum();
        let principals = self.principals.len() + self.not_principals.len();
        1 + principals + selected(&self.actions) + selected(&self.resources) + conditions
    }
}

impl Effect {
    fn from_text(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("allow") {
            Some(Self::Allow)
        } else if text.eq_ignore_ascii_case("deny") {
            Some(Self::Deny)
        } else {
            None
        }
    }
}

impl PrincipalKind {
    fn from_key(key: &str) -> Self {
        match key.to_ascii_lowercase().as_str() {
            "aws" => Self::Aws,
            "service" => Self::Service,
            "federated" => Self::Federated,
            "canonicaluser" => Self::CanonicalUser,
            _ => Self::Unknown,
        }
    }
}

/// One text or a list of texts.
fn texts(value: Json) -> Option<Vec<String>> {
    value.into_items().into_iter().map(Json::into_text).collect()
}

/// `"*"`, or an object from kinds of principals to one or several of them.
fn principals_of(value: Json) -> Option<Vec<Principal>> {
    let members = match value {
        Json::Members(members) => members,
        plain => vec![("AWS".to_owned(), plain)],
    };
    let mut principals = Vec::new();
    for (key, ids) in members {
        let kind = PrincipalKind::from_key(&key);
        principals.extend(texts(ids)?.into_iter().map(|id| Principal { kind, id }));
    }
    Some(principals)
}

/// An object from operators to objects from keys to one or several values.
fn conditions_of(value: Json) -> Option<Vec<Condition>> {
    let mut conditions = Vec::new();
    for (operator, keys) in value.into_members()? {
        let operator: Arc<str> = operator.into();
        for (key, values) in keys.into_members()? {
            conditions.push(Condition { operator: Arc::clone(&operator), key, values: texts(values)? });
        }
    }
    Some(conditions)
}

fn malformed(error: &serde_json::Error) -> PolicyError {
    PolicyError::Malformed { line: error.line(), column: error.column() }
}

/// Undoes RFC 3986 percent-encoding, which is what AWS uses: a `+` is a plus.
fn percent_decode(text: &str) -> Result<String, PolicyError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut pieces = text.split('%');
    bytes.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
    for piece in pieces {
        let (digits, plain) = piece.split_at_checked(2).ok_or(PolicyError::PercentEncoding)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(PolicyError::PercentEncoding);
        }
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| PolicyError::PercentEncoding)?);
        bytes.extend_from_slice(plain.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| PolicyError::PercentEncoding)
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
