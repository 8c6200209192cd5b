//! From the configuration to channels.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pipeline::collect::TroubleKind;
use pipeline::escape::single_line;
use pipeline::notify::{Channel, Notifier, Parcel, Verdict};
use pipeline::outbox::{Route, Routes};
use pipeline::service::CallError;
use pipeline::store::Clock;

use crate::asff::FindImporter;
use crate::config::{ChannelConfig, ConfigError, check};
use crate::edge::Edge;
use crate::secret::{HIDDEN, Secret, SecretError, SecretSource, SecretStore};
use crate::sns::Publish;
use crate::threads::Threads;

/// A secret shorter than this is not looked for in texts: it would be found in every other word.
const SCRUBBED_MIN: usize = 6;

/// A part of a secret address that is shorter than this is none: `hooks`, `services`.
const PART_MIN: usize = 10;

/// The most characters that are repeated of why AWS does not answer.
const SAID_MAX: usize = 400;

/// What channels are made with.
#[derive(Clone)]
pub struct Means {
    /// What they send with.
    pub edge: Arc<Edge>,
    /// The time, for signatures and dates.
    pub clock: Arc<dyn Clock>,
    /// Secrets that AWS has.
    pub secrets: Arc<dyn SecretStore>,
    /// Amazon SNS; without it, channels of kind `sns` cannot be made.
    pub publisher: Option<Arc<dyn Publish>>,
    /// Finds AWS Security Hub; without it, channels of kind `security-hub` cannot be made.
    pub importer: Option<Arc<FindImporter>>,
    /// Which of Slack's threads are whose.
    pub threads: Arc<dyn Threads>,
}

/// Why a channel cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A secret is not to be had.
    #[error("channel {channel:?}: {source}")]
    Secret {
        /// The channel.
        channel: String,
        /// Why.
        source: SecretError,
    },
    /// What the channel needs of AWS is not to be had now. It is no mistake in the configuration.
    #[error("channel {channel:?}: {reason}")]
    Away {
        /// The channel.
        channel: String,
        /// Why, and what helps.
        reason: String,
    },
    /// A key's value is wrong.
    #[error("channel {channel:?}: {reason}")]
    Value {
        /// The channel.
        channel: String,
        /// What is wrong; no secret stands in it.
        reason: String,
    },
}

/// What one channel is made with.
pub(crate) struct Tools<'a> {
    pub(crate) means: &'a Means,
    pub(crate) channel: &'a str,
    /// How long one message may take.
    pub(crate) limit: Duration,
    /// The secrets given out, so that no reason repeats them.
    secrets: Vec<Secret>,
}

impl Tools<'_> {
    /// Gets a secret.
    pub(crate) fn secret(&mut self, source: &SecretSource) -> Result<Secret, BuildError> {
        let secret = source.resolve(&*self.means.secrets).map_err(|error| match &error {
            SecretError::Aws { source, .. } => self.away(&error.to_string(), source),
            _ => BuildError::Secret { channel: self.channel.to_owned(), source: error },
        })?;
        self.secrets.push(secret.clone());
        Ok(secret)
    }

    /// Gets a secret that is an address of HTTP.
    pub(crate) fn address(&mut self, key: &str, source: &SecretSource) -> Result<Secret, BuildError> {
        let secret = self.secret(source)?;
        let is_http = |url: &reqwest::Url| matches!(url.scheme(), "http" | "https") && url.host().is_some();
        match secret.expose().parse::<reqwest::Url>() {
            Ok(url) if is_http(&url) => {
                // The other end may repeat the part of the address that makes it a secret.
                let parts = url.path_segments().into_iter().flatten().chain(url.query());
                self.secrets.extend(parts.filter(|part| part.len() >= PART_MIN).map(Secret::new));
                Ok(secret)
            }
            _ => Err(self.wrong(format!("{key} is no address that begins with https://"))),
        }
    }

    /// Says that AWS does not give what the channel needs.
    pub(crate) fn away(&self, said: &str, error: &CallError) -> BuildError {
        let mut reason = single_line(said, SAID_MAX).into_owned();
        if let Some(advice) = TroubleKind::of(error).advice() {
            reason.push_str("; ");
            reason.push_str(advice);
        }
        BuildError::Away { channel: self.channel.to_owned(), reason }
    }

    /// Says that something is wrong with the channel's configuration.
    pub(crate) fn wrong(&self, reason: impl Into<String>) -> BuildError {
        BuildError::Value { channel: self.channel.to_owned(), reason: reason.into() }
    }
}

