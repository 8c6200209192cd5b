//! The table of kinds of channels.

use pipeline::notify::Notifier;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::build::{BuildError, Tools};
use crate::fields::fields_of;

/// What a kind's own keys in the configuration deserialise to, and how they become a notifier. Each of the types refuses
/// unknown keys.
pub(crate) trait Kind: DeserializeOwned {
    /// Whether people read it: then what is alike is gathered unless the configuration says otherwise.
    const FOR_PEOPLE: bool = true;

    /// Makes the notifier.
    fn build(&self, tools: &mut Tools<'_>) -> Result<Box<dyn Notifier>, BuildError>;
}

/// One line for each kind: its name in the configuration, its variant, the type of its keys.
macro_rules! kinds {
    ($($name:literal => $variant:ident($config:path),)*) => {
        /// Every kind of channel, by its name in the configuration.
        pub const KINDS: &[&str] = &[$($name),*];

        /// A kind's own keys.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Settings {
            $(#[doc = concat!("`kind = \"", $name, "\"`")] $variant($config),)*
        }

        impl Settings {
            /// The kind's name.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self { $(Settings::$variant(_) => $name,)* }
            }

            /// The kind's own keys, if there is such a kind.
            pub(crate) fn keys(kind: &str) -> Option<&'static [&'static str]> {
                match kind { $($name => Some(fields_of::<$config>()),)* _ => None }
            }

            pub(crate) fn parse(kind: &str, keys: Map<String, Value>) -> Option<Result<Settings, serde_json::Error>> {
                let keys = Value::Object(keys);
                match kind { $($name => Some(serde_json::from_value(keys).map(Settings::$variant)),)* _ => None }
            }

            pub(crate) fn is_for_people(&self) -> bool {
                match self { $(Settings::$variant(_) => <$config as Kind>::FOR_PEOPLE,)* }
            }

            pub(crate) fn build(&self, tools: &mut Tools<'_>) -> Result<Box<dyn Notifier>, BuildError> {
                match self { $(Settings::$variant(config) => config.build(tools),)* }
            }
        }
    };
}

kinds! {
    "slack" => Slack(crate::slack::SlackConfig),
    "teams" => Teams(crate::teams::TeamsConfig),
    "pagerduty" => PagerDuty(crate::pagerduty::PagerDutyConfig),
    "email" => Email(crate::email::EmailConfig),
    "webhook" => Webhook(crate::webhook::WebhookConfig),
    "syslog" => Syslog(crate::syslog::SyslogConfig),
    "security-hub" => SecurityHub(crate::asff::SecurityHubConfig),
    "sns" => Sns(crate::sns::SnsConfig),
    "file" => File(crate::file::FileConfig),
    "command" => Command(crate::command::CommandConfig),
}
