use std::io;
use std::sync::Barrier;

use detect::DetectConfig;
use event::{Event, Timestamp};

use super::*;
use crate::alert::Alert;
use crate::aside::{Rejection, VariantCopy};
use crate::collect::port::{LookupError, LookupEvent, LookupPage, LookupRequest};
use crate::collect::scope::Scope;
use crate::collect::state::Pause;
use crate::filter::FilterConfig;
use crate::state::{Recorded, StateError};
use crate::store::{Appended, Clock, Committed, StoreError};

const FIRST: &str = "us-east-1";
const SECOND: &str = "eu-west-1";

/// A world of two regions with one event each. The second answers when the first commit has failed, and lost what it had.
struct World {
    step: Barrier,
    appended: Mutex<Vec<String>>,
    commits: Mutex<Vec<Vec<String>>>,
    saved: Mutex<Vec<StreamChange>>,
}

impl Lookup for World {
    fn page(&self, request: &LookupRequest<'_>) -> Result<LookupPage, LookupError> {
        let region = request.stream.region.as_str();
        if region == SECOND {
            self.step.wait();
            self.step.wait();
        }
        let record =
            testkit::event("ListUsers").region(region).id(region).at("2026-04-01T10:00:00Z").build().to_string();
        let time = Timestamp::parse("2026-04-01T10:00:00Z");
        Ok(LookupPage { events: vec![LookupEvent { time, record }], ..LookupPage::default() })
    }
}

impl EventStore for World {
    fn append(&self, events: &[Event<'_>], _: &str, _: Timestamp) -> Result<Appended, StoreError> {
        lock(&self.appended).extend(events.iter().map(|event| event.id().to_owned()));
        Ok(Appended { stored: events.len() as u64, ..Appended::default() })
    }

    fn commit(&self) -> Result<Committed, StoreError> {
        let taken = std::mem::take(&mut *lock(&self.appended));
        let is_first = taken == [FIRST];
        if is_first {
            self.step.wait();
            self.step.wait();
            return Err(StoreError("it is throttled".into()));
        }
        lock(&self.commits).push(taken);
        Ok(Committed::default())
    }
}

impl StreamStore for World {
    fn streams(&self) -> Result<Vec<StreamState>, StateError> {
        Ok(Vec::new())
    }

    fn save_streams(&self, changes: &[StreamChange]) -> Result<(), StateError> {
        lock(&self.saved).extend_from_slice(changes);
        Ok(())
    }

    fn scope(&self) -> Result<Scope, StateError> {
        Ok(Scope::default())
    }

    fn save_scope(&self, _: &Scope) -> Result<(), StateError> {
        Ok(())
    }

    fn pause_stream(&self, _: &Stream, _: Option<&Pause>) -> Result<bool, StateError> {
        Ok(false)
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-04-01T12:00:00Z").unwrap()
    }
}

impl Timer for World {
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) {}
}

impl Ledger for World {
    fn record_alerts(&self, _: &[Alert], _: &Routes) -> Result<Recorded, StateError> {
        Ok(Recorded::default())
    }
}

impl Aside for World {
    fn rejected(&self, _: &Rejection<'_>) -> io::Result<bool> {
        Ok(true)
    }

    fn variant(&self, _: &VariantCopy<'_>) -> io::Result<bool> {
        Ok(true)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn nothing_is_settled_behind_a_commit_that_failed() {
    let (step, appended, commits, saved) = (Barrier::new(2), Mutex::default(), Mutex::default(), Mutex::default());
    let world = World { step, appended, commits, saved };
    let options = Options { max_workers: 2, commit_every: Duration::ZERO, ..Options::default() };
    let collect = Collect {
        lookup: &world,
        streams: &world,
        timer: &world,
        regions: &Regions::default(),
        store: &world,
        ledger: &world,
        aside: &world,
        registry: &Registry::new(&DetectConfig::default()).unwrap(),
        filters: &Filters::new(&FilterConfig::default()).unwrap(),
        suppressions: &Suppressions::default(),
        routes: &Routes::default(),
        run: None,
        options: &options,
        progress: &Progress::default(),
        on_trouble: &|_, _| (),
        stop: &AtomicBool::new(false),
    };
    let streams = [FIRST, SECOND].map(|region| Stream::new("111122223333", region, "iam.amazonaws.com"));
    assert!(collect.pass(&streams).is_err());
    // The second page was handed over behind the failure. What its commit wrote down would name the first page, too.
    assert_eq!(*lock(&world.appended), [SECOND]);
    assert!(lock(&world.commits).is_empty());
    assert!(lock(&world.saved).is_empty());
}
