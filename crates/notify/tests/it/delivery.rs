//! Couriers with real channels: one that hangs does not keep another waiting.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use event::Timestamp;
use pipeline::alert::{Alert, AlertId};
use pipeline::notify::{Bell, Courier, Office, deliver, flush};
use pipeline::outbox::{Notification, Outbox, Outcome, Routes};
use pipeline::state::{Ledger, Recorded, StateError};

use crate::server::{Reply, Server, say};
use crate::{Noon, alerts, channel};

/// An outbox in memory, in which nothing is due twice.
#[derive(Default)]
struct Memory {
    due: Mutex<Vec<Notification>>,
    settled: Mutex<BTreeMap<(String, AlertId), Outcome>>,
}

impl Outbox for Memory {
    fn claim(&self, channel: &str, _: Timestamp, _: Timestamp, limit: usize) -> Result<Vec<Notification>, StateError> {
        let mut due = self.due.lock().unwrap();
        let (mut claimed, rest): (Vec<_>, Vec<_>) = due.drain(..).partition(|each| each.channel == channel);
        *due = rest;
        due.extend(claimed.split_off(limit.min(claimed.len())));
        Ok(claimed)
    }

    fn settle(&self, channel: &str, outcomes: &[(AlertId, Outcome)]) -> Result<(), StateError> {
        let mut settled = self.settled.lock().unwrap();
        settled.extend(outcomes.iter().map(|(alert, outcome)| ((channel.to_owned(), alert.clone()), outcome.clone())));
        Ok(())
    }

    fn hold(&self, _: &str, _: &[AlertId], _: Timestamp) -> Result<(), StateError> {
        Ok(())
    }
}

impl Ledger for Memory {
    fn record_alerts(&self, _: &[Alert], _: &Routes) -> Result<Recorded, StateError> {
        Ok(Recorded::default())
    }
}

impl Memory {
    fn add(&self, channel: &str, alert: Alert) {
        self.due.lock().unwrap().push(Notification { alert, channel: channel.to_owned(), attempts: 0 });
    }

    fn sent(&self, channel: &str) -> usize {
        let settled = self.settled.lock().unwrap();
        settled.iter().filter(|((of, _), outcome)| of == channel && matches!(outcome, Outcome::Sent { .. })).count()
    }
}

#[test]
fn a_webhook_that_hangs_stops_no_other() {
    let (hanging, well) = (Server::new(vec![Reply::Hang]), Server::new(vec![say(200, "")]));
    let make = |name: &str, server: &Server| {
        let mut channel = channel(&format!("kind = 'webhook'\ntimeout_seconds = 2\nurl = '{}'", server.address));
        name.clone_into(&mut channel.name);
        channel
    };
    let channels = [make("hangs", &hanging), make("well", &well)];
    let (outbox, routes) = (Memory::default(), Routes::default());
    let office = Office { outbox: &outbox, routes: &routes, clock: &Noon };
    let (bell, stop) = (Bell::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        let couriers = channels.iter().map(|channel| Courier::new(channel, office)).collect();
        let (bell, stop) = (&bell, &stop);
        let working = scope.spawn(move || deliver(couriers, bell, stop, &|_, _| {}));
        thread::sleep(Duration::from_millis(200));
        let started = Instant::now();
        for alert in alerts(20) {
            outbox.add("hangs", alert.clone());
            outbox.add("well", alert);
        }
        bell.ring();
        while outbox.sent("well") < 20 {
            assert!(started.elapsed() < Duration::from_secs(2), "{} sent", outbox.sent("well"));
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(outbox.sent("hangs"), 0);
        stop.store(true, Ordering::Relaxed);
        bell.ring();
        working.join().unwrap();
        assert!(started.elapsed() < Duration::from_secs(8), "a stop waits for no more than the message in hand");
    });
    assert_eq!(well.heard().len(), 20);

    // One pass sends what is due and ends.
    outbox.add("well", alerts(21).remove(20));
    flush(vec![Courier::new(&channels[1], office)], &AtomicBool::new(false), &|_, _| {});
    assert_eq!(outbox.sent("well"), 21);
}
