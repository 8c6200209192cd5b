//! The prompt of `trailhound sql`, with a person at a terminal (Python's `pty` plays both).

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::formats::world;
use crate::support::{Ran, World, python};

const ENTER: &str = "\r";
const UP: &str = "\u{1b}[A";
const CONTROL_D: &str = "\u{4}";

/// What the terminal shows when keys are pressed as soon as texts appear; nothing where there is no Python.
fn at_the_prompt(world: &World, steps: &[(&str, String)]) -> Option<String> {
    let prompt = world.command();
    let mut command = Command::new(python()?);
    command.arg("tests/prompt.py").arg(prompt.get_program()).args(prompt.get_args()).arg("sql");
    for (name, value) in prompt.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut process =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("an interpreter");
    process.stdin.take().unwrap().write_all(json!(steps).to_string().as_bytes()).unwrap();
    Some(Ran(process.wait_with_output().unwrap()).code(0).stdout())
}

fn typed(keys: &str) -> String {
    format!("{keys}{ENTER}")
}

#[test]
fn the_prompt_answers_describes_and_remembers() {
    let world = world();
    let ready = "trailhound> ";
    let Some(shown) = at_the_prompt(
        &world,
        &[
            (ready, typed("\\d")),
            ("iam_events", String::new()),
            (ready, typed("\\d events")),
            ("timestamp with time zone", String::new()),
            (ready, typed("\\d evnts")),
            ("did you mean events?", String::new()),
            // A statement ends with its semicolon, not with its line.
            (ready, typed("SELECT user_name, 40 + 2 AS answer FROM events")),
            ("FROM events", typed("WHERE error_code IS NOT NULL;")),
            ("1 row in ", String::new()),
            (ready, typed("\\timing")),
            ("timing is off", String::new()),
            (ready, typed("SELECT 'no' || 'timing' AS word;")),
            ("notiming", String::new()),
            (ready, typed("SELECT event_nam FROM events;")),
            ("did you mean event_name?", String::new()),
            (ready, CONTROL_D.to_owned()),
        ],
    ) else {
        return;
    };
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    assert!(lines.iter().any(|line| line.split_whitespace().eq(["alice", "42"])), "{shown}");
    assert_eq!(shown.matches(" in 0.").count(), 1, "{shown}");
    // The next one remembers, several lines as one statement.
    let back = UP.repeat(4);
    let steps = [(ready, typed(&back)), ("1 row in ", String::new()), (ready, typed("\\q"))];
    let shown = at_the_prompt(&world, &steps).expect("Python");
    assert!(shown.lines().any(|line| line.split_whitespace().eq(["alice", "42"])), "{shown}");
}
