//! Finding things in the state the way people ask for them.

use crate::alert::{Alert, AlertId};
use crate::state::{AlertFilter, Cursor, MIN_PREFIX, Page, StateError, StateStore};
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

/// The alert that somebody means: by its id or a prefix that no other alert has, or by `EVENT-ID/DETECTION-ID`.
///
/// # Errors
/// [`StateError::NoReference`], [`StateError::Unknown`] or [`StateError::Ambiguous`].
pub fn find_alert(state: &dyn StateStore, reference: &str) -> Result<Alert, StateError> {
    let unknown = || StateError::Unknown { what: "alert", reference: reference.to_owned() };
    // An event's id is a stranger's and may have a slash of its own; a detection's has none.
    if let Some((event_id, detection)) = reference.rsplit_once('/') {
        return state.alert(&AlertId::of(event_id, detection))?.ok_or_else(unknown);
    }
    let is_prefix = reference.len() >= MIN_PREFIX && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_prefix {
        return Err(StateError::NoReference(reference.to_owned()));
    }
    let ids = state.alert_ids(&reference.to_ascii_lowercase(), CANDIDATES)?;
    match ids.as_slice() {
        [] => Err(unknown()),
        [id] => state.alert(id)?.ok_or_else(unknown),
        _ => {
            let matches = ids.iter().map(|id| id.short().to_owned()).collect();
            Err(StateError::Ambiguous { what: "alert", reference: reference.to_owned(), matches })
        }
    }
}

/// The suppression that somebody means: by its id, or a prefix that no other one has.
///
/// # Errors
/// [`StateError::Unknown`] or [`StateError::Ambiguous`].
pub fn find_suppression(state: &dyn StateStore, reference: &str) -> Result<Suppression, StateError> {
    let reference = reference.to_ascii_lowercase();
    let mut found = state.suppressions()?;
    found.retain(|suppression| !reference.is_empty() && suppression.id.as_str().starts_with(&reference));
    if found.len() > 1 {
        let matches = found.iter().take(CANDIDATES).map(|suppression| suppression.id.to_string()).collect();
        return Err(StateError::Ambiguous { what: "suppression", reference, matches });
    }
    found.pop().ok_or(StateError::Unknown { what: "suppression", reference })
}
