//! What every command works with: the home folder, the configuration, the time, and the way out.

use std::path::{Path, PathBuf};

use anyhow::Context;
use aws::Access;
use etcetera::BaseStrategy;
use event::Timestamp;
use lake::{Lake, LakeError};
use local::SystemClock;
use local::state::SqliteState;
use pipeline::state::{LakeFit, StateError, StateStore};
use pipeline::store::Clock;

use crate::args::Global;
use crate::config::{Config, Loaded};
use crate::exit::usage;
use crate::output::{Output, plural};
use crate::times;

/// The surroundings of a command.
pub(crate) struct Session {
    pub(crate) home: PathBuf,
    pub(crate) config_file: PathBuf,
    pub(crate) loaded: Loaded,
    pub(crate) now: Timestamp,
    pub(crate) global: Global,
    /// The profile that a flag names, in the place of the configuration's.
    pub(crate) profile: Option<String>,
    /// The region that a flag names, in the place of the configuration's.
    pub(crate) region: Option<String>,
    pub(crate) out: Output,
}

impl Session {
    pub(crate) fn open(global: Global) -> anyhow::Result<Session> {
        let home = match &global.home {
            Some(home) => home.clone(),
            None => etcetera::choose_base_strategy()
                .map_err(|_| usage("the platform's data folder cannot be found; name one with --home"))?
                .data_dir()
                .join("trailhound"),
        };
        let config_file = global.config.clone().unwrap_or_else(|| home.join("trailhound.toml"));
        let loaded = load(&config_file, global.config.is_some())?;
        let clock = SystemClock.now();
        let now = match &global.now {
            None => clock,
            Some(text) => times::instant("--now", text, clock)?,
        };
        let out = Output::new(global.color);
        Ok(Session { home, config_file, loaded, now, global, profile: None, region: None, out })
    }

    /// Reads the configuration again.
    pub(crate) fn reload(&mut self) -> anyhow::Result<()> {
        self.loaded = load(&self.config_file, self.global.config.is_some())?;
        Ok(())
    }

    pub(crate) fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// How AWS is reached.
    pub(crate) fn access(&self) -> Access {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let config = &self.config().aws;
        let profile = self.profile.clone().or_else(|| given(&config.profile));
        let region = self.region.clone().or_else(|| given(&config.region));
        Access { profile, region }
    }

    pub(crate) fn lake_path(&self) -> PathBuf {
        self.home.join("lake")
    }

    pub(crate) fn state_path(&self) -> PathBuf {
        self.home.join("state.db")
    }

    /// The folder where verifications keep their progress, made if it is not there.
    pub(crate) fn verify_folder(&self) -> anyhow::Result<PathBuf> {
        let folder = self.home.join("verify");
        create_private(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
        Ok(folder)
    }

    /// The lake, made if it is not there.
    pub(crate) fn open_or_create_lake(&self) -> anyhow::Result<Lake> {
        Ok(Lake::open_or_create(&self.lake_path())?)
    }

    /// The lake that is there.
    pub(crate) fn open_lake(&self) -> anyhow::Result<Lake> {
        match self.find_lake()? {
            Some(lake) => Ok(lake),
            None => Err(usage(format!(
                "there are no events in {} yet: read some with `trailhound ingest PATH`",
                self.home.display()
            ))),
        }
    }

    /// The lake, if there is one.
    pub(crate) fn find_lake(&self) -> anyhow::Result<Option<Lake>> {
        match Lake::open(&self.lake_path()) {
            Ok(lake) => Ok(Some(lake)),
            Err(LakeError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The state, made if it is not there.
    pub(crate) fn open_state(&self) -> anyhow::Result<SqliteState> {
        create_private(&self.home)
            .with_context(|| format!("failed to create the home folder {}", self.home.display()))?;
        Ok(SqliteState::open(&self.state_path())?)
    }

    /// Tells the state which lake it belongs to; says so where the two do not fit.
    pub(crate) fn fit(&self, state: &dyn StateStore, lake: &Lake) -> anyhow::Result<()> {
        let version = || match lake.version() {
            Ok(version) => Ok(i64::try_from(version).unwrap_or(i64::MAX)),
            Err(error) => {
                Err(StateError::Storage { path: self.lake_path().display().to_string(), source: Box::new(error) })
            }
        };
        if let LakeFit::Restored { forgotten } = state.fit_lake(&lake.id(), &version)? {
            let again = plural(forgotten, "object will be read again", "objects will be read again");
            crate::note(&format!(
                "the lake and the state do not fit, as if one was restored without the other: {again}"
            ));
        }
        Ok(())
    }

    /// The person at the machine, for what is signed.
    pub(crate) fn person(given: Option<&String>) -> String {
        given.filter(|name| !name.is_empty()).cloned().unwrap_or_else(|| "unknown".to_owned())
    }
}

/// Deletes what the lake no longer needs, once a day. What was read stands whatever comes of it, so what is wrong is only
/// something to tell.
pub(crate) fn tidy(lake: &Lake) -> Option<String> {
    let error = lake.vacuum_daily().err()?;
    Some(format!("files that the lake no longer needs were not deleted: {error}"))
}

/// Reads the configuration, and the environment with it.
fn load(file: &Path, required: bool) -> anyhow::Result<Loaded> {
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Loaded::load(file, required, environment)
}

/// Makes a folder and those above it for this user alone: what CloudTrail records is nobody else's to read.
fn create_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
