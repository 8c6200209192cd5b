//! A question and its answer: the session, its limits, and rows that come in blocks.

mod answer;
mod asker;
mod session;
mod source;

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::common::internal_datafusion_err;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::SessionConfig;
use event::Timestamp;
use lake::LakeError;

pub use answer::{Answer, Block, Cost, ParquetFile};
pub use session::{ColumnInfo, Session};
pub use source::Source;

use crate::QueryError;
use crate::tables::{EventsTable, LazyTable, RowTable};
use crate::views::Views;
use crate::{functions, views};

/// What tells the time.
#[derive(Debug, Clone, Copy)]
pub enum Now {
    /// It is always this time.
    Fixed(Timestamp),
    /// A clock, read once a statement: a session may last for days.
    Clock(fn() -> Timestamp),
}

impl Now {
    fn read(self) -> Timestamp {
        match self {
            Now::Fixed(time) => time,
            Now::Clock(clock) => clock(),
        }
    }
}

/// What a question may cost, and when it is asked.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// What "now" is.
    pub now: Now,
    /// Bytes that sorting, grouping and joining may hold in memory; beyond it they use the disk.
    pub memory: usize,
    /// Where they put it; the system's folder for temporary files if `None`.
    pub spill: Option<PathBuf>,
    /// How many threads work on a question.
    pub threads: usize,
}

/// Where the tables and views stand.
const CATALOG: &str = "trailhound";
const SCHEMA: &str = "public";

/// Consumers of memory that a message about its end names.
const NAMED_CONSUMERS: usize = 3;

/// Answers questions about one lake.
pub struct Engine {
    source: Arc<Source>,
    tables: Vec<Arc<dyn RowTable>>,
    options: EngineOptions,
    runtime: Arc<RuntimeEnv>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Engine {
    /// Prepares to answer. As long as there is no lake the tables of events are empty.
    ///
    /// # Errors
    ///
    /// If the folder for temporary files cannot be used.
    pub fn new(source: Source, tables: Vec<Arc<dyn RowTable>>, options: EngineOptions) -> Result<Engine, QueryError> {
        let named = std::num::NonZeroUsize::new(NAMED_CONSUMERS).expect("three is not zero");
        let pool = TrackConsumersPool::new(FairSpillPool::new(options.memory), named);
        let disk = match &options.spill {
            Some(folder) => DiskManagerMode::Directories(vec![folder.clone()]),
            None => DiskManagerMode::OsTmpDirectory,
        };
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(disk))
            .build_arc()?;
        Ok(Engine { source: Arc::new(source), tables, options, runtime })
    }

    /// What "now" is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.options.now.read()
    }

    /// Whether there are no events. Reads the disk.
    ///
    /// # Errors
    ///
    /// If there is a lake that cannot be read.
    pub fn is_empty(&self) -> Result<bool, LakeError> {
        match self.source.find()? {
            Some(lake) => Ok(lake.active_files()?.is_empty()),
            None => Ok(true),
        }
    }

    /// A session of its own: every table, view and function. Sessions share memory and caches.
    ///
    /// # Errors
    ///
    /// If a view cannot be laid: a defect of this crate.
    pub async fn session(&self) -> Result<Session, QueryError> {
        let state = SessionStateBuilder::new()
            .with_config(self.config())
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_default_features()
            .build();
        let context = SessionContext::new_with_state(state);
        functions::register(&context)?;
        views::register(&context);
        let catalog = context.catalog(CATALOG).ok_or_else(|| internal_datafusion_err!("the catalog is missing"))?;
        catalog.register_schema(SCHEMA, Arc::new(Views::of(&context)))?;
        context.register_table("events", Arc::new(EventsTable::new(Arc::clone(&self.source))))?;
        for table in &self.tables {
            context.register_table(table.name(), Arc::new(LazyTable::new(Arc::clone(table))))?;
        }
        Ok(Session::new(context, self.options.now))
    }

    fn config(&self) -> SessionConfig {
        let mut config = SessionConfig::new()
            .with_target_partitions(self.options.threads.max(1))
            .with_information_schema(true)
            .with_default_catalog_and_schema(CATALOG, SCHEMA);
        let options = config.options_mut();
        options.sql_parser.default_null_ordering = "nulls_last".to_owned();
        options.execution.parquet.pushdown_filters = true;
        options.execution.parquet.reorder_filters = true;
        config
    }
}
