//! CloudTrail's public keys: found by their fingerprints, from ListPublicKeys or from a file.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::evidence::Trouble;
use crate::report::HOUR;
use crate::signature::Verifier;

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// What digests call it by.
    pub fingerprint: String,
    /// RSA, as PKCS#1 DER.
    pub der: Vec<u8>,
    /// From when on digests are signed with it, where that is said.
    pub from: Option<Timestamp>,
    /// Until when digests are signed with it, where that is said.
    pub to: Option<Timestamp>,
    /// Whose region it is, where that is said.
    pub region: Option<String>,
}

/// Where keys come from.
pub trait KeySource: Send + Sync {
    /// The keys of a region that were in use between two times.
    ///
    /// # Errors
    /// [`Trouble`].
    fn keys(&self, region: &str, from: Timestamp, to: Timestamp) -> Result<Vec<PublicKey>, Trouble>;
}

impl<S: KeySource + ?Sized> KeySource for &S {
    fn keys(&self, region: &str, from: Timestamp, to: Timestamp) -> Result<Vec<PublicKey>, Trouble> {
        (**self).keys(region, from, to)
    }
}

impl<S: KeySource + ?Sized> KeySource for Box<S> {
    fn keys(&self, region: &str, from: Timestamp, to: Timestamp) -> Result<Vec<PublicKey>, Trouble> {
        (**self).keys(region, from, to)
    }
}

/// Why a file of keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// It is no answer of ListPublicKeys.
    #[error(
        "it is no list of public keys, as `trailhound verify keys export` or `aws cloudtrail list-public-keys` write it: {0}"
    )]
    Format(serde_json::Error),
    /// The value of a key is none.
    #[error("the value of the key {0:?} is no base64")]
    Value(String),
}

/// The answer of ListPublicKeys, and the file of `verify keys export`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    public_key_list: Vec<ListedKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedKey {
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    validity_start_time: Option<Written>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    validity_end_time: Option<Written>,
    fingerprint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
}

/// A time: the API and the first AWS CLI write seconds, the second one text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Seconds(f64),
    Text(String),
}

impl Written {
    fn time(&self) -> Option<Timestamp> {
        match self {
            Written::Seconds(seconds) => Timestamp::from_seconds(*seconds as i64),
            Written::Text(text) => Timestamp::parse(text),
        }
    }
}

/// Reads a list of public keys: ListPublicKeys' answer as JSON.
///
/// # Errors
/// [`KeysError`].
pub fn parse(text: &[u8]) -> Result<Vec<PublicKey>, KeysError> {
    let listed: Listed = serde_json::from_slice(text).map_err(KeysError::Format)?;
    let key = |key: ListedKey| {
        let time = |written: Option<Written>| written.and_then(|written| written.time());
        let der =
            STANDARD.decode(&key.value).map_err(|_| KeysError::Value(key.fingerprint.chars().take(64).collect()))?;
        let (from, to) = (time(key.validity_start_time), time(key.validity_end_time));
        Ok(PublicKey { fingerprint: key.fingerprint, der, from, to, region: key.region })
    };
    listed.public_key_list.into_iter().map(key).collect()
}

/// Writes keys so that [`parse`] reads them.
#[must_use]
pub fn render(keys: &[PublicKey]) -> String {
    let written = |time: Option<Timestamp>| time.map(|time| Written::Text(time.to_string()));
    let listed = keys.iter().map(|key| ListedKey {
        value: STANDARD.encode(&key.der),
        validity_start_time: written(key.from),
        validity_end_time: written(key.to),
        fingerprint: key.fingerprint.clone(),
        region: key.region.clone(),
    });
    let listed = Listed { public_key_list: listed.collect() };
    let mut text = serde_json::to_string_pretty(&listed).expect("strings serialise");
    text.push('\n');
    text
}

/// Keys of a file, whatever their region.
#[derive(Debug, Clone, Default)]
pub struct KeyFile(Vec<PublicKey>);

impl KeyFile {
    /// Some keys.
    #[must_use]
    pub fn new(keys: Vec<PublicKey>) -> KeyFile {
        KeyFile(keys)
    }
}

impl KeySource for KeyFile {
    fn keys(&self, _: &str, _: Timestamp, _: Timestamp) -> Result<Vec<PublicKey>, Trouble> {
        Ok(self.0.clone())
    }
}

/// Why a digest's key is not at hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoKey {
    /// The region has none with this fingerprint.
    #[error("its public key {0:?} is not among those of {1}")]
    NotFound(String, String),
    /// Nobody knows which keys the region has.
    #[error("the public keys of {0} could not be listed: {1}")]
    Unknown(String, Trouble),
}

/// Keys that were listed: each region is asked once, and again only for what is older than that.
pub struct KeyRing<'a> {
    source: Box<dyn KeySource + 'a>,
    from: Timestamp,
    to: Timestamp,
    regions: Mutex<BTreeMap<String, Arc<Region>>>,
}

type Keys = HashMap<String, Known>;

#[derive(Clone)]
struct Known {
    key: Arc<PublicKey>,
    verifier: Arc<Verifier>,
}