/// Makes the channels, and the routes to them. Those that are not enabled are left out. Names must be unique. One that
/// needs something of AWS that is not to be had now says so by [`Notifier::ready`], and is made when it is first needed.
///
/// # Errors
/// [`BuildError`]: the first mistake.
pub fn build(configs: &[ChannelConfig], means: &Means) -> Result<(Vec<Channel>, Routes), BuildError> {
    check(configs)?;
    let mut channels = Vec::new();
    for config in configs.iter().filter(|config| config.common.enabled) {
        channels.push(match channel(config, means) {
            Err(BuildError::Away { reason, .. }) => {
                let notifier = Late { config: config.clone(), means: means.clone(), reason, made: OnceLock::new() };
                around(config, Box::new(notifier))?
            }
            built => built?,
        });
    }
    let routes = channels.iter().map(|channel: &Channel| channel.route.clone()).collect();
    Ok((channels, Routes { channels: routes, backfill: false }))
}

pub(crate) fn channel(config: &ChannelConfig, means: &Means) -> Result<Channel, BuildError> {
    let limit = Duration::from_secs(config.common.timeout_seconds.into());
    let mut tools = Tools { means, channel: &config.name, limit, secrets: Vec::new() };
    let notifier = config.settings.build(&mut tools)?;
    around(config, Box::new(Scrubbed { notifier, secrets: tools.secrets }))
}

/// The channel that a notifier is the way of.
fn around(config: &ChannelConfig, notifier: Box<dyn Notifier>) -> Result<Channel, BuildError> {
    let route = Route {
        channel: config.name.clone(),
        at_least: config.common.severity,
        detections: config.common.detections.clone(),
        accounts: config.common.accounts.clone(),
    };
    Ok(Channel { name: config.name.clone(), route, policy: config.policy()?, notifier })
}

/// A notifier that could not be made when the program began. It is made as soon as there is something to send and AWS
/// gives what it needs; until then nothing is given up.
struct Late {
    config: ChannelConfig,
    means: Means,
    /// Why it could not be made.
    reason: String,
    made: OnceLock<Box<dyn Notifier>>,
}

impl Late {
    fn notifier(&self) -> Result<&dyn Notifier, String> {
        if let Some(made) = self.made.get() {
            return Ok(&**made);
        }
        match channel(&self.config, &self.means) {
            Ok(channel) => Ok(&**self.made.get_or_init(|| channel.notifier)),
            Err(BuildError::Away { reason, .. }) => Err(reason),
            Err(mistake) => Err(mistake.to_string()),
        }
    }
}

impl Notifier for Late {
    fn send(&self, parcel: &Parcel) -> Verdict {
        self.send_for_receipt(parcel).0
    }

    fn send_for_receipt(&self, parcel: &Parcel) -> (Verdict, Option<String>) {
        match self.notifier() {
            Ok(notifier) => notifier.send_for_receipt(parcel),
            Err(reason) => (Verdict::retry(reason), None),
        }
    }

    fn ready(&self) -> Result<(), String> {
        if self.made.get().is_some() { Ok(()) } else { Err(self.reason.clone()) }
    }

    fn preview(&self, parcel: &Parcel) -> String {
        self.notifier().map_or_else(|reason| format!("nothing now: {reason}"), |notifier| notifier.preview(parcel))
    }
}

/// A notifier whose words are looked through for its secrets: the other end may repeat them.
struct Scrubbed {
    notifier: Box<dyn Notifier>,
    secrets: Vec<Secret>,
}

impl Scrubbed {
    fn scrub(&self, mut text: String) -> String {
        for secret in self.secrets.iter().map(Secret::expose).filter(|secret| secret.len() >= SCRUBBED_MIN) {
            if text.contains(secret) {
                text = text.replace(secret, HIDDEN);
            }
        }
        text
    }
}

impl Notifier for Scrubbed {
    fn send(&self, parcel: &Parcel) -> Verdict {
        self.send_for_receipt(parcel).0
    }

    fn send_for_receipt(&self, parcel: &Parcel) -> (Verdict, Option<String>) {
        let (verdict, receipt) = self.notifier.send_for_receipt(parcel);
        let verdict = match verdict {
            Verdict::Delivered => Verdict::Delivered,
            Verdict::Retry { after, reason } => Verdict::Retry { after, reason: self.scrub(reason) },
            Verdict::Refused { reason } => Verdict::Refused { reason: self.scrub(reason) },
        };
        (verdict, receipt)
    }

    fn preview(&self, parcel: &Parcel) -> String {
        self.scrub(self.notifier.preview(parcel))
    }
}
