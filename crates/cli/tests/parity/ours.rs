//! `trailhound verify` on the same bucket, and what it says.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What it says of one object, or of a time without digests.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) status: String,
    pub(crate) key: Option<String>,
    /// The time it belongs to.
    pub(crate) from: String,
    pub(crate) to: Option<String>,
    pub(crate) detail: String,
}

impl Finding {
    /// Whether something is said to be wrong.
    pub(crate) fn is_wrong(&self) -> bool {
        ["tampered", "missing", "injected"].contains(&&*self.status)
    }

    /// Whether a digest that ends then is of its time.
    pub(crate) fn covers(&self, end: &str) -> bool {
        let to = self.to.as_deref().unwrap_or(&self.from);
        *self.from < *end && *end <= *to
    }

    /// Its time, as a clock shows it.
    pub(crate) fn time(&self) -> String {
        let clock = |time: &str| time.get(11..19).unwrap_or(time).to_owned();
        let to = self.to.as_deref().map(|to| format!(" to {}", clock(to)));
        format!("{}{}", clock(&self.from), to.unwrap_or_default())
    }
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) exit: i32,
    pub(crate) findings: Vec<Finding>,
}

/// Verifies a bucket, with a home of its own.
pub(crate) fn verify(home: &Path, address: &str, now: &str, endpoints: (&str, &str)) -> Verdict {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trailhound"));
    for (name, _) in std::env::vars_os() {
        if ["TRAILHOUND_", "AWS_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    let output = command
        .envs([("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")])
        .envs([("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_REGION", "us-east-1")])
        .envs([("AWS_CONFIG_FILE", home.join("none")), ("AWS_SHARED_CREDENTIALS_FILE", home.join("none"))])
        .envs([("AWS_ENDPOINT_URL_S3", endpoints.0), ("AWS_ENDPOINT_URL_CLOUDTRAIL", endpoints.1)])
        .env("AWS_ENDPOINT_URL", endpoints.1)
        .arg("--home")
        .arg(home)
        .args(["--now", now, "--quiet", "verify", address, "--format", "jsonl"])
        .output()
        .unwrap();
    let (told, problems) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let exit = output.status.code().unwrap();
    assert!([0, 3, 4].contains(&exit), "trailhound verify came to its end: {told}{problems}");
    let rows = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |row: &Value, name: &str| row[name].as_str().map(str::to_owned);
    let findings = rows
        // Hours and the summary repeat what is told of objects.
        .filter(|row| row["kind"] != "hour" && row["kind"] != "summary")
        .map(|row| Finding {
            status: text(&row, "status").unwrap(),
            key: text(&row, "key"),
            from: text(&row, "from").unwrap(),
            to: text(&row, "to"),
            detail: text(&row, "detail").unwrap_or_default(),
        });
    Verdict { exit, findings: findings.collect() }
}
