//! Secrets: where they come from, and that they go nowhere else.

use std::fmt;

use event::arn::Arn;
use pipeline::service::CallError;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// What stands in the place of a secret.
pub(crate) const HIDDEN: &str = "***";
/// The longest secret read from a file, in bytes.
const FILE_MAX: u64 = 64 * 1024;

/// A text that is never shown: `Debug`, `Display` and `Serialize` all say `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The secret itself, for what needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

/// Where a secret comes from: a text, `{ env = "NAME" }`, `{ file = "PATH" }` or `{ aws = "ARN" }` (a secret of Secrets
/// Manager or a parameter of Systems Manager). The text is a secret; where it comes from is none and is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// It stands in the configuration.
    Inline(Secret),
    /// An environment variable has it.
    Env(String),
    /// A file has it; a line break at its end is left out.
    File(String),
    /// AWS has it.
    Aws(String),
}

/// Why a secret is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or is no text.
    #[error("the environment variable {0} is not set")]
    Env(String),
    /// The file cannot be read.
    #[error("the file {path} cannot be read: {reason}")]
    File {
        /// Which file.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// There can be no such secret.
    #[error(
        "what aws = names is no ARN such as arn:aws:secretsmanager:us-east-1:111122223333:secret:slack-AbCdEf or \
         arn:aws:ssm:us-east-1:111122223333:parameter/slack"
    )]
    Arn,
    /// AWS does not give it. All the others are mistakes in the configuration.
    #[error("{arn}: {source}")]
    Aws {
        /// Which secret.
        arn: String,
        /// Why.
        source: CallError,
    },
    /// It is there and says nothing.
    #[error("{0} is empty")]
    Empty(String),
}

/// The port to AWS Secrets Manager and the parameters of Systems Manager.
pub trait SecretStore: Send + Sync {
    /// The secret of this ARN. The error says what the service says, without the secret.
    ///
    /// # Errors
    /// [`CallError`].
    fn get(&self, arn: &Arn<'_>) -> Result<Secret, CallError>;
}

/// Where there is no AWS.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSecretStore;

impl SecretStore for NoSecretStore {
    fn get(&self, _: &Arn<'_>) -> Result<Secret, CallError> {
        Err(CallError::Refused("secrets of AWS cannot be read here".to_owned()))
    }
}

impl SecretSource {
    /// Gets the secret.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn resolve(&self, store: &dyn SecretStore) -> Result<Secret, SecretError> {
        let secret = match self {
            SecretSource::Inline(secret) => secret.clone(),
            SecretSource::Env(name) => std::env::var(name).map(Secret).map_err(|_| SecretError::Env(name.clone()))?,
            SecretSource::File(path) => {
                Secret(read(path).map_err(|error| SecretError::File { path: path.clone(), reason: error.to_string() })?)
            }
            SecretSource::Aws(text) => {
                let arn = Arn::parse(text).filter(is_secret).ok_or(SecretError::Arn)?;
                store.get(&arn).map_err(|source| SecretError::Aws { arn: text.clone(), source })?
            }
        };
        if secret.0.trim().is_empty() {
            return Err(SecretError::Empty(self.to_string()));
        }
        Ok(secret)
    }
}

/// Whether this is a secret of Secrets Manager or a parameter of Systems Manager.
fn is_secret(arn: &Arn<'_>) -> bool {
    match arn.service {
        "secretsmanager" => arn.resource.starts_with("secret:"),
        "ssm" => arn.resource.starts_with("parameter/"),
        _ => false,
    }
}

fn read(path: &str) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(FILE_MAX).read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretSource::Inline(secret) => secret.fmt(f),
            SecretSource::Env(name) => write!(f, "the environment variable {name}"),
            SecretSource::File(path) => write!(f, "the file {path}"),
            SecretSource::Aws(arn) => f.write_str(arn),
        }
    }
}

