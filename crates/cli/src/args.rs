//! The command line: every command, its flags and its help.

mod alerts;
mod ask;
mod athena;
mod attest;
mod aws;
mod lake;
mod live;
mod verify;

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::alerts::*;
pub(crate) use self::ask::*;
pub(crate) use self::athena::*;
pub(crate) use self::attest::*;
pub(crate) use self::aws::*;
pub(crate) use self::lake::*;
pub(crate) use self::live::*;
pub(crate) use self::verify::*;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Trailhound follows the trail of identities in AWS.
///
/// It reads CloudTrail logs, or the event history of live accounts, keeps the whole record of every event in an open
/// table, and alerts on the dangerous ones. Everything lives in one folder on this machine; no cloud account is needed.
#[derive(Debug, Parser)]
#[command(
    name = "trailhound",
    version,
    styles = STYLES,
    max_term_width = 100,
    propagate_version = true,
    after_help = "Examples:\n  \
        trailhound demo                         a month of a small organisation, with an intrusion in it\n  \
        trailhound ingest ./AWSLogs             read a folder of CloudTrail logs\n  \
        trailhound alerts                       what is dangerous in them\n  \
        trailhound collect                      the same of a live account, with your AWS credentials\n  \
        trailhound events --user alice          what alice did\n\n\
        Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 done but some input was rejected,\n\
        4 a check found what it looks for, 130 interrupted."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The folder that holds the lake, the state and the configuration [default: the platform's data folder].
    #[arg(long, global = true, value_name = "DIR", env = "TRAILHOUND_HOME", hide_env_values = true)]
    pub(crate) home: Option<PathBuf>,
    /// The configuration file [default: trailhound.toml in the home folder].
    #[arg(long, global = true, value_name = "FILE", env = "TRAILHOUND_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// What "now" is for every relative time, as a date or a time [default: the clock].
    #[arg(long, global = true, value_name = "TIME", env = "TRAILHOUND_NOW", hide_env_values = true)]
    pub(crate) now: Option<String>,
    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Show no progress and no summary, only results and problems.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table that fits the terminal.
    Table,
    /// One JSON array.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values, safe to open in a spreadsheet.
    Csv,
}

