//! The suppressions of a deployment: one item of the control table, whose key is no stream's.
//!
//! The item holds all of them as one document, so that whoever applies them reads it once. It is changed as every item of
//! this table is, and what is read is held to what a new suppression is: an item that somebody else wrote, or damaged,
//! silences nothing.
//!
//! **Invariant:** the document has a bound, which keeps it within an item and within a function's memory. Those that have
//! been over for longest make room; those in force never do.

use std::time::Duration;

use event::Timestamp;
use pipeline::state::{StateError, SuppressionStore};
use pipeline::suppress::{Removal, Suppression, SuppressionId};
use serde_json::{Value, json};

use super::control::ControlTable;
use super::item::{Attributes, Item, long_text};

/// The item's key.
const KEY: &str = "#suppressions";
/// The attribute that holds the document.
const DOCUMENT: &str = "suppressions";
/// The most bytes of the document: an item has 400 KB at most.
const ROOM: usize = 350 << 10;

impl ControlTable {
    /// The suppressions, by a call that may take so long and no longer: whoever alerts waits for them.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn suppressions_within(&self, limit: Duration) -> Result<Vec<Suppression>, StateError> {
        self.read_suppressions(self.get_within(KEY, limit)?.as_ref())
    }

    fn read_suppressions(&self, item: Option<&Item>) -> Result<Vec<Suppression>, StateError> {
        let Some(item) = item else { return Ok(Vec::new()) };
        let damaged = |reason: String| StateError::Damaged { path: self.suppressions_path(), reason };
        let text = item.long(DOCUMENT).filter(|text| text.len() <= ROOM);
        let text = text.ok_or_else(|| damaged(format!("{DOCUMENT} is no text, or longer than it may be")))?;
        let written: Vec<Value> = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        let read = written.into_iter().map(|one| {
            let id = one["id"].to_string();
            serde_json::from_value::<Suppression>(one).map_err(|error| damaged(format!("suppression {id}: {error}")))
        });
        let mut read = read.collect::<Result<Vec<_>, _>>()?;
        read.sort_by(|one, two| (one.created_at, &one.id).cmp(&(two.created_at, &two.id)));
        Ok(read)
    }

    /// Changes the suppressions. What `change` makes of them is written if nobody wrote them meanwhile; else it is asked
    /// again. It may say that there is nothing to change.
    fn change_suppressions(
        &self,
        now: Timestamp,
        change: &dyn Fn(&mut Vec<Suppression>) -> Result<bool, StateError>,
    ) -> Result<bool, StateError> {
        self.change(KEY, &mut |item| {
            let there = (!item.is_empty()).then_some(&*item);
            let mut suppressions = self.read_suppressions(there)?;
            if !change(&mut suppressions)? {
                return Ok(false);
            }
            let Some(document) = fitting(suppressions, now) else {
                let reason = format!("those in force would take more than {ROOM} bytes; take some back first");
                return Err(StateError::Bounded { path: self.suppressions_path(), reason });
            };
            item.insert(DOCUMENT.to_owned(), long_text(&document));
            Ok(true)
        })
    }

    fn suppressions_path(&self) -> String {
        format!("dynamodb://{}/{KEY}", self.table())
    }
}

impl SuppressionStore for ControlTable {
    fn add_suppression(&self, suppression: &Suppression) -> Result<bool, StateError> {
        self.change_suppressions(suppression.created_at, &|suppressions| {
            if let Some(known) = suppressions.iter_mut().find(|known| known.id == suppression.id) {
                let comes_back = known.removed.is_some();
                if comes_back {
                    *known = suppression.clone();
                }
                return Ok(comes_back);
            }
            suppressions.push(suppression.clone());
            Ok(true)
        })
    }

    fn suppressions(&self) -> Result<Vec<Suppression>, StateError> {
        self.read_suppressions(self.get(KEY)?.as_ref())
    }

    fn remove_suppression(&self, id: &SuppressionId, removal: &Removal) -> Result<bool, StateError> {
        self.change_suppressions(removal.at, &|suppressions| {
            let known = suppressions.iter_mut().find(|known| known.id == *id);
            let unknown = || StateError::Unknown { what: "suppression", reference: id.to_string() };
            let known = known.ok_or_else(unknown)?;
            let is_in_force = known.removed.is_none();
            known.removed.get_or_insert_with(|| removal.clone());
            Ok(is_in_force)
        })
    }
}

/// The document of as many suppressions as it has room for: those that have been over for longest are left out. None where
/// those in force are too many.
fn fitting(mut suppressions: Vec<Suppression>, now: Timestamp) -> Option<String> {
    loop {
        let document = json!(suppressions).to_string();
        if document.len() <= ROOM {
            return Some(document);
        }
        let ended = |one: &Suppression| one.removed.as_ref().map_or(one.until, |removal| removal.at.min(one.until));
        let over = suppressions.iter().enumerate().filter(|(_, one)| one.is_over(now));
        let (first, _) = over.min_by_key(|(_, one)| ended(one))?;
        suppressions.remove(first);
    }
}

#[cfg(test)]
mod tests {
    use pipeline::pattern::Pattern;
    use pipeline::suppress::{Conditions, SuppressionRequest};

    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// With a reason of so many bytes.
    fn until(until: &str, bytes: usize) -> Suppression {
        let request = SuppressionRequest {
            conditions: Conditions { principal: Some(Pattern::new("alice").unwrap()), ..Conditions::default() },
            reason: "r".repeat(bytes),
            from: None,
            until: time(until),
            by: "bob".to_owned(),
        };
        Suppression::new(request, time("2026-01-10T00:00:00Z")).unwrap()
    }

    #[test]
    fn what_has_been_over_for_longest_makes_room_and_what_is_in_force_never_does() {
        let removed = Some(Removal { at: time("2026-01-12T00:00:00Z"), by: "carol".to_owned() });
        let longest = Suppression { removed, ..until("2027-01-01T00:00:00Z", ROOM / 3) };
        let over = until("2026-01-13T00:00:00Z", ROOM / 3);
        let in_force = until("2026-03-01T00:00:00Z", ROOM / 2);
        let now = time("2026-02-01T00:00:00Z");
        let read = |document: &str| serde_json::from_str::<Vec<Suppression>>(document).unwrap();
        let all = vec![in_force.clone(), over.clone(), longest.clone()];
        assert_eq!(read(&fitting(all, now).unwrap()), [in_force.clone(), over]);
        let few = vec![longest, until("2026-01-13T00:00:00Z", 10)];
        assert_eq!(read(&fitting(few.clone(), now).unwrap()), few, "there is room");
        let other = until("2026-04-01T00:00:00Z", ROOM / 2);
        assert_eq!(fitting(vec![in_force, other], now), None);
    }
}
