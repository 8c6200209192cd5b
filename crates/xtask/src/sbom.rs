//! What the functions are made of, as a bill of materials (CycloneDX 1.5): every crate that their binaries are built from,
//! with its version, licence and checksum.
//!
//! The same lock file gives the same bytes: no time, no serial number.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::Context;
use serde_json::{Value, json};

use crate::workspace::{Workspace, run_for_output};

/// The bill of a package and everything it is built from.
pub(crate) fn of_package(workspace: &Workspace, package: &str, target: &str) -> anyhow::Result<Value> {
    let mut tree = workspace.cargo();
    tree.args(["tree", "--locked", "--package", package, "--target", target, "--edges", "normal"]);
    // What a crate is built from is listed where it is first named: each time again, the program's list would have no end.
    let tree = run_for_output(tree.args(["--prefix", "none", "--format", "{p}\t{l}"]))?;
    let lock = fs::read_to_string(workspace.root().join("Cargo.lock")).context("failed to read Cargo.lock")?;
    Ok(bill(package, &tree, &checksums(&lock)))
}

/// Checksums of packages by name and version. Those of the workspace have none.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let field = |entry: &str, name: &str| {
        let start = format!("{name} = \"");
        entry.lines().find_map(|line| Some(line.strip_prefix(&start)?.strip_suffix('"')?.to_owned()))
    };
    let entries = lock.split("[[package]]");
    entries
        .filter_map(|entry| Some(((field(entry, "name")?, field(entry, "version")?), field(entry, "checksum")?)))
        .collect()
}

fn bill(package: &str, tree: &str, checksums: &BTreeMap<(String, String), String>) -> Value {
    // `name v1.2.3 (where it lies)`, a tab, the licence, and ` (*)` where it was named before.
    let crates: BTreeSet<(&str, &str, &str)> = tree
        .lines()
        .filter_map(|line| {
            let (what, licence) = line.split_once('\t')?;
            let mut words = what.split(' ');
            Some((words.next()?, words.next()?.strip_prefix('v')?, licence.trim_end_matches(" (*)").trim()))
        })
        .collect();
    let component = |(name, version, licence): &(&str, &str, &str)| {
        let mut component = json!({
            "type": "library", "bom-ref": format!("{name}@{version}"), "name": name, "version": version,
            "purl": format!("pkg:cargo/{name}@{version}"),
        });
        if !licence.is_empty() {
            component["licenses"] = json!([{ "expression": licence.replace('/', " OR ") }]);
        }
        if let Some(checksum) = checksums.get(&((*name).to_owned(), (*version).to_owned())) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        component
    };
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": {
            "type": "application", "bom-ref": "trailhound", "name": format!("trailhound {package}"),
            "version": env!("CARGO_PKG_VERSION"),
        } },
        "components": crates.iter().map(component).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_is_named_once_with_its_licence_and_checksum() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"x\"\nchecksum = \"ab12\"\n\
                    dependencies = [\n \"b\",\n]\n\n[[package]]\nname = \"lambda\"\nversion = \"0.1.0\"\n";
        let tree = "lambda v0.1.0 (/somewhere)\tApache-2.0\na v1.0.0\tMIT/Apache-2.0\na v1.0.0\tMIT/Apache-2.0 (*)\n\
                    b v2.0.0 (proc-macro)\t\n";
        let bill = bill("lambda", tree, &checksums(lock));
        let components = json!([
            { "type": "library", "bom-ref": "a@1.0.0", "name": "a", "version": "1.0.0", "purl": "pkg:cargo/a@1.0.0",
              "licenses": [{ "expression": "MIT OR Apache-2.0" }], "hashes": [{ "alg": "SHA-256", "content": "ab12" }] },
            { "type": "library", "bom-ref": "b@2.0.0", "name": "b", "version": "2.0.0", "purl": "pkg:cargo/b@2.0.0" },
            { "type": "library", "bom-ref": "lambda@0.1.0", "name": "lambda", "version": "0.1.0",
              "purl": "pkg:cargo/lambda@0.1.0", "licenses": [{ "expression": "Apache-2.0" }] },
        ]);
        assert_eq!(bill["components"], components);
    }
}
