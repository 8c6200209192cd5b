//! `psql` (the variable `TRAILHOUND_PSQL`, or the search path) and psycopg (for the interpreter `TRAILHOUND_PYTHON`, or
//! `python3`). A test whose program is missing fails and says what to install.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Open, PASSWORD, USER, user_options, wait_until};

const PATIENCE: Duration = Duration::from_secs(120);

fn program(variable: &str, otherwise: &str) -> OsString {
    std::env::var_os(variable).filter(|value| !value.is_empty()).unwrap_or_else(|| otherwise.into())
}

/// Runs a program to its end, within a time.
fn run(mut command: Command, advice: &str) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!("failed to run {:?}: {error}. {advice}", command.get_program()),
    };
    let [mut stdout, mut stderr] = [Vec::new(), Vec::new()];
    let (mut out, mut err) = (child.stdout.take().expect("stdout"), child.stderr.take().expect("stderr"));
    std::thread::scope(|scope| {
        scope.spawn(|| out.read_to_end(&mut stdout));
        scope.spawn(|| err.read_to_end(&mut stderr));
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().expect("child").is_none() {
            if Instant::now() > deadline {
                child.kill().expect("kill");
                panic!("{:?} took too long", command.get_args().collect::<Vec<_>>());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    Output { status: child.wait().expect("child"), stdout, stderr }
}

/// Asks with psql; returns what it printed, errors too.
fn psql(door: &Open, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(program("TRAILHOUND_PSQL", "psql"));
    let port = door.address.port().to_string();
    command.args(["-X", "-h", "127.0.0.1", "-p", &port, "-U", USER, "-d", "trailhound", "-v", "VERBOSITY=verbose"]);
    command.args(arguments).env("PGPASSWORD", PASSWORD).env("PGCONNECT_TIMEOUT", "20").env("LC_ALL", "C.UTF-8");
    let output = run(command, "Install the Debian package postgresql-client, or name a psql in TRAILHOUND_PSQL.");
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
}

fn python(door: &Open, check: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/door/client.py");
    let mut command = Command::new(program("TRAILHOUND_PYTHON", "python3"));
    command.arg(script).arg(check).env("DOOR_PORT", door.address.port().to_string());
    command.env("DOOR_USER", USER).env("DOOR_PASSWORD", PASSWORD);
    let advice = "Install psycopg[binary] and SQLAlchemy from PyPI, and name the interpreter that has them in TRAILHOUND_PYTHON.";
    let output = run(command, advice);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("No module named"), "{said}{advice}");
    assert!(output.status.success(), "{check}: {said}");
}

#[test]
fn psql_lists_what_there_is() {
    let door = Open::with_password();
    for (command, expected) in [
        (r"\d", vec!["public | events", "public | failures"]),
        (r"\dt", vec!["public | events | table"]),
        (r"\dv", vec!["public | failures | view"]),
        (r"\dt+", vec!["events"]),
        (r"\dn", vec!["public"]),
        (r"\dn+", vec!["public"]),
        (r"\l", vec!["trailhound"]),
        (r"\d events", vec!["event_time | timestamp with time zone", "tags       | text[]", "event_date | date"]),
        (r"\d+ events", vec!["event_time | timestamp with time zone"]),
        (r"\d failures", vec!["error_code"]),
        (r"\du", vec![USER]),
        (r"\di", vec![]),
        (r"\dx", vec![]),
        (r"\conninfo", vec!["as user \"reader\""]),
    ] {
        let (succeeded, printed) = psql(&door, &["-c", command]);
        assert!(succeeded && !printed.contains("ERROR"), "{command}: {printed}");
        let narrow = printed.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        for text in expected {
            let text = text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
            assert!(narrow.contains(&text), "{command} without {text:?}: {printed}");
        }
    }
}

#[test]
fn psql_asks_and_is_answered() {
    let door = Open::with_password();
    let unaligned = |sql| psql(&door, &["-A", "-t", "-c", sql]);
    let all = unaligned("select event_id, event_time, event_date, read_only, tags, error_code from events");
    let expected = "e1|2023-11-14 22:13:20.123456+00|2023-11-14|t|{a,NULL,\"say \\\"hi\\\", {you}\"}|\n\
                    e2|1970-01-01 00:00:00.000000+00|1970-01-01|f|{}|AccessDenied\n\
                    é\u{1F980}|1969-12-31 23:59:59.999999+00|1969-12-31|t|{nul␀}|a␀b\n|||||\n";
    assert_eq!(all, (true, expected.to_owned()));
    assert_eq!(unaligned("begin; select 1; commit"), (true, "BEGIN\n1\nCOMMIT\n".to_owned()));
    assert_eq!(unaligned("show server_version"), (true, "16.6 (Trailhound)\n".to_owned()));
    let (succeeded, plan) = unaligned("explain select count(*) from events");
    assert!(succeeded && plan.contains("TableScan"), "{plan}");
    let cursor = ["-A", "-t", "-v", "FETCH_COUNT=3", "-c", "select value from generate_series(1, 10)"];
    let (succeeded, rows) = psql(&door, &cursor);
    assert!(succeeded && rows.lines().count() == 10, "{rows}");
}

#[test]
fn psql_is_told_what_is_wrong() {
    let door = Open::with_password();
    for (sql, expected) in [
        ("select nothing from events", "ERROR:  42703"),
        ("drop table events", "ERROR:  42501: only queries are allowed here, not DROP"),
        ("copy events to stdout", "ERROR:  42501: only queries are allowed here, not COPY"),
        ("copy (select 1) to stdout", "ERROR:  42501"),
        (r"\copy events to stdout", "ERROR:  42501"),
        ("select 1; truncate events; select 2", "LINE 1: select 1; truncate events"),
    ] {
        let (succeeded, printed) = psql(&door, &["-c", sql]);
        assert!(!succeeded && printed.contains(expected), "{sql}: {printed}");
    }
}

#[test]
fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let door = Open::with_password();
    python(&door, "wrong_password");
}

macro_rules! checks {
    ($($check:ident)*) => {$(
        #[test]
        fn $check() {
            let door = Open::with_password();
            python(&door, stringify!($check));
            wait_until("nothing is read any more", || door.endless.readers() == 0);
        }
    )*};
}

checks! {
    text binary other_kinds parameters prepared server_cursor transactions settings mistakes writes several_statements
    cancel timeout concurrent lookups names sqlalchemy startup
}

#[test]
fn the_servers_timeout_cannot_be_lifted() {
    let mut options = user_options();
    options.statement_timeout = Some(Duration::from_millis(300));
    python(&Open::with(options), "server_timeout");
}

/// In a process of its own, where no other test takes memory.
#[cfg(target_os = "linux")]
#[test]
fn a_million_rows_take_no_memory() {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--ignored", "--exact", "programs::a_million_rows_alone"]);
    let output = run(command, "");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

/// The whole answer is 112 MB.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by the test above"]
fn a_million_rows_alone() {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    fn resident() -> u64 {
        let pages: u64 = std::fs::read_to_string("/proc/self/statm")
            .expect("statm")
            .split(' ')
            .nth(1)
            .and_then(|pages| pages.parse().ok())
            .expect("pages");
        pages * 4096
    }

    let door = Open::with_password();
    python(&door, "text");
    let (before, most, done) = (resident(), AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                most.fetch_max(resident(), Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        python(&door, "million");
        done.store(true, Ordering::SeqCst);
    });
    let grown = most.into_inner().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes");
}
