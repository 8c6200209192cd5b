//! What the code of a room may call, read from the tokens of its shipped sources (tests are left out).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::tokens::{self, Token};
use crate::{assert_none, workspace_root};

/// Something a room must not write, as the tokens it is recognised by.
#[derive(Clone)]
struct Ban {
    /// A sequence of tokens, separated by spaces.
    tokens: &'static str,
    reason: &'static str,
}

const fn ban(tokens: &'static str, reason: &'static str) -> Ban {
    Ban { tokens, reason }
}

/// Rooms with a terminal of their own.
const FRONTS: &[&str] = &["cli", "lambda", "testkit", "xtask"];
const TERMINAL: &[Ban] = &[
    ban("println !", "prints"),
    ban("print !", "prints"),
    ban("eprintln !", "prints"),
    ban("eprint !", "prints"),
    ban("dbg !", "prints"),
    ban("stdout ( )", "writes to the terminal"),
    ban("stderr ( )", "writes to the terminal"),
    ban("process : : exit", "ends the process"),
    ban("process : : abort", "ends the process"),
];

/// Rooms that are functions of their input.
const PURE: &[&str] = &["event", "detect"];
const WORLD: &[Ban] = &[
    ban("fs : :", "does file I/O"),
    ban("std : : fs", "does file I/O"),
    ban("File : :", "does file I/O"),
    ban("OpenOptions", "does file I/O"),
    ban("net : :", "uses the network"),
    ban("std : : net", "uses the network"),
    ban("TcpStream", "uses the network"),
    ban("env : :", "reads the environment"),
    ban("std : : env", "reads the environment"),
    ban("std : : process", "starts or ends processes"),
    ban("Command : : new", "starts a process"),
    ban("stdin ( )", "does I/O"),
    ban("thread : : spawn", "starts a thread"),
    ban("thread : : scope", "starts threads"),
    ban("thread : : sleep", "waits"),
    ban("SystemTime", "reads the clock"),
    ban("Instant", "reads the clock"),
    ban("Timestamp : : now", "reads the clock"),
    ban("Zoned : : now", "reads the clock"),
    ban("now_v7", "reads the clock"),
];
/// Members of `std` that a pure room may not bring in through `use std::{…}` either.
const WORLDLY_MODULES: &[&str] = &["fs", "net", "env", "process", "os"];

/// Rooms that take "now" as an argument or from the `Clock` port, without exception. (The lake compares the times of
/// files, which are the machine's; there and elsewhere clippy wants the reason beside the call.)
const CLOCKLESS: &[&str] = &["pipeline", "sample", "integrity"];
const CLOCK: &[Ban] = &[
    ban("SystemTime : : now", "reads the wall clock"),
    ban("Timestamp : : now", "reads the wall clock"),
    ban("Zoned : : now", "reads the wall clock"),
];

/// Rooms whose files must survive a crash.
const DURABLE: &[&str] = &["lake", "local", "pipeline"];
const FRAGILE: &[Ban] = &[ban("fs : : write", "leaves half a file after a crash: write beside it, sync and rename")];

/// The sources of one room: those that ship, in `src`.
fn sources(room: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(&workspace_root().join("crates").join(room).join("src"), &mut files);
    files.sort();
    files
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a source folder is readable") {
        let path = entry.expect("a source folder is readable").path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Every room that exists now.
fn rooms() -> BTreeSet<String> {
    let crates = fs::read_dir(workspace_root().join("crates")).expect("crates/ is readable");
    let folders = crates.map(|entry| entry.expect("crates/ is readable").path());
    let rooms = folders.filter(|folder| folder.join("Cargo.toml").is_file());
    rooms.filter_map(|folder| Some(folder.file_name()?.to_str()?.to_owned())).collect()
}

/// Checks the shipped sources of each of the rooms that exist.
fn check<'a>(wanted: impl Iterator<Item = &'a str>, breaches: impl Fn(&[Token]) -> Vec<String>) -> Vec<String> {
    let existing = rooms();
    let mut violations = Vec::new();
    for room in wanted.filter(|room| existing.contains(*room)) {
        let mut shipped = Vec::new();
        let mut tests = BTreeSet::new();
        for file in sources(room) {
            let source = fs::read_to_string(&file).expect("a source is UTF-8");
            match tokens::shipped(&source) {
                Ok(code) => {
                    tests.extend(code.test_modules.iter().map(|module| module_path(&file, module)));
                    shipped.push((file, code.tokens));
                }
                Err(error) => violations.push(format!("{}: {error}", shown(&file))),
            }
        }
        assert!(!shipped.is_empty(), "`{room}` has no sources");
        for (file, code) in shipped {
            let is_test = tests.iter().any(|module| file.with_extension("").starts_with(module));
            if !is_test {
                let file = shown(&file);
                violations.extend(breaches(&code).iter().map(|breach| format!("{file}:{breach}")));
            }
        }
    }
    violations
}

