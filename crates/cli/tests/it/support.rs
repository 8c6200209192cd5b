//! A home folder, logs in it, and the binary run on them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sample::Plan;
use serde_json::Value;
use tempfile::TempDir;

/// The end of every sample trail here.
pub(crate) const NOW: &str = "2026-01-31T12:00:00Z";

/// A folder with a home and logs in it, gone with the test.
pub(crate) struct World {
    folder: TempDir,
}

impl World {
    pub(crate) fn new() -> World {
        World { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Writes a file and gives its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The binary, in this world's home and untouched by the environment of whoever runs the tests.
    pub(crate) fn command(&self) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_trailhound")), &self.home())
    }

    /// The same of the binary at another place, or in another home.
    pub(crate) fn command_of(&self, binary: &Path, home: &Path) -> Command {
        let mut command = self.by_the_clock(binary, home);
        command.args(["--now", NOW]);
        command
    }

    /// The same, with this machine's time.
    pub(crate) fn command_by_the_clock(&self) -> Command {
        self.by_the_clock(Path::new(env!("CARGO_BIN_EXE_trailhound")), &self.home())
    }

    fn by_the_clock(&self, binary: &Path, home: &Path) -> Command {
        let mut command = Command::new(binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TRAILHOUND_") {
                command.env_remove(name);
            }
        }
        command.env_remove("FAILPOINTS").env("USER", "tester").env("NO_COLOR", "1").env_remove("COLUMNS");
        command.arg("--home").arg(home);
        command
    }

    pub(crate) fn run<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(&self, arguments: I) -> Ran {
        Ran(self.command().args(arguments).output().unwrap())
    }

    pub(crate) fn ingest(&self, path: &Path) -> Ran {
        Ran(self.command().args(["ingest", "--summary", "json"]).arg(path).output().unwrap())
    }
}

/// What a run of the binary left behind.
pub(crate) struct Ran(pub(crate) Output);

impl Ran {
    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Ran {
        assert_eq!(self.0.status.code(), Some(expected), "\nstdout: {}\nstderr: {}", self.stdout(), self.stderr());
        self
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout()).unwrap_or_else(|error| panic!("{error}: {}", self.stdout()))
    }
}

/// The interpreter that has the tests' packages; without it a test says so and is skipped.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub(crate) fn python() -> Option<OsString> {
    let python = std::env::var_os("TRAILHOUND_PYTHON").filter(|path| !path.is_empty());
    if python.is_none() {
        eprintln!("skipped: TRAILHOUND_PYTHON is not set");
    }
    python
}

/// A small trail of a week, with the intrusion in it.
pub(crate) fn small_trail(folder: &Path) -> PathBuf {
    let plan = Plan { days: 7, events: 1_500, files: 140, duplicates: 0.02, ..Plan::demo(NOW.parse().unwrap()) };
    plan.write(folder, |_| {}).unwrap().trail
}

/// Everything that must be the same after a crash and a re-run as without a crash.
#[derive(Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) records: BTreeSet<String>,
    pub(crate) alerts: BTreeSet<String>,
    pub(crate) rejected: BTreeSet<String>,
    pub(crate) variants: BTreeSet<String>,
}

impl Stored {
    pub(crate) fn of(world: &World) -> Stored {
        let raw = world.run(["events", "--raw", "--limit", "0"]).code(0).stdout();
        let records: BTreeSet<String> = raw.lines().map(str::to_owned).collect();
        assert_eq!(records.len(), raw.lines().count(), "an event is stored twice");
        let alerts = world.run(["alerts", "export", "--acked", "--suppressed"]).code(0).stdout();
        let alerts: BTreeSet<String> = alerts
            .lines()
            .map(|line| {
                let mut alert: Value = serde_json::from_str(line).unwrap();
                // When and in which run it was found may differ; what was found may not.
                for field in ["first_seen", "run"] {
                    alert.as_object_mut().unwrap().remove(field).unwrap();
                }
                alert.to_string()
            })
            .collect();
        let lines = |name: &str| -> BTreeSet<String> {
            let text = std::fs::read_to_string(world.home().join(name)).unwrap_or_default();
            let lines: BTreeSet<String> = text.lines().map(str::to_owned).collect();
            assert_eq!(lines.len(), text.lines().count(), "{name} holds a line twice");
            lines
        };
        let stored = Stored { records, alerts, rejected: lines("rejected.jsonl"), variants: lines("variants.jsonl") };
        world.run(["lake", "verify"]).code(0);
        stored
    }

    /// Fails with the number of differences rather than with thousands of records.
    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Stored, what: &str) {
        let missing = |ours: &BTreeSet<String>, theirs: &BTreeSet<String>| theirs.difference(ours).count();
        for (name, ours, theirs) in [
            ("records", &self.records, &other.records),
            ("alerts", &self.alerts, &other.alerts),
            ("rejected", &self.rejected, &other.rejected),
            ("variants", &self.variants, &other.variants),
        ] {
            let (lost, added) = (missing(ours, theirs), missing(theirs, ours));
            assert!(lost == 0 && added == 0, "{what}: {name}: {lost} lost, {added} added");
        }
    }
}
