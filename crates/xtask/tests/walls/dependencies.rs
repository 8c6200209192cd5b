//! Who may depend on whom, read from the manifests as cargo understands them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::{assert_none, workspace_root};

/// The rooms, and the rooms each may name in its `[dependencies]`. Using fewer is fine.
///
/// A room that is not listed may not exist: adding one means deciding here where it stands.
const ROOMS: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("detect", &["event"]),
    ("pipeline", &["event", "detect"]),
    ("lake", &["event"]),
    ("query", &["event", "lake"]),
    ("integrity", &["event"]),
    ("local", &["event", "detect", "pipeline", "lake", "integrity"]),
    ("notify", &["event", "detect", "pipeline"]),
    ("aws", &["event", "detect", "pipeline", "lake", "notify", "integrity"]),
    ("sample", &["event", "integrity"]),
    ("cli", &["event", "detect", "pipeline", "lake", "query", "integrity", "local", "notify", "aws", "sample", "web"]),
    ("lambda", &["event", "detect", "pipeline", "local", "aws", "lake", "notify"]),
    ("web", &["event", "detect", "pipeline", "lake", "query"]),
    ("testkit", &["event", "detect", "pipeline"]),
    ("xtask", &["event", "detect", "sample"]),
];

/// Libraries that are heavy, or that would carry a concern into a room where it has no place: the start of
/// their names, and the only rooms that may depend on them directly.
const CONFINED: &[(&str, &[&str])] = &[
    ("datafusion", &["query"]),
    ("pgwire", &["query"]),
    ("aws-sdk-", &["aws"]),
    ("aws-config", &["aws"]),
    ("aws-smithy-", &["aws"]),
    ("aws-credential-types", &["aws"]),
    ("aws-sigv4", &["aws"]),
    ("aws-types", &["aws"]),
    ("aws-lc-rs", &["integrity", "sample"]),
    ("deltalake", &["lake"]),
    ("parquet", &["lake"]),
    ("arrow", &["lake", "query"]),
    ("object_store", &["lake", "aws"]),
    ("rusqlite", &["local"]),
    ("reqwest", &["notify"]),
    ("lettre", &["notify"]),
    ("lambda_runtime", &["lambda"]),
    ("clap", &["cli", "lambda", "xtask"]),
    ("indicatif", &["cli"]),
    ("comfy-table", &["cli"]),
    ("rustyline", &["cli"]),
    // Libraries have error enums of their own.
    ("anyhow", &["cli", "lambda", "xtask"]),
];

/// Rooms that are plain functions over borrowed data.
const SYNCHRONOUS: &[&str] = &["event", "detect", "integrity"];
const ASYNCHRONOUS_LIBRARIES: &[&str] = &["tokio", "futures", "async-trait", "object_store"];

/// One crate of the workspace and what it depends on.
#[derive(Debug, Default)]
struct Room {
    /// `[dependencies]` and `[build-dependencies]`: what ships.
    normal: BTreeSet<String>,
    dev: BTreeSet<String>,
}

type Rooms = BTreeMap<String, Room>;

fn rooms() -> Rooms {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(workspace_root())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let rooms = rooms_of(&metadata);
    assert!(rooms.len() >= 9, "cargo metadata names the whole workspace, not {:?}", rooms.keys());
    rooms
}

fn rooms_of(metadata: &Value) -> Rooms {
    let packages = metadata["packages"].as_array().expect("a list of packages");
    packages.iter().map(room_of).collect()
}

fn room_of(package: &Value) -> (String, Room) {
    let name = package["name"].as_str().expect("a package has a name");
    let mut room = Room::default();
    for dependency in package["dependencies"].as_array().expect("a list of dependencies") {
        let library = dependency["name"].as_str().expect("a dependency has a name").to_owned();
        match dependency["kind"].as_str() {
            Some("dev") => room.dev.insert(library),
            _ => room.normal.insert(library),
        };
    }
    (name.to_owned(), room)
}

fn directions(rooms: &Rooms) -> Vec<String> {
    let table: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let mut violations = Vec::new();
    for (name, room) in rooms {
        let Some(allowed) = table.get(name.as_str()) else {
            violations.push(format!("`{name}` has no place in the table of rooms"));
            continue;
        };
        let rooms_used = room.normal.iter().filter(|library| rooms.contains_key(*library));
        for used in rooms_used.filter(|used| !allowed.contains(&used.as_str())) {
            violations.push(format!("`{name}` may not depend on `{used}`"));
        }
    }
    violations
}

fn confinement(rooms: &Rooms) -> Vec<String> {
    let mut violations = Vec::new();
    for (name, room) in rooms {
        for library in &room.normal {
            let confined = CONFINED.iter().filter(|(prefix, _)| library.starts_with(prefix));
            for (_, allowed) in confined.filter(|(_, allowed)| !allowed.contains(&name.as_str())) {
                violations.push(format!("`{name}` depends on `{library}`, which belongs to {allowed:?}"));
            }
            let synchronous = SYNCHRONOUS.contains(&name.as_str());
            if synchronous && ASYNCHRONOUS_LIBRARIES.contains(&library.as_str()) {
                violations.push(format!("`{name}` is synchronous and depends on `{library}`"));
            }
        }
    }
    violations
}

