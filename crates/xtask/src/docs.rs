//! `cargo xtask docs`: reference pages made from the code, so that nothing is written twice.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, bail};

use crate::workspace::Workspace;

/// Arguments of `cargo xtask docs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Change nothing; fail where a page is not what would be written
    #[arg(long)]
    check: bool,
}

struct Page {
    /// Relative to the workspace, with `/`.
    path: &'static str,
    text: String,
}

/// Writes every generated page, or with `--check` compares them.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let mut outdated = Vec::new();
    for page in pages() {
        let file = workspace.root().join(page.path);
        let present = match fs::read_to_string(&file) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("failed to read {}", page.path)),
        };
        if present.as_deref() == Some(page.text.as_str()) {
            continue;
        }
        if options.check {
            outdated.push(page.path);
            continue;
        }
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
        }
        fs::write(&file, &page.text).with_context(|| format!("failed to write {}", page.path))?;
        println!("wrote {}", page.path);
    }
    if !outdated.is_empty() {
        bail!("not up to date: {} (run `cargo xtask docs` and commit)", outdated.join(", "));
    }
    Ok(())
}

fn pages() -> Vec<Page> {
    vec![Page { path: "docs/detections.md", text: detect::reference() }]
}