/// How one document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentFormat {
    /// Lines that fit the terminal.
    Table,
    /// One JSON document.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try it: make a month of logs with an intrusion in them, read them, and show what is found.
    #[command(after_help = "Examples:\n  \
        trailhound demo\n  \
        trailhound demo --now 2026-01-31 --keep ./demo")]
    Demo(DemoArgs),
    /// Read CloudTrail logs: keep every record, alert on the dangerous ones.
    ///
    /// Reads trail files, LookupEvents pages, EventBridge events, arrays, JSON lines and single records, exports of
    /// CloudTrail Lake and Athena (JSON or CSV); plain, gzipped, or in .zip and .tar archives. Content is recognised by
    /// what it holds. Reading the same logs again changes nothing.
    #[command(after_help = "Examples:\n  \
        trailhound ingest ./AWSLogs\n  \
        trailhound ingest 'logs/2026-01-*/*.json.gz' evidence.zip\n  \
        aws cloudtrail lookup-events | trailhound ingest -\n  \
        trailhound ingest ./AWSLogs --fail-on high\n  \
        trailhound ingest ./bucket-copy --verify --keys public-keys.json")]
    Ingest(IngestArgs),
    /// Read what is new in CloudTrail's event history, in every region: one pass.
    ///
    /// The first pass reads the 90 days that the event history keeps, which takes a while: CloudTrail answers two
    /// requests a second. It can be interrupted; the next one goes on. Credentials are those of the AWS CLI.
    #[command(after_help = "Examples:\n  \
        trailhound collect\n  \
        trailhound collect --profile audit --region us-east-1\n  \
        trailhound collect --source ai --source kms\n  \
        trailhound collect pause '*/eu-west-3/*' --reason 'load test'\n\n\
        Exit codes: 4 if a stream could not be read to its end, or --fail-on says so.")]
    Collect(CollectArgs),
    /// Collect again and again, and tell people: the daemon.
    ///
    /// Reads every stream at the pace of the configuration, sends alerts to the channels of [[notify]], and watches over
    /// itself. SIGHUP reads the configuration again; SIGTERM and ctrl-C end it, keeping what was read.
    #[command(after_help = "Examples:\n  \
        trailhound run\n  \
        trailhound run --listen 127.0.0.1:9477\n  \
        curl http://127.0.0.1:9477/metrics")]
    Run(RunArgs),
    /// Show events and alerts as they are stored, as `tail -f` does.
    #[command(after_help = "Examples:\n  \
        trailhound watch\n  \
        trailhound watch --only alerts --severity high\n  \
        trailhound watch --user 'ci-*' --failed --format jsonl")]
    Watch(WatchArgs),
    /// Search the stored events.
    #[command(after_help = "Examples:\n  \
        trailhound events --user alice --from -7d\n  \
        trailhound events --name 'Create*' --source iam --failed\n  \
        trailhound events --key AKIAIOSFODNN7EXAMPLE --format csv\n  \
        trailhound events --id 7ec7f858-0775-423c-8eeb-d866ca706aaa --raw")]
    Events(EventsArgs),
    /// Ask questions that are ready: who did what, what is new, what changed.
    #[command(after_help = "Examples:\n  \
        trailhound query list\n  \
        trailhound query run failed_auth --days 30\n  \
        trailhound query run off_hours --set tz=Europe/Berlin --format csv\n  \
        trailhound query show permission_changes --engine athena\n  \
        trailhound query run permission_changes --engine athena")]
    Query(QueryArgs),
    /// Ask in SQL, as on Athena or CloudTrail Lake: one statement, a prompt, or for other tools.
    #[command(after_help = "Examples:\n  \
        trailhound sql \"SELECT event_name, count(*) FROM events GROUP BY 1 ORDER BY 2 DESC LIMIT 10\"\n  \
        trailhound sql                          a prompt, with completion and history\n  \
        trailhound sql - --format csv < question.sql\n  \
        trailhound sql --serve 127.0.0.1:5432   for psql, Grafana, Metabase, DBeaver\n  \
        trailhound sql --engine athena \"SELECT count(*) FROM events\"")]
    Sql(SqlArgs),
    /// Let Amazon Athena answer, over a lake in S3.
    #[command(after_help = "Examples:\n  \
        trailhound athena setup --location s3://our-lake/lake --output-location s3://our-results/\n  \
        trailhound query run failed_auth --engine athena")]
    Athena(AthenaArgs),
    /// Show, acknowledge and export alerts.
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  \
        trailhound alerts\n  \
        trailhound alerts list --severity high --from -24h\n  \
        trailhound alerts show 3f9c2a1b\n  \
        trailhound alerts ack 3f9c2a1b --note 'planned, change 4711'\n  \
        trailhound alerts export --format csv > alerts.csv"
    )]
    Alerts(AlertsArgs),
    /// Silence what is known, with a reason and an end date; silenced alerts are still recorded and counted.
    #[command(after_help = "Examples:\n  \
        trailhound suppress add --detection access-key-created --principal ci-deploy \\\n      \
          --reason 'key rotation, ticket 4711' --until 2026-12-31\n  \
        trailhound suppress list\n  \
        trailhound suppress remove 8d4208eb08")]
    Suppress(SuppressArgs),
    /// List and explain the detections.
    #[command(after_help = "Examples:\n  \
        trailhound detections list\n  \
        trailhound detections show root-console-login")]
    Detections(DetectionsArgs),
    /// Look after the table of events.
    #[command(after_help = "Examples:\n  \
        trailhound lake status\n  \
        trailhound lake compact\n  \
        trailhound lake expire --older-than 3y\n  \
        trailhound lake verify")]
    Lake(LakeArgs),
    /// Verify that logs are those that CloudTrail wrote, all of them, unchanged: by its signed digests.
    ///
    /// Checks every digest (signature, key, place, and the chain to the digest before it), every log file that a digest
    /// names (SHA-256 of its content), and that every log file is named. PATH is a trail's bucket with all its accounts and
    /// regions, or a copy of it. In a copy, a digest's signature is looked for in metadata.jsonl, KEY.metadata.json or
    /// KEY.sig, and else in the digest after it, so that only the newest of each chain cannot be judged.
    ///
    /// Progress is kept under --home: the same command goes on where one that was ended left off, for a day.
    #[command(after_help = "Examples:\n  \
        trailhound verify s3://my-trail-bucket\n  \
        trailhound verify s3://my-trail-bucket/prefix --from -30d --report report.html\n  \
        trailhound verify ./copy-of-the-bucket --keys keys.json --format csv > findings.csv\n  \
        trailhound verify keys export --output keys.json\n\n\
        Exit codes: 0 all verified, 3 something could not be judged (no permission, no key, an archive tier,\n\
        a time without digests), 4 something was tampered with, is missing, or was put there.")]
    Verify(VerifyArgs),
    /// Attest that nothing is missing: digests, bucket and ingested events, hour by hour.
    ///
    /// For every account, region and hour: what the digests list, what stands in the bucket, and what was ingested of it;
    /// and where there is no trail, whether the event history was read completely. Exit code 4 where that does not fit
    /// together, 3 where something could not be judged.
    #[command(after_help = "Examples:\n  \
        trailhound attest s3://my-trail-bucket --from 2026-01-01 --to 2026-02-01\n  \
        trailhound attest ./copy-of-the-bucket --keys keys.json --output evidence.zip\n  \
        trailhound attest s3://my-trail-bucket --output evidence.zip --include \"SELECT * FROM events WHERE user_name = 'root'\"\n  \
        trailhound attest check evidence.zip")]
    Attest(AttestArgs),
    /// Write the events for tools that read plain Parquet folders.
    #[command(after_help = "Examples:\n  \
        trailhound export --layout classic --output ./events")]
    Export(ExportArgs),
    /// Run it in an AWS account, without a machine: one stack, and what looks after it.
    #[command(after_help = "Examples:\n  \
        trailhound aws deploy --parameter AlertsEmailAddress=security@example.com\n  \
        trailhound aws init\n  \
        trailhound aws status\n  \
        trailhound aws destroy")]
    Aws(AwsArgs),
    /// Show the configuration, and where each value comes from.
    #[command(after_help = "Examples:\n  \
        trailhound config show\n  \
        trailhound config path\n  \
        trailhound config init")]
    Config(ConfigArgs),
    /// Show what is stored, what the last runs did, and what is open.
    #[command(after_help = "Examples:\n  \
        trailhound status\n  \
        trailhound status --format json")]
    Status(StatusArgs),
    /// Write the completions of a shell to standard output.
    #[command(after_help = "Examples:\n  \
        trailhound completions bash > /etc/bash_completion.d/trailhound\n  \
        trailhound completions zsh > ~/.zfunc/_trailhound")]
    Completions(CompletionsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Keep the logs and the lake in this folder [default: a temporary folder that stays until you delete it].
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// The seed: the same seed and the same --now make the same logs.
    #[arg(long, default_value_t = 7, value_name = "N")]
    pub(crate) seed: u64,
    /// How many events to make, about.
    #[arg(long, default_value_t = 120_000, value_name = "N", value_parser = clap::value_parser!(u64).range(5_000..=5_000_000))]
    pub(crate) events: u64,
}

