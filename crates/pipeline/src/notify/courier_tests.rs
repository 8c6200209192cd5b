//! Couriers in a small world on virtual time: an outbox in memory, and a channel whose every answer is known.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use detect::Severity;

use super::*;
use crate::alert::Alert;
use crate::alert::tests::alert_on;
use crate::notify::{Digest, QuietHours, RateLimit, TROUBLE};
use crate::outbox::Delivery;
use crate::state::{Ledger, Recorded};

static NEVER: AtomicBool = AtomicBool::new(false);

/// One notification.
#[derive(Debug, Clone)]
struct Row {
    alert: Alert,
    state: Delivery,
    attempts: u32,
    at: Timestamp,
    error: Option<String>,
    receipt: Option<String>,
}

/// What the other end says.
type Answers = Box<dyn FnMut(&Parcel, Timestamp) -> Verdict + Send>;

/// The world: time, the outbox, and what the other end has heard.
struct World {
    now: Mutex<Timestamp>,
    rows: Mutex<BTreeMap<(String, AlertId), Row>>,
    /// Every parcel that was taken, and when.
    heard: Mutex<Vec<(Timestamp, Parcel)>>,
    answers: Mutex<Answers>,
    /// After so many more calls of the outbox or the channel, every one fails: the process is dead.
    lives: Mutex<Option<u32>>,
    /// How long an answer takes.
    slowness: Duration,
}

struct Ear<'w>(&'w World);

impl Notifier for Ear<'_> {
    fn send(&self, parcel: &Parcel) -> Verdict {
        if self.0.dies() {
            return Verdict::retry("dead");
        }
        self.0.pass(self.0.slowness);
        let now = self.0.time();
        let verdict = (self.0.answers.lock().unwrap())(parcel, now);
        if verdict == Verdict::Delivered {
            self.0.heard.lock().unwrap().push((now, parcel.clone()));
        }
        verdict
    }

    fn send_for_receipt(&self, parcel: &Parcel) -> (Verdict, Option<String>) {
        (self.send(parcel), Some(parcel.key()))
    }

    fn preview(&self, _: &Parcel) -> String {
        String::new()
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        self.time()
    }
}

impl Outbox for World {
    fn claim(
        &self,
        channel: &str,
        now: Timestamp,
        lease: Timestamp,
        limit: usize,
    ) -> Result<Vec<Notification>, StateError> {
        self.lives_on()?;
        let mut rows = self.rows.lock().unwrap();
        let mut due: Vec<_> = rows
            .iter_mut()
            .filter(|((of, _), row)| of == channel && row.state == Delivery::Pending && row.at <= now)
            .map(|(_, row)| row)
            .collect();
        due.sort_by(|a, b| b.alert.severity.cmp(&a.alert.severity).then((a.at, &a.alert.id).cmp(&(b.at, &b.alert.id))));
        due.truncate(limit);
        let claimed = due.into_iter().map(|row| {
            row.at = lease;
            Notification { alert: row.alert.clone(), channel: channel.to_owned(), attempts: row.attempts }
        });
        Ok(claimed.collect())
    }

    fn settle(&self, channel: &str, outcomes: &[(AlertId, Outcome)]) -> Result<(), StateError> {
        self.lives_on()?;
        let mut rows = self.rows.lock().unwrap();
        for (alert, outcome) in outcomes {
            let row = rows.get_mut(&(channel.to_owned(), alert.clone())).unwrap();
            assert_eq!(row.state, Delivery::Pending, "what is settled for good is not settled again");
            row.attempts += 1;
            (row.state, row.at, row.error, row.receipt) = match outcome.clone() {
                Outcome::Sent { at, receipt } => (Delivery::Sent, at, None, receipt),
                Outcome::Retry { after, error } => (Delivery::Pending, after, Some(error), None),
                Outcome::Failed { at, error } => (Delivery::Failed, at, Some(error), None),
            };
        }
        Ok(())
    }

