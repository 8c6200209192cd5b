//! The table of events, and what is written of it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{DocumentFormat, Format, Window};

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
    ///
    /// Both happen by themselves, too: files are merged as events are stored, and what was replaced a day ago is deleted
    /// once a day by `ingest`, `collect` and `run`.
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
