//! From the records of a day to the files CloudTrail would have delivered.

use std::fs;
use std::path::Path;

use libdeflater::{CompressionLvl, Compressor};

use crate::calendar::{WINDOW, civil, push_compact, push_date};
use crate::chance::Chance;
use crate::organisation::{Organisation, REGIONS};
use crate::plan::SampleError;

/// A record of a batch: where its text lies and which file takes it.
#[derive(Clone, Copy)]
struct Entry {
    account: usize,
    region: usize,
    delivered: i64,
    start: usize,
    end: usize,
    /// Delivered once only: a planted record, which the truth says stands in the trail once.
    once: bool,
}

impl Entry {
    fn file(&self) -> (usize, usize, i64) {
        (self.account, self.region, self.delivered)
    }
}

/// The records of a day, waiting for delivery.
pub(crate) struct Batch {
    /// The records' text, one after the other.
    pub(crate) text: String,
    entries: Vec<Entry>,
}

/// What delivering a batch came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) events: u64,
    pub(crate) duplicates: u64,
    pub(crate) files: u64,
    pub(crate) bytes_json: u64,
    pub(crate) bytes_gz: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.duplicates += other.duplicates;
        self.files += other.files;
        self.bytes_json += other.bytes_json;
        self.bytes_gz += other.bytes_gz;
    }
}

impl Batch {
    /// A batch with room for some events.
    pub(crate) fn with_capacity(events: usize) -> Self {
        Self { text: String::with_capacity(events * 1700), entries: Vec::with_capacity(events) }
    }

    /// Notes the record that was appended to the text from `start` on.
    pub(crate) fn note(&mut self, account: usize, region: usize, delivered: i64, start: usize) {
        self.entries.push(Entry { account, region, delivered, start, end: self.text.len(), once: false });
    }

    /// Notes a record that is never delivered twice.
    pub(crate) fn note_once(&mut self, account: usize, region: usize, delivered: i64, start: usize) {
        self.entries.push(Entry { account, region, delivered, start, end: self.text.len(), once: true });
    }

    /// Writes the files under `root`, with `share` of the records standing in a second file too. No file is delivered
    /// after `until`.
    pub(crate) fn deliver(
        mut self,
        org: &Organisation,
        root: &Path,
        share: f64,
        until: i64,
        chance: &mut Chance,
    ) -> Result<Totals, SampleError> {
        let mut totals = Totals { events: self.entries.len() as u64, ..Totals::default() };
        // By file, then in the order of making; the shuffle below makes the order that of life.
        self.entries.sort_by_key(Entry::file);
        totals.duplicates = self.repeat(share, until, chance);
        // CloudTrail's own files are some 5 % larger than zlib's level 6 makes them, and so is libdeflate's level 4.
        let mut compressor = Compressor::new(CompressionLvl::new(4).expect("libdeflate has a level 4"));
        let mut json = String::new();
        let mut gz = Vec::new();
        for file in self.entries.chunk_by_mut(|one, other| one.file() == other.file()) {
            chance.shuffle(file);
            json.clear();
            json.push_str("{\"Records\":[");
            for (number, entry) in file.iter().enumerate() {
                if number > 0 {
                    json.push(',');
                }
                json.push_str(&self.text[entry.start..entry.end]);
            }
            json.push_str("]}");
            gz.resize(compressor.gzip_compress_bound(json.len()), 0);
            let length = compressor.gzip_compress(json.as_bytes(), &mut gz).expect("the bound holds any input");
            write_file(org, root, file[0], &gz[..length], chance)?;
            totals.files += 1;
            totals.bytes_json += json.len() as u64;
            totals.bytes_gz += length as u64;
        }
        Ok(totals)
    }

    /// Repeats a share of the (sorted) entries in the next file of the same account and region.
    fn repeat(&mut self, share: f64, until: i64, chance: &mut Chance) -> u64 {
        if share <= 0.0 {
            return 0;
        }
        let mut repeated = Vec::new();
        let files: Vec<&[Entry]> = self.entries.chunk_by(|one, other| one.file() == other.file()).collect();
        for (number, file) in files.iter().enumerate() {
            let (account, region, delivered) = file[0].file();
            let next = files.get(number + 1).map(|next| next[0]);
            let next = match next {
                Some(next) if (next.account, next.region) == (account, region) => next.delivered,
                _ => delivered + WINDOW,
            };
            let chosen = file.iter().filter(|entry| !entry.once && next <= until && chance.fraction() < share);
            repeated.extend(chosen.map(|entry| Entry { delivered: next, ..*entry }));
        }
        let count = repeated.len() as u64;
        self.entries.append(&mut repeated);
        self.entries.sort_by_key(Entry::file);
        count
    }
}

fn write_file(
    org: &Organisation,
    root: &Path,
    entry: Entry,
    gz: &[u8],
    chance: &mut Chance,
) -> Result<(), SampleError> {
    let (account, region, at) = (&org.accounts[entry.account].id, REGIONS[entry.region], civil(entry.delivered));
    let mut date = String::with_capacity(10);
    push_date(at, '/', &mut date);
    let folder = root.join("AWSLogs").join(&org.id).join(account).join("CloudTrail").join(region).join(date);
    let mut name = format!("{account}_CloudTrail_{region}_");
    push_compact(at, &mut name);
    name.push('_');
    chance.push_base62(16, &mut name);
    name.push_str(".json.gz");
    let path = folder.join(name);
    let written = fs::write(&path, gz).or_else(|_| {
        // The folder is missing once a day: cheaper than asking before each file.
        fs::create_dir_all(&folder)?;
        fs::write(&path, gz)
    });
    written.map_err(|source| SampleError::Write { path, source })
}