/// Where `mod name;` written in `file` stands, without its extension.
fn module_path(file: &Path, name: &str) -> PathBuf {
    let is_root = ["lib", "main", "mod"].iter().any(|stem| file.file_stem().is_some_and(|file| file == *stem));
    let folder = if is_root { file.with_file_name("") } else { file.with_extension("") };
    folder.join(name)
}

fn shown(file: &Path) -> String {
    file.strip_prefix(workspace_root()).unwrap_or(file).display().to_string()
}

fn banned(code: &[Token], bans: &[Ban]) -> Vec<String> {
    let mut breaches = Vec::new();
    for ban in bans {
        let wanted: Vec<&str> = ban.tokens.split(' ').collect();
        let found = code
            .windows(wanted.len())
            .filter(|window| window.iter().map(|token| token.text.as_str()).eq(wanted.iter().copied()));
        let written: String = wanted.concat();
        breaches.extend(found.map(|window| format!("{}: `{written}` {}", window[0].line, ban.reason)));
    }
    breaches
}

/// `use std::{fs, io}` names a module without a path to it.
fn worldly_groups(code: &[Token]) -> Vec<String> {
    let opening = ["std", ":", ":", "{"];
    let mut breaches = Vec::new();
    for (start, window) in code.windows(opening.len()).enumerate() {
        if !window.iter().map(|token| token.text.as_str()).eq(opening) {
            continue;
        }
        let group = code[start + opening.len()..].iter().take_while(|token| token.text != ";");
        let modules = group.filter(|token| WORLDLY_MODULES.contains(&token.text.as_str()));
        breaches.extend(modules.map(|token| format!("{}: uses `std::{}`", token.line, token.text)));
    }
    breaches
}

fn worldly(code: &[Token]) -> Vec<String> {
    let mut breaches = banned(code, WORLD);
    breaches.extend(worldly_groups(code));
    breaches
}

#[test]
fn only_fronts_print_or_exit() {
    let rooms = rooms();
    let others = rooms.iter().map(String::as_str).filter(|room| !FRONTS.contains(room));
    assert_none(&check(others, |code| banned(code, TERMINAL)));
}

#[test]
fn event_and_detect_touch_nothing_outside() {
    assert_none(&check(PURE.iter().copied(), worldly));
}

#[test]
fn integrity_does_no_io() {
    // It has threads: hashing is what it is for.
    let bans: Vec<Ban> = WORLD.iter().filter(|ban| !ban.tokens.starts_with("thread")).cloned().collect();
    assert_none(&check(["integrity"].into_iter(), |code| banned(code, &bans)));
}

#[test]
fn time_comes_in_through_the_clock() {
    assert_none(&check(CLOCKLESS.iter().copied(), |code| banned(code, CLOCK)));
}

#[test]
fn durable_files_are_written_atomically() {
    assert_none(&check(DURABLE.iter().copied(), |code| banned(code, FRAGILE)));
}

fn tokens_of(source: &str) -> Vec<Token> {
    tokens::shipped(source).expect("valid Rust").tokens
}

#[test]
fn printing_and_exiting_are_caught() {
    let code =
        tokens_of("fn f() {\n println!(\"{x}\");\n std::process::exit(1);\n write(std::io::stdout(), dbg!(x));\n}");
    let expected = [
        "2: `println!` prints",
        "4: `dbg!` prints",
        "4: `stdout()` writes to the terminal",
        "3: `process::exit` ends the process",
    ];
    assert_eq!(banned(&code, TERMINAL), expected);
    // Words that only look like it.
    let harmless = tokens_of("fn print() {} fn g() { exit(code); self.print(); let println = 1; }");
    assert!(banned(&harmless, TERMINAL).is_empty());
}

#[test]
fn the_outside_world_is_caught_however_it_is_named() {
    let breaches = |source: &str| worldly(&tokens_of(source)).len();
    assert_eq!(breaches("use std::fs;"), 1);
    assert_eq!(breaches("use std::{io::{self, Read}, fs};"), 1);
    assert_eq!(breaches("fn f() { fs::read(p); }"), 1);
    assert_eq!(breaches("fn f() { let t = jiff::Timestamp::now(); }"), 1);
    assert_eq!(breaches("use std::time::{Duration, Instant};"), 1);
    assert_eq!(breaches("use std::{fmt, io}; fn f() { env!(\"X\"); let fs = 1; }"), 0);
    assert_eq!(breaches("#[cfg(test)] mod tests { use std::fs; }"), 0);
}

#[test]
fn test_modules_are_found_beside_their_parent() {
    assert_eq!(module_path(Path::new("src/lib.rs"), "fixtures"), Path::new("src/fixtures"));
    assert_eq!(module_path(Path::new("src/a.rs"), "tests"), Path::new("src/a/tests"));
    assert_eq!(module_path(Path::new("src/a/mod.rs"), "tests"), Path::new("src/a/tests"));
}
