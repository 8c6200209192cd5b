//! The command line: every command, its flags and its help.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Trailhound follows the trail of identities in AWS.
///
/// It reads CloudTrail logs, keeps the whole record of every event in an open table, and alerts on the dangerous ones.
/// Everything lives in one folder on this machine; no cloud account is needed.
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
        trailhound ingest ./AWSLogs --fail-on high")]
    Ingest(IngestArgs),
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
        trailhound query show permission_changes --engine athena")]
    Query(QueryArgs),
    /// Ask in SQL, as on Athena or CloudTrail Lake: one statement, a prompt, or for other tools.
    #[command(after_help = "Examples:\n  \
        trailhound sql \"SELECT event_name, count(*) FROM events GROUP BY 1 ORDER BY 2 DESC LIMIT 10\"\n  \
        trailhound sql                          a prompt, with completion and history\n  \
        trailhound sql - --format csv < question.sql\n  \
        trailhound sql --serve 127.0.0.1:5432   for psql, Grafana, Metabase, DBeaver")]
    Sql(SqlArgs),
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
    /// Write the events for tools that read plain Parquet folders.
    #[command(after_help = "Examples:\n  \
        trailhound export --layout classic --output ./events")]
    Export(ExportArgs),
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

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    pub(crate) window: Window,
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
pub(crate) struct QueryArgs {
    #[command(subcommand)]
    pub(crate) command: QueryCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueryCommand {
    /// List the queries: those that come with the program, and your own in the folder queries of the home folder.
    #[command(after_help = "Examples:\n  \
        trailhound query list\n  \
        trailhound query list --format json")]
    List {
        /// How they are written.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Show what a query answers, its parameters and its text.
    #[command(after_help = "Examples:\n  \
        trailhound query show root_usage\n  \
        trailhound query show root_usage --engine athena --days 30")]
    Show(QueryShowArgs),
    /// Run a query.
    #[command(after_help = "Examples:\n  \
        trailhound query run user_lookup\n  \
        trailhound query run permission_changes --user alice --from 2026-01-01 --to 2026-01-31\n  \
        trailhound query run access_key_activity --set key=AKIAIOSFODNN7EXAMPLE --format json\n  \
        trailhound query run daily_summary --format parquet --output days.parquet")]
    Run(QueryRunArgs),
    /// Write every query as one SQL file for the console of another engine.
    #[command(after_help = "Examples:\n  \
        trailhound query export --engine athena > trailhound-queries.sql")]
    Export(QueryExportArgs),
}

/// Whose SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SqlEngine {
    /// This program's own.
    Embedded,
    /// Amazon Athena.
    Athena,
}

/// What a query of the catalogue is asked for.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Parameters")]
pub(crate) struct QueryParameters {
    /// From this day on: a date, or so long before now (-7d). Whole UTC days.
    #[arg(long, value_name = "DAY", allow_hyphen_values = true)]
    pub(crate) from: Option<String>,
    /// Up to and including this day [default: today].
    #[arg(long, value_name = "DAY", allow_hyphen_values = true)]
    pub(crate) to: Option<String>,
    /// So many days back [default: the query's own].
    #[arg(long, value_name = "N", conflicts_with = "from")]
    pub(crate) days: Option<u32>,
    /// Only this account.
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// Only this region.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// Only this user, role or session.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// At most so many rows [default: the query's own].
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// The time zone of working hours, such as Europe/Berlin.
    #[arg(long, value_name = "ZONE")]
    pub(crate) tz: Option<String>,
    /// A parameter of the query's own, as `query show` lists them.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct QueryShowArgs {
    /// The query.
    pub(crate) name: String,
    /// The text as this engine runs it, parameters in their places.
    #[arg(long, value_enum)]
    pub(crate) engine: Option<SqlEngine>,
    #[command(flatten)]
    pub(crate) parameters: QueryParameters,
}

#[derive(Debug, Args)]
pub(crate) struct QueryRunArgs {
    /// The query.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) parameters: QueryParameters,
    #[command(flatten)]
    pub(crate) answer: AnswerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct QueryExportArgs {
    /// Whose SQL.
    #[arg(long, value_enum, default_value_t = SqlEngine::Athena)]
    pub(crate) engine: SqlEngine,
    /// Write it to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnswerFormat {
    /// A table that fits the terminal.
    Table,
    /// One JSON array.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values, safe to open in a spreadsheet.
    Csv,
    /// A Parquet file (with --output).
    Parquet,
}

/// How a question is asked and its answer written.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Answer")]
pub(crate) struct AnswerArgs {
    /// How the answer is written; a table shows the columns that a person reads, the others all.
    #[arg(long, value_enum, default_value_t = AnswerFormat::Table)]
    pub(crate) format: AnswerFormat,
    /// Stop after so many rows; 0 for all [default: 1000 in a table, else all].
    #[arg(long, value_name = "N")]
    pub(crate) max_rows: Option<u64>,
    /// Write to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Show how the question would be answered.
    #[arg(long)]
    pub(crate) explain: bool,
    /// Ask the lake in this folder, or at s3://BUCKET/PREFIX, instead of the home folder's.
    #[arg(long, value_name = "PATH")]
    pub(crate) lake: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// The statement; - for standard input [default: a prompt].
    #[arg(value_name = "SQL", conflicts_with = "serve")]
    pub(crate) statement: Option<String>,
    #[command(flatten)]
    pub(crate) answer: AnswerArgs,
    /// Serve the PostgreSQL protocol, for queries only, at this address.
    #[arg(long, value_name = "ADDRESS", help_heading = "Serving")]
    pub(crate) serve: Option<String>,
    /// The user name that clients give.
    #[arg(long, value_name = "NAME", default_value = "trailhound", help_heading = "Serving")]
    pub(crate) serve_user: String,
    /// The file that holds the password [default: one is made and shown].
    #[arg(long, value_name = "FILE", help_heading = "Serving")]
    pub(crate) serve_password_file: Option<PathBuf>,
    /// Let anybody who reaches the address in, without a password.
    #[arg(long, help_heading = "Serving", conflicts_with = "serve_password_file")]
    pub(crate) serve_without_password: bool,
    /// Serve at an address that other machines reach; the traffic is not encrypted.
    #[arg(long, help_heading = "Serving")]
    pub(crate) serve_beyond_loopback: bool,
}

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
        trailhound alerts show 3f9c2a1b --json")]
    Show(AlertsShowArgs),
    /// Mark alerts as seen.
    #[command(after_help = "Examples:\n  \
        trailhound alerts ack 3f9c2a1b 71d04e5a --note 'planned, change 4711'\n  \
        trailhound alerts ack 3f9c2a1b --undo")]
    Ack(AlertsAckArgs),
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
}

#[derive(Debug, Subcommand)]
pub(crate) enum SuppressCommand {
    /// Add a suppression. All that is given must hold for an alert to be silenced.
    #[command(after_help = "Examples:\n  \
        trailhound suppress add --detection access-key-created --principal ci-deploy \\\n      \
          --reason 'key rotation, ticket 4711' --until +30d\n  \
        trailhound suppress add --account 111122223333 --source-ip 198.51.100.0/24 \\\n      \
          --reason 'penetration test' --until 2026-12-31")]
    Add(SuppressAddArgs),
    /// List the suppressions, with how many alerts each has silenced.
    #[command(after_help = "Examples:\n  \
        trailhound suppress list\n  \
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
    /// The user, role, session or ARN. Takes * and ?.
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
pub(crate) struct LakeArgs {
    #[command(subcommand)]
    pub(crate) command: LakeCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LakeCommand {
    /// Show what the table holds.
    #[command(after_help = "Examples:\n  \
        trailhound lake status\n  \
        trailhound lake status --format json")]
    Status {
        /// How it is written.
        #[arg(long, value_enum, default_value_t = DocumentFormat::Table)]
        format: DocumentFormat,
    },
    /// Merge small files, and remove what nothing refers to any more.
    #[command(after_help = "Examples:\n  \
        trailhound lake compact\n  \
        trailhound lake compact --vacuum 7d")]
    Compact {
        /// Delete replaced files that are older than this.
        #[arg(long, default_value = "24h", value_name = "AGE")]
        vacuum: String,
    },
    /// Remove whole days of events, and the alerts on them.
    #[command(after_help = "Examples:\n  \
        trailhound lake expire --older-than 3y --dry-run\n  \
        trailhound lake expire --older-than 400d")]
    Expire {
        /// Days that ended so long ago: 3y, 18mo, 400d, 12w.
        #[arg(long, required = true, value_name = "AGE")]
        older_than: String,
        /// Say what would be removed, and remove nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Check every file of the table against the table's log.
    #[command(after_help = "Examples:\n  \
        trailhound lake verify\n  \
        trailhound lake verify --format json")]
    Verify {
        /// How problems are written.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The layout of the folders.
    #[arg(long, value_enum, default_value_t = Layout::Classic)]
    pub(crate) layout: Layout,
    /// The folder to write to.
    #[arg(long, short, required = true, value_name = "DIR")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) window: Window,
}

/// A layout of exported folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// year=2026/month=1/day=15/region=us-east-1/: plain Parquet.
    Classic,
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
