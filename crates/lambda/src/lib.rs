//! The functions of a deployment: the same program without a machine.
//!
//! **Owns** how a function is set up by its environment ([`settings`]), how it is invoked and how it answers ([`runtime`]),
//! and what each of them does: [`tracker`] collects, [`alerter`] tells within seconds. **Must not** hold logic that another
//! front would need, or know DataFusion.
//!
//! Read in this order: [`settings`], [`runtime`], [`tracker`], [`alerter`].

pub mod alerter;
mod aside;
mod metrics;
pub mod runtime;
pub mod settings;
mod topic;
pub mod tracker;