/// Reads the root table line by line, because the reasons are comments.
///
/// A reason covers the entries below it up to the next blank line, comment or section.
fn unexplained(root_manifest: &str) -> Vec<String> {
    let mut violations = Vec::new();
    let mut in_table = false;
    let mut explained = false;
    for line in root_manifest.lines() {
        let line = line.trim();
        if line.starts_with('[') {
            in_table = line == "[workspace.dependencies]";
            explained = false;
        } else if line.is_empty() || line.starts_with("# --") {
            explained = false;
        } else if line.starts_with('#') {
            explained = true;
        } else if in_table && let Some((name, entry)) = line.split_once('=') {
            let own_room = entry.contains("path = \"crates/");
            if !explained && !own_room {
                violations.push(format!("`{}` stands in the root table without a reason", name.trim()));
            }
        }
    }
    violations
}

fn table_entries(root_manifest: &str) -> BTreeSet<String> {
    let lines = root_manifest.lines().map(str::trim);
    let table = lines.skip_while(|line| *line != "[workspace.dependencies]").skip(1);
    table
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().to_owned())
        .collect()
}

fn unused(entries: &BTreeSet<String>, rooms: &Rooms) -> Vec<String> {
    let used: BTreeSet<&String> = rooms.values().flat_map(|room| room.normal.iter().chain(&room.dev)).collect();
    // Our own rooms may wait for a user: a binary has none.
    let libraries = entries.iter().filter(|entry| !rooms.contains_key(*entry));
    libraries
        .filter(|entry| !used.contains(entry))
        .map(|entry| format!("`{entry}` stands in the root table and no crate uses it"))
        .collect()
}

fn root_manifest() -> String {
    fs::read_to_string(workspace_root().join("Cargo.toml")).expect("the root manifest is readable")
}

#[test]
fn rooms_depend_one_way() {
    assert_none(&directions(&rooms()));
}

#[test]
fn heavy_libraries_stay_in_their_rooms() {
    assert_none(&confinement(&rooms()));
}

#[test]
fn every_dependency_has_a_reason() {
    assert_none(&unexplained(&root_manifest()));
}

#[test]
fn every_dependency_is_used() {
    let entries = table_entries(&root_manifest());
    assert!(entries.contains("serde_json"), "the root table was read: {entries:?}");
    assert_none(&unused(&entries, &rooms()));
}

#[test]
fn crates_take_their_dependencies_from_the_root_table() {
    let entries = table_entries(&root_manifest());
    let rooms = rooms();
    let outside = rooms.iter().flat_map(|(name, room)| {
        let libraries = room.normal.iter().chain(&room.dev);
        let outside = libraries.filter(|library| !entries.contains(*library));
        outside.map(move |library| format!("`{name}` depends on `{library}` outside the root table"))
    });
    assert_none(&outside.collect::<Vec<_>>());
}

/// The table itself must point one way: otherwise the rule above would allow a circle.
#[test]
fn table_of_rooms_has_no_circle() {
    let mut placed = BTreeSet::new();
    let mut waiting: Vec<_> = ROOMS.to_vec();
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|(name, needs)| {
            let ready = needs.iter().all(|need| placed.contains(need));
            if ready {
                placed.insert(*name);
            }
            !ready
        });
        assert!(waiting.len() < before, "a circle among {waiting:?}");
    }
}

/// A crate and its dependencies with their kinds, as a test names them.
type Manifest<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)]);

/// The shape of `cargo metadata`, with the crates a test names.
fn metadata(manifests: &[Manifest<'_>]) -> Value {
    let package = |(name, dependencies): &Manifest<'_>| {
        let dependency = |(name, kind): &(&str, Option<&str>)| serde_json::json!({ "name": name, "kind": kind });
        let dependencies: Vec<Value> = dependencies.iter().map(dependency).collect();
        serde_json::json!({ "name": name, "dependencies": dependencies })
    };
    serde_json::json!({ "packages": manifests.iter().map(package).collect::<Vec<_>>() })
}

#[test]
fn breaches_are_caught() {
    let rooms = rooms_of(&metadata(&[
        ("event", &[("tokio", None), ("serde", None), ("detect", Some("dev"))]),
        ("detect", &[("event", None), ("lake", None), ("rusqlite", Some("dev"))]),
        ("lake", &[("testkit", None), ("deltalake-core", None), ("datafusion", Some("build"))]),
        ("testkit", &[]),
        ("helpers", &[("event", None)]),
    ]));
    let expected = [
        "`detect` may not depend on `lake`",
        "`helpers` has no place in the table of rooms",
        "`lake` may not depend on `testkit`",
    ];
    assert_eq!(directions(&rooms), expected);

    let expected = [
        "`event` is synchronous and depends on `tokio`",
        "`lake` depends on `datafusion`, which belongs to [\"query\"]",
    ];
    assert_eq!(confinement(&rooms), expected);
}

#[test]
fn entries_without_reason_or_user_are_caught() {
    let manifest = "\
[workspace.dependencies]
# -- ours ----
event = { path = \"crates/event\" }
orphan = \"1\"

# Read and write JSON.
serde = \"1\"
serde_json = { version = \"1\" }

bytes = \"1\"
[profile.dev]
debug = 1
";
    let expected =
        ["`orphan` stands in the root table without a reason", "`bytes` stands in the root table without a reason"];
    assert_eq!(unexplained(manifest), expected);

    let rooms = rooms_of(&metadata(&[("event", &[("serde", None), ("bytes", Some("dev"))])]));
    let expected = [
        "`orphan` stands in the root table and no crate uses it",
        "`serde_json` stands in the root table and no crate uses it",
    ];
    assert_eq!(unused(&table_entries(manifest), &rooms), expected);
}
