//! A deployment in an AWS account.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::DocumentFormat;

#[derive(Debug, Args)]
pub(crate) struct AwsArgs {
    #[command(subcommand)]
    pub(crate) command: AwsCommand,
}

/// Which deployment.
#[derive(Debug, Clone, Args)]
pub(crate) struct StackArgs {
    /// The name of the stack.
    #[arg(long, default_value = "trailhound", value_name = "NAME")]
    pub(crate) stack: String,
    #[command(flatten)]
    pub(crate) side: SideArgs,
}

/// Whose account, and where.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SideArgs {
    /// The region [default: that of the credentials].
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// The profile of the AWS CLI's configuration.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
}

/// A function of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum FunctionName {
    /// Collects, on a schedule.
    Tracker,
    /// Alerts, within seconds.
    Alerter,
    /// Exports to the lake, daily.
    Exporter,
}

impl FunctionName {
    pub(crate) const ALL: [FunctionName; 3] = [FunctionName::Tracker, FunctionName::Alerter, FunctionName::Exporter];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            FunctionName::Tracker => "tracker",
            FunctionName::Alerter => "alerter",
            FunctionName::Exporter => "exporter",
        }
    }
}

/// The processors that functions run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Architecture {
    /// Graviton, the cheaper one.
    #[value(name = "arm64")]
    Arm64,
    /// Intel and AMD.
    #[value(name = "x86_64")]
    X86,
}