    fn hold(&self, channel: &str, alerts: &[AlertId], until: Timestamp) -> Result<(), StateError> {
        self.lives_on()?;
        let mut rows = self.rows.lock().unwrap();
        for alert in alerts {
            rows.get_mut(&(channel.to_owned(), alert.clone())).unwrap().at = until;
        }
        Ok(())
    }

    fn recall(&self, channel: &str, beyond: Timestamp, now: Timestamp) -> Result<(), StateError> {
        let mut rows = self.rows.lock().unwrap();
        let waits = rows.iter_mut().filter(|((of, _), row)| of == channel && row.state == Delivery::Pending);
        waits.filter(|(_, row)| row.at > beyond).for_each(|(_, row)| row.at = now);
        Ok(())
    }
}

impl Ledger for World {
    fn record_alerts(&self, alerts: &[Alert], routes: &Routes) -> Result<Recorded, StateError> {
        self.lives_on()?;
        for alert in alerts {
            let channels: Vec<String> = routes.channels_for(alert).map(str::to_owned).collect();
            for channel in channels {
                self.enqueue(&channel, alert.clone());
            }
        }
        Ok(Recorded::default())
    }
}

impl World {
    fn new(answers: impl FnMut(&Parcel, Timestamp) -> Verdict + Send + 'static) -> World {
        World {
            now: Mutex::new(time("2026-01-15T12:00:00Z")),
            rows: Mutex::default(),
            heard: Mutex::default(),
            answers: Mutex::new(Box::new(answers)),
            lives: Mutex::new(None),
            slowness: Duration::ZERO,
        }
    }

    fn kind() -> World {
        World::new(|_, _| Verdict::Delivered)
    }

    fn time(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    fn pass(&self, time: Duration) {
        let mut now = self.now.lock().unwrap();
        *now = later(*now, time);
    }

    fn dies(&self) -> bool {
        let mut lives = self.lives.lock().unwrap();
        let dies = *lives == Some(0);
        *lives = lives.map(|lives| lives.saturating_sub(1));
        dies
    }

    fn lives_on(&self) -> Result<(), StateError> {
        if self.dies() { Err(StateError::Full { path: "state.db".to_owned() }) } else { Ok(()) }
    }

    fn enqueue(&self, channel: &str, alert: Alert) {
        let row =
            Row { at: alert.first_seen, alert, state: Delivery::Pending, attempts: 0, error: None, receipt: None };
        self.rows.lock().unwrap().entry((channel.to_owned(), row.alert.id.clone())).or_insert(row);
    }

    /// Adds an alert of now.
    fn add(&self, name: &str, severity: Severity) -> AlertId {
        self.add_of("alice", name, severity)
    }

    fn add_of(&self, user: &str, name: &str, severity: Severity) -> AlertId {
        let mut alert = alert_on(&testkit::event("CreateUser").iam_user(user).id(name).to_event());
        alert.severity = severity;
        alert.first_seen = self.time();
        alert.arrival = crate::alert::Arrival::Live;
        let id = alert.id.clone();
        self.enqueue("c", alert);
        id
    }

    fn row(&self, id: &AlertId) -> Row {
        self.rows.lock().unwrap()[&("c".to_owned(), id.clone())].clone()
    }

    /// The sizes of the parcels heard since the last question.
    fn heard(&self) -> Vec<usize> {
        self.heard.lock().unwrap().drain(..).map(|(_, parcel)| parcel.count()).collect()
    }

    fn channel<'w>(&'w self, policy: Policy) -> Channel
    where
        'w: 'static,
    {
        channel(Box::new(Ear(self)), policy)
    }
}

