//! `cargo xtask corpus`: a trail of any size from the project's own generator, and the benchmark's cached one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use sample::{Plan, Signing};

use crate::workspace::{Workspace, short_hash};

/// The corpus ends here, so that the same events come out on any day: 2026-01-31T00:00:00Z.
const END: i64 = 1_769_817_600;

/// Arguments of `cargo xtask corpus`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Folder to write to; a trail that stands there already is not touched
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    size: Size,
    /// Write signed digest files, too: one an hour for each account and region that has log files
    #[arg(long)]
    signed: bool,
}

/// How large the corpus is.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Size {
    /// Different events to generate
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    events: u64,
    /// Files to spread them over
    #[arg(long, default_value_t = 5_000, value_name = "N")]
    files: u64,
}

impl Size {
    /// So many events, in as many files as such a trail has.
    pub(crate) fn of(events: u64) -> Size {
        Size { events, files: (events / 200).max(100) }
    }
}

/// Writes a corpus and says what is in it.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let signing = options.signed.then(end).transpose()?.map(Signing::organisation);
    write(options.size, signing, &options.out)
}

/// Returns the folder of the cached corpus of this size, generating it if the generator's source has changed.
pub(crate) fn cached(workspace: &Workspace, size: Size) -> anyhow::Result<PathBuf> {
    let sources = workspace.root().join("crates/sample/src");
    let mut texts = Vec::new();
    collect(&sources, &mut texts)?;
    let parts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    let name = format!("corpus-{}-{}-{}", size.events, size.files, short_hash(&parts));
    let folder = workspace.cache().join(name);
    if folder.is_dir() {
        return Ok(folder);
    }

    // Renamed when it is whole: a generation cut off leaves nothing that looks like a corpus.
    let partial = folder.with_extension(format!("{}.partial", std::process::id()));
    write(size, None, &partial)?;
    fs::rename(&partial, &folder).with_context(|| format!("failed to move {} into place", partial.display()))?;
    Ok(folder)
}

pub(crate) fn end() -> anyhow::Result<Timestamp> {
    Timestamp::from_second(END).context("the corpus ends at a time that exists")
}

fn write(size: Size, signing: Option<Signing>, out: &Path) -> anyhow::Result<()> {
    let plan = Plan { events: size.events, files: size.files, signing, ..Plan::corpus(end()?) };
    fs::create_dir_all(out).with_context(|| format!("failed to create {}", out.display()))?;
    eprintln!("generating {} events in about {} files under {}", size.events, size.files, out.display());
    let summary = plan.write(out, |_| {}).context("failed to generate the corpus")?;
    eprintln!(
        "{} events and {} second copies in {} files: {:.1} MB of JSON, {:.1} MB compressed",
        summary.events,
        summary.duplicates,
        summary.files,
        summary.bytes_json as f64 / 1e6,
        summary.bytes_gz as f64 / 1e6,
    );
    if let Some(signed) = summary.signed {
        eprintln!("{} digests of {} accounts and regions", signed.digests, signed.chains);
    }
    Ok(())
}

/// Reads every file below `folder`, in the order of their names.
fn collect(folder: &Path, texts: &mut Vec<Vec<u8>>) -> anyhow::Result<()> {
    let unreadable = || format!("failed to read {}", folder.display());
    let entries = fs::read_dir(folder).with_context(unreadable)?.collect::<Result<Vec<_>, _>>();
    let mut paths: Vec<PathBuf> = entries.with_context(unreadable)?.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, texts)?;
        } else {
            texts.push(fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?);
        }
    }
    Ok(())
}
