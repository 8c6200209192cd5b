//! A folder of CloudTrail logs of any shape as an event history. New files are picked up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use event::Event;
use event::decode::{Content, Decoder};

use crate::cloudtrail::history::{Entry, EventHistory, SECOND};

/// How often the folder is looked at, in microseconds.
pub const EVERY: i64 = SECOND;

/// The folder and what was read from it.
#[derive(Debug)]
pub struct Data {
    folder: PathBuf,
    read: BTreeMap<PathBuf, (u64, Option<SystemTime>)>,
    ids: BTreeSet<String>,
    doubled: bool,
    looked: i64,
    /// What it holds.
    pub history: EventHistory,
}

impl Data {
    /// Nothing yet. Whether a record that the logs hold twice is in the history twice is `doubled`.
    #[must_use]
    pub fn new(folder: &Path, doubled: bool) -> Data {
        Data {
            folder: folder.to_owned(),
            read: BTreeMap::new(),
            ids: BTreeSet::new(),
            doubled,
            looked: i64::MIN / 2,
            history: EventHistory::default(),
        }
    }

    /// Reads what is new in the folder: its events become visible now.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn refresh(&mut self, now: i64) -> io::Result<()> {
        if now - self.looked < EVERY {
            return Ok(());
        }
        self.looked = now;
        let mut files = Vec::new();
        list(&self.folder, &mut files)?;
        files.sort();
        for file in files {
            let about = fs::metadata(&file)?;
            let version = (about.len(), about.modified().ok());
            if self.read.get(&file) != Some(&version) {
                self.file(&file, now)?;
                self.read.insert(file, version);
            }
        }
        Ok(())
    }

    fn file(&mut self, file: &Path, now: i64) -> io::Result<()> {
        let bytes = fs::read(file)?;
        let mut streams: BTreeMap<(String, String, String), Vec<Entry>> = BTreeMap::new();
        Decoder::default().decode(Content::Bytes(&bytes), &mut |batch| {
            // The event history has no data events.
            for event in batch.events.iter().filter(|event| event.event_category() != Some("Data")) {
                if self.ids.insert(event.id().to_owned()) || self.doubled {
                    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                    let key = (text(event.account_id()), text(event.aws_region()), event.source().to_owned());
                    streams.entry(key).or_default().push(entry(event, now));
                }
            }
            ControlFlow::Continue(())
        });
        for ((account, region, source), entries) in streams {
            self.history.add_all(&account, &region, &source, entries);
        }
        Ok(())
    }

    /// The accounts there are.
    #[must_use]
    pub fn accounts(&self) -> BTreeSet<String> {
        self.history.streams().map(|((account, _, _), _)| account.clone()).collect()
    }

    /// The regions there are, the usual ones included.
    #[must_use]
    pub fn regions(&self) -> BTreeSet<String> {
        let usual = ["us-east-1", "us-west-2", "eu-west-1"].map(str::to_owned);
        self.history.streams().map(|((_, region, _), _)| region.clone()).chain(usual).collect()
    }
}

fn entry(event: &Event<'_>, now: i64) -> Entry {
    Entry {
        time: event.event_time.whole_second().micros(),
        visible: now,
        id: event.id().to_owned(),
        name: event.name().to_owned(),
        user: event.session_name().or(event.user_name()).map(str::to_owned),
        access_key: event.access_key_id().map(str::to_owned),
        read_only: event.read_only.unwrap_or(false),
        record: event.to_json(),
    }
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if is_hidden {
            continue;
        }
        if path.is_dir() { list(&path, files)? } else { files.push(path) }
    }
    Ok(())
}