fn channel(notifier: Box<dyn Notifier>, policy: Policy) -> Channel {
    Channel { name: "c".to_owned(), route: Route::new("c", Severity::Informational), policy, notifier }
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn routes() -> Routes {
    let channels = vec![Route::new("c", Severity::Informational), Route::new("d", Severity::Informational)];
    Routes { channels, backfill: false }
}

/// Goes about for a while, a round a second.
fn go(world: &World, courier: &mut Courier<'_>, seconds: u32) {
    for _ in 0..seconds {
        let _ = courier.round(&NEVER);
        world.pass(Duration::from_secs(1));
    }
}

/// Lets a courier work in a world that stays for the rest of the test.
fn with(world: World, policy: Policy, work: impl FnOnce(&World, &mut Courier<'_>)) {
    let world: &'static World = Box::leak(Box::new(world));
    let channel = world.channel(policy);
    let routes = routes();
    let mut courier = Courier::new(&channel, Office { outbox: world, routes: &routes, clock: world });
    work(world, &mut courier);
}

#[test]
fn what_is_due_is_sent_once_and_the_most_serious_first() {
    with(World::kind(), Policy::default(), |world, courier| {
        let low = world.add("a", Severity::Low);
        let critical = world.add("b", Severity::Critical);
        let round = courier.round(&NEVER).unwrap();
        assert_eq!((round.claimed, round.sent, round.messages), (2, 2, 2));
        let order: Vec<_> = world.heard.lock().unwrap().iter().map(|(_, parcel)| parcel.first().id.clone()).collect();
        assert_eq!(order, [critical, low.clone()]);
        assert_eq!(world.row(&low).state, Delivery::Sent);
        assert_eq!(courier.round(&NEVER).unwrap(), Round::default());
    });
}

#[test]
fn a_channel_that_fails_is_tried_for_a_day_and_people_are_told_elsewhere() {
    with(World::new(|_, _| Verdict::retry("HTTP 503")), Policy::default(), |world, courier| {
        let id = world.add("a", Severity::High);
        go(world, courier, 3 * 3600);
        let row = world.row(&id);
        assert_eq!(row.state, Delivery::Pending);
        assert_eq!(row.error.as_deref(), Some("HTTP 503"));
        let told = |channel: &str| {
            world
                .rows
                .lock()
                .unwrap()
                .iter()
                .filter(|((of, _), row)| of == channel && row.alert.detection == TROUBLE)
                .count()
        };
        assert_eq!((told("c"), told("d")), (0, 1), "the others are told within the hour, and the ill channel is not");
        for _ in 0..26 * 60 {
            world.pass(Duration::from_secs(60));
            let _ = courier.round(&NEVER);
        }
        assert_eq!(world.row(&id).state, Delivery::Failed);
        assert_eq!(told("d"), 2, "and again on the day on which it is given up");
    });
}

#[test]
fn a_refused_message_is_given_up_at_once_and_does_not_keep_back_others() {
    let world = World::new(|parcel, _| match parcel.first().event_id.as_str() {
        "bad" => Verdict::refused("HTTP 400"),
        _ => Verdict::Delivered,
    });
    with(world, Policy::default(), |world, courier| {
        let bad = world.add("bad", Severity::Critical);
        world.add("good", Severity::Low);
        let round = courier.round(&NEVER).unwrap();
        assert_eq!((round.failed, round.sent), (1, 1));
        assert_eq!(round.problems, ["HTTP 400"]);
        assert_eq!(world.row(&bad).state, Delivery::Failed);
    });
}

#[test]
fn a_message_that_always_fails_does_not_keep_back_others() {
    let world = World::new(|parcel, _| match parcel.first().event_id.as_str() {
        "poison" => Verdict::retry("HTTP 500"),
        _ => Verdict::Delivered,
    });
    with(world, Policy::default(), |world, courier| {
        world.add("poison", Severity::Critical);
        let others: Vec<_> = (0..20).map(|each| world.add(&each.to_string(), Severity::Low)).collect();
        courier.round(&NEVER).unwrap();
        assert!(others.iter().all(|id| world.row(id).state == Delivery::Sent));
    });
}

#[test]
fn a_channel_that_is_down_is_left_alone_and_comes_back() {
    let end = time("2026-01-15T12:10:00Z");
    let world = World::new(move |_, now| if now < end { Verdict::retry("refused") } else { Verdict::Delivered });
    with(world, Policy::default(), |world, courier| {
        let ids: Vec<_> = (0..100).map(|each| world.add(&each.to_string(), Severity::Low)).collect();
        go(world, courier, 600);
        let attempts: u32 = ids.iter().map(|id| world.row(id).attempts).sum();
        assert!((20..150).contains(&attempts), "{attempts}: neither forgotten nor hammered");
        go(world, courier, 1300);
        assert!(ids.iter().all(|id| world.row(id).state == Delivery::Sent));
    });
}

#[test]
fn a_channel_is_left_alone_for_as_long_as_it_asks() {
    let world = World::new(|_, now| match now < time("2026-01-15T12:02:00Z") {
        true => Verdict::Retry { after: Some(Duration::from_secs(120)), reason: "HTTP 429".to_owned() },
        false => Verdict::Delivered,
    });
    with(world, Policy::default(), |world, courier| {
        let ids: Vec<_> = (0..50).map(|each| world.add(&each.to_string(), Severity::Low)).collect();
        let round = courier.round(&NEVER).unwrap();
        assert_eq!((round.retried, round.held), (1, 49));
        go(world, courier, 119);
        assert_eq!(ids.iter().map(|id| world.row(id).attempts).sum::<u32>(), 1);
        go(world, courier, 3);
        assert_eq!(world.heard().len(), 50);
    });
}

#[test]
fn a_slow_channel_gives_back_what_it_cannot_send_within_its_lease() {
    let mut world = World::kind();
    world.slowness = Duration::from_secs(120);
    with(world, Policy::default(), |world, courier| {
        for each in 0..10 {
            world.add(&each.to_string(), Severity::Low);
        }
        let round = courier.round(&NEVER).unwrap();
        assert_eq!((round.sent, round.held), (5, 5));
        assert_eq!(courier.round(&NEVER).unwrap().sent, 5);
    });
}

#[test]
fn a_stop_is_obeyed_after_the_message_in_hand() {
    with(World::kind(), Policy::default(), |world, courier| {
        let (a, b) = (world.add("a", Severity::Low), world.add("b", Severity::Low));
        let round = courier.round(&AtomicBool::new(true)).unwrap();
        assert_eq!((round.sent, round.held), (1, 1));
        assert!([a, b].iter().all(|id| world.row(id).at <= world.time()), "the other is free at once");
    });
}

#[test]
fn and_41_more_like_this() {
    let rate = Some(RateLimit { messages: 5, per: Duration::from_secs(600) });
    with(World::kind(), Policy { rate, ..Policy::default() }, |world, courier| {
        for each in 0..46 {
            world.add(&format!("a{each}"), Severity::Critical);
        }
        world.add_of("bob", "b", Severity::Critical);
        go(world, courier, 1);
        let mut sizes = world.heard();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 1, 1, 1, 1, 42], "an alert and 41 more like it; and bob's is another principal's");

        // While it goes on, one message in each while.
        for minute in 0..40 {
            world.add(&format!("c{minute}"), Severity::Critical);
            go(world, courier, 60);
        }
        let sizes = world.heard();
        assert_eq!(sizes, [10, 10, 10, 10]);
        // When it has been calm, it begins anew.
        go(world, courier, 1800);
        world.heard();
        world.add("d", Severity::Critical);
        world.add("e", Severity::Critical);
        go(world, courier, 1);
        assert_eq!(world.heard(), [1, 1]);
    });
}