impl Architecture {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Architecture::Arm64 => "arm64",
            Architecture::X86 => "x86_64",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum AwsCommand {
    /// Create or update the stack: the functions, tables, rules, and what they need.
    ///
    /// Makes the bucket for the functions where it is missing, uploads them, shows what would change and asks, follows the
    /// stack until it is done, and puts forwarders of EventBridge's events into the other regions. Where nothing changes, it
    /// says so and ends with exit code 0.
    #[command(after_help = "Examples:\n  \
        trailhound aws deploy --region eu-central-1\n  \
        trailhound aws deploy --parameter AlertsEmailAddress=security@example.com\n  \
        trailhound aws deploy --parameter CreateTrail=false --yes")]
    Deploy(DeployArgs),
    /// Fill it: collect what the event history holds, and export it.
    #[command(after_help = "Examples:\n  \
        trailhound aws init")]
    Init(StackArgs),
    /// Show the stack, what is covered, and what is missing.
    #[command(after_help = "Examples:\n  \
        trailhound aws status\n  \
        trailhound aws status --format json\n\n\
        Exit codes: 4 where something is missing; what came to pass since the schedule last ran does not\n            count as missing.")]
    Status {
        #[command(flatten)]
        stack: StackArgs,
        /// How it is written.
        #[arg(long, value_enum, default_value_t = DocumentFormat::Table)]
        format: DocumentFormat,
    },
    /// Show what the functions log.
    #[command(after_help = "Examples:\n  \
        trailhound aws logs --follow\n  \
        trailhound aws logs --function tracker --since 6h")]
    Logs(LogsArgs),
    /// Invoke a function now, and show its answer.
    #[command(after_help = "Examples:\n  \
        trailhound aws invoke tracker\n  \
        trailhound aws invoke exporter --payload '{\"days\": 7}'")]
    Invoke {
        /// The function.
        #[arg(value_enum)]
        function: FunctionName,
        /// The event it is given, as JSON.
        #[arg(long, default_value = "{}", value_name = "JSON")]
        payload: String,
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Export days straight from the trail's files: whatever the event history is too slow for, or no longer has.
    ///
    /// Every account of the trail's bucket is read, by the exporter, in every region or in those of `Regions`, and what the
    /// tracker would have collected goes to the lake; what the lake has is left alone. It alerts nobody.
    #[command(after_help = "Examples:\n  \
        trailhound aws export --from 2026-01-01 --to 2026-03-31")]
    Export {
        /// The first day.
        #[arg(long, value_name = "DAY")]
        from: String,
        /// The last day.
        #[arg(long, value_name = "DAY")]
        to: String,
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Have AWS check the templates.
    #[command(after_help = "Examples:\n  \
        trailhound aws validate\n  \
        trailhound aws validate --profile audit --region eu-central-1\n\n\
        Exit codes: 3 where a template could not be checked: the main one, before the first `deploy`.")]
    Validate(StackArgs),
    /// Estimate what the deployment costs a month, part by part, from what it stores and from the stack's parameters.
    ///
    /// With --events-per-month nothing is asked of AWS: it is the estimate of a stack that is not there yet.
    #[command(after_help = "Examples:\n  \
        trailhound aws cost\n  \
        trailhound aws cost --parameter PointInTimeRecovery=false\n  \
        trailhound aws cost --events-per-month 3000000 --parameter EnableAnalytics=false")]
    Cost {
        #[command(flatten)]
        stack: StackArgs,
        /// So many events a month [default: as many as were measured].
        #[arg(long, value_name = "N")]
        events_per_month: Option<u64>,
        /// What if: a parameter of the template [default: as the stack has it].
        #[arg(long = "parameter", value_name = "NAME=VALUE")]
        parameters: Vec<String>,
    },
    /// Send an alert from one end to the other: nothing is created for it.
    ///
    /// A made-up event goes into the alerter's queue, and the alert that is made of it is waited for. EventBridge's rules are
    /// not gone through: events of AWS's services it takes from nobody else.
    #[command(after_help = "Examples:\n  \
        trailhound aws test-alerts\n  \
        trailhound aws test-alerts --stack trailhound-audit\n\n\
        Exit codes: 4 where no alert was sent.")]
    TestAlerts(StackArgs),
    /// Accept an invitation to a behavior graph of Amazon Detective, with the credentials of the invited account.
    ///
    /// Whoever owns the graph then sees this account's activity in Detective. `trailhound aws status`, in the account of
    /// the stack, shows what became of each invitation.
    #[command(after_help = "Examples:\n  \
        trailhound aws accept-detective --profile member\n  \
        trailhound aws accept-detective --graph arn:aws:detective:eu-central-1:111122223333:graph:0123abcd --yes")]
    AcceptDetective {
        /// The graph [default: the only one that an invitation waits for].
        #[arg(long, value_name = "ARN")]
        graph: Option<String>,
        #[command(flatten)]
        side: SideArgs,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Delete the stack, and its forwarders in other regions.
    ///
    /// Tables go with it. Buckets stay as long as there is anything in them, unless --delete-data is given.
    #[command(after_help = "Examples:\n  \
        trailhound aws destroy\n  \
        trailhound aws destroy --delete-data --yes")]
    Destroy {
        #[command(flatten)]
        stack: StackArgs,
        /// Delete the objects in its buckets, so that those can go: logs, lake and results are lost.
        #[arg(long)]
        delete_data: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    #[command(flatten)]
    pub(crate) stack: StackArgs,
    /// A parameter of the template; one that is not given stays as it is, or has its default.
    #[arg(long = "parameter", value_name = "NAME=VALUE")]
    pub(crate) parameters: Vec<String>,
    /// The processors that the functions run on [default: those of the functions that are found].
    #[arg(long, value_enum, value_name = "ARCH")]
    pub(crate) architecture: Option<Architecture>,
    /// The folder with the functions' zip files [default: the folder `functions` beside this program].
    #[arg(long, value_name = "DIR")]
    pub(crate) functions: Option<PathBuf>,
    /// A region that forwards its events, or `none` [default: every region that the account uses].
    #[arg(long = "forward-from", value_name = "REGION")]
    pub(crate) forward_from: Vec<String>,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) stack: StackArgs,
    /// The function [default: all of them].
    #[arg(long = "function", value_enum)]
    pub(crate) functions: Vec<FunctionName>,
    /// From when on.
    #[arg(long, default_value = "1h", value_name = "AGE")]
    pub(crate) since: String,
    /// Go on showing what comes.
    #[arg(short, long)]
    pub(crate) follow: bool,
}
