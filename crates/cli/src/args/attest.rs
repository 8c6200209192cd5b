//! Attesting: what the digests list, what stands in the bucket, what was ingested.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Format, Window};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct AttestArgs {
    #[command(subcommand)]
    pub(crate) command: Option<AttestCommand>,
    #[command(flatten)]
    pub(crate) run: AttestRunArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AttestCommand {
    /// Check a bundle of evidence without a connection.
    ///
    /// Every part is what the manifest says, every signature fits its digest, the statement counts what the digests name,
    /// and signed digests prove every hour that it attests. Exit code 4 where that does not hold.
    ///
    /// A bundle brings its own keys, and whoever makes one up can sign it with a key of theirs: only --keys says that they
    /// are CloudTrail's.
    #[command(after_help = "Examples:\n  \
        trailhound attest check evidence.zip --keys keys.json\n  \
        trailhound attest check evidence.zip")]
    Check(AttestCheckArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AttestCheckArgs {
    /// The bundle.
    #[arg(value_name = "FILE")]
    pub(crate) bundle: PathBuf,
    /// CloudTrail's public keys, from `verify keys export`, to compare the bundle's with [default: the bundle's are
    /// believed].
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AttestRunArgs {
    /// The trail's bucket (s3://BUCKET[/PREFIX]), or a folder or an archive that is a copy of it [default: the one trail
    /// of the configuration; without one, the event history alone].
    #[arg(value_name = "PATH")]
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
    /// How the hours are written.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Also write a bundle of evidence that anyone can check: a new file.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Put the answer of this SQL into the bundle; may be given again.
    #[arg(long, value_name = "SQL", requires = "output")]
    pub(crate) include: Vec<String>,
    /// Do not go on where a run that was ended left off.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// The profile of the AWS configuration.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The region of the bucket [default: that of the AWS configuration].
    #[arg(long, value_name = "REGION")]
    pub(crate) bucket_region: Option<String>,
}
