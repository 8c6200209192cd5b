//! What is read but not stored, kept as JSON lines beside the lake: `rejected.jsonl` and `variants.jsonl`.
//!
//! Each thing stands there once, however often it is read. What is known is held as 16 bytes a line, read from the
//! files when they are opened. A lock on the file is held while a line is added, so that two processes at once neither
//! tear a line nor write one twice: whoever gets the lock first reads what the other has added. A line that a crash cut
//! off is taken away; it comes again when its file is read again, because nothing behind it was committed.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pipeline::aside::{Aside, Rejection, VariantCopy};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};

/// The points at which a test can end the process: set to `return`, each aborts as `SIGKILL` would.
pub const FAILPOINTS: &[&str] =
    &["aside::append::before", "aside::append::half-written", "aside::append::after", "aside::sync::before"];

/// The failpoint that turns an append into a full disk. It ends nothing, so it is not in [`FAILPOINTS`].
pub const APPEND_FULL: &str = "aside::append::full";

/// The file of rejected records in the home folder.
pub const REJECTED: &str = "rejected.jsonl";
/// The file of variants in the home folder.
pub const VARIANTS: &str = "variants.jsonl";

/// A line longer than this was not written here: no record is as large.
const LONGEST_LINE: u64 = 256 << 20;

macro_rules! failpoint {
    ($name:expr) => {
        fail::fail_point!($name, |_| std::process::abort())
    };
}

/// Keeps rejected records and variants in the home folder.
#[derive(Debug)]
pub struct JsonlAside {
    rejected: Log,
    variants: Log,
}

impl JsonlAside {
    /// Opens the files in the home folder. A file that does not exist is created with the first line in it.
    ///
    /// # Errors
    /// A file cannot be read, or a line that a crash cut off cannot be taken away.
    pub fn open(home: &Path) -> io::Result<JsonlAside> {
        Ok(JsonlAside {
            rejected: Log::open(home.join(REJECTED), |line| Some(RejectedLine::read(line)?.key()))?,
            variants: Log::open(home.join(VARIANTS), |line| Some(VariantLine::read(line)?.key()))?,
        })
    }
}

impl Aside for JsonlAside {
    fn rejected(&self, rejection: &Rejection<'_>) -> io::Result<bool> {
        let Rejection { source_object, number, reason, text } = *rejection;
        let line = RejectedLine { source_object, number, reason, record: text };
        self.rejected.keep(line.key(), || serde_json::to_vec(&line))
    }

    fn variant(&self, variant: &VariantCopy<'_>) -> io::Result<bool> {
        let VariantCopy { event_id, source_object, record } = *variant;
        let quoted;
        // As JSON, to be read as such; a text that would break the line, or is no JSON, as a string.
        let record = match serde_json::from_str::<&RawValue>(record) {
            Ok(json) if !record.contains(['\n', '\r']) => json,
            _ => {
                quoted = to_raw_value(record)?;
                &quoted
            }
        };
        let line = VariantLine { event_id, source_object, record };
        self.variants.keep(line.key(), || serde_json::to_vec(&line))
    }

    fn sync(&self) -> io::Result<()> {
        self.rejected.sync()?;
        self.variants.sync()
    }
}

/// The identity of a line: the start of a SHA-256, so that nobody can make a record that hides another.
type Key = [u8; 16];

fn key_of(parts: &[&str]) -> Key {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let mut key = Key::default();
    key.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    key
}

/// A line of `rejected.jsonl`.
#[derive(Serialize)]
struct RejectedLine<'a> {
    source_object: &'a str,
    number: u64,
    reason: &'a str,
    record: &'a str,
}

/// The same, as it is read back: text with escapes cannot be borrowed.
#[derive(Deserialize)]
struct RejectedText {
    source_object: String,
    #[serde(default)]
    number: u64,
    reason: String,
    record: String,
}

impl RejectedText {
    fn key(&self) -> Key {
        let RejectedText { source_object, number, reason, record } = self;
        RejectedLine { source_object, number: *number, reason, record }.key()
    }
}

impl RejectedLine<'_> {
    fn read(line: &[u8]) -> Option<RejectedText> {
        serde_json::from_slice(line).ok()
    }

    /// The same broken record in two files is kept once. What has no text (damage to a file) is told by its file.
    fn key(&self) -> Key {
        let place = if self.record.is_empty() { self.source_object } else { "" };
        key_of(&[self.reason, self.record, place])
    }
}

