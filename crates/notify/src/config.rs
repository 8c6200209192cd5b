//! The configuration of channels: the tables `[[notify]]` of `trailhound.toml`.

use std::time::Duration;

use detect::Severity;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use pipeline::notify::{Backoff, Digest, Policy, QuietHours, RateLimit};
use pipeline::pattern::Pattern;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::fields::{fields_of, suggestion};
use crate::kinds::{KINDS, Settings};

/// The reference of channels, as a part of `trailhound.toml` in which everything is commented out. A test reads it.
pub const TEMPLATE: &str = include_str!("notify.toml");

/// What is wrong with a channel's configuration. No value of a key stands in it, for it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A key that every channel needs is missing, or is no text.
    #[error("a channel needs a {0}, a text that is not empty")]
    Missing(&'static str),
    /// The name cannot be shown.
    #[error("a channel's name has at most 64 letters, digits, \"-\", \"_\" and \".\"")]
    Name,
    /// Two channels of one name.
    #[error("two channels are named {0:?}")]
    Twice(String),
    /// There is no such kind.
    #[error("channel {channel:?}: there is no kind {kind:?}{suggestion}")]
    Kind {
        /// The channel.
        channel: String,
        /// What it says.
        kind: String,
        /// What may have been meant.
        suggestion: String,
    },
    /// There is no such key.
    #[error("channel {channel:?}: unknown key {key:?}{suggestion}")]
    Key {
        /// The channel.
        channel: String,
        /// What it says.
        key: String,
        /// What may have been meant.
        suggestion: String,
    },
    /// A value is wrong.
    #[error("channel {channel:?}: {reason}")]
    Value {
        /// The channel.
        channel: String,
        /// What is wrong.
        reason: String,
    },
}

/// One channel: a table `[[notify]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelConfig {
    /// What the channel is called, in messages, `status` and the outbox.
    pub name: String,
    /// What every kind has.
    pub common: Common,
    /// What its kind has.
    pub settings: Settings,
}

/// The keys that every kind of channel has, beside `name` and `kind`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Common {
    /// Whether anything is sent. What would have gone there is not made up for later. Default: `true`.
    ///
    /// Example: `enabled = false`
    pub enabled: bool,
    /// The least severity that is told. Default: `"low"`.
    ///
    /// Example: `severity = "high"`
    pub severity: Severity,
    /// The detections that are told of, by id with `*` and `?`; none for all. Default: `[]`.
    ///
    /// Example: `detections = ["root-*", "access-key-created"]`
    pub detections: Vec<Pattern>,
    /// The accounts that are told of, with `*` and `?`; none for all. Default: `[]`.
    ///
    /// Example: `accounts = ["111122223333"]`
    pub accounts: Vec<Pattern>,
    /// Hours in which only what is critical is sent; the rest waits for their end. Default: none.
    ///
    /// Example: `quiet_hours = { from = "22:00", to = "07:00", zone = "Europe/Berlin" }`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietConfig>,
    /// What is less serious as one message in a while. Default: none.
    ///
    /// Example: `digest = { at_most = "medium", minutes = 60 }`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<DigestConfig>,
    /// How many messages of one detection about one principal are sent in a while; the rest is told in one, "and 41 more
    /// like this". `messages = 0` for all. Default: `{ messages = 5, minutes = 10 }` where people are told, none where
    /// machines are.
    ///
    /// Example: `rate_limit = { messages = 3, minutes = 60 }`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateConfig>,
    /// Seconds that one message may take, from 1 to 120. Default: `10`.
    ///
    /// Example: `timeout_seconds = 30`
    pub timeout_seconds: u16,
}

impl Default for Common {
    fn default() -> Self {
        Common {
            enabled: true,
            severity: Severity::Low,
            detections: Vec::new(),
            accounts: Vec::new(),
            quiet_hours: None,
            digest: None,
            rate_limit: None,
            timeout_seconds: 10,
        }
    }
}

