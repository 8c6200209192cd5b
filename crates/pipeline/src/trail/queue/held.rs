//! The messages that were received and are not settled yet.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::trail::port::AT_ONCE;

/// How often the deletion of a message is tried.
const DELETIONS: u32 = 3;

/// One delivery of a message, by the order in which they came.
pub(super) type Place = u64;

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It is being read.
    Working,
    /// All of it was handed over; the next checkpoint commits it.
    HandedOver,
    /// It is committed and may be deleted; that was tried so often.
    Committed(u32),
}

#[derive(Debug)]
struct Held {
    receipt: String,
    stage: Stage,
    /// When others will see it, by the clock that never jumps.
    visible: Duration,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct HeldMessages {
    held: BTreeMap<Place, Held>,
    next: Place,
}

/// Some messages for one call.
pub(super) type Group = Vec<(Place, String)>;

impl HeldMessages {
    pub(super) fn add(&mut self, receipt: String, visible: Duration) -> Place {
        let place = self.next;
        self.next += 1;
        self.held.insert(place, Held { receipt, stage: Stage::Working, visible });
        place
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn handed_over(&mut self, place: Place) {
        if let Some(held) = self.held.get_mut(&place) {
            held.stage = Stage::HandedOver;
        }
    }

    /// Lets go of a message. Returns its receipt.
    pub(super) fn forget(&mut self, place: Place) -> Option<String> {
        self.held.remove(&place).map(|held| held.receipt)
    }

    /// Takes note of a commit: whatever was handed over is in it.
    pub(super) fn committed(&mut self) {
        for held in self.held.values_mut().filter(|held| held.stage == Stage::HandedOver) {
            held.stage = Stage::Committed(0);
        }
    }

    pub(super) fn wait_for_a_commit(&self) -> bool {
        self.held.values().any(|held| held.stage == Stage::HandedOver)
    }

    /// Those that others will see before this time, in groups for one call each.
    pub(super) fn visible_before(&self, time: Duration) -> Vec<Group> {
        self.groups(|held| held.visible < time)
    }

    pub(super) fn extended(&mut self, places: impl IntoIterator<Item = Place>, visible: Duration) {
        for place in places {
            if let Some(held) = self.held.get_mut(&place) {
                held.visible = visible;
            }
        }
    }

    /// Those that may be deleted.
    pub(super) fn to_delete(&self) -> Vec<Group> {
        self.groups(|held| matches!(held.stage, Stage::Committed(_)))
    }

    /// Takes note that a message could not be deleted. Returns whether it is given up.
    pub(super) fn not_deleted(&mut self, place: Place) -> bool {
        let Some(held) = self.held.get_mut(&place) else { return false };
        let Stage::Committed(tries) = &mut held.stage else { return false };
        *tries += 1;
        let is_given_up = *tries >= DELETIONS;
        if is_given_up {
            self.held.remove(&place);
        }
        is_given_up
    }

    fn groups(&self, which: impl Fn(&Held) -> bool) -> Vec<Group> {
        let some = self.held.iter().filter(|(_, held)| which(held));
        let some: Group = some.map(|(place, held)| (*place, held.receipt.clone())).collect();
        some.chunks(AT_ONCE).map(<[_]>::to_vec).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_handed_over_before_a_commit_may_be_deleted() {
        let mut held = HeldMessages::default();
        let places: Vec<Place> = (0..25).map(|number| held.add(number.to_string(), Duration::ZERO)).collect();
        places[..12].iter().for_each(|&place| held.handed_over(place));
        assert!(held.to_delete().is_empty() && held.wait_for_a_commit());
        held.committed();
        places[12..14].iter().for_each(|&place| held.handed_over(place));
        let sizes: Vec<usize> = held.to_delete().iter().map(Vec::len).collect();
        assert_eq!(sizes, [10, 2]);
    }

    #[test]
    fn deletion_is_tried_a_few_times() {
        let mut held = HeldMessages::default();
        let place = held.add("a".to_owned(), Duration::ZERO);
        held.handed_over(place);
        held.committed();
        assert_eq!([held.not_deleted(place), held.not_deleted(place), held.not_deleted(place)], [false, false, true]);
        assert_eq!(held.len(), 0);
    }
}
