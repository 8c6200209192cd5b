//! IAM policy documents: what they say, what they grant, and whom they let in.
//!
//! Read in this order: `document` (text to [`Policy`]), `pattern` (wildcards), `actions` (the real actions), `admin` (managed
//! policies of administrators), `grants` (identity policies: [`grants`]), `trust` (role trust policies: [`trust`]) and
//! `restriction` (which conditions narrow a trust).
//!
//! Documents are a stranger's text. Size, number of patterns and nesting are bounded, what cannot be read is a
//! [`PolicyError`], and where AWS would be stricter than this reader, this reader leans to the side that raises an alert.

mod actions;
mod admin;
mod document;
mod grants;
mod json;
mod pattern;
mod restriction;
mod trust;

pub use admin::ADMIN_POLICIES;
pub use document::{
    Condition, Effect, MAX_DOCUMENT_BYTES, MAX_PATTERNS, Policy, PolicyError, Principal, PrincipalKind, Selection,
    Statement,
};
pub use grants::{Class, Extent, Grant, escalating_actions, grants};
pub use pattern::{matches, matches_ignore_case};
pub use trust::{Outsider, TrustFinding, trust};
