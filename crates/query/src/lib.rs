//! SQL over the lake: the engine, Athena's dialect, the query catalogue and the door for other tools.
//!
//! **Owns** everything of DataFusion: the session, the tables and views, the functions that Athena's users write, the
//! catalogue of queries, the PostgreSQL protocol.
//! **Must not** print, exit, know configuration, or write to the lake.
//!
//! Read in this order: `dialect` (a statement as its author wrote it, and what is allowed), `functions` (what Athena
//! calls them), `tables` and `views` (what can be asked), `engine` (a question and its answer), `catalogue` (questions
//! that are ready), `door` (the same for other tools), `athena` (the same tables and views over there).

pub mod athena;
pub mod catalogue;
pub mod dialect;
pub mod door;
mod engine;
mod error;
mod functions;
mod tables;
mod views;

pub use engine::{Answer, Block, ColumnInfo, Cost, Engine, EngineOptions, Now, ParquetFile, Session, Source};
pub use error::{QueryError, nearest};
pub use tables::{RowTable, RowType};