#[test]
fn sessions_of_one_role_are_alike_whatever_they_are_called() {
    let rate = Some(RateLimit { messages: 1, per: Duration::from_secs(600) });
    with(World::kind(), Policy { rate, ..Policy::default() }, |world, courier| {
        for each in 0..10 {
            let event = testkit::event("CreateUser").role_session("admin", &format!("s{each}")).to_event();
            let alert = Alert { first_seen: world.time(), ..alert_on(&event) };
            world.enqueue("c", alert);
        }
        go(world, courier, 1);
        assert_eq!(world.heard(), [10]);
    });
}

#[test]
fn a_digest_gathers_what_is_medium_and_lower() {
    let digest = Some(Digest { at_most: Severity::Medium, every: Duration::from_secs(3600) });
    with(World::kind(), Policy { digest, ..Policy::default() }, |world, courier| {
        for minute in 0..120 {
            world.add(&format!("m{minute}"), Severity::Medium);
            if minute == 30 {
                world.add("critical", Severity::Critical);
            }
            go(world, courier, 60);
        }
        go(world, courier, 1);
        assert_eq!(world.heard(), [1, 60, 60]);
    });
}

#[test]
fn each_alert_of_a_message_has_what_the_other_end_calls_it() {
    let digest = Some(Digest { at_most: Severity::Medium, every: Duration::from_secs(3600) });
    with(World::kind(), Policy { digest, ..Policy::default() }, |world, courier| {
        let gathered = ["a", "b"].map(|name| world.add(name, Severity::Medium));
        let alone = world.add("c", Severity::Critical);
        go(world, courier, 3601);
        let heard = world.heard.lock().unwrap();
        let [(_, one), (_, digest)] = &heard[..] else { panic!("{} messages", heard.len()) };
        assert_eq!(world.row(&alone).receipt, Some(one.key()));
        assert!(gathered.iter().all(|id| world.row(id).receipt == Some(digest.key())));
    });
}

