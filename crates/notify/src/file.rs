//! `file`: JSON lines, one alert each, for whoever reads along.
//!
//! A line is there wholly or not at all, also where several processes write and where the disk is full.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use pipeline::alert::Alert;
use pipeline::notify::{Notifier, Parcel, Verdict};
use serde::{Deserialize, Serialize};

use crate::asff::asff;
use crate::build::{BuildError, Tools};
use crate::json::Document;
use crate::kinds::Kind;
use crate::ocsf::ocsf;
use crate::webhook::Format;

/// The keys of `kind = "file"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// The file; it is made if it is not there. Its folder must be.
    ///
    /// Example: `path = "/var/log/trailhound/alerts.jsonl"`
    pub path: PathBuf,
    /// What a line is: our own `json`, or a finding in `ocsf` or `asff`. Default: `"json"`.
    #[serde(default)]
    pub format: Format,
    /// Whether the whole record stands in a line of `json`. Default: `true`.
    #[serde(default = "yes")]
    pub record: bool,
}

fn yes() -> bool {
    true
}

impl Kind for FileConfig {
    const FOR_PEOPLE: bool = false;

    fn build(&self, tools: &mut Tools<'_>) -> Result<Box<dyn Notifier>, BuildError> {
        if self.path.as_os_str().is_empty() {
            return Err(tools.wrong("path is empty"));
        }
        Ok(Box::new(Lines(self.clone())))
    }
}

struct Lines(FileConfig);

impl Lines {
    fn lines(&self, parcel: &Parcel) -> String {
        parcel.alerts().map(|alert| self.line(alert) + "\n").collect()
    }

    fn line(&self, alert: &Alert) -> String {
        match self.0.format {
            Format::Json => Document::of(alert, self.0.record).line(),
            Format::Ocsf => ocsf(alert).to_string(),
            Format::Asff => asff(alert, None).to_string(),
        }
    }
}

impl Notifier for Lines {
    fn send(&self, parcel: &Parcel) -> Verdict {
        match append(&self.0.path, &self.lines(parcel)) {
            Ok(()) => Verdict::Delivered,
            Err(error) => Verdict::retry(format!("{} cannot be written: {error}", self.0.path.display())),
        }
    }

    fn preview(&self, parcel: &Parcel) -> String {
        format!("{}\n\n{}", self.0.path.display(), self.lines(parcel))
    }
}

/// Appends lines and makes them durable. What fails leaves the file as it was.
fn append(path: &PathBuf, lines: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    // Other processes of ours wait; it ends with the file.
    file.lock()?;
    let length = file.metadata()?.len();
    let start = if ends_in_a_line(&mut file, length)? { "" } else { "\n" };
    let written = file.write_all(format!("{start}{lines}").as_bytes()).and_then(|()| file.sync_data());
    if written.is_err() {
        // Half a line is worse than none. If even this fails, the next append ends it.
        let _ = file.set_len(length);
    }
    written
}

/// Whether the file ends with a whole line. One that a crash has cut off must not run into the next.
fn ends_in_a_line(file: &mut File, length: u64) -> io::Result<bool> {
    if length == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::Start(length - 1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_off_does_not_run_into_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.jsonl");
        append(&path, "{\"a\":1}\n").unwrap();
        std::fs::write(&path, "{\"a\":1}\n{\"b\":").unwrap();
        append(&path, "{\"c\":1}\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"a\":1}\n{\"b\":\n{\"c\":1}\n");
    }

    #[test]
    fn many_writers_write_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.jsonl");
        let line = format!("{}\n", "x".repeat(20_000));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..10).for_each(|_| append(&path, &line).unwrap()));
            }
        });
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 80);
        assert!(text.lines().all(|each| each.len() == 20_000));
    }
}
