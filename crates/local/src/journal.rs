//! How far a verification came, in a folder of its own: for each account and region a file of what was found, to which is
//! only appended, and beside it how far that came. A run that is killed goes on from there; what was appended behind that is
//! cut off.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use event::Timestamp;
use integrity::LaneState;
use integrity::evidence::Journal;
use integrity::hash::{Sha256, hex};
use integrity::layout::Lane;
use integrity::report::Record;
use serde::{Deserialize, Serialize};

/// How old a run may be to be gone on with: what was verified then may have been changed since.
const FRESH: i64 = 24 * 3_600_000_000;
/// How old what is left of other runs may be.
const KEPT: i64 = 7 * FRESH;
/// How often a checkpoint is made.
const EVERY: Duration = Duration::from_millis(500);

const RUN: &str = "run.json";

/// The folder of a run.
pub struct FolderJournal {
    folder: PathBuf,
    /// Held as long as the run lasts.
    _lock: File,
    lanes: Mutex<HashMap<Lane, OpenLane>>,
    started: Timestamp,
    is_resumed: bool,
}

struct OpenLane {
    file: BufWriter<File>,
    saved: Instant,
}

/// When a run was begun, and what it was to look at.
#[derive(Serialize, Deserialize)]
struct Run {
    started: Timestamp,
    question: String,
}

/// How far a lane came, and how long its file was then.
#[derive(Serialize, Deserialize)]
struct Saved<S> {
    length: u64,
    state: S,
}

impl FolderJournal {
    /// Opens the journal of a run, which is told from others by what it looks at. One that is older than a day, or that is
    /// not to be gone on with, is begun anew.
    ///
    /// # Errors
    /// It cannot be read or written, or another process is at the same run.
    pub fn open(home: &Path, question: &str, now: Timestamp, is_fresh: bool) -> io::Result<FolderJournal> {
        let runs = home.join("verify");
        fs::create_dir_all(&runs)?;
        let name = hex(&Sha256::of(question.as_bytes()).half().to_be_bytes());
        forget_old(&runs, &name, now);
        let folder = runs.join(name);
        fs::create_dir_all(&folder)?;
        let lock = OpenOptions::new().create(true).append(true).open(folder.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::other("another process is verifying the same right now"),
            TryLockError::Error(error) => error,
        })?;
        let known = read_run(&folder).filter(|run| {
            let age = now.micros() - run.started.micros();
            run.question == question && (0..FRESH).contains(&age) && !is_fresh
        });
        let is_resumed = known.is_some();
        let run = known.unwrap_or_else(|| Run { started: now, question: question.to_owned() });
        if !is_resumed {
            clear(&folder)?;
            replace(&folder.join(RUN), serde_json::to_vec(&run)?.as_slice())?;
        }
        Ok(FolderJournal { folder, _lock: lock, lanes: Mutex::default(), started: run.started, is_resumed })
    }

    /// When the run was begun, where this one goes on with it.
    #[must_use]
    pub fn resumed(&self) -> Option<Timestamp> {
        self.is_resumed.then_some(self.started)
    }

    /// Forgets the run: it came to its end.
    ///
    /// # Errors
    /// Its files cannot be removed.
    pub fn close(self) -> io::Result<()> {
        drop(self.lanes);
        clear(&self.folder)?;
        fs::remove_file(self.folder.join("lock"))?;
        fs::remove_dir(&self.folder)
    }

    fn file(&self, lane: &Lane, end: &str) -> PathBuf {
        let name = format!("{}{}/{}", lane.above, lane.account, lane.region);
        self.folder.join(format!("{}.{end}", hex(&Sha256::of(name.as_bytes()).half().to_be_bytes())))
    }

    fn with<T>(&self, lane: &Lane, work: impl FnOnce(&mut OpenLane) -> io::Result<T>) -> io::Result<T> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if !lanes.contains_key(lane) {
            let file = OpenOptions::new().create(true).append(true).open(self.file(lane, "jsonl"))?;
            lanes.insert(lane.clone(), OpenLane { file: BufWriter::new(file), saved: Instant::now() });
        }
        work(lanes.get_mut(lane).expect("it was put there"))
    }
}

impl Journal for FolderJournal {
    fn resume(&self, lane: &Lane) -> io::Result<Option<LaneState>> {
        let records = self.file(lane, "jsonl");
        let saved = fs::read(self.file(lane, "state")).ok();
        let saved: Option<Saved<LaneState>> = saved.and_then(|text| serde_json::from_slice(&text).ok());
        let length = fs::metadata(&records).map_or(0, |metadata| metadata.len());
        // After a loss of power the one file may have survived without the other.
        let saved = saved.filter(|saved| saved.length <= length);
        if length > 0 {
            let kept = saved.as_ref().map_or(0, |saved| saved.length);
            OpenOptions::new().write(true).open(&records)?.set_len(kept)?;
        }
        Ok(saved.map(|saved| saved.state))
    }

    fn write(&self, lane: &Lane, records: &[Record]) -> io::Result<()> {
        self.with(lane, |open| {
            for record in records {
                serde_json::to_writer(&mut open.file, record)?;
                open.file.write_all(b"\n")?;
            }
            Ok(())
        })
    }

    fn is_due(&self, lane: &Lane) -> bool {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.get(lane).is_none_or(|open| open.saved.elapsed() >= EVERY)
    }

