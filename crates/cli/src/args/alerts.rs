//! Alerts and suppressions.

use clap::{Args, Subcommand};

use super::{Format, Window, parse_severity};

#[derive(Debug, Args)]
pub(crate) struct AlertsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<AlertsCommand>,
    #[command(flatten)]
    pub(crate) list: AlertsListArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// List alerts, the newest first.
    #[command(after_help = "Examples:\n  \
        trailhound alerts list --severity high --from -24h\n  \
        trailhound alerts list --user alice --acked --suppressed\n  \
        trailhound alerts list --fail-on critical")]
    List(AlertsListArgs),
    /// Show one alert with all there is to know.
    #[command(after_help = "Examples:\n  \
        trailhound alerts show 3f9c2a1b\n  \
        trailhound alerts show 3f9c2a1b --message\n  \
        trailhound alerts show 3f9c2a1b --store dynamodb://trailhound\n  \
        trailhound alerts show 3f9c2a1b --json")]
    Show(AlertsShowArgs),
    /// Mark alerts as seen.
    #[command(after_help = "Examples:\n  \
        trailhound alerts ack 3f9c2a1b 71d04e5a --note 'planned, change 4711'\n  \
        trailhound alerts ack 3f9c2a1b --undo")]
    Ack(AlertsAckArgs),
    /// Send samples to the channels of [[notify]], to see that they arrive.
    #[command(after_help = "Examples:\n  \
        trailhound alerts test\n  \
        trailhound alerts test --channel pager\n  \
        trailhound alerts test --all-detections --dry-run")]
    Test(AlertsTestArgs),
    /// Write alerts for other tools; as JSON with their records.
    #[command(after_help = "Examples:\n  \
        trailhound alerts export --from -30d > alerts.jsonl\n  \
        trailhound alerts export --severity high --format csv > alerts.csv")]
    Export(AlertsExportArgs),
}

/// Which alerts.
#[derive(Debug, Clone, Args)]
pub(crate) struct AlertFilter {
    #[command(flatten)]
    pub(crate) window: Window,
    /// This severity and above.
    #[arg(long, value_name = "SEVERITY", value_parser = parse_severity)]
    pub(crate) severity: Option<detect::Severity>,
    /// Of this detection.
    #[arg(long, value_name = "ID")]
    pub(crate) detection: Option<String>,
    /// Of this account.
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// Of this user, role or session.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Suppressed alerts too.
    #[arg(long)]
    pub(crate) suppressed: bool,
    /// Acknowledged alerts too.
    #[arg(long)]
    pub(crate) acked: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct AlertsListArgs {
    #[command(flatten)]
    pub(crate) filter: AlertFilter,
    /// List a deployment's alerts instead of this machine's, as dynamodb://STACK.
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// At most so many; 0 for all.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) limit: usize,
    /// How the alerts are written.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// End with exit code 4 if an alert of this severity or above answers, beyond --limit too.
    #[arg(long, value_name = "SEVERITY", value_parser = parse_severity)]
    pub(crate) fail_on: Option<detect::Severity>,
}

#[derive(Debug, Args)]
pub(crate) struct AlertsShowArgs {
    /// The alert's id, or the start of it.
    pub(crate) id: String,
    /// Show a deployment's alert instead of this machine's, as dynamodb://STACK.
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// As the message that notifications send.
    #[arg(long, conflicts_with = "json")]
    pub(crate) message: bool,
    /// As JSON, with the whole record.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AlertsAckArgs {
    /// The alerts' ids, or the starts of them.
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Mark a deployment's alerts instead of this machine's, as dynamodb://STACK.
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Why it is fine.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) note: String,
    /// Who says so [default: the user of this machine].
    #[arg(long, env = "USER", hide_env_values = true, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// Take the acknowledgement back.
    #[arg(long)]
    pub(crate) undo: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AlertsExportArgs {
    #[command(flatten)]
    pub(crate) filter: AlertFilter,
    /// How the alerts are written.
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct SuppressArgs {
    #[command(subcommand)]
    pub(crate) command: SuppressCommand,
    /// A deployment's suppressions instead of this machine's, as dynamodb://STACK: its alerter applies a change within a
    /// minute, its tracker at the next pass.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) store: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SuppressCommand {
    /// Add a suppression. All that is given must hold for an alert to be silenced.
    #[command(after_help = "Examples:\n  \
        trailhound suppress add --detection access-key-created --principal ci-deploy \\\n      \
          --reason 'key rotation, ticket 4711' --until +30d\n  \
        trailhound suppress add --account 111122223333 --source-ip 198.51.100.0/24 \\\n      \
          --reason 'penetration test' --until 2026-12-31\n  \
        trailhound suppress add --store dynamodb://trailhound --principal ci-deploy \\\n      \
          --reason 'ticket 4711' --until +30d")]
    Add(SuppressAddArgs),
    /// List the suppressions, with how many alerts each has silenced.
    #[command(after_help = "Examples:\n  \
        trailhound suppress list\n  \
        trailhound suppress list --store dynamodb://trailhound\n  \
        trailhound suppress list --format json")]
    List {
        /// How they are written.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// End suppressions now. What they silenced stays silenced and counted.
    #[command(after_help = "Examples:\n  \
        trailhound suppress remove 8d4208eb08")]
    Remove {
        /// The suppressions' ids.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SuppressAddArgs {
    /// The detection's id. Takes * and ?.
    #[arg(long, value_name = "ID")]
    pub(crate) detection: Option<String>,
    /// The user, role or ARN; a session by its ARN, since whoever assumes a role chooses the session's name. Those of
    /// Identity Center go by their names, too. Takes * and ?.
    #[arg(long, value_name = "NAME")]
    pub(crate) principal: Option<String>,
    /// The account.
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// The address or network (CIDR) the call came from.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) source_ip: Option<String>,
    /// Why it is fine.
    #[arg(long, required = true)]
    pub(crate) reason: String,
    /// Events up to, but not including, this time: a date, a time, or so long after now (+30d).
    #[arg(long, required = true, value_name = "TIME")]
    pub(crate) until: String,
    /// Who says so [default: the user of this machine].
    #[arg(long, env = "USER", hide_env_values = true, value_name = "NAME")]
    pub(crate) by: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AlertsTestArgs {
    /// Only this channel.
    #[arg(long, value_name = "NAME")]
    pub(crate) channel: Option<String>,
    /// A sample of every detection instead of one.
    #[arg(long)]
    pub(crate) all_detections: bool,
    /// Send nothing; print what would be sent, without secrets.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
