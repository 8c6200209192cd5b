//! Finding things in the state the way people ask for them.

use crate::alert::{Alert, AlertId};
use crate::state::{AlertFilter, Cursor, MIN_PREFIX, Page, StateError, StateStore, SuppressionStore};
use crate::suppress::Suppression;

/// How many candidates an ambiguous reference lists.
const CANDIDATES: usize = 5;

/// Visits the alerts asked for, newest event first, a few at a time, so that a long ledger needs no more memory than a
/// short one. Alerts recorded meanwhile may be missed; none is visited twice.
///
/// # Errors
/// [`StateError`], or the visitor's own.
pub fn each_alert<E: From<StateError>>(
    state: &dyn StateStore,
    filter: &AlertFilter,
    mut visit: impl FnMut(Alert) -> Result<(), E>,
) -> Result<(), E> {
    const AT_A_TIME: usize = 64;
    let mut page = Page { limit: Some(AT_A_TIME), after: None };
    loop {
        let alerts = state.alerts(filter, &page)?;
        let is_last = alerts.len() < AT_A_TIME;
        page.after = alerts.last().map(Cursor::at);
        alerts.into_iter().try_for_each(&mut visit)?;
        if is_last {
            return Ok(());
        }
    }
}

/// What somebody says to name an alert: its id or a prefix that no other alert has, or `EVENT-ID/DETECTION-ID`.
#[derive(Debug, Clone)]
pub struct AlertReference<'a> {
    text: &'a str,
    meaning: Meaning,
}

#[derive(Debug, Clone)]
enum Meaning {
    Whole(AlertId),
    Prefix(String),
}

impl<'a> AlertReference<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// [`StateError::NoReference`].
    pub fn new(text: &'a str) -> Result<AlertReference<'a>, StateError> {
        // An event's id is a stranger's and may have a slash of its own; a detection's has none.
        if let Some((event_id, detection)) = text.rsplit_once('/') {
            return Ok(AlertReference { text, meaning: Meaning::Whole(AlertId::of(event_id, detection)) });
        }
        let is_prefix = text.len() >= MIN_PREFIX && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_prefix {
            return Err(StateError::NoReference(text.to_owned()));
        }
        Ok(AlertReference { text, meaning: Meaning::Prefix(text.to_ascii_lowercase()) })
    }

    /// Whether it may mean the alert with this id.
    #[must_use]
    pub fn admits(&self, id: &AlertId) -> bool {
        match &self.meaning {
            Meaning::Whole(whole) => whole == id,
            Meaning::Prefix(prefix) => id.as_str().starts_with(prefix),
        }
    }

    /// The one that is meant, of all that it admits.
    ///
    /// # Errors
    /// [`StateError::Unknown`] or [`StateError::Ambiguous`].
    pub fn only<'i>(&self, ids: &[&'i AlertId]) -> Result<&'i AlertId, StateError> {
        match ids {
            [] => Err(self.unknown()),
            [id] => Ok(id),
            _ => {
                let matches = ids.iter().take(CANDIDATES).map(|id| id.short().to_owned()).collect();
                Err(StateError::Ambiguous { what: "alert", reference: self.text.to_owned(), matches })
            }
        }
    }

    fn unknown(&self) -> StateError {
        StateError::Unknown { what: "alert", reference: self.text.to_owned() }
    }
}

/// The alert that somebody means.
///
/// # Errors
/// [`StateError::NoReference`], [`StateError::Unknown`] or [`StateError::Ambiguous`].
pub fn find_alert(state: &dyn StateStore, reference: &str) -> Result<Alert, StateError> {
    let reference = AlertReference::new(reference)?;
    let ids = match &reference.meaning {
        Meaning::Whole(id) => vec![id.clone()],
        Meaning::Prefix(prefix) => state.alert_ids(prefix, CANDIDATES)?,
    };
    let id = reference.only(&ids.iter().collect::<Vec<_>>())?;
    state.alert(id)?.ok_or_else(|| reference.unknown())
}

/// The suppression that somebody means: by its id, or a prefix that no other one has.
///
/// # Errors
/// [`StateError::Unknown`] or [`StateError::Ambiguous`].
pub fn find_suppression(state: &dyn SuppressionStore, reference: &str) -> Result<Suppression, StateError> {
    let reference = reference.to_ascii_lowercase();
    let mut found = state.suppressions()?;
    found.retain(|suppression| !reference.is_empty() && suppression.id.as_str().starts_with(&reference));
    if found.len() > 1 {
        let matches = found.iter().take(CANDIDATES).map(|suppression| suppression.id.to_string()).collect();
        return Err(StateError::Ambiguous { what: "suppression", reference, matches });
    }
    found.pop().ok_or(StateError::Unknown { what: "suppression", reference })
}