#[test]
fn a_digest_that_failed_comes_back_as_one() {
    let digest = Some(Digest { at_most: Severity::Medium, every: Duration::from_secs(3600) });
    let end = time("2026-01-15T13:02:00Z");
    let world = World::new(move |_, now| if now < end { Verdict::retry("HTTP 500") } else { Verdict::Delivered });
    with(world, Policy { digest, ..Policy::default() }, |world, courier| {
        for each in 0..30 {
            world.add(&format!("m{each}"), Severity::Low);
        }
        go(world, courier, 3600 + 400);
        assert_eq!(world.heard(), [30]);
    });
}

#[test]
fn quiet_hours_keep_back_all_but_what_is_critical() {
    let at = |hour| jiff::civil::Time::constant(hour, 0, 0, 0);
    let quiet = Some(QuietHours { from: at(12), to: at(13), zone: jiff::tz::TimeZone::UTC });
    with(World::kind(), Policy { quiet, ..Policy::default() }, |world, courier| {
        let high = world.add("a", Severity::High);
        world.add("b", Severity::Critical);
        go(world, courier, 3600);
        assert_eq!(world.heard().len(), 1);
        assert_eq!(world.row(&high).attempts, 0, "waiting is no attempt");
        go(world, courier, 1);
        assert_eq!(world.heard().len(), 1);
    });
}

/// The clock is wrong by a year while something fails and something waits; then it is set right.
#[test]
fn a_clock_that_is_set_back_keeps_nothing_waiting() {
    let ahead = time("2027-01-15T12:00:00Z");
    let at = |hour| jiff::civil::Time::constant(hour, 0, 0, 0);
    let quiet = Some(QuietHours { from: at(11), to: at(13), zone: jiff::tz::TimeZone::UTC });
    for restarts in [false, true] {
        let world = World::new(move |_, now| if now < ahead { Verdict::Delivered } else { Verdict::retry("HTTP 500") });
        let world: &'static World = Box::leak(Box::new(world));
        let (channel, routes) = (world.channel(Policy { quiet: quiet.clone(), ..Policy::default() }), routes());
        let office = Office { outbox: world, routes: &routes, clock: world };
        let mut courier = Courier::new(&channel, office);
        *world.now.lock().unwrap() = ahead;
        let failed = world.add("a", Severity::Critical);
        let held = world.add("b", Severity::High);
        go(world, &mut courier, 60);
        assert!(world.row(&failed).attempts > 1);

        let right = time("2026-01-15T12:30:00Z");
        *world.now.lock().unwrap() = right;
        if restarts {
            courier = Courier::new(&channel, office);
        }
        go(world, &mut courier, 1);
        assert_eq!(world.row(&failed).state, Delivery::Sent, "restarts: {restarts}");
        assert_eq!(world.row(&held).at, time("2026-01-15T13:00:00Z"), "the quiet hours hold all the same");
        go(world, &mut courier, 1801);
        assert_eq!(world.row(&held).state, Delivery::Sent);
    }
}

