//! One walk through a stretch of the event history: newest to oldest, with frozen times, one page after another.
//!
//! A plain state machine: it says what to ask for, is told what came, and says what may be claimed. It does no I/O.
//!
//! **Invariant:** a walk claims nothing before its last page was read, nothing in which events can still appear, and
//! nothing it had to pass over.

use std::time::Duration;

use event::Timestamp;

use super::port::LookupPage;
use crate::coverage::{Coverage, Interval};

/// How often a second is begun anew whose pages take longer than their token lives.
const TRIES_PER_SECOND: u32 = 3;

/// How many pages without an event may follow one another, each with a token for the next.
const EMPTY_PAGES: u32 = 1000;

/// One second.
pub(crate) const SECOND: i64 = 1_000_000;

/// The position of a walk. It may be stored after any page and taken up again from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// What it is to read, in whole seconds.
    pub window: Interval,
    /// When it was begun: events that happened shortly before may have appeared behind its back.
    pub begun: Timestamp,
    /// The end that is asked for now: the window's, or where a lost token made it start again.
    pub asked_to: Timestamp,
    /// The token of the next page.
    pub token: Option<String>,
    /// The time of the oldest event read.
    pub reached: Option<Timestamp>,
    /// Seconds it had to pass over.
    pub missed: Coverage,
    /// How often it started again without getting beyond a second.
    pub tries: u32,
    /// Pages without events in a row.
    pub empty: u32,
}

/// Where a page or a lost token leaves a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is more to ask for.
    More,
    /// It has come to its end.
    Done,
    /// It does not get on: tokens that lead nowhere.
    Stuck,
}

impl Walk {
    /// A walk through `window` that begins now.
    #[must_use]
    pub fn new(window: Interval, now: Timestamp) -> Walk {
        Walk {
            window,
            begun: now,
            asked_to: window.to,
            token: None,
            reached: None,
            missed: Coverage::default(),
            tries: 0,
            empty: 0,
        }
    }

    /// Whether it has read anything yet: one that has not need not be remembered.
    #[must_use]
    pub fn has_progress(&self) -> bool {
        self.token.is_some() || self.reached.is_some()
    }

    /// What to ask for, and with which token.
    #[must_use]
    pub fn request(&self) -> (Interval, Option<&str>) {
        (Interval::new(self.window.from, self.asked_to), self.token.as_deref())
    }

    /// Takes note of a page that was read.
    pub fn page(&mut self, page: &LookupPage) -> Step {
        if !self.has_progress()
            && let Some(at) = page.at
        {
            // The service's clock decides when its events were due, whatever ours says.
            self.begun = at;
        }
        let oldest = page.events.iter().filter_map(|event| event.time).min();
        if let Some(oldest) = oldest {
            self.reached = Some(self.reached.map_or(oldest, |reached| reached.min(oldest)));
        }
        self.empty = if page.events.is_empty() { self.empty + 1 } else { 0 };
        self.token.clone_from(&page.next);
        match &self.token {
            None => Step::Done,
            Some(_) if self.empty >= EMPTY_PAGES => Step::Stuck,
            Some(_) => Step::More,
        }
    }

    /// Takes note that its token is no longer taken: it starts again from the oldest second it reached, that second
    /// included, because the next page may have begun in the middle of it.
    ///
    /// A second with more events than can be read in a token's life is tried a few times and then passed over.
    pub fn token_lost(&mut self) -> Step {
        self.token = None;
        self.empty = 0;
        let Some(second) = self.reached.map(Timestamp::whole_second) else {
            self.tries += 1;
            return if self.tries < TRIES_PER_SECOND { Step::More } else { Step::Stuck };
        };
        let behind = shifted(second, SECOND);
        if behind < self.asked_to {
            self.asked_to = behind;
            self.tries = 0;
            return Step::More;
        }
        self.tries += 1;
        if self.tries < TRIES_PER_SECOND {
            return Step::More;
        }
        self.missed.add(Interval::new(second, self.asked_to));
        self.asked_to = second;
        self.tries = 0;
        if self.asked_to <= self.window.from { Step::Done } else { Step::More }
    }

    /// Leaves out what lies before `from`, and starts again from where it was: the service no longer takes older times.
    pub fn shorten(&mut self, from: Timestamp) -> Step {
        self.window.from = self.window.from.max(from);
        self.token = None;
        if let Some(reached) = self.reached {
            self.asked_to = self.asked_to.min(shifted(reached.whole_second(), SECOND));
        }
        if self.asked_to <= self.window.from { Step::Done } else { Step::More }
    }

    /// The part of the window that it will claim at its end, unless it has to pass over some of it.
    #[must_use]
    pub fn claimable(&self, settle: Duration) -> Interval {
        let settled = earlier(self.begun, settle).whole_second();
        Interval::new(self.window.from, self.window.to.min(settled))
    }

