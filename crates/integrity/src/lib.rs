//! Integrity: are these the logs that CloudTrail wrote, all of them, unchanged?
//!
//! **Owns** digest files ([`digest`]), the keys they are signed with ([`keys`]) and their signatures ([`signature`]),
//! gunzip of exactly one member ([`inflate`]), the layout of a trail's bucket ([`layout`]), the chain of digests, and the
//! run over a whole bucket ([`verify`]) with what comes of it ([`report`]). **Must not** do I/O (objects, keys and progress
//! come in and go out through the ports of [`evidence`] and [`keys`]), read a clock, or be asynchronous.
//!
//! Read in this order: [`digest`], [`signature`], `chain` (what digests say of each other), `ledger` (what is known of hours
//! and of files that no digest names), `judge` (one object), `lane` (an account in a region, from its first day to its
//! last), [`verify`].
//!
//! **Invariant:** nothing is taken for what CloudTrail wrote unless one of its keys signed it, or a digest that it signed
//! has its hash.

mod chain;
pub mod digest;
pub mod evidence;
pub mod hash;
pub mod inflate;
mod judge;
pub mod keys;
mod lane;
pub mod layout;
mod ledger;
mod pool;
pub mod report;
pub mod signature;
pub mod verify;

pub use lane::LaneState;
pub use ledger::DUE;