/// Quiet hours.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietConfig {
    /// When they begin: `HH:MM`.
    pub from: String,
    /// When they end: `HH:MM`; the next day where that is before their beginning.
    pub to: String,
    /// The time zone, by its IANA name. Default: `"UTC"`.
    #[serde(default = "utc")]
    pub zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// Digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DigestConfig {
    /// The most serious alert that is gathered. Default: `"medium"`.
    pub at_most: Severity,
    /// How many minutes are gathered, from 1 to 1440. Default: `60`.
    pub minutes: u16,
}

impl Default for DigestConfig {
    fn default() -> Self {
        DigestConfig { at_most: Severity::Medium, minutes: 60 }
    }
}

/// The limit on messages that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateConfig {
    /// How many messages; 0 for no limit. Default: `5`.
    pub messages: u32,
    /// In how many minutes, from 1 to 1440. Default: `10`.
    pub minutes: u16,
}

impl Default for RateConfig {
    fn default() -> Self {
        RateConfig { messages: 5, minutes: 10 }
    }
}

/// Checks what one channel alone does not show: that names are unique.
///
/// # Errors
/// The name that two channels have.
pub fn check(channels: &[ChannelConfig]) -> Result<(), ConfigError> {
    let mut names: Vec<&str> = channels.iter().map(|channel| channel.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ConfigError::Twice(pair[0].to_owned())),
        None => Ok(()),
    }
}

impl ChannelConfig {
    /// Reads a table.
    fn of(mut table: Map<String, Value>) -> Result<ChannelConfig, ConfigError> {
        let mut text = |key: &'static str| match table.shift_remove(key) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text),
            _ => Err(ConfigError::Missing(key)),
        };
        let (name, kind) = (text("name")?, text("kind")?);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.len() > 64 || !name.bytes().all(is_plain) {
            return Err(ConfigError::Name);
        }
        let common_keys = fields_of::<Common>();
        let Some(own_keys) = Settings::keys(&kind) else {
            let suggestion = suggestion(&kind, KINDS.iter().copied());
            return Err(ConfigError::Kind { channel: name, kind, suggestion });
        };
        let known = || common_keys.iter().chain(own_keys).copied();
        if let Some(key) = table.keys().find(|key| !known().any(|known| known == key.as_str())) {
            let suggestion = suggestion(key, known().chain(["name", "kind"]));
            return Err(ConfigError::Key { channel: name, key: key.clone(), suggestion });
        }
        let (common, own): (Map<_, _>, Map<_, _>) =
            table.into_iter().partition(|(key, _)| common_keys.contains(&key.as_str()));
        let wrong = |reason: String| ConfigError::Value { channel: name.clone(), reason };
        let common = parse(common, |keys| serde_json::from_value(Value::Object(keys))).map_err(wrong)?;
        let settings = parse(own, |keys| match Settings::parse(&kind, keys) {
            Some(parsed) => parsed,
            None => Err(serde_json::Error::custom("there is no such kind")),
        });
        let settings = settings.map_err(wrong)?;
        let config = ChannelConfig { name, common, settings };
        config.policy()?;
        Ok(config)
    }

    /// When its alerts are sent.
    ///
    /// # Errors
    /// A time, a time zone or a number that is none.
    pub fn policy(&self) -> Result<Policy, ConfigError> {
        let wrong = |reason: String| ConfigError::Value { channel: self.name.clone(), reason };
        let minutes = |key: &str, minutes: u16| match minutes {
            1..=1440 => Ok(Duration::from_secs(60 * u64::from(minutes))),
            _ => Err(wrong(format!("{key}.minutes lies between 1 and 1440"))),
        };
        if !(1..=120).contains(&self.common.timeout_seconds) {
            return Err(wrong("timeout_seconds lies between 1 and 120".to_owned()));
        }
        let quiet = self.common.quiet_hours.as_ref().map(|quiet| quiet.hours().map_err(wrong)).transpose()?;
        let digest = match self.common.digest {
            Some(DigestConfig { at_most, minutes: every }) => {
                Some(Digest { at_most, every: minutes("digest", every)? })
            }
            None => None,
        };
        let default = self.settings.is_for_people().then(RateConfig::default);
        let rate = match self.common.rate_limit.or(default) {
            Some(RateConfig { messages, minutes: per }) if messages > 0 => {
                Some(RateLimit { messages, per: minutes("rate_limit", per)? })
            }
            _ => None,
        };
        Ok(Policy { quiet, digest, rate, backoff: Backoff::default() })
    }
}

