//! The door over the real engine, with the programs that knock at it: `psql` and psycopg.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::formats::world;
use crate::support::{NOW, World, python};

/// An open door, and who may come in.
struct Door {
    process: Child,
    port: String,
    password: String,
}

impl Door {
    fn open(command: &mut Command) -> Door {
        let serve = command.args(["sql", "--serve", "127.0.0.1:0"]);
        let mut process = serve.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let address = lines.next().unwrap();
        let port = address.split("127.0.0.1:").nth(1).unwrap().split(',').next().unwrap().to_owned();
        let password = lines.next().unwrap().split("password ").nth(1).unwrap().to_owned();
        Door { process, port, password }
    }

    /// What `psql` prints, errors too.
    fn psql_as(&self, password: &str, arguments: &[&str]) -> String {
        let program = std::env::var_os("TRAILHOUND_PSQL").unwrap_or_else(|| "psql".into());
        let ran = Command::new(program)
            .args(["-h", "127.0.0.1", "-p", &self.port, "-U", "trailhound", "-X", "trailhound"])
            .args(arguments)
            .env("PGPASSWORD", password)
            .output();
        let ran = ran.expect("psql is there: `cargo xtask test` installs it");
        String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap()
    }

    fn psql(&self, arguments: &[&str]) -> String {
        self.psql_as(&self.password, arguments)
    }

    /// A connection of psycopg's; nothing where there is no psycopg.
    fn connect(&self) -> Option<Connection> {
        let mut process = Command::new(python()?)
            .arg("tests/door.py")
            .envs([("DOOR_PORT", &self.port), ("DOOR_PASSWORD", &self.password)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (statements, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Some(Connection { process, statements: Some(statements), answers: BufReader::new(answers).lines() })
    }

    /// Ends it as ctrl-C does.
    fn close(mut self) -> Option<i32> {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        self.process.wait().unwrap().code()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // It has ended already, unless a test failed.
        let _ = self.process.kill();
    }
}

/// One connection, whose statements are prepared and asked one after the other.
struct Connection {
    process: Child,
    statements: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Connection {
    fn ask(&mut self, sql: &str) -> Value {
        writeln!(self.statements.as_mut().unwrap(), "{sql}").unwrap();
        let answer = self.answers.next().expect("an answer").unwrap();
        serde_json::from_str(&answer).unwrap()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        drop(self.statements.take());
        let _ = self.process.wait();
    }
}

/// What a person does with `psql`: looks around, asks, mistypes the password, tries to write.
#[test]
fn other_tools_ask_through_the_door() {
    let world = world();
    let door = Door::open(&mut world.command());
    for (command, expected) in [
        (r"\d", ["public | events ", "public | cloudtrail ", "public | alerts "].as_slice()),
        (r"\dt", &["public | events | table", "public | runs | table"]),
        (r"\dv", &["public | cloudtrail_logs | view", "public | iam_events | view"]),
        (r"\d events", &["event_date | date", "event_time | timestamp with time zone", "read_only | boolean"]),
        (r"\d cloudtrail", &["eventtime | timestamp without time zone", "useridentity | ", "requestparameters | "]),
        (r"\d+ iam_events", &["event_time | text"]),
    ] {
        let printed = door.psql(&["-c", command]);
        let narrow = printed.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!printed.contains("ERROR"), "{command}: {printed}");
        for text in expected {
            assert!(narrow.contains(text), "{command} without {text:?}: {printed}");
        }
    }
    let answer = |sql| door.psql(&["-A", "-t", "-c", sql]);
    assert_eq!(answer("SELECT event_name, user_name FROM events WHERE error_code IS NOT NULL"), "CreateUser|alice\n");
    // What CloudTrail Lake's users ask.
    let lake = "SELECT eventTime, userIdentity.userName, element_at(requestParameters, 'userName') FROM cloudtrail \
                WHERE eventName = 'CreateUser' AND eventTime > '2026-01-30 00:00:00'";
    assert_eq!(answer(lake), "2026-01-30 10:00:00.000000|alice|mallory, \"the\" second\n");
    assert!(door.psql_as("wrong", &["-c", "SELECT 1"]).contains("password authentication failed"));
    assert!(answer("DELETE FROM events").contains("only queries are allowed"));
    // "Now" is what the command line says.
    assert_eq!(answer("SELECT to_iso8601(current_date)"), format!("{}\n", &NOW[..10]));
    assert_eq!(door.close(), Some(0));
}

/// A door may be open for days: what is read meanwhile is there for the next statement, also where there was nothing at
/// all when it was opened.
#[test]
fn what_is_read_while_the_door_is_open_is_there_for_the_next_statement() {
    let world = World::new();
    let door = Door::open(&mut world.command());
    let Some(mut connection) = door.connect() else { return };
    let count = "SELECT count(*) FROM events";
    assert_eq!(connection.ask(count), json!([[0]]));
    for number in 1..=2 {
        let record =
            testkit::event("CreateUser").at("2026-01-30T10:00:00Z").request(json!({"userName": number})).build();
        let file = world.file(&format!("{number}.json"), json!({ "Records": [record] }).to_string());
        world.ingest(&file).code(0);
        assert_eq!(connection.ask(count), json!([[number]]));
        assert_eq!(connection.ask("SELECT count(*) FROM runs"), json!([[number]]));
        assert_eq!(door.psql(&["-A", "-t", "-c", count]), format!("{number}\n"));
    }
    drop(connection);
    assert_eq!(door.close(), Some(0));
}

/// A statement is asked at the time when it is run, not when the door was opened or the statement prepared.
#[test]
fn the_door_reads_the_clock_for_every_statement() {
    let world = world();
    for (command, is_fixed) in [(&mut world.command(), true), (&mut world.command_by_the_clock(), false)] {
        let door = Door::open(command);
        let Some(mut connection) = door.connect() else { return };
        let mut now = || connection.ask("SELECT to_iso8601(now())")[0][0].as_str().unwrap().to_owned();
        let first = now();
        std::thread::sleep(Duration::from_millis(20));
        let second = now();
        assert!(first <= second, "{first} {second}");
        assert_eq!(first == second, is_fixed, "{first} {second}");
        drop(connection);
        assert_eq!(door.close(), Some(0));
    }
}

#[test]
fn the_door_is_not_opened_to_other_machines_by_accident() {
    let world = world();
    let ran = world.run(["sql", "--serve", "0.0.0.0:0"]).code(2);
    assert!(ran.stderr().contains("--serve-beyond-loopback"), "{}", ran.stderr());
    let ran = world.run(["sql", "--serve", "nowhere"]).code(1);
    assert!(ran.stderr().contains("failed to listen at nowhere"), "{}", ran.stderr());
}
