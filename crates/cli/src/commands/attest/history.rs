//! The event history: what was read completely of it, where there is no trail.

use std::collections::BTreeMap;

use event::Timestamp;
use integrity::layout::Lane;
use integrity::report::HOUR;
use local::state::SqliteState;
use pipeline::collect::StreamStore;
use pipeline::coverage::{Coverage, Interval};

use crate::args::AttestRunArgs;
use crate::session::Session;

/// What was read completely of the event history, by account and region: what all of its streams have in common.
pub(super) struct Histories(pub(super) BTreeMap<(String, String), Coverage>);

impl Histories {
    pub(super) fn of(session: &Session, arguments: &AttestRunArgs) -> anyhow::Result<Histories> {
        let path = session.state_path();
        let mut histories: BTreeMap<(String, String), Coverage> = BTreeMap::new();
        if !path.exists() {
            return Ok(Histories(histories));
        }
        let wants = |wanted: &[String], name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
        for state in SqliteState::open(&path)?.streams()? {
            let stream = &state.stream;
            // A trail's files are a stream of their own kind.
            let is_history = integrity::layout::is_account(&stream.account);
            if !is_history || !wants(&arguments.accounts, &stream.account) || !wants(&arguments.regions, &stream.region)
            {
                continue;
            }
            let key = (stream.account.clone(), stream.region.clone());
            match histories.get_mut(&key) {
                None => _ = histories.insert(key, state.coverage),
                Some(common) => {
                    let Some(span) = common.span() else { continue };
                    common.subtract(&state.coverage.gaps(span));
                }
            }
        }
        Ok(Histories(histories))
    }

    pub(super) fn covers(&self, lane: &Lane, hour: Timestamp) -> bool {
        let coverage = self.0.get(&(lane.account.clone(), lane.region.clone()));
        coverage.is_some_and(|coverage| is_covered(coverage, hour))
    }
}

pub(super) fn is_covered(coverage: &Coverage, hour: Timestamp) -> bool {
    let end = Timestamp::from_micros(hour.micros() + HOUR).unwrap_or(Timestamp::MAX);
    coverage.gaps(Interval::new(hour, end)).is_empty()
}