    /// What it has read completely, at its end. Nothing before `horizon`, where the history had begun to end by then.
    #[must_use]
    pub fn claim(&self, settle: Duration, horizon: Timestamp) -> Coverage {
        let claimable = self.claimable(settle);
        let mut claim = Coverage::from_iter([Interval::new(claimable.from.max(horizon), claimable.to)]);
        claim.subtract(&self.missed);
        claim
    }
}

/// The time so many microseconds later, within the bounds of what a time can be.
pub(crate) fn shifted(time: Timestamp, micros: i64) -> Timestamp {
    let bounded = time.micros().saturating_add(micros).clamp(Timestamp::MIN.micros(), Timestamp::MAX.micros());
    Timestamp::from_micros(bounded).unwrap_or(time)
}

/// The time so much earlier.
pub(crate) fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    shifted(time, -i64::try_from(by.as_micros()).unwrap_or(i64::MAX))
}

/// The time so much later.
pub(crate) fn later(time: Timestamp, by: Duration) -> Timestamp {
    shifted(time, i64::try_from(by.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::port::LookupEvent;

    const SETTLE: Duration = Duration::from_secs(900);

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(&format!("2026-01-15T{text}Z")).expect("a time")
    }

    fn page(times: &[&str], next: Option<&str>) -> LookupPage {
        let events = times.iter().map(|text| LookupEvent { time: Some(time(text)), record: String::new() });
        LookupPage { events: events.collect(), next: next.map(str::to_owned), at: None }
    }

    fn walk() -> Walk {
        Walk::new(Interval::new(time("08:00:00"), time("12:00:01")), time("12:00:00"))
    }

    #[test]
    fn pages_follow_each_other_with_the_same_times() {
        let mut walk = walk();
        assert_eq!(walk.request(), (walk.window, None));
        assert_eq!(walk.page(&page(&["11:59:00", "11:00:00"], Some("a"))), Step::More);
        assert_eq!(walk.request(), (walk.window, Some("a")));
        assert_eq!(walk.page(&page(&["09:00:00"], None)), Step::Done);
        let expected = Interval::new(time("08:00:00"), time("11:45:00"));
        assert_eq!(walk.claim(SETTLE, Timestamp::MIN).intervals(), [expected]);
        // Half of it has left the history while it was read.
        let horizon = time("10:00:00");
        assert_eq!(walk.claim(SETTLE, horizon).intervals(), [Interval::new(horizon, expected.to)]);
    }

    #[test]
    fn the_services_clock_decides_what_is_settled() {
        let mut walk = walk();
        walk.page(&LookupPage { at: Some(time("11:30:00")), ..page(&["11:00:00"], Some("a")) });
        walk.page(&LookupPage { at: Some(time("11:50:00")), ..page(&[], None) });
        assert_eq!(walk.claimable(SETTLE).to, time("11:15:00"));
    }

    #[test]
    fn a_lost_token_starts_again_with_the_second_it_reached() {
        let mut walk = walk();
        walk.page(&page(&["11:59:00", "11:00:00"], Some("a")));
        assert_eq!(walk.token_lost(), Step::More);
        assert_eq!(walk.request(), (Interval::new(time("08:00:00"), time("11:00:01")), None));
        assert_eq!(walk.window.to, time("12:00:01"));
    }

    #[test]
    fn a_second_that_cannot_be_read_is_passed_over_and_not_claimed() {
        let mut walk = walk();
        for _ in 0..TRIES_PER_SECOND {
            assert_eq!(walk.asked_to.max(time("11:00:01")), walk.asked_to);
            walk.page(&page(&["11:00:00"; 50], Some("a")));
            assert_eq!(walk.token_lost(), Step::More);
        }
        walk.page(&page(&["11:00:00"; 50], Some("a")));
        assert_eq!(walk.token_lost(), Step::More);
        assert_eq!(walk.request(), (Interval::new(time("08:00:00"), time("11:00:00")), None));
        assert_eq!(walk.page(&page(&["10:00:00"], None)), Step::Done);
        let claim = walk.claim(SETTLE, Timestamp::MIN);
        assert!(
            !claim.contains(time("11:00:00")) && claim.contains(time("11:00:01")) && claim.contains(time("10:59:59"))
        );
    }

    #[test]
    fn tokens_that_lead_nowhere_end() {
        let mut walk = walk();
        let steps: Vec<Step> = (0..EMPTY_PAGES).map(|_| walk.page(&page(&[], Some("a")))).collect();
        assert_eq!(steps.last(), Some(&Step::Stuck));
        let mut walk = Walk { token: Some("a".to_owned()), ..walk };
        let steps: Vec<Step> = (0..TRIES_PER_SECOND).map(|_| walk.token_lost()).collect();
        assert_eq!(steps.last(), Some(&Step::Stuck));
    }

    #[test]
    fn what_the_service_no_longer_takes_is_left_out() {
        let mut walk = walk();
        walk.page(&page(&["11:00:00"], Some("a")));
        assert_eq!(walk.shorten(time("09:00:00")), Step::More);
        assert_eq!(walk.request(), (Interval::new(time("09:00:00"), time("11:00:01")), None));
        assert_eq!(walk.shorten(time("11:30:00")), Step::Done);
    }
}