#[derive(Debug, Args)]
pub(crate) struct IngestArgs {
    /// Files, folders, globs, archives, or - for standard input.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// End with exit code 4 if a new alert of this severity or above is raised.
    #[arg(long, value_name = "SEVERITY", value_parser = parse_severity)]
    pub(crate) fail_on: Option<detect::Severity>,
    /// Send new alerts to the channels of [[notify]], although what they tell of is past.
    #[arg(long)]
    pub(crate) notify: bool,
    /// Check each log file against the signed digest that names it, whichever is read first; exit code 4 if one is not
    /// what CloudTrail wrote.
    #[arg(long)]
    pub(crate) verify: bool,
    /// CloudTrail's public keys, from `verify keys export` [default: ListPublicKeys is asked].
    #[arg(long, value_name = "FILE", requires = "verify")]
    pub(crate) keys: Option<PathBuf>,
    /// How many threads read [default: one for each processor].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,
    /// How the closing summary is written.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Text)]
    pub(crate) summary: SummaryFormat,
}

/// How a summary is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SummaryFormat {
    /// For people, on standard error.
    Text,
    /// One JSON object on standard output.
    Json,
}

/// The times between which to look.
#[derive(Debug, Clone, Args)]
pub(crate) struct Window {
    /// From this time on: a date, a time, or so long before now (-7d, -24h, -90m, -2w).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) from: Option<String>,
    /// Up to, but not including, this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) to: Option<String>,
}

