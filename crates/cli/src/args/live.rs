//! Live: collecting, the daemon, watching.

use std::net::SocketAddr;

use clap::{Args, Subcommand, ValueEnum};

use super::{EventFilter, SummaryFormat, parse_severity};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct CollectArgs {
    #[command(subcommand)]
    pub(crate) command: Option<CollectCommand>,
    #[command(flatten)]
    pub(crate) pass: CollectPassArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CollectCommand {
    /// Read a stream no more until it is resumed. What it misses shows in `status`.
    #[command(after_help = "Examples:\n  \
        trailhound collect pause 111122223333/eu-west-1/sts.amazonaws.com --reason 'load test'\n  \
        trailhound collect pause '*/eu-west-3/*'")]
    Pause {
        /// The streams: ACCOUNT/REGION/SOURCE. Takes * and ?.
        #[arg(required = true, value_name = "STREAM")]
        streams: Vec<String>,
        /// Why.
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
        /// Who says so [default: the user of this machine].
        #[arg(long, value_name = "NAME", env = "USER", hide_env = true)]
        by: Option<String>,
    },
    /// Read paused streams again, from where they were left.
    #[command(after_help = "Examples:\n  \
        trailhound collect resume '*/eu-west-3/*'")]
    Resume {
        /// The streams: ACCOUNT/REGION/SOURCE. Takes * and ?.
        #[arg(required = true, value_name = "STREAM")]
        streams: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CollectPassArgs {
    /// Event sources to read besides the identity ones: a service (kms), or the preset ai.
    #[arg(long = "source", value_name = "SOURCE", value_delimiter = ',')]
    pub(crate) sources: Vec<String>,
    /// Only these regions, and the global one [default: those that each account can use].
    #[arg(long = "region", value_name = "REGION", value_delimiter = ',')]
    pub(crate) regions: Vec<String>,
    /// The profile of the AWS configuration.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// End with exit code 4 if a new alert of this severity or above is raised.
    #[arg(long, value_name = "SEVERITY", value_parser = parse_severity)]
    pub(crate) fail_on: Option<detect::Severity>,
    /// How the closing summary is written.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Text)]
    pub(crate) summary: SummaryFormat,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Where /healthz and /metrics are served [default: run.listen of the configuration].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// The profile of the AWS configuration.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// What is shown.
    #[arg(long, value_enum, default_value_t = Watched::All)]
    pub(crate) only: Watched,
    /// Alerts of this severity and above.
    #[arg(long, value_name = "SEVERITY", value_parser = parse_severity)]
    pub(crate) severity: Option<detect::Severity>,
    #[command(flatten)]
    pub(crate) filter: EventFilter,
    /// Begin with what was stored in the last minutes.
    #[arg(long, value_name = "MINUTES", default_value_t = 0)]
    pub(crate) last: u32,
    /// How each line is written.
    #[arg(long, value_enum, default_value_t = WatchFormat::Text)]
    pub(crate) format: WatchFormat,
}

/// What is shown as it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Watched {
    /// Events and alerts.
    All,
    /// Events.
    Events,
    /// Alerts.
    Alerts,
}

/// How what comes is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WatchFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Jsonl,
}
