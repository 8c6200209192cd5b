//! README.md's "Watch a live account", its commands word for word as a new user types them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::daemon::get;
use crate::live::record;
use crate::support::World;

/// The commands of the first block of a chapter.
fn commands(readme: &str, chapter: &str) -> Vec<String> {
    let (_, text) = readme.split_once(&format!("\n## {chapter}\n")).unwrap();
    let (_, block) = text.split_once("```sh\n").unwrap();
    block.split("```").next().unwrap().lines().map(str::to_owned).collect()
}

/// A shell that is typed into, and everything that is seen in its terminal. All that it started ends with it.
struct Shell {
    bash: Child,
    seen: Arc<Mutex<String>>,
}

impl Shell {
    fn open(folder: &Path, tools: &Path) -> Shell {
        let mut command = Command::new("bash");
        for (name, _) in std::env::vars_os() {
            if ["TRAILHOUND_", "AWS_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        command
            .args(["--norc", "-c", "exec 2>&1; exec bash --norc"])
            .current_dir(folder)
            .envs([("PATH", path.as_str()), ("NO_COLOR", "1"), ("AWS_EC2_METADATA_DISABLED", "true")])
            .env("HOME", folder)
            .env_remove("FAILPOINTS")
            // What the daemon does a minute later it does at once, so that nobody has to wait for it.
            .env("TRAILHOUND_RUN_EVERY_SECONDS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0);
        let mut bash = command.spawn().unwrap();
        let (mut output, seen) = (bash.stdout.take().unwrap(), Arc::<Mutex<String>>::default());
        let shown = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        Shell { bash, seen }
    }

    fn type_line(&mut self, line: &str) {
        writeln!(self.bash.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits until something is seen that was not before, and gives what was seen up to then.
    #[track_caller]
    fn wait_for(&self, text: &str, since: usize) -> String {
        let until = Instant::now() + Duration::from_secs(300);
        loop {
            let seen = self.seen.lock().unwrap()[since..].to_owned();
            if seen.contains(text) {
                return seen;
            }
            assert!(Instant::now() < until, "{text:?} is never seen: {seen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn length(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// Types a command, waits for its end and gives what it said.
    #[track_caller]
    fn run(&mut self, line: &str) -> String {
        let since = self.length();
        self.type_line(line);
        self.type_line("echo \"ended with $?.\"");
        let said = self.wait_for("ended with ", since);
        let said = if said.ends_with('.') { said } else { self.wait_for(".\n", since) };
        assert!(said.contains("ended with 0."), "{line}: {said}");
        said
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-9", "--", &format!("-{}", self.bash.id())]).status();
        let _ = self.bash.wait();
    }
}

/// Tools as they are found in a user's path: our binary, and a `cargo run -p testkit` that is built already.
fn tools(world: &World) -> PathBuf {
    let binary = env!("CARGO_BIN_EXE_trailhound");
    let tests = std::env::current_exe().unwrap();
    world.file("tools/trailhound", format!("#!/bin/sh\nexec '{binary}' \"$@\"\n"));
    let cargo = format!(
        "#!/bin/sh\n[ \"$1 $2 $3 $4 $5\" = 'run --release -p testkit --' ] || exit 9\nshift 5\n\
         exec env TESTKIT_ARGUMENTS=\"$*\" '{}' readme::answers_as_cloudtrail --exact --ignored --nocapture\n",
        tests.display()
    );
    world.file("tools/cargo", cargo);
    let tools = world.path("tools");
    let made = Command::new("chmod").arg("+x").args([tools.join("trailhound"), tools.join("cargo")]).status().unwrap();
    assert!(made.success());
    tools
}

#[test]
#[ignore = "a process that another test starts"]
fn answers_as_cloudtrail() {
    let arguments = std::env::var("TESTKIT_ARGUMENTS").unwrap();
    testkit::command::run(arguments.split_whitespace().map(str::to_owned)).unwrap();
}

/// The first account that has a folder of its own in some logs.
fn account(folder: &Path) -> Option<String> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let is_account = |name: &String| name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_digit());
    let found = folders.iter().map(name).find(is_account);
    found.or_else(|| folders.iter().find_map(|folder| account(folder)))
}

/// A port as README names it, or another where somebody has it.
fn free(port: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", port)).or_else(|_| TcpListener::bind("127.0.0.1:0")).unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn watching_a_live_account_works_word_for_word() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let world = World::new();
    let mut shell = Shell::open(&world.path(""), &tools(&world));
    let (service, figures) = (free(4599), free(9477));
    let mut typed = Vec::new();
    for line in commands(&readme, "Watch a live account") {
        let mut line = line.replace("4599", &service.to_string());
        let command = line.split(" #").next().unwrap().trim().to_owned();
        if command.is_empty() || command.starts_with('#') {
            continue;
        }
        let since = shell.length();
        match command.as_str() {
            "trailhound run &" => {
                if figures != 9477 {
                    line = format!("trailhound run --listen 127.0.0.1:{figures} &");
                }
                shell.type_line(&line);
                shell.wait_for("serving http://127.0.0.1:", since);
                assert!(get(&format!("127.0.0.1:{figures}"), "/metrics").contains("trailhound_stream_lag_seconds{"));
            }
            "trailhound watch" => {
                // It follows the daemon until it is ended: the last command there can be.
                shell.type_line(&line);
                std::thread::sleep(Duration::from_secs(1));
                let mut added = record("CreateAccessKey", "iam", "us-east-1", 1, "watched");
                added["userIdentity"]["userName"] = "watchful".into();
                added["recipientAccountId"] = account(&world.path("demo/logs")).unwrap().into();
                world.file("demo/logs/added.json", json!({ "Records": [added] }).to_string());
                shell.wait_for("watchful", since);
            }
            command if command.ends_with('&') => {
                shell.type_line(&line);
                shell.wait_for(&format!("AWS_ENDPOINT_URL=http://127.0.0.1:{service}"), since);
            }
            "trailhound collect" => {
                let said = shell.run(&line);
                let streams = said.split(" streams read to their end").next().unwrap().rsplit('\n').next().unwrap();
                let (read, all) = streams.split_once(" of ").unwrap();
                assert!(read == all && all.parse::<u32>().unwrap() >= 12, "{said}");
            }
            "trailhound status" => {
                let said = shell.run(&line);
                assert!(said.contains(" streams are covered up to "), "{said}");
            }
            _ => _ = shell.run(&line),
        }
        typed.push(command);
    }
    let programs = [
        "trailhound demo",
        "cargo run",
        "trailhound collect",
        "trailhound status",
        "trailhound run",
        "trailhound watch",
    ];
    for program in programs {
        assert!(typed.iter().any(|command| command.starts_with(program)), "{program} is not shown");
    }
}