#[derive(Default)]
struct Region {
    /// Locked while they are asked for, so that each region is asked once.
    keys: Mutex<Option<Result<Keys, Trouble>>>,
}

impl<'a> KeyRing<'a> {
    /// Keys for digests between two times.
    #[must_use]
    pub fn new(source: impl KeySource + 'a, from: Timestamp, to: Timestamp) -> KeyRing<'a> {
        KeyRing { source: Box::new(source), from, to, regions: Mutex::default() }
    }

    /// A key by its fingerprint. One that signed a digest long after its period is looked for around `signed`.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn find(&self, region: &str, fingerprint: &str, signed: Option<Timestamp>) -> Result<Arc<PublicKey>, NoKey> {
        self.known(region, fingerprint, signed).map(|known| known.key)
    }

    /// The same, ready to check signatures with.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn verifier(&self, region: &str, fingerprint: &str, signed: Option<Timestamp>) -> Result<Arc<Verifier>, NoKey> {
        self.known(region, fingerprint, signed).map(|known| known.verifier)
    }

    fn known(&self, region: &str, fingerprint: &str, signed: Option<Timestamp>) -> Result<Known, NoKey> {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        let known = Arc::clone(regions.entry(region.to_owned()).or_default());
        drop(regions);
        let mut keys = known.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = keys.get_or_insert_with(|| self.source.keys(region, self.from, self.to).map(by_fingerprint));
        let listed = listed.as_mut().map_err(|trouble| NoKey::Unknown(region.to_owned(), trouble.clone()))?;
        let is_outside = |at: &Timestamp| !(self.from..=self.to).contains(at);
        if !listed.contains_key(fingerprint)
            && let Some(signed) = signed.filter(is_outside)
        {
            let around = |shift| Timestamp::from_micros(signed.micros() + shift).unwrap_or(signed);
            let more = self.source.keys(region, around(-HOUR), around(HOUR));
            listed.extend(by_fingerprint(more.map_err(|trouble| NoKey::Unknown(region.to_owned(), trouble))?));
        }
        let found = listed.get(fingerprint).cloned();
        found.ok_or_else(|| NoKey::NotFound(fingerprint.chars().take(64).collect(), region.to_owned()))
    }
}

fn by_fingerprint(keys: Vec<PublicKey>) -> Keys {
    let known = |key: PublicKey| {
        let verifier = Arc::new(Verifier::new(&key));
        (key.fingerprint.clone(), Known { key: Arc::new(key), verifier })
    };
    keys.into_iter().map(known).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn key(fingerprint: &str) -> PublicKey {
        PublicKey {
            fingerprint: fingerprint.to_owned(),
            der: vec![0x30, 0, 0xff],
            from: Some(at("2026-01-01T00:00:00Z")),
            to: None,
            region: Some("us-east-1".to_owned()),
        }
    }

    #[test]
    fn what_is_written_is_read_and_so_is_what_aws_writes() {
        let keys = vec![key("a"), PublicKey { from: None, region: None, ..key("b") }];
        assert_eq!(parse(render(&keys).as_bytes()).unwrap(), keys);
        for time in ["1767225600.0", "1767225600", "\"2026-01-01T00:00:00+00:00\""] {
            let answer = format!(
                r#"{{"PublicKeyList":[{{"Value":"MAD/","ValidityStartTime":{time},"ValidityEndTime":null,"Fingerprint":"a"}}]}}"#
            );
            assert_eq!(parse(answer.as_bytes()).unwrap(), [PublicKey { region: None, ..key("a") }], "{time}");
        }
        assert!(matches!(parse(b"[]"), Err(KeysError::Format(_))));
        let wrong = br#"{"PublicKeyList":[{"Value":"?","Fingerprint":"a"}]}"#;
        assert!(matches!(parse(wrong), Err(KeysError::Value(name)) if name == "a"));
    }

    struct Counted {
        calls: AtomicUsize,
    }

    impl KeySource for Counted {
        fn keys(&self, region: &str, from: Timestamp, _: Timestamp) -> Result<Vec<PublicKey>, Trouble> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            match region {
                "eu-west-1" => Err(Trouble::Denied("cloudtrail:ListPublicKeys".to_owned())),
                _ if from < at("2026-01-01T00:00:00Z") => Ok(vec![key("old")]),
                _ => Ok(vec![key("new")]),
            }
        }
    }

    #[test]
    fn a_region_is_asked_once_and_again_for_what_was_signed_at_another_time() {
        let source = Counted { calls: AtomicUsize::new(0) };
        let ring = KeyRing::new(&source, at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z"));
        for _ in 0..3 {
            assert_eq!(ring.find("us-east-1", "new", None).unwrap().fingerprint, "new");
            assert!(matches!(ring.find("us-east-1", "none", None), Err(NoKey::NotFound(..))));
            assert!(matches!(ring.find("eu-west-1", "new", None), Err(NoKey::Unknown(..))));
        }
        assert_eq!(source.calls.load(Ordering::Relaxed), 2);
        let found = ring.find("us-east-1", "old", Some(at("2025-06-01T00:00:00Z"))).unwrap();
        assert_eq!((found.fingerprint.as_str(), source.calls.load(Ordering::Relaxed)), ("old", 3));
    }
}
