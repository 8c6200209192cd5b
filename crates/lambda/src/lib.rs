//! The functions of a deployment: the same program without a machine.
//!
//! **Owns** how a function is set up by its environment ([`settings`]), how it is invoked and how it answers ([`runtime`]),
//! and what each of them does: [`tracker`] collects, [`alerter`] tells within seconds, [`exporter`] brings whole days to
//! the lake, from the table or straight from the trail's files. **Must not** hold logic that another front would need, or
//! know DataFusion.
//!
//! Read in this order: [`settings`], [`runtime`], [`tracker`], [`alerter`], [`exporter`].

pub mod alerter;
mod aside;
pub mod exporter;
mod metrics;
pub mod runtime;
pub mod settings;
mod standing;
mod topic;
pub mod tracker;
mod trail_files;