impl Serialize for SecretSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, value) = match self {
            SecretSource::Inline(secret) => return secret.serialize(serializer),
            SecretSource::Env(name) => ("env", name),
            SecretSource::File(path) => ("file", path),
            SecretSource::Aws(arn) => ("aws", arn),
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(key, value)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SecretSource, D::Error> {
        deserializer.deserialize_any(SourceVisitor)
    }
}

/// What a secret may be given as.
const EXPECTED: &str = "a text, { env = \"NAME\" }, { file = \"PATH\" } or { aws = \"ARN\" }";

struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = SecretSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretSource, E> {
        Ok(SecretSource::Inline(Secret::new(text)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretSource, A::Error> {
        let wrong = || de::Error::custom(format!("a secret is {EXPECTED}"));
        let (key, value) = map.next_entry::<String, String>()?.ok_or_else(wrong)?;
        let source = match key.as_str() {
            "env" => SecretSource::Env(value),
            "file" => SecretSource::File(value),
            "aws" => SecretSource::Aws(value),
            _ => return Err(wrong()),
        };
        if map.next_key::<String>()?.is_some() {
            return Err(wrong());
        }
        Ok(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<SecretSource, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("hunter2");
        let source = SecretSource::Inline(secret.clone());
        let shown = [
            format!("{secret} {secret:?}"),
            format!("{source} {source:?}"),
            serde_json::to_string(&source).unwrap(),
            serde_json::to_string(&secret).unwrap(),
        ];
        assert!(shown.iter().all(|text| !text.contains("hunter2") && text.contains(HIDDEN)), "{shown:?}");
        let reference = parse(r#"{"env": "TOKEN"}"#).unwrap();
        assert_eq!(serde_json::to_string(&reference).unwrap(), r#"{"env":"TOKEN"}"#);
    }

    #[test]
    fn a_secret_comes_from_where_it_is() {
        let resolve = |json: &str| parse(json).unwrap().resolve(&NoSecretStore);
        assert_eq!(resolve(r#""inline""#).unwrap().expose(), "inline");
        assert!(!resolve(r#"{"env": "PATH"}"#).unwrap().expose().is_empty());
        assert_eq!(resolve(r#"{"env": "NO_SUCH"}"#), Err(SecretError::Env("NO_SUCH".to_owned())));

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "from a file\r\n").unwrap();
        let source = SecretSource::File(path.display().to_string());
        assert_eq!(source.resolve(&NoSecretStore).unwrap().expose(), "from a file");
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(source.resolve(&NoSecretStore), Err(SecretError::Empty(_))));
        assert!(matches!(resolve(r#"{"file": "/no/such"}"#), Err(SecretError::File { .. })));
        let parameter = r#"{"aws": "arn:aws:ssm:us-east-1:111122223333:parameter/slack"}"#;
        assert!(matches!(resolve(parameter), Err(SecretError::Aws { .. })));
    }

    #[test]
    fn an_arn_tells_which_service_and_no_other_is_asked() {
        let is = |text: &str| Arn::parse(text).is_some_and(|arn| is_secret(&arn));
        assert!(is("arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:slack-AbCdEf"));
        assert!(is("arn:aws-us-gov:ssm:us-gov-west-1:111122223333:parameter/team/slack"));
        assert!(!is("arn:aws:ssm:us-east-1:111122223333:document/slack"));
        for wrong in ["hunter2", "arn:aws:iam::111122223333:role/slack"] {
            let error = SecretSource::Aws(wrong.to_owned()).resolve(&NoSecretStore).unwrap_err();
            assert_eq!(error, SecretError::Arn);
            assert!(!error.to_string().contains("hunter2"), "a secret in the wrong place is not repeated");
        }
    }

    #[test]
    fn a_mistake_does_not_tell_the_secret() {
        for wrong in [r#"{"evn": "hunter2"}"#, r#"{"env": "A", "file": "hunter2"}"#, "{}", "7"] {
            let error = parse(wrong).unwrap_err().to_string();
            assert!(error.contains("env = ") && !error.contains("hunter2"), "{error}");
        }
    }
}