#[test]
fn a_clock_that_slips_by_less_than_a_second_hastens_nothing() {
    let world = World::new(|_, _| Verdict::Retry { after: Some(Duration::from_secs(60)), reason: "busy".to_owned() });
    with(world, Policy::default(), |world, courier| {
        let id = world.add("a", Severity::Low);
        go(world, courier, 10);
        {
            let mut now = world.now.lock().unwrap();
            *now = Timestamp::from_micros(now.micros() - 1_900_000).unwrap();
        }
        go(world, courier, 10);
        assert_eq!(world.row(&id).attempts, 1);
    });
}

#[test]
fn what_was_sent_and_could_not_be_settled_is_settled_before_anything_else() {
    with(World::kind(), Policy::default(), |world, courier| {
        let id = world.add("a", Severity::Low);
        // The claim and the message succeed; then the disk is full for an hour.
        *world.lives.lock().unwrap() = Some(2);
        assert!(courier.round(&NEVER).is_err());
        world.pass(Duration::from_secs(3600));
        assert!(courier.round(&NEVER).is_err());
        *world.lives.lock().unwrap() = None;
        go(world, courier, 2);
        assert_eq!(world.row(&id).state, Delivery::Sent);
        assert_eq!(world.heard().len(), 1, "sent once");
    });
}

/// A stream of numbers that follows from a seed.
fn chance(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % below
    }
}

/// Whatever fails and whenever the process dies: everything is told, nothing twice that was settled, and twice at all
/// only where a process died between the answer and the settling.
#[test]
fn nothing_is_lost_and_nothing_settled_is_told_twice() {
    for seed in 0..100 {
        let mut dice = chance(seed);
        let mut fate = chance(seed ^ 0xdead);
        let world: &'static World = Box::leak(Box::new(World::new(move |_, _| match fate(10) {
            0..=2 => Verdict::retry("HTTP 500"),
            3 => Verdict::Retry { after: Some(Duration::from_secs(fate(100))), reason: "HTTP 429".to_owned() },
            _ => Verdict::Delivered,
        })));
        let policy = || Policy {
            rate: Some(RateLimit { messages: 3, per: Duration::from_secs(300) }),
            digest: Some(Digest { at_most: Severity::Low, every: Duration::from_secs(600) }),
            ..Policy::default()
        };
        let (channel, routes) = (world.channel(policy()), routes());
        let office = Office { outbox: world, routes: &routes, clock: world };
        let mut ids = Vec::new();
        let mut forgotten = 0;
        for life in 0..12 {
            *world.lives.lock().unwrap() = (life < 11).then(|| dice(25) as u32);
            let mut courier = Courier::new(&channel, office);
            for _ in 0..40 {
                for _ in 0..dice(4) {
                    let severity = Severity::ALL[dice(5) as usize];
                    ids.push(world.add_of(["alice", "bob"][dice(2) as usize], &format!("{}", ids.len()), severity));
                }
                let _ = courier.round(&NEVER);
                if *world.lives.lock().unwrap() == Some(0) {
                    // What this one knows dies with it.
                    forgotten += courier.unsettled.len();
                    break;
                }
                world.pass(Duration::from_secs(dice(60)));
            }
            world.pass(Duration::from_secs(dice(1800)));
        }
        // The world calms down.
        *world.answers.lock().unwrap() = Box::new(|_, _| Verdict::Delivered);
        let mut courier = Courier::new(&channel, office);
        for _ in 0..200 {
            courier.round(&NEVER).unwrap();
            world.pass(Duration::from_secs(30));
        }
        let mut told: HashMap<AlertId, u32> = HashMap::new();
        for (_, parcel) in world.heard.lock().unwrap().iter() {
            parcel.alerts().for_each(|alert| *told.entry(alert.id.clone()).or_default() += 1);
        }
        for id in &ids {
            assert_eq!(world.row(id).state, Delivery::Sent, "seed {seed}");
            assert!(told.contains_key(id), "seed {seed}: {id} was never told");
        }
        let repeated: u32 = told.values().map(|count| count - 1).sum();
        assert!(repeated as usize <= forgotten, "seed {seed}: {repeated} told again, {forgotten} forgotten");
    }
}
