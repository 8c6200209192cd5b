//! From the configuration to channels.

use std::sync::Arc;
use std::time::Duration;

use pipeline::notify::{Channel, Notifier, Parcel, Verdict};
use pipeline::outbox::{Route, Routes};
use pipeline::store::Clock;

use crate::asff::ImportFindings;
use crate::config::{ChannelConfig, ConfigError, check};
use crate::edge::Edge;
use crate::secret::{HIDDEN, Secret, SecretError, SecretSource, SecretStore};
use crate::sns::Publish;
use crate::threads::Threads;

/// A secret shorter than this is not looked for in texts: it would be found in every other word.
const SCRUBBED_MIN: usize = 6;

/// A part of a secret address that is shorter than this is none: `hooks`, `services`.
const PART_MIN: usize = 10;

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
    /// AWS Security Hub; without it, channels of kind `security-hub` cannot be made.
    pub importer: Option<Arc<dyn ImportFindings>>,
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
        let secret = source
            .resolve(&*self.means.secrets)
            .map_err(|source| BuildError::Secret { channel: self.channel.to_owned(), source })?;
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

    /// Says that something is wrong with the channel's configuration.
    pub(crate) fn wrong(&self, reason: impl Into<String>) -> BuildError {
        BuildError::Value { channel: self.channel.to_owned(), reason: reason.into() }
    }
}

/// Makes the channels, and the routes to them. Those that are not enabled are left out. Names must be unique.
///
/// # Errors
/// [`BuildError`]: the first mistake, or the first secret that is not to be had.
pub fn build(configs: &[ChannelConfig], means: &Means) -> Result<(Vec<Channel>, Routes), BuildError> {
    check(configs)?;
    let mut channels = Vec::new();
    for config in configs.iter().filter(|config| config.common.enabled) {
        channels.push(channel(config, means)?);
    }
    let routes = channels.iter().map(|channel: &Channel| channel.route.clone()).collect();
    Ok((channels, Routes { channels: routes, backfill: false }))
}

pub(crate) fn channel(config: &ChannelConfig, means: &Means) -> Result<Channel, BuildError> {
    let limit = Duration::from_secs(config.common.timeout_seconds.into());
    let mut tools = Tools { means, channel: &config.name, limit, secrets: Vec::new() };
    let notifier = config.settings.build(&mut tools)?;
    let notifier = Box::new(Scrubbed { notifier, secrets: tools.secrets });
    let route = Route {
        channel: config.name.clone(),
        at_least: config.common.severity,
        detections: config.common.detections.clone(),
        accounts: config.common.accounts.clone(),
    };
    Ok(Channel { name: config.name.clone(), route, policy: config.policy()?, notifier })
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