impl QuietConfig {
    fn hours(&self) -> Result<QuietHours, String> {
        let time = |key: &str, text: &str| match text.parse::<Time>() {
            Ok(time) if text.len() == 5 => Ok(time),
            _ => Err(format!("quiet_hours.{key} is no time such as \"22:00\"")),
        };
        let (from, to) = (time("from", &self.from)?, time("to", &self.to)?);
        if from == to {
            return Err("quiet_hours end when they begin".to_owned());
        }
        let zone = TimeZone::get(&self.zone).map_err(|_| {
            format!("quiet_hours.zone: there is no time zone {:?}; write one such as \"Europe/Berlin\"", self.zone)
        })?;
        Ok(QuietHours { from, to, zone })
    }
}

/// Parses keys; the error names the key that is wrong and not its value.
fn parse<T>(
    keys: Map<String, Value>,
    parse: impl Fn(Map<String, Value>) -> Result<T, serde_json::Error>,
) -> Result<T, String> {
    let Err(error) = parse(keys.clone()) else { return parse(keys).map_err(|error| hide(&error.to_string())) };
    let error = error.to_string();
    // Which key it is the error does not say. It is the one without which there is another error, or none.
    let is_wrong = |key: &&String| {
        let mut others = keys.clone();
        others.shift_remove(key.as_str());
        parse(others).err().is_none_or(|other| other.to_string() != error)
    };
    match keys.keys().find(is_wrong) {
        Some(key) => Err(format!("{key}: {}", hide(&error))),
        None => Err(hide(&error)),
    }
}

/// Takes the values out of an error of serde's: `invalid type: string "secret", expected u16`.
fn hide(error: &str) -> String {
    let hidden = error.split_once(" \"").and_then(|(before, rest)| Some((before, rest.rsplit_once("\", expected")?.1)));
    match hidden {
        Some((before, after)) if before.starts_with("invalid ") => format!("{before}, expected{after}"),
        _ => error.to_owned(),
    }
}

impl<'de> Deserialize<'de> for ChannelConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ChannelConfig, D::Error> {
        let table = Map::deserialize(deserializer)?;
        ChannelConfig::of(table).map_err(D::Error::custom)
    }
}

