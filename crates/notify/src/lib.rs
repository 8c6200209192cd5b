//! Notifiers: how people and machines are told of alerts. No SDK.
//!
//! **Owns** the channels' configuration ([`ChannelConfig`]), secrets ([`Secret`]), one file for each kind of channel,
//! and what they share: what a message says (`card`), how it is escaped (`markup`), HTTP with a time limit (`edge`).
//! **Must not** decide what is sent when (that is [`pipeline::notify`]) or know an SDK: Amazon SNS, Security Hub and
//! Secrets Manager come in through the ports [`Publish`], [`ImportFindings`] and [`SecretStore`].
//!
//! Read in this order: [`pipeline::notify`] (the port), `config`, `kinds` (the table of kinds), `slack` (one kind whole).
//!
//! Adding a kind: write its file like its neighbours, and add its line to the table in `kinds.rs`.
//!
//! **Invariants:** whatever came out of an event is escaped for where it goes and bounded in size; no secret stands in a
//! reason, a preview or a serialised configuration; nothing outlasts the channel's time limit.

mod asff;
mod build;
mod card;
mod command;
mod config;
mod edge;
mod email;
mod fields;
mod file;
mod http;
mod json;
mod kinds;
mod markup;
mod ocsf;
mod pagerduty;
mod sample;
mod secret;
mod slack;
mod sns;
mod syslog;
mod teams;
mod template;
mod threads;
mod webhook;

pub use asff::{FindImporter, ImportFindings, asff};
pub use build::{BuildError, Means, build};
pub use config::{ChannelConfig, Common, ConfigError, DigestConfig, QuietConfig, RateConfig, TEMPLATE, check};
pub use edge::{Edge, EdgeError};
pub use kinds::{KINDS, Settings};
pub use ocsf::ocsf;
pub use sample::{preview, sample, samples};
pub use secret::{NoSecretStore, Secret, SecretError, SecretSource, SecretStore};
pub use sns::{Attribute, Publication, Publish, topic};
pub use threads::{FileThreads, MemoryThreads, Threads};
