//! From sources to stores: the ports, the run loop, the alert ledger's rules, filters and suppressions.
//!
//! **Owns** what every deployment shares: how a run goes and reconciles ([`ingest`], [`report`]), how the event history is
//! collected live ([`collect`]) and what of it is covered ([`coverage`]), how a trail is read from a bucket or a queue
//! ([`trail`]), whether it is what CloudTrail wrote ([`proof`]), what an alert is and when it is sent ([`alert`], [`outbox`], [`message`]), what is left out ([`filter`])
//! or silenced ([`suppress`]).
//! **Must not** know an SDK, a database or a network: those come in through the ports [`source`], [`store`], [`aside`]
//! and [`state`].
//!
//! Read in this order: [`source`], [`store`], [`state`] (the ports), [`ingest`] (the path of an event), [`alert`],
//! [`collect`], [`trail`].

pub mod alert;
pub mod aside;
pub mod collect;
pub mod coverage;
pub mod escape;
pub mod filter;
pub mod history;
pub mod ingest;
mod intake;
pub mod lookup;
pub mod message;
pub mod notify;
pub mod outbox;
pub mod pattern;
pub mod proof;
pub mod report;
pub mod service;
pub mod source;
pub mod state;
pub mod status;
pub mod store;
pub mod suppress;
pub mod trail;
