//! The floors of the benchmarks: gunzip and a typed parse of every record, or gunzip and SHA-256 of every file, on a few
//! threads, with nothing kept.
//!
//! It is written to be as fast as these libraries go: whole-file gunzip by libdeflate into a buffer that is used
//! again, UTF-8 checked once, serde_json with borrowed strings, and inner documents left as the text they are.

use std::borrow::Cow;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, anyhow, ensure};
use libdeflater::{DecompressionError, Decompressor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Arguments of the hidden task `floor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Folder of trail files
    data: PathBuf,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// SHA-256 of what every file holds, instead of a parse
    #[arg(long)]
    hashes: bool,
}

/// How much was read; printed as JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Volume {
    pub(crate) events: u64,
    pub(crate) files: u64,
    /// Files that are no trail files, or of a shape the floor does not know.
    pub(crate) other_files: u64,
    pub(crate) json_bytes: u64,
    pub(crate) file_bytes: u64,
}

impl Volume {
    fn add(&mut self, other: Self) {
        self.events += other.events;
        self.files += other.files;
        self.other_files += other.other_files;
        self.json_bytes += other.json_bytes;
        self.file_bytes += other.file_bytes;
    }
}

/// Reads every file once and prints how much that was.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let task = if options.hashes { Task::Hash } else { Task::Parse };
    let volume = read_all(&options.data, options.threads, task)?;
    if volume.other_files > 0 {
        eprintln!("{} files are no trail files: the floor leaves them out", volume.other_files);
    }
    println!("{}", serde_json::to_string(&volume)?);
    Ok(())
}

/// What is done with a file.
#[derive(Debug, Clone, Copy)]
enum Task {
    Parse,
    Hash,
}

fn read_all(data: &Path, threads: usize, task: Task) -> anyhow::Result<Volume> {
    let mut files = Vec::new();
    collect(data, &mut files)?;
    files.sort();
    let next = AtomicUsize::new(0);
    let read_share = || -> anyhow::Result<Volume> {
        let mut volume = Volume::default();
        let mut reader = Reader::new();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            volume.add(reader.read(file, task)?);
        }
        Ok(volume)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(read_share)).collect();
        let mut volume = Volume::default();
        for worker in workers {
            volume.add(worker.join().map_err(|_| anyhow!("a thread of the floor panicked"))??);
        }
        Ok(volume)
    })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let unreadable = || format!("failed to read {}", folder.display());
    if folder.is_file() {
        files.push(folder.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        let is_log = [".json.gz", ".json"].iter().any(|ending| path.to_string_lossy().ends_with(ending));
        if path.is_dir() {
            collect(&path, files)?;
        } else if is_log {
            files.push(path);
        }
    }
    Ok(())
}

struct Reader {
    decompressor: Decompressor,
    inflated: Vec<u8>,
}

impl Reader {
    fn new() -> Self {
        Self { decompressor: Decompressor::new(), inflated: Vec::new() }
    }

    fn read(&mut self, file: &Path, task: Task) -> anyhow::Result<Volume> {
        let bytes = fs::read(file).with_context(|| format!("failed to read {}", file.display()))?;
        let is_gzip = bytes.starts_with(&[0x1f, 0x8b]);
        let json = if is_gzip {
            self.inflate(&bytes).with_context(|| format!("failed to inflate {}", file.display()))?
        } else {
            bytes.as_slice()
        };
        let mut volume =
            Volume { files: 1, json_bytes: json.len() as u64, file_bytes: bytes.len() as u64, ..Volume::default() };
        if matches!(task, Task::Hash) {
            black_box(Sha256::digest(json));
            return Ok(volume);
        }
        let parsed = std::str::from_utf8(json).ok().and_then(|text| serde_json::from_str::<TrailFile<'_>>(text).ok());
        let Some(trail) = parsed else { return Ok(Volume { other_files: 1, ..Volume::default() }) };
        // What is parsed must not be optimised away because nobody looks at it.
        let trail = black_box(trail);
        volume.events = trail.records.len() as u64;
        Ok(volume)
    }

    fn inflate(&mut self, gzip: &[u8]) -> anyhow::Result<&[u8]> {
        // A gzip member ends with the size of what it holds.
        let trailer = gzip.last_chunk().context("shorter than a gzip trailer")?;
        let size = u32::from_le_bytes(*trailer) as usize;
        ensure!(size <= 1 << 30, "larger than the floor reads");
        if self.inflated.len() < size {
            self.inflated.resize(size, 0);
        }
        match self.decompressor.gzip_decompress(gzip, &mut self.inflated) {
            Ok(length) => Ok(&self.inflated[..length]),
            Err(DecompressionError::BadData) => Err(anyhow!("damaged gzip")),
            Err(DecompressionError::InsufficientSpace) => Err(anyhow!("a wrong size in the gzip trailer")),
        }
    }
}

/// A string that is borrowed where the JSON has no escapes in it.
#[derive(Deserialize)]
struct Text<'a>(
    #[serde(borrow)]
    #[expect(dead_code, reason = "parsing is what is measured")]
    Cow<'a, str>,
);

#[derive(Deserialize)]
struct TrailFile<'a> {
    #[serde(rename = "Records", borrow)]
    records: Vec<Record<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "parsing is what is measured")]
struct Record<'a> {
    #[serde(borrow)]
    event_version: Option<Text<'a>>,
    #[serde(borrow)]
    user_identity: Option<Identity<'a>>,
    #[serde(borrow)]
    event_time: Option<Text<'a>>,
    #[serde(borrow)]
    event_source: Option<Text<'a>>,
    #[serde(borrow)]
    event_name: Option<Text<'a>>,
    #[serde(borrow)]
    aws_region: Option<Text<'a>>,
    #[serde(rename = "sourceIPAddress", borrow)]
    source_ip_address: Option<Text<'a>>,
    #[serde(borrow)]
    user_agent: Option<Text<'a>>,
    #[serde(borrow)]
    error_code: Option<Text<'a>>,
    #[serde(borrow)]
    error_message: Option<Text<'a>>,
    #[serde(borrow)]
    request_parameters: Option<&'a RawValue>,
    #[serde(borrow)]
    response_elements: Option<&'a RawValue>,
    #[serde(borrow)]
    additional_event_data: Option<&'a RawValue>,
    #[serde(borrow)]
    resources: Option<&'a RawValue>,
    #[serde(rename = "requestID", borrow)]
    request_id: Option<Text<'a>>,
    #[serde(rename = "eventID", borrow)]
    event_id: Option<Text<'a>>,
    read_only: Option<bool>,
    #[serde(borrow)]
    event_type: Option<Text<'a>>,
    #[serde(borrow)]
    event_category: Option<Text<'a>>,
    management_event: Option<bool>,
    #[serde(borrow)]
    recipient_account_id: Option<Text<'a>>,
    #[serde(rename = "sharedEventID", borrow)]
    shared_event_id: Option<Text<'a>>,
    #[serde(borrow)]
    vpc_endpoint_id: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "parsing is what is measured")]
struct Identity<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    principal_id: Option<Text<'a>>,
    #[serde(borrow)]
    arn: Option<Text<'a>>,
    #[serde(borrow)]
    account_id: Option<Text<'a>>,
    #[serde(borrow)]
    access_key_id: Option<Text<'a>>,
    #[serde(borrow)]
    user_name: Option<Text<'a>>,
    #[serde(borrow)]
    invoked_by: Option<Text<'a>>,
    #[serde(borrow)]
    session_context: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The generator knows how much it wrote: the floor must have parsed all of it, on any number of threads.
    #[test]
    fn reads_every_record_of_a_generated_trail() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let now = "2026-01-31T00:00:00Z".parse().expect("a time");
        let plan = sample::Plan { events: 3_000, files: 100, ..sample::Plan::corpus(now) };
        let summary = plan.write(folder.path(), |_| {}).expect("the trail is written");

        let volume = read_all(&summary.trail, 2, Task::Parse).expect("the trail is read");
        assert_eq!(volume.events, summary.events + summary.duplicates);
        assert_eq!(volume.files, summary.files);
        assert_eq!((volume.json_bytes, volume.file_bytes), (summary.bytes_json, summary.bytes_gz));
        assert_eq!(volume.other_files, 0);
        assert_eq!(volume, read_all(&summary.trail, 1, Task::Parse).expect("the trail is read"));
        let hashed = read_all(&summary.trail, 2, Task::Hash).expect("the trail is read");
        assert_eq!(hashed, Volume { events: 0, ..volume });
    }

    #[test]
    fn other_files_are_counted_and_damage_is_an_error() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("a file is written");
        write("digest.json", br#"{"digestPublicKeyFingerprint":"x"}"#);
        write("trail.json", br#"{"Records":[{"eventID":"a\"b"},{}]}"#);
        write("readme.txt", b"not read");
        let volume = read_all(folder.path(), 1, Task::Parse).expect("the folder is read");
        assert_eq!((volume.events, volume.files, volume.other_files), (2, 1, 1));

        write("cut.json.gz", &[0x1f, 0x8b, 8, 0, 0, 0]);
        assert!(read_all(folder.path(), 1, Task::Parse).is_err());
    }
}
