//! The Python that reads the lake in tests, and the one that plays AWS: virtual environments with pinned packages, in the
//! user's cache.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::{Workspace, is_root, run_for_output, run_to_end, short_hash, works};
use anyhow::{Context, bail, ensure};

/// What an environment holds, and how its interpreter is named to the tests. Where the variable is set, a package that
/// does not work fails its tests; where it is not set, they are skipped and say so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Environment {
    pub(crate) variable: &'static str,
    requirements: &'static str,
}

/// The readers of the lake, and the programs that ours is compared with.
pub(crate) const READERS: Environment =
    Environment { variable: "TRAILHOUND_PYTHON", requirements: "crates/lake/tests/requirements.txt" };
/// Amazon Athena, Glue and S3 on this machine.
pub(crate) const EMULATOR: Environment =
    Environment { variable: "TRAILHOUND_EMULATOR", requirements: "crates/cli/tests/emulator.txt" };

/// Written last: an environment without it is incomplete, whatever else is there.
const COMPLETE: &str = "complete";

/// Returns an interpreter that has every pinned package, creating its environment on the first run.
///
/// An interpreter already named by the environment's variable is taken as it is.
pub(crate) fn interpreter(workspace: &Workspace, environment: Environment) -> anyhow::Result<PathBuf> {
    if let Some(chosen) = env::var_os(environment.variable).filter(|value| !value.is_empty()) {
        return Ok(chosen.into());
    }

    let requirements_file = workspace.root().join(environment.requirements);
    let requirements = fs::read_to_string(&requirements_file)
        .with_context(|| format!("failed to read {}", requirements_file.display()))?;
    let python = system_python()?;
    // An environment belongs to the interpreter it was made with, so both stand in its name.
    let version = run_for_output(Command::new(python).args(["-c", "import sys; print(sys.executable, sys.version)"]))?;
    let folder = workspace.cache().join(environment_name(&requirements, &version));
    let interpreter = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });

    fs::create_dir_all(workspace.cache())
        .with_context(|| format!("failed to create {}", workspace.cache().display()))?;
    // Two test runs at once must not build the same environment over each other.
    let lock_file = folder.with_extension("lock");
    let lock = File::create(&lock_file).with_context(|| format!("failed to create {}", lock_file.display()))?;
    lock.lock().with_context(|| format!("failed to lock {}", lock_file.display()))?;

    let complete = folder.join(COMPLETE);
    if complete.is_file() && works(Command::new(&interpreter).arg("--version")) {
        return Ok(interpreter);
    }
    create_environment(python, &folder)?;
    run_to_end(
        Command::new(&interpreter)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(&requirements_file),
    )
    .context("failed to install what the tests need: they need PyPI once")?;
    fs::write(&complete, &requirements).with_context(|| format!("failed to write {}", complete.display()))?;
    Ok(interpreter)
}

fn environment_name(requirements: &str, version: &str) -> String {
    format!("venv-{}", short_hash(&[requirements.as_bytes(), version.as_bytes()]))
}

fn system_python() -> anyhow::Result<&'static str> {
    let found = ["python3", "python"]
        .into_iter()
        .find(|program| works(Command::new(program).args(["-c", "import sys; sys.exit(sys.version_info < (3, 10))"])));
    found.context(
        "the tests need Python 3.10 or newer as `python3`: they read the lake with Polars, deltalake and DuckDB",
    )
}

fn create_environment(python: &str, folder: &Path) -> anyhow::Result<()> {
    let create = || {
        let mut command = Command::new(python);
        command.args(["-m", "venv", "--clear"]).arg(folder);
        run_to_end(&mut command)
    };
    let Err(error) = create() else { return Ok(()) };

    // Debian and Ubuntu ship `venv` without `ensurepip`, in a package of its own.
    if works(Command::new(python).args(["-c", "import ensurepip"])) {
        return Err(error.context(format!("failed to create {}", folder.display())));
    }
    let advice =
        "this Python cannot create virtual environments: install its venv package (`apt-get install python3-venv`)";
    ensure!(is_root() && works(Command::new("apt-get").arg("--version")), "{advice}");
    run_to_end(Command::new("apt-get").args(["update", "--quiet"]))?;
    let install = ["install", "--yes", "--quiet", "--no-install-recommends", "python3-venv"];
    if let Err(error) = run_to_end(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(install)) {
        bail!("{advice}; doing so failed: {error}");
    }
    create().context(advice)
}

#[cfg(test)]
mod tests {
    use super::environment_name;

    /// New pins or another interpreter must never meet an old environment.
    #[test]
    fn environment_is_named_after_pins_and_interpreter() {
        let name = environment_name("polars==1\n", "3.11");
        assert_eq!(name, environment_name("polars==1\n", "3.11"));
        assert_ne!(name, environment_name("polars==2\n", "3.11"));
        assert_ne!(name, environment_name("polars==1\n", "3.12"));
        assert_ne!(environment_name("ab", "c"), environment_name("a", "bc"));
        assert_eq!(name.len(), "venv-".len() + 12);
    }
}
