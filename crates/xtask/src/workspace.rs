//! Where the workspace, its build output and the user's cache are, and how tools are started in it.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

/// The checkout this task runs on, and the folders outside it.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    cache: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Finds the checkout through cargo's own variables, so that a copied binary cannot act on another one.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let manifest_dir = env::var_os("CARGO_MANIFEST_DIR")
            .map(PathBuf::from)
            .context("CARGO_MANIFEST_DIR is not set: start tasks with `cargo xtask`")?;
        let root = manifest_dir.ancestors().nth(2).context("crates/xtask has no workspace above it")?.to_owned();
        ensure!(root.join("Cargo.lock").is_file(), "{} is not the workspace", root.display());

        let cache = cache_folder()?;
        // Build output stays outside the checkout unless the caller says where it goes.
        let target = env::var_os("CARGO_TARGET_DIR")
            .filter(|folder| !folder.is_empty())
            .map_or_else(|| cache.join("target"), |folder| root.join(folder));
        Ok(Self { root, cache, target })
    }

    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The user's cache for this project: virtual environments, corpora.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// Cargo's target folder.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The cargo that started this task, with the workspace and its target folder set.
    pub(crate) fn cargo(&self) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        // What `cargo run` tells this task of itself. Build scripts that watch these would run again, and half of the
        // dependencies be built again, whenever a task follows a cargo typed by hand.
        let ours = |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix));
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)) {
            command.env_remove(name);
        }
        command
    }
}

/// `$XDG_CACHE_HOME/trailhound`, by default under `~/.cache`.
fn cache_folder() -> anyhow::Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME")
        .filter(|folder| folder.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .or_else(|| set("LOCALAPPDATA"))
        .context("no cache folder: set XDG_CACHE_HOME or HOME")?;
    Ok(base.join("trailhound"))
}

/// Runs a tool with the terminal as its output; an exit code other than 0 is an error that carries it.
pub(crate) fn run_to_end(command: &mut Command) -> anyhow::Result<()> {
    let program = describe(command);
    eprintln!("$ {program}");
    let status = command.status().with_context(|| format!("failed to start {program}"))?;
    if status.success() { Ok(()) } else { Err(TaskFailed { program, status }.into()) }
}

/// Runs a tool without a terminal and returns what it printed on stdout, exactly; its stderr is passed on.
pub(crate) fn run_for_output(command: &mut Command) -> anyhow::Result<String> {
    let program = describe(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("failed to start {program}"))?;
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Err(TaskFailed { program, status: output.status }.into());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{program} printed invalid UTF-8"))
}

/// Tells whether a tool is there and answers.
pub(crate) fn works(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Names something in the cache after what it was made from.
pub(crate) fn short_hash(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        hasher.update(part.len().to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn describe(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or_else(|| command.get_program())
        .to_string_lossy()
        .into_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(name).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// A tool that ran and reported failure by its exit code.
#[derive(Debug)]
pub(crate) struct TaskFailed {
    program: String,
    status: ExitStatus,
}

impl TaskFailed {
    /// The tool's exit code, if it ended by itself.
    pub(crate) fn code(&self) -> Option<u8> {
        self.status.code().and_then(|code| u8::try_from(code).ok())
    }
}

impl fmt::Display for TaskFailed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` ended with {}", self.program, self.status)
    }
}

impl std::error::Error for TaskFailed {}

/// Whether this user may install packages.
pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
