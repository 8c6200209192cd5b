//! The port for what is kept aside: rejected records and variants.

use std::io;

/// Keeps what is read but not stored, once each, where a person can look at it.
pub trait Aside: Send + Sync {
    /// Keeps a record that could not become an event; says whether it is new there.
    ///
    /// # Errors
    /// The file cannot be written.
    fn rejected(&self, rejection: &Rejection<'_>) -> io::Result<bool>;

    /// Keeps the other copy of an event that stands in the store with other content; says whether it is new there.
    ///
    /// # Errors
    /// The file cannot be written.
    fn variant(&self, variant: &VariantCopy<'_>) -> io::Result<bool>;

    /// Makes everything kept so far durable.
    ///
    /// # Errors
    /// The file cannot be written.
    fn sync(&self) -> io::Result<()>;
}

/// A rejected record.
#[derive(Debug, Clone, Copy)]
pub struct Rejection<'a> {
    /// The item it stood in.
    pub source_object: &'a str,
    /// Its place there, from 1.
    pub number: u64,
    /// Why it was rejected.
    pub reason: &'a str,
    /// Its text, as far as it is kept.
    pub text: &'a str,
}

/// A copy of an event that differs from the stored one.
#[derive(Debug, Clone, Copy)]
pub struct VariantCopy<'a> {
    /// The id both share.
    pub event_id: &'a str,
    /// The item the copy stood in.
    pub source_object: &'a str,
    /// What the copy says, as JSON.
    pub record: &'a str,
}