/// A line of `variants.jsonl`.
#[derive(Serialize)]
struct VariantLine<'a> {
    event_id: &'a str,
    source_object: &'a str,
    record: &'a RawValue,
}

/// The same, as it is read back.
#[derive(Deserialize)]
struct VariantText {
    event_id: String,
    record: Box<RawValue>,
}

impl VariantText {
    fn key(&self) -> Key {
        VariantLine { event_id: &self.event_id, source_object: "", record: &self.record }.key()
    }
}

impl VariantLine<'_> {
    fn read(line: &[u8]) -> Option<VariantText> {
        serde_json::from_slice(line).ok()
    }

    fn key(&self) -> Key {
        key_of(&[self.event_id, self.record.get()])
    }
}

/// A file of JSON lines, each different from all others.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    /// What a line is known by; `None` for a line that was not written here.
    key: fn(&[u8]) -> Option<Key>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<File>,
    seen: HashSet<Key>,
    /// The lines up to here are in `seen`.
    read_to: u64,
    unsynced: bool,
}

impl Log {
    fn open(path: PathBuf, key: fn(&[u8]) -> Option<Key>) -> io::Result<Log> {
        let log = Log { path, key, state: Mutex::default() };
        let options = OpenOptions::new().read(true).append(true).clone();
        match options.open(&log.path) {
            Ok(file) => {
                let mut state = log.locked();
                file.lock()?;
                let known = log.catch_up(&file, &mut state);
                file.unlock()?;
                known?;
                state.file = Some(file);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(log.named(error)),
        }
        Ok(log)
    }

    /// A thread that panicked in here leaves at most a key too few: the line is then read from the file.
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn named(&self, error: io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.path.display()))
    }

    /// Adds a line unless it is there; says whether it was added.
    fn keep(&self, key: Key, line: impl FnOnce() -> serde_json::Result<Vec<u8>>) -> io::Result<bool> {
        let mut state = self.locked();
        if state.seen.contains(&key) {
            return Ok(false);
        }
        self.keep_unknown(&mut state, key, line).map_err(|error| self.named(error))
    }

    fn keep_unknown(
        &self,
        state: &mut State,
        key: Key,
        line: impl FnOnce() -> serde_json::Result<Vec<u8>>,
    ) -> io::Result<bool> {
        let file = match state.file.take() {
            Some(file) => file,
            None => OpenOptions::new().read(true).append(true).create(true).open(&self.path)?,
        };
        file.lock()?;
        let kept = self.catch_up(&file, state).and_then(|()| {
            if state.seen.contains(&key) {
                return Ok(false);
            }
            let mut line = line()?;
            line.push(b'\n');
            append(&file, &line, state.read_to)?;
            state.read_to += line.len() as u64;
            state.seen.insert(key);
            state.unsynced = true;
            Ok(true)
        });
        let unlocked = file.unlock();
        state.file = Some(file);
        unlocked.and(kept)
    }

    /// Learns the lines that are new in the file, and mends its end. The file is locked.
    fn catch_up(&self, mut file: &File, state: &mut State) -> io::Result<()> {
        let length = file.metadata()?.len();
        if length == state.read_to {
            return Ok(());
        }
        if length < state.read_to {
            // Somebody took lines away: they may come again.
            *state = State { unsynced: state.unsynced, ..State::default() };
        }
        file.seek(SeekFrom::Start(state.read_to))?;
        let mut reader = BufReader::with_capacity(64 << 10, file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line)? as u64;
            if read == 0 {
                return Ok(());
            }
            let is_ended = line.ends_with(b"\n");
            if is_ended || read == LONGEST_LINE {
                state.seen.extend((self.key)(&line));
                state.read_to += read;
                continue;
            }
            match (self.key)(&line) {
                // All of it but its end.
                Some(key) => {
                    file.write_all(b"\n")?;
                    state.seen.insert(key);
                    state.read_to += read + 1;
                }
                None => file.set_len(state.read_to)?,
            }
            state.unsynced = true;
            return Ok(());
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.locked();
        if !state.unsynced {
            return Ok(());
        }
        self.sync_file(&mut state).map_err(|error| self.named(error))
    }

    fn sync_file(&self, state: &mut State) -> io::Result<()> {
        failpoint!("aside::sync::before");
        if let Some(file) = &state.file {
            file.sync_all()?;
        }
        // The file's name must last too, if it is new.
        #[cfg(unix)]
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        state.unsynced = false;
        Ok(())
    }
}

