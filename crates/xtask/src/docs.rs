//! `cargo xtask docs`: reference pages made from the code, so that nothing is written twice.

mod command_line;
mod queries;

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::workspace::{Workspace, run_to_end};

/// Arguments of `cargo xtask docs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Change nothing; fail where a page is not what would be written
    #[arg(long)]
    check: bool,
    /// Take the command line's help from this binary instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

struct Page {
    /// Relative to the workspace, with `/`.
    path: &'static str,
    text: String,
}

/// Writes every generated page, or with `--check` compares them.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let mut outdated = Vec::new();
    for page in pages(workspace, options)? {
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

fn pages(workspace: &Workspace, options: &Options) -> anyhow::Result<Vec<Page>> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build_binary(workspace)?,
    };
    Ok(vec![
        Page { path: "docs/detections.md", text: detect::reference() },
        Page { path: "docs/cli.md", text: command_line::page(&binary)? },
        Page { path: "docs/queries.md", text: queries::page(&binary)? },
    ])
}

/// Builds the binary as the tests do, so that neither build has to be repeated for the other.
fn build_binary(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    // Asking for the whole workspace and one test gives dependencies the features they have in the tests.
    let build = ["build", "--workspace", "--bin", "trailhound", "--test", "walls"];
    run_to_end(workspace.cargo().args(build))?;
    Ok(workspace.target().join("debug").join(format!("trailhound{}", std::env::consts::EXE_SUFFIX)))
}
