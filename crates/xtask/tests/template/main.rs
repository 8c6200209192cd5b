//! The templates under `deploy/`: linted, and held to properties that no emulator can show.
//!
//! - here: cfn-lint finds nothing, and finds something where there is something; checkov, where it is installed;
//! - [`rules`]: what must be true of the templates, each rule with breaches that it has to catch;
//! - [`page`]: `docs/deploy.md` says what the template says, and its policy is as wide as the template needs.
//!   `TRAILHOUND_BLESS=1` writes its tables.
//!
//! `TRAILHOUND_PYTHON` names an interpreter with cfn-lint; without it the tests say so and pass. checkov pins versions
//! that cannot stand beside the other tools, so it runs only where `TRAILHOUND_CHECKOV` names it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

mod page;
mod rules;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

const STACK: &str = "trailhound.yaml";
const FORWARDER: &str = "forwarder.yaml";
const MEMBER: &str = "member.yaml";

/// The templates as JSON, and the actions that CloudFormation's schemas name for each of their types.
#[derive(Clone)]
struct Templates {
    stack: Value,
    forwarder: Value,
    member: Value,
    permissions: Value,
}

impl Templates {
    /// `None` where there is no Python to read YAML with.
    fn load() -> Option<Templates> {
        static READ: OnceLock<Option<Templates>> = OnceLock::new();
        READ.get_or_init(|| {
            let mut decode = Command::new(python()?);
            decode.arg("tests/template/decode.py").args([STACK, FORWARDER, MEMBER].map(deployed));
            let output = decode.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let mut read: Value = serde_json::from_slice(&output.stdout).unwrap();
            let mut template = |name| read["templates"][deployed(name).to_str().unwrap()].take();
            let (stack, forwarder, member) = (template(STACK), template(FORWARDER), template(MEMBER));
            Some(Templates { stack, forwarder, member, permissions: read["permissions"].take() })
        })
        .clone()
    }

    fn named(&self) -> [(&'static str, &Value); 3] {
        [(STACK, &self.stack), (FORWARDER, &self.forwarder), (MEMBER, &self.member)]
    }

    fn named_mut(&mut self, name: &str) -> &mut Value {
        match name {
            STACK => &mut self.stack,
            FORWARDER => &mut self.forwarder,
            MEMBER => &mut self.member,
            other => panic!("there is no template {other}"),
        }
    }
}

fn deployed(name: &str) -> PathBuf {
    Path::new("../../deploy").join(name)
}

fn tool(variable: &str) -> Option<OsString> {
    let tool = std::env::var_os(variable).filter(|path| !path.is_empty());
    if tool.is_none() {
        eprintln!("skipped: {variable} is not set");
    }
    tool
}

fn python() -> Option<OsString> {
    tool("TRAILHOUND_PYTHON")
}

/// What cfn-lint says of templates, of every level, in regions of each kind that has all services.
fn lint(python: &OsString, templates: &[PathBuf]) -> (bool, String) {
    let mut command = Command::new(python);
    // It cannot be run as a module; its program stands beside the interpreter or somewhere else.
    command.args([
        "-c",
        "import sys, cfnlint.runner; sys.exit(cfnlint.runner.main())",
        "--include-checks",
        "I",
        "--non-zero-exit-code",
        "informational",
    ]);
    command.args(["--regions", "us-east-1", "eu-central-1", "us-gov-west-1", "--template"]).args(templates);
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

#[test]
fn cfn_lint_finds_nothing() {
    let Some(python) = python() else { return };
    let (passed, said) = lint(&python, &[STACK, FORWARDER, MEMBER].map(deployed));
    assert!(passed && said.trim().is_empty(), "{said}");
}

/// A linter that is called wrongly finds nothing either.
#[test]
fn cfn_lint_finds_what_is_there() {
    let Some(python) = python() else { return };
    let text = fs::read_to_string(deployed(MEMBER)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let breaches =
        [("MaxSessionDuration", "MaxSesionDuration", "E3002"), ("!Ref ExternalId", "!Ref ExternalID", "E1020")];
    for (sound, breach, code) in breaches {
        let file = folder.path().join(format!("{code}.yaml"));
        assert!(text.contains(sound), "{sound}");
        fs::write(&file, text.replace(sound, breach)).unwrap();
        let (passed, said) = lint(&python, &[file]);
        assert!(!passed && said.contains(code), "{code}: {said}");
    }
}

/// The templates are also within what CloudFormation takes.
#[test]
fn templates_fit() {
    let size = |name| fs::metadata(deployed(name)).unwrap().len();
    // From a bucket a megabyte, in a request this many bytes.
    assert!(size(STACK) < 1_000_000, "{STACK} is too large for CloudFormation");
    for name in [FORWARDER, MEMBER] {
        assert!(size(name) < 51_200, "{name} has to go by way of a bucket");
    }
}

#[test]
fn checkov_finds_nothing_that_has_no_reason() {
    let Some(checkov) = tool("TRAILHOUND_CHECKOV") else { return };
    let config = fs::read_to_string(deployed("checkov.yaml")).unwrap();
    let lines: Vec<&str> = config.lines().map(str::trim).collect();
    for (place, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("- CKV")) {
        assert!(lines[place - 1].starts_with('#'), "{line} has no reason");
    }
    let mut command = Command::new(checkov);
    command.arg("--config-file").arg(deployed("checkov.yaml")).arg("--directory").arg("../../deploy");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("Failed checks: 0"), "{said}");
}