/// Writes a line behind the file's end at `end`: all of it or, if the disk is full, nothing.
fn append(mut file: &File, line: &[u8], end: u64) -> io::Result<()> {
    failpoint!("aside::append::before");
    fail::fail_point!("aside::append::half-written", |_| {
        let _ = file.write_all(&line[..line.len() / 2]);
        std::process::abort()
    });
    let written = (|| {
        fail::fail_point!(APPEND_FULL, |_| {
            file.write_all(&line[..line.len() / 2])?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        file.write_all(line)
    })();
    if let Err(error) = written {
        // What cannot be taken away now is taken away as a torn line later.
        let _ = file.set_len(end);
        return Err(error);
    }
    failpoint!("aside::append::after");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    const HOME: &str = "TRAILHOUND_TEST_ASIDE_HOME";

    fn reject(aside: &JsonlAside, source: &str, reason: &str, text: &str) -> bool {
        let rejection = Rejection { source_object: source, number: 3, reason, text };
        aside.rejected(&rejection).expect("kept")
    }

    fn vary(aside: &JsonlAside, id: &str, record: &str) -> bool {
        aside.variant(&VariantCopy { event_id: id, source_object: "b.json", record }).expect("kept")
    }

    fn lines(home: &Path, name: &str) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(home.join(name)).unwrap_or_default();
        assert!(text.is_empty() || text.ends_with('\n'), "a torn line: {text:?}");
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    #[test]
    fn each_rejection_and_variant_stands_there_once_also_after_opening_again() {
        let home = tempfile::tempdir().expect("a folder");
        for round in 0..3 {
            let aside = JsonlAside::open(home.path()).expect("open");
            assert_eq!(reject(&aside, "a.json", "no eventTime", "{\"x\": \"\u{1b}[31m\\n\"}\n\u{0}"), round == 0);
            assert!(!reject(&aside, "copy-of-a.json", "no eventTime", "{\"x\": \"\u{1b}[31m\\n\"}\n\u{0}"));
            assert_eq!(reject(&aside, "a.json", "another reason", "{}"), round == 0);
            assert_eq!(vary(&aside, "id", r#"{"a":1}"#), round == 0);
            assert_eq!(vary(&aside, "id", r#"{"a":1.0}"#), round == 0);
            assert_eq!(vary(&aside, "other", r#"{"a":1}"#), round == 0);
            assert_eq!(vary(&aside, "id", "{\n}"), round == 0);
            assert_eq!(vary(&aside, "id", "no json"), round == 0);
            aside.sync().expect("sync");
        }
        let rejected = lines(home.path(), REJECTED);
        assert_eq!(rejected.len(), 2);
        assert_eq!(rejected[0]["source_object"], "a.json");
        assert_eq!(rejected[0]["number"], 3);
        assert_eq!(rejected[0]["reason"], "no eventTime");
        assert_eq!(rejected[0]["record"], "{\"x\": \"\u{1b}[31m\\n\"}\n\u{0}");
        let variants = lines(home.path(), VARIANTS);
        assert_eq!(variants.len(), 5);
        assert_eq!(variants[0]["record"]["a"], 1);
        assert_eq!(variants[3]["record"], "{\n}");
    }

    #[test]
    fn damage_without_a_record_is_told_by_its_file() {
        let home = tempfile::tempdir().expect("a folder");
        for round in 0..2 {
            let aside = JsonlAside::open(home.path()).expect("open");
            assert_eq!(reject(&aside, "a.json.gz", "cut off", ""), round == 0);
            assert_eq!(reject(&aside, "b.json.gz", "cut off", ""), round == 0);
        }
    }

    #[test]
    fn nothing_to_keep_makes_no_file() {
        let home = tempfile::tempdir().expect("a folder");
        JsonlAside::open(home.path()).expect("open").sync().expect("sync");
        assert_eq!(std::fs::read_dir(home.path()).expect("the folder").count(), 0);
    }

    #[test]
    fn a_line_cut_off_anywhere_is_taken_away_and_comes_again() {
        let home = tempfile::tempdir().expect("a folder");
        let aside = JsonlAside::open(home.path()).expect("open");
        reject(&aside, "a", "first", "é");
        let first = std::fs::metadata(home.path().join(REJECTED)).expect("the file").len() as usize;
        reject(&aside, "a", "second", "é");
        let whole = std::fs::read(home.path().join(REJECTED)).expect("the file");
        for cut in first..whole.len() {
            std::fs::write(home.path().join(REJECTED), &whole[..cut]).expect("the file");
            let aside = JsonlAside::open(home.path()).expect("open");
            assert!(!reject(&aside, "a", "first", "é"));
            // Only its line break is missing: it is there.
            assert_eq!(reject(&aside, "a", "second", "é"), cut + 1 < whole.len(), "cut at {cut}");
            assert_eq!(std::fs::read(home.path().join(REJECTED)).expect("the file"), whole, "cut at {cut}");
        }
    }

    #[test]
    fn lines_of_others_stay_as_they_are() {
        let home = tempfile::tempdir().expect("a folder");
        let foreign = b"\nnot json\n{\"a\":1}\n\xff\xfe\n";
        std::fs::write(home.path().join(REJECTED), foreign).expect("the file");
        let aside = JsonlAside::open(home.path()).expect("open");
        assert!(reject(&aside, "a", "reason", "text"));
        let text = std::fs::read(home.path().join(REJECTED)).expect("the file");
        assert!(text.starts_with(foreign));
    }

    #[test]
    fn two_that_are_open_at_once_see_each_others_lines() {
        let home = tempfile::tempdir().expect("a folder");
        let (one, other) = (JsonlAside::open(home.path()).expect("open"), JsonlAside::open(home.path()).expect("open"));
        assert!(reject(&one, "a", "reason", "1"));
        assert!(!reject(&other, "a", "reason", "1"));
        assert!(reject(&other, "a", "reason", "2"));
        assert!(!reject(&one, "a", "reason", "2"));
    }

    /// What a child process of the tests below does: keeps the same hundred things as every other.
    #[test]
    fn child() {
        let Ok(home) = std::env::var(HOME) else { return };
        let _points = fail::FailScenario::setup();
        let aside = JsonlAside::open(Path::new(&home)).expect("open");
        for number in 0..100 {
            reject(&aside, "a.json", "reason", &format!("text {number}"));
            vary(&aside, &format!("id {number}"), "{}");
            aside.sync().expect("sync");
        }
    }

    fn run_child(home: &Path, points: &str) -> std::process::Child {
        Command::new(std::env::current_exe().expect("the test"))
            .args(["--exact", "aside::tests::child"])
            .env(HOME, home)
            .env("FAILPOINTS", points)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child")
    }

    #[test]
    fn a_crash_at_every_point_and_a_second_run_leave_what_one_run_leaves() {
        for point in FAILPOINTS {
            let home = tempfile::tempdir().expect("a folder");
            // The point is passed 49 times and ends the process at the 50th.
            let status = run_child(home.path(), &format!("{point}=49*off->return")).wait().expect("the child");
            assert!(!status.success(), "{point} was not hit");
            assert!(run_child(home.path(), "").wait().expect("the child").success(), "{point}");
            assert_eq!(lines(home.path(), REJECTED).len(), 100, "{point}");
            assert_eq!(lines(home.path(), VARIANTS).len(), 100, "{point}");
        }
    }

    #[test]
    fn processes_at_once_neither_double_nor_tear_lines() {
        let home = tempfile::tempdir().expect("a folder");
        let children: Vec<_> = (0..4).map(|_| run_child(home.path(), "")).collect();
        for mut child in children {
            assert!(child.wait().expect("the child").success());
        }
        let mut texts: Vec<String> =
            lines(home.path(), REJECTED).iter().map(|line| line["record"].to_string()).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 100);
        assert_eq!(lines(home.path(), REJECTED).len(), 100);
        assert_eq!(lines(home.path(), VARIANTS).len(), 100);
    }

    #[test]
    fn a_full_disk_is_an_error_and_leaves_no_half_line() {
        let points = fail::FailScenario::setup();
        let home = tempfile::tempdir().expect("a folder");
        let aside = JsonlAside::open(home.path()).expect("open");
        reject(&aside, "a", "first", "text");
        fail::cfg(APPEND_FULL, "1*return->off").expect("a point");
        let rejection = Rejection { source_object: "a", number: 1, reason: "second", text: "text" };
        let error = aside.rejected(&rejection).expect_err("the disk is full");
        assert!(error.to_string().contains(REJECTED), "{error}");
        assert_eq!(lines(home.path(), REJECTED).len(), 1);
        assert!(aside.rejected(&rejection).expect("the disk has room again"));
        assert_eq!(lines(home.path(), REJECTED).len(), 2);
        points.teardown();
    }
}
