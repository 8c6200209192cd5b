//! Questions: the catalogue and SQL.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Format;

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
    /// Who answers: this program, or Amazon Athena over a lake in S3.
    #[arg(long, value_enum, default_value_t = SqlEngine::Embedded)]
    pub(crate) engine: SqlEngine,
    #[command(flatten)]
    pub(crate) athena: AthenaPlace,
    /// Take an answer of Athena's to the same question that is no older than so many minutes, without scanning again.
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u16).range(0..=10_080), help_heading = "Athena")]
    pub(crate) reuse_minutes: Option<u16>,
}

/// Where Athena is asked.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Athena")]
pub(crate) struct AthenaPlace {
    /// The database [default: athena.database of the configuration, or ATHENA_DATABASE].
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<String>,
    /// The workgroup [default: athena.workgroup of the configuration, or ATHENA_WORKGROUP].
    #[arg(long, value_name = "NAME")]
    pub(crate) workgroup: Option<String>,
    /// Where Athena writes results, s3://BUCKET/PREFIX/ [default: athena.output_location of the configuration, or
    /// ATHENA_OUTPUT_LOCATION, or the workgroup's].
    #[arg(long, value_name = "PLACE")]
    pub(crate) output_location: Option<String>,
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
