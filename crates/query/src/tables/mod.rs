//! What can be asked: the lake's files as the table `events`, and small tables whose rows somebody else has.

mod conditions;
mod events;
mod prune;
mod rows;

pub(crate) use events::EventsTable;
pub(crate) use rows::LazyTable;
pub use rows::{RowTable, RowType};