    fn checkpoint(&self, lane: &Lane, state: &LaneState) -> io::Result<()> {
        let length = self.with(lane, |open| {
            open.file.flush()?;
            open.saved = Instant::now();
            open.file.get_mut().seek(SeekFrom::End(0))
        })?;
        let saved = serde_json::to_vec(&Saved { length, state })?;
        replace(&self.file(lane, "state"), &saved)?;
        if state.is_done() {
            // Thousands of lanes would be thousands of open files.
            self.lanes.lock().unwrap_or_else(PoisonError::into_inner).remove(lane);
        }
        Ok(())
    }

    fn replay(&self, lane: &Lane, each: &mut dyn FnMut(Record)) -> io::Result<()> {
        let file = match File::open(self.file(lane, "jsonl")) {
            Ok(file) => file,
            // Nothing was found.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut reader = BufReader::with_capacity(256 << 10, file);
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 {
            each(serde_json::from_str(&line)?);
            line.clear();
        }
        Ok(())
    }
}

fn read_run(folder: &Path) -> Option<Run> {
    serde_json::from_slice(&fs::read(folder.join(RUN)).ok()?).ok()
}

/// Puts a file in the place of another, whole.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    File::create(&beside)?.write_all(content)?;
    fs::rename(&beside, path)
}

/// Removes what a run has written; its lock stays.
fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_ours =
            path.extension().is_some_and(|end| ["jsonl", "state", "json", "new"].iter().any(|ours| end == *ours));
        if is_ours {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Removes what is left of other runs that were never brought to their end.
fn forget_old(runs: &Path, own: &str, now: Timestamp) {
    let folders = fs::read_dir(runs).into_iter().flatten().flatten().map(|entry| entry.path());
    for folder in folders.filter(|folder| folder.file_name().is_some_and(|name| name != own)) {
        let is_old = read_run(&folder).is_some_and(|run| now.micros() - run.started.micros() > KEPT);
        if is_old && clear(&folder).is_ok() {
            // What is left, if anything, is in nobody's way.
            let _ = fs::remove_file(folder.join("lock")).and_then(|()| fs::remove_dir(&folder));
        }
    }
}

#[cfg(test)]
mod tests {
    use integrity::report::{Period, Status};

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn lane(region: &str) -> Lane {
        Lane { above: "AWSLogs/".to_owned(), account: "111122223333".to_owned(), region: region.to_owned() }
    }

    fn record(day: u32) -> Record {
        let from = at(&format!("2026-01-{day:02}T00:00:00Z"));
        Record::Period(Period { from, to: from, status: Status::Verified })
    }

    fn replayed(journal: &FolderJournal) -> Vec<Record> {
        let mut records = Vec::new();
        journal.replay(&lane("us-east-1"), &mut |record| records.push(record)).unwrap();
        records
    }

    #[test]
    fn what_is_behind_a_checkpoint_is_kept_and_what_is_not_is_cut_off() {
        let home = tempfile::tempdir().unwrap();
        let now = at("2026-01-15T00:00:00Z");
        let us = lane("us-east-1");
        let journal = FolderJournal::open(home.path(), "question", now, false).unwrap();
        assert_eq!((journal.resumed(), journal.resume(&us).unwrap()), (None, None));
        assert!(FolderJournal::open(home.path(), "question", now, false).is_err(), "two at once");
        assert!(FolderJournal::open(home.path(), "another", now, false).is_ok());
        journal.write(&us, &[record(1)]).unwrap();
        journal.checkpoint(&us, &LaneState::default()).unwrap();
        journal.write(&us, &[record(2)]).unwrap();
        drop(journal);

        let journal = FolderJournal::open(home.path(), "question", at("2026-01-15T23:00:00Z"), false).unwrap();
        assert_eq!(journal.resumed(), Some(now));
        assert_eq!(journal.resume(&us).unwrap(), Some(LaneState::default()));
        assert_eq!(replayed(&journal), [record(1)]);
        journal.write(&us, &[record(3)]).unwrap();
        journal.checkpoint(&us, &LaneState::default()).unwrap();
        assert_eq!(replayed(&journal), [record(1), record(3)]);
        drop(journal);

        // The file without its end: a lane from its beginning.
        let file = fs::read_dir(home.path().join("verify")).unwrap().flatten();
        let file = file.flat_map(|folder| fs::read_dir(folder.path()).unwrap().flatten());
        let file =
            file.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "jsonl")).unwrap();
        OpenOptions::new().write(true).open(file).unwrap().set_len(3).unwrap();
        let journal = FolderJournal::open(home.path(), "question", now, false).unwrap();
        assert_eq!((journal.resume(&us).unwrap(), replayed(&journal)), (None, vec![]));
        drop(journal);

        // A day later, or where it is asked for, nothing is left of it.
        for (when, is_fresh) in [("2026-01-16T00:00:00Z", false), ("2026-01-16T01:00:00Z", true)] {
            let journal = FolderJournal::open(home.path(), "question", at(when), is_fresh).unwrap();
            assert_eq!((journal.resumed(), journal.resume(&us).unwrap()), (None, None));
            journal.checkpoint(&us, &LaneState::default()).unwrap();
        }
        FolderJournal::open(home.path(), "question", at("2026-01-16T02:00:00Z"), false).unwrap().close().unwrap();
        // That of the other question, which nobody came back to.
        FolderJournal::open(home.path(), "question", at("2026-02-16T02:00:00Z"), false).unwrap().close().unwrap();
        assert_eq!(fs::read_dir(home.path().join("verify")).unwrap().count(), 0);
    }
}
