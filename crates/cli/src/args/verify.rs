//! Integrity: verifying logs against signed digests.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Format, Window};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct VerifyArgs {
    #[command(subcommand)]
    pub(crate) command: Option<VerifyCommand>,
    #[command(flatten)]
    pub(crate) run: VerifyRunArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VerifyCommand {
    /// CloudTrail's public keys, for verifying without a connection.
    #[command(after_help = "Examples:\n  \
        trailhound verify keys export --output public-keys.json")]
    Keys(KeysArgs),
}

#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Write CloudTrail's public keys, as `verify --keys` reads them.
    #[command(after_help = "Examples:\n  \
        trailhound verify keys export --output keys.json\n  \
        trailhound verify keys export --from 2026-01-01 --region us-east-1,eu-west-1")]
    Export(KeysExportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct KeysExportArgs {
    #[command(flatten)]
    pub(crate) window: Window,
    /// Only these regions' keys [default: those that the account can use].
    #[arg(long = "region", value_name = "REGION", value_delimiter = ',')]
    pub(crate) regions: Vec<String>,
    /// The profile of the AWS configuration.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The file to write [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyRunArgs {
    /// The trail's bucket (s3://BUCKET[/PREFIX]), or a folder or an archive that is a copy of it.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) path: Option<String>,
    #[command(flatten)]
    pub(crate) window: Window,
    /// Only these accounts [default: all that are there].
    #[arg(long = "account", value_name = "ACCOUNT", value_delimiter = ',')]
    pub(crate) accounts: Vec<String>,
    /// Only these regions [default: all that are there].
    #[arg(long = "region", value_name = "REGION", value_delimiter = ',')]
    pub(crate) regions: Vec<String>,
    /// CloudTrail's public keys, from `verify keys export` [default: ListPublicKeys is asked].
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// The bucket that CloudTrail wrote to, where this is a copy [default: what the digests of the copy say].
    #[arg(long, value_name = "NAME")]
    pub(crate) bucket_name: Option<String>,
    /// What stood before AWSLogs/ there [default: what the digests of the copy say].
    #[arg(long, value_name = "PREFIX")]
    pub(crate) prefix: Option<String>,
    /// Begin with this digest; only its account and region.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["only", "from"])]
    pub(crate) from_digest: Option<String>,
    /// Only this object: a digest with its log files, or a log file with the digest that names it.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["from", "to"])]
    pub(crate) only: Option<String>,
    /// How the findings and the hours are written.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Also write a report for people, one HTML file.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Do not go on where a run that was ended left off.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// How many threads read and hash [default: one for each processor; for a bucket 32].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,
    /// The profile of the AWS configuration.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The region of the bucket [default: that of the AWS configuration].
    #[arg(long, value_name = "REGION")]
    pub(crate) bucket_region: Option<String>,
}
