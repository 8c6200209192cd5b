//! `docs/queries.md`: the query catalogue, as the binary lists it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::workspace::run_for_output;

/// The headings, in the order of the page.
const GROUPS: [(&str, &str); 6] = [
    ("classic", "The classic fifteen"),
    ("access", "Access"),
    ("change", "Changes"),
    ("hunt", "Hunting"),
    ("ai", "AI services"),
    ("audit", "Audits"),
];

/// Asks the binary for its queries.
pub(crate) fn page(binary: &Path) -> anyhow::Result<String> {
    let home = std::env::current_dir()?.join("no-such-home");
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TRAILHOUND_")) {
        command.env_remove(name);
    }
    command.arg("--home").arg(home).args(["query", "list", "--format", "json"]);
    let queries: Vec<Value> = serde_json::from_str(&run_for_output(&mut command)?).context("the list is JSON")?;
    let mut page = String::from(
        "# Queries\n\n\
         Run one with `trailhound query run NAME`; `trailhound query show NAME` gives its text. Every query takes `--from`, \
         `--to` or `--days` (whole UTC days), `--account`, `--region` and `--user`, and its own parameters with \
         `--set name=value`. The same text runs on Amazon Athena: `trailhound query show NAME --engine athena`. Generated \
         from the files in `crates/query/catalogue`.\n",
    );
    let mut written = 0;
    for (group, heading) in GROUPS {
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {heading}\n");
        for query in queries.iter().filter(|query| query["group"] == group) {
            describe(query, &mut page);
            written += 1;
        }
    }
    ensure!(written == queries.len(), "a query belongs to a group that the page does not know");
    Ok(page)
}

fn describe(query: &Value, page: &mut String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let _ = write!(page, "\n### {}\n\n**{}.** ", text(&query["name"]), text(&query["title"]));
    let _ = writeln!(page, "{}", text(&query["description"]));
    let _ = write!(page, "\nLooks {} days back", query["days"]);
    if let Some(limit) = query["limit"].as_u64() {
        let _ = write!(page, ", gives at most {limit} rows (`--limit`)");
    }
    let _ = writeln!(page, ".");
    let parameters = query["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        let _ = write!(page, "\n| `--set` | default | |\n|---|---|---|\n");
    }
    for parameter in parameters {
        let default = match &parameter["default"] {
            Value::Null => "required".to_owned(),
            Value::String(text) if text.is_empty() => "none".to_owned(),
            other => format!("`{}`", text(other).replace('|', "\\|")),
        };
        let meaning = text(&parameter["meaning"]).replace('|', "\\|");
        let _ = writeln!(page, "| `{}` | {default} | {meaning} |", text(&parameter["name"]));
    }
}
