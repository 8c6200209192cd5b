//! PostgreSQL's own client, which the tests of `trailhound sql --serve` talk with.

use std::process::Command;

use anyhow::{Context, ensure};

use crate::workspace::{is_root, run_to_end, works};

/// Makes sure that there is a `psql`.
pub(crate) fn install() -> anyhow::Result<()> {
    if works(Command::new("psql").arg("--version")) {
        return Ok(());
    }
    let advice = "the tests need PostgreSQL's client `psql` (`apt-get install postgresql-client`)";
    ensure!(is_root() && works(Command::new("apt-get").arg("--version")), "{advice}");
    run_to_end(Command::new("apt-get").args(["update", "--quiet"]))?;
    let install = ["install", "--yes", "--quiet", "--no-install-recommends", "postgresql-client"];
    run_to_end(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(install)).context(advice)
}
