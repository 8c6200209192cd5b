//! `aws cloudtrail validate-logs`, the real one, and what it says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How the AWS CLI is pointed at this machine.
pub(crate) struct AwsCli {
    pub(crate) python: PathBuf,
    pub(crate) s3: String,
    pub(crate) cloudtrail: String,
}

/// What it says of one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) key: String,
    pub(crate) problem: String,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) exit: i32,
    /// Objects it calls valid.
    pub(crate) valid: BTreeSet<String>,
    pub(crate) invalid: Vec<Finding>,
    /// What it says of hours without digests.
    pub(crate) gaps: Vec<String>,
    /// Its last lines.
    pub(crate) summary: String,
}

impl AwsCli {
    /// Validates what a trail wrote in a region.
    pub(crate) fn validate(&self, arn: &str, region: &str, account: Option<&str>, span: (&str, &str)) -> Verdict {
        let mut command = Command::new(&self.python);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command
            .args(["-m", "awscli", "cloudtrail", "validate-logs", "--verbose", "--region", region])
            .args(["--trail-arn", arn, "--start-time", span.0, "--end-time", span.1])
            .envs([("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")])
            .envs([("AWS_CONFIG_FILE", Path::new("none")), ("AWS_SHARED_CREDENTIALS_FILE", Path::new("none"))])
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL_S3", &self.s3)
            .env("AWS_ENDPOINT_URL_CLOUDTRAIL", &self.cloudtrail)
            .env("AWS_ENDPOINT_URL_ORGANIZATIONS", &self.cloudtrail);
        if let Some(account) = account {
            command.args(["--account-id", account]);
        }
        let output = command.output().unwrap();
        let (told, problems) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let mut verdict = Verdict {
            exit: output.status.code().unwrap(),
            valid: BTreeSet::new(),
            invalid: Vec::new(),
            gaps: Vec::new(),
            summary: told.rsplit("Results requested").next().unwrap().to_owned(),
        };
        assert!(told.contains("Results requested"), "the CLI came to its end: {told}{problems}");
        for line in told.lines().chain(problems.lines()).filter(|line| !line.is_empty()) {
            let parts: Vec<&str> = line.split('\t').collect();
            match parts[..] {
                [_, object, said] => {
                    let key = object.strip_prefix("s3://").and_then(|path| path.split_once('/')).unwrap().1.to_owned();
                    match said.strip_prefix("INVALID: ") {
                        Some(problem) => verdict.invalid.push(Finding { key, problem: problem.to_owned() }),
                        None => assert!(said == "valid" && verdict.valid.insert(key), "{line}"),
                    }
                }
                _ if line.contains("No log files were delivered") => verdict.gaps.push(line.to_owned()),
                _ => {}
            }
        }
        // What is not understood here would be a problem that goes unnoticed.
        let understood = |line: &str| line.contains("INVALID: ") || line.contains("No log files were delivered");
        assert!(problems.lines().all(|line| line.is_empty() || understood(line)), "{problems}");
        verdict
    }
}