impl Serialize for ChannelConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Shown<'a> {
            name: &'a str,
            kind: &'static str,
            #[serde(flatten)]
            common: &'a Common,
            #[serde(flatten)]
            settings: &'a Settings,
        }
        let ChannelConfig { name, common, settings } = self;
        Shown { name, kind: settings.kind(), common, settings }.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(toml: &str) -> Result<ChannelConfig, String> {
        toml::from_str::<ChannelConfig>(toml).map_err(|error| error.message().to_owned())
    }

    const SLACK: &str = "name = 'sec'\nkind = 'slack'\nwebhook = 'https://hooks.slack.test/T0K3N'\n";

    #[test]
    fn a_channel_is_read_with_its_defaults() {
        let config = parse(SLACK).unwrap();
        assert_eq!(config.common, Common::default());
        let policy = config.policy().unwrap();
        assert_eq!(policy.rate, Some(RateLimit { messages: 5, per: Duration::from_secs(600) }));
        let machine = parse("name = 'f'\nkind = 'file'\npath = 'alerts.jsonl'").unwrap();
        assert_eq!(machine.policy().unwrap().rate, None);
    }

    #[test]
    fn everything_can_be_set() {
        let all = format!(
            "{SLACK}enabled = false\nseverity = 'high'\ndetections = ['root-*']\naccounts = ['1111*']\n\
             quiet_hours = {{ from = '22:00', to = '07:00', zone = 'Europe/Berlin' }}\n\
             digest = {{ at_most = 'low', minutes = 30 }}\nrate_limit = {{ messages = 0 }}\ntimeout_seconds = 3\n"
        );
        let config = parse(&all).unwrap();
        let policy = config.policy().unwrap();
        assert_eq!(policy.rate, None);
        assert_eq!(policy.digest, Some(Digest { at_most: Severity::Low, every: Duration::from_secs(1800) }));
        assert_eq!(policy.quiet.unwrap().zone, TimeZone::get("Europe/Berlin").unwrap());
        // What is shown is read again, but for the secret.
        let shown = toml::Table::try_from(&config).unwrap();
        assert_eq!(shown["webhook"].as_str(), Some("***"));
        assert!(!format!("{config:?}").contains("T0K3N"));
        assert_eq!(ChannelConfig::deserialize(toml::Value::Table(shown)).unwrap().common, config.common);
    }

    #[test]
    fn a_mistake_is_named_and_no_value_is_repeated() {
        for (text, expected) in [
            ("kind = 'slack'", "a channel needs a name, a text that is not empty"),
            ("name = 'a b'\nkind = 'slack'", "a channel's name has at most 64 letters, digits, \"-\", \"_\" and \".\""),
            ("name = 'x'\nkind = 'slak'", "channel \"x\": there is no kind \"slak\"; did you mean \"slack\"?"),
            (
                "name = 'x'\nkind = 'slack'\nwebook = 'S3CRET'",
                "channel \"x\": unknown key \"webook\"; did you mean \"webhook\"?",
            ),
            (
                "name = 'x'\nkind = 'slack'\nseverty = 'low'",
                "channel \"x\": unknown key \"severty\"; did you mean \"severity\"?",
            ),
            (
                "name = 'x'\nkind = 'email'\nhost = 'h'\nfrom = 'a@b.c'\nto = ['d@e.f']\nport = 'S3CRET'",
                "channel \"x\": port: invalid type: string, expected u16",
            ),
            ("name = 'x'\nkind = 'pagerduty'", "channel \"x\": missing field `routing_key`"),
            (
                "name = 'x'\nkind = 'file'\npath = 'p'\nquiet_hours = { from = '22', to = '07:00' }",
                "channel \"x\": quiet_hours.from is no time such as \"22:00\"",
            ),
            (
                "name = 'x'\nkind = 'file'\npath = 'p'\nquiet_hours = { from = '22:00', to = '07:00', zone = 'Berlin' }",
                "channel \"x\": quiet_hours.zone: there is no time zone \"Berlin\"; write one such as \"Europe/Berlin\"",
            ),
            (
                "name = 'x'\nkind = 'file'\npath = 'p'\ndigest = { minutes = 0 }",
                "channel \"x\": digest.minutes lies between 1 and 1440",
            ),
            (
                "name = 'x'\nkind = 'file'\npath = 'p'\ntimeout_seconds = 0",
                "channel \"x\": timeout_seconds lies between 1 and 120",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.trim_end(), expected, "{text}");
        }
    }

    #[test]
    fn the_template_has_every_kind_with_every_key() {
        let is_toml = |line: &&str| {
            line.starts_with("# [[") || line.split_once(" = ").is_some_and(|(key, _)| !key[2..].contains(' '))
        };
        let text: String = TEMPLATE.lines().filter(is_toml).map(|line| format!("{}\n", &line[2..])).collect();
        let table: std::collections::BTreeMap<String, Vec<toml::Table>> = toml::from_str(&text).unwrap();
        let channels = &table["notify"];
        let has_key = |kind: Option<&str>, key: &str| {
            let mut of_kind =
                channels.iter().filter(|each| kind.is_none_or(|kind| each["kind"].as_str() == Some(kind)));
            of_kind.any(|channel| channel.contains_key(key))
        };
        for channel in channels {
            ChannelConfig::deserialize(toml::Value::Table(channel.clone())).unwrap();
        }
        for key in fields_of::<Common>() {
            assert!(has_key(None, key), "{key}");
        }
        for kind in KINDS {
            for key in Settings::keys(kind).unwrap().iter().chain(&["name"]) {
                assert!(has_key(Some(kind), key), "{kind}: {key}");
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let config = parse(SLACK).unwrap();
        assert_eq!(check(&[config.clone(), config]), Err(ConfigError::Twice("sec".to_owned())));
    }
}