/// Which events.
#[derive(Debug, Clone, Args)]
pub(crate) struct EventFilter {
    /// Who acted: the user, the role, or the session's name. Takes * and ?.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The action, such as CreateUser. Takes * and ?.
    #[arg(long, value_name = "EVENT")]
    pub(crate) name: Option<String>,
    /// The service, such as iam or iam.amazonaws.com.
    #[arg(long, value_name = "SERVICE")]
    pub(crate) source: Option<String>,
    /// The address the call came from.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip: Option<String>,
    /// The access key that signed the call.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// The account the event was recorded for.
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// The region.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// What was acted upon. Takes * and ?.
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<String>,
    /// The event's id.
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Only calls that were denied or failed.
    #[arg(long)]
    pub(crate) failed: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    pub(crate) window: Window,
    #[command(flatten)]
    pub(crate) filter: EventFilter,
    /// Search a deployment's tables instead of the lake, as dynamodb://STACK; --user and --name are looked up in an index.
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Write the original records, one a line.
    #[arg(long, conflicts_with = "format")]
    pub(crate) raw: bool,
    /// At most so many, the newest first; 0 for all [default: 50; with --raw all].
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// How the events are written.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct DetectionsArgs {
    #[command(subcommand)]
    pub(crate) command: DetectionsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DetectionsCommand {
    /// List the detections.
    #[command(after_help = "Examples:\n  \
        trailhound detections list\n  \
        trailhound detections list --format csv > detections.csv")]
    List {
        /// How they are written.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Explain a detection: what it finds, why it matters, what to do.
    #[command(after_help = "Examples:\n  \
        trailhound detections show root-console-login")]
    Show {
        /// The detection's id.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every value, and where it comes from.
    #[command(after_help = "Examples:\n  \
        trailhound config show\n  \
        trailhound config show --format json")]
    Show {
        /// How it is written.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Write a configuration file with every default, commented out.
    #[command(after_help = "Examples:\n  \
        trailhound config init\n  \
        trailhound --config ./trailhound.toml config init")]
    Init,
    /// Show where the configuration, the lake and the state are.
    #[command(after_help = "Examples:\n  \
        trailhound config path")]
    Path,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Show every stream, however many there are. Without it those that are not covered come first, sixty in all.
    #[arg(long)]
    pub(crate) all: bool,
    /// Show a deployment instead of this machine, as dynamodb://STACK: the same as `trailhound aws status`.
    #[arg(long, value_name = "URL", conflicts_with = "all")]
    pub(crate) store: Option<String>,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = DocumentFormat::Table)]
    pub(crate) format: DocumentFormat,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

fn parse_severity(text: &str) -> Result<detect::Severity, String> {
    use detect::Severity::{Critical, High, Informational, Low, Medium};
    [Informational, Low, Medium, High, Critical]
        .into_iter()
        .find(|severity| severity.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| "one of critical, high, medium, low, informational".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_has_examples_of_itself() {
        fn look(command: &clap::Command, name: &str, without: &mut Vec<String>) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples = help.strip_prefix("Examples:\n").unwrap_or_default();
            if !examples.lines().any(|line| line.contains(name)) {
                without.push(name.to_owned());
            }
            for below in command.get_subcommands() {
                look(below, &format!("{name} {}", below.get_name()), without);
            }
        }
        let mut without = Vec::new();
        look(&Cli::command(), "trailhound", &mut without);
        assert!(without.is_empty(), "no examples: {}", without.join(", "));
    }
}
