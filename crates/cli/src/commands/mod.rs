//! The commands, one file each.

pub(crate) mod alerts;
pub(crate) mod athena;
pub(crate) mod attest;
pub(crate) mod aws;
pub(crate) mod collect;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod detections;
pub(crate) mod events;
pub(crate) mod export;
pub(crate) mod ingest;
pub(crate) mod lake;
pub(crate) mod query;
pub(crate) mod run;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod suppress;
pub(crate) mod verify;
pub(crate) mod watch;
