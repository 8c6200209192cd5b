//! Collecting live: the real binary and the real SDK against the testkit's CloudTrail over HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use testkit::http::{Dial, HttpFaults, Setup, serve};

use crate::support::{Ran, World};

pub(crate) const ACCOUNT: &str = "111122223333";
/// Streams of one account in the service's three regions, without a home region of Identity Center.
const STREAMS: u64 = 12;

/// A home, a folder of logs and the service that answers from it.
pub(crate) struct Live {
    pub(crate) world: World,
    pub(crate) endpoint: String,
}

impl Live {
    pub(crate) fn new(setup: impl FnOnce(&mut Setup)) -> Live {
        Live::with(setup, &[])
    }

    /// With these records in the history when it begins.
    pub(crate) fn with(setup: impl FnOnce(&mut Setup), records: &[Value]) -> Live {
        let world = World::new();
        let mut with = Setup { data: world.path("history"), unlimited: true, ..Setup::default() };
        setup(&mut with);
        let live = Live { world, endpoint: String::new() };
        // The first account there is a record of is the credentials' own.
        live.add("own.json", &[record("ListKeys", "kms", "us-east-1", 4000, "own")]);
        live.add("0.json", records);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        // It ends with the test program.
        std::thread::spawn(move || serve(&listener, with, || ()));
        Live { endpoint, ..live }
    }

    pub(crate) fn add(&self, name: &str, records: &[Value]) {
        // Renamed into its place: the service must not see half of a file.
        let text = serde_json::json!({ "Records": records }).to_string();
        let beside = self.world.file("beside.json", text);
        let path = self.world.path("history").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::rename(beside, path).unwrap();
    }

    pub(crate) fn configure(&self, text: &str) -> PathBuf {
        self.world.file("home/trailhound.toml", text)
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trailhound"));
        for (name, _) in std::env::vars_os() {
            if ["TRAILHOUND_", "AWS_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
            .env_remove("FAILPOINTS")
            .envs([("USER", "tester"), ("NO_COLOR", "1"), ("AWS_EC2_METADATA_DISABLED", "true")])
            .envs([("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")])
            .env("AWS_CONFIG_FILE", self.world.path("no-config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.world.path("no-credentials"))
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("TRAILHOUND_COLLECT_CALLS_PER_SECOND", "0")
            .arg("--home")
            .arg(self.world.home());
        command
    }

    pub(crate) fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Ran {
        Ran(self.command().args(arguments).output().unwrap())
    }

    pub(crate) fn collect(&self) -> Ran {
        self.run(["collect", "--summary", "json"])
    }

    /// What is stored, by id.
    pub(crate) fn ids(&self) -> BTreeSet<String> {
        let raw = self.run(["events", "--raw", "--limit", "0"]).code(0).stdout();
        let ids: BTreeSet<String> = raw.lines().map(|line| id(&serde_json::from_str(line).unwrap())).collect();
        assert_eq!(ids.len(), raw.lines().count(), "an event is stored twice");
        ids
    }
}

pub(crate) fn id(record: &Value) -> String {
    record["eventID"].as_str().unwrap().to_owned()
}

/// A record so many seconds old.
pub(crate) fn record(name: &str, source: &str, region: &str, age: i64, id: &str) -> Value {
    #[expect(clippy::disallowed_methods, reason = "the binary lives in the real time")]
    let now = jiff::Timestamp::now().as_second();
    let time = jiff::Timestamp::from_second(now - age).unwrap().to_string();
    let event = testkit::event(name).source(source).region(region).account(ACCOUNT).at(&time).iam_user("alice");
    event.id(&format!("{name}-{id}")).build()
}

/// The identity streams that have records here, with as many as chance says.
fn history(random: &mut fastrand::Rng) -> Vec<Value> {
    let mut records = Vec::new();
    let streams = [
        ("CreateUser", "iam", "us-east-1"),
        ("AssumeRole", "sts", "us-east-1"),
        ("AssumeRole", "sts", "eu-west-1"),
        ("ConsoleLogin", "signin", "eu-west-1"),
        ("CreateAccount", "organizations", "us-east-1"),
    ];
    for (name, source, region) in streams {
        // Nothing, a few, exactly a page, or a burst within one second that goes over pages, a few times over many.
        let (number, burst) = match random.u8(0..80) {
            0..20 => (0, false),
            20..50 => (random.i64(1..40), false),
            50..60 => (50, false),
            60..78 => (random.i64(51..220), random.bool()),
            _ => (random.i64(1000..2000), true),
        };
        let together = random.i64(20..80 * 86_400);
        for place in 0..number {
            let age = if burst { together } else { random.i64(20..80 * 86_400) };
            records.push(record(name, source, region, age, &format!("{region}-{place}")));
        }
    }
    records
}

/// The fewest calls that read what is not covered yet: a page for every 50 records, and one for every stream without any.
/// `status` is what is covered, where anything is.
fn fewest_calls(records: &[Value], status: Option<&Value>, denied: &[&str]) -> u64 {
    let mut covered: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for stream in status.into_iter().flat_map(|status| status["collecting"]["streams"].as_array().unwrap()) {
        let mut parts = stream["stream"].as_str().unwrap().splitn(3, '/').skip(1);
        let key = (parts.next().unwrap(), parts.next().unwrap());
        covered.insert(key, stream["covered_to"].as_str().unwrap_or_default());
    }
    let mut streams: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for record in records {
        let part = |key: &str| record[key].as_str().unwrap();
        let key = (part("awsRegion"), part("eventSource"));
        let is_open = covered.get(&key).is_none_or(|to| part("eventTime") >= &to[..to.len().min(19)]);
        *streams.entry(key).or_default() += u64::from(is_open);
    }
    streams.retain(|(region, _), number| *number > 0 && !denied.contains(region));
    // Of the region that is denied here nobody asks for more than the sign-in and STS.
    let empty = STREAMS - 2 * denied.len() as u64 - streams.len() as u64;
    empty + streams.values().map(|number| number.div_ceil(50)).sum::<u64>()
}

fn sum(report: &Value, field: &str) -> u64 {
    report["streams"].as_array().unwrap().iter().map(|stream| stream[field].as_u64().unwrap()).sum()
}

/// Ends a pass at a step of its own or at any time. Returns whether it was ended.
fn cut_short(live: &Live, random: &mut fastrand::Rng) -> bool {
    let mut command = live.command();
    command.arg("collect").stderr(Stdio::null()).stdout(Stdio::null());
    let points: Vec<&str> = [pipeline::ingest::FAILPOINTS, pipeline::collect::pass::FAILPOINTS].concat();
    if random.bool() {
        let ended = command.env("FAILPOINTS", format!("{}=return", random.choice(points).unwrap())).status().unwrap();
        return ended.code().is_none();
    }
    let mut child = command.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(random.u64(50..1500)));
    child.kill().unwrap();
    child.wait().unwrap();
    true
}

/// Passes until everything is read. Returns the reports.
fn read_to_the_end(live: &Live, seed: u64) -> Vec<Value> {
    let mut reports = Vec::new();
    loop {
        let ran = live.collect();
        reports.push(match ran.0.status.code() {
            Some(0) => break reports.into_iter().chain([ran.json()]).collect(),
            Some(4) if reports.len() < 8 => ran.json(),
            code => panic!("seed {seed}: ended with {code:?}: {}", ran.stderr()),
        });
    }
}

/// The most events of a second that are read where every tenth token is lost.
const LARGEST_SECOND: usize = 250;

/// The events of the second that has most of them in one stream.
fn largest_second(records: &[Value]) -> usize {
    let mut seconds: BTreeMap<[&str; 3], usize> = BTreeMap::new();
    for record in records {
        let second = ["awsRegion", "eventSource", "eventTime"].map(|key| record[key].as_str().unwrap());
        *seconds.entry(second).or_default() += 1;
    }
    seconds.into_values().max().unwrap_or(0)
}

/// One world: faults, a crash, a denial and a wrong clock by chance, records that come late; then quiet. The store must
/// equal the truth, and no page may be read in vain.
fn survive(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut records = history(&mut random);
    let is_calm = seed.is_multiple_of(4);
    let some = |random: &mut fastrand::Rng, of: u32| !is_calm && random.u32(0..of) == 0;
    let doubled = some(&mut random, 3);
    if doubled {
        let again: Vec<Value> = records.iter().filter(|_| random.u8(0..20) == 0).cloned().collect();
        records.extend(again);
    }
    // Ours is hours ahead of the service's for a while, or a few minutes behind it for good.
    let ahead = if some(&mut random, 4) { *random.choice(&[-3 * 3600, 4 * 60]).unwrap() } else { 0_i64 };
    let (dial, mut faults) = (Dial::default(), HttpFaults::default());
    dial.set_clock(ahead * 1_000_000);
    if !is_calm {
        faults = HttpFaults {
            throttled: [0.0, 0.2, 0.6][random.usize(0..3)],
            unavailable: [0.0, 0.1][random.usize(0..2)],
            cut: [0.0, 0.1][random.usize(0..2)],
            token_lost: [0.0, 0.1][random.usize(0..2)],
            seed,
        };
    }
    // A second can be read only by its tokens, page after page: of forty pages every tenth token may not be lost.
    if largest_second(&records) > LARGEST_SECOND {
        faults.token_lost = 0.0;
    }
    let live =
        Live::with(|setup| (setup.faults, setup.dial, setup.doubled) = (faults, dial.clone(), doubled), &records);
    // A token that is lost has pages read again, and so has a crash.
    let mut is_counted = faults.token_lost == 0.0;
    // A clock that turns out to be wrong costs each of the three regions a call.
    let spare = if ahead == 0 { 0 } else { 3 };
    let check = |reports: &[Value], least: u64, what: &str| {
        let [report] = reports else { return };
        let calls = sum(report, "calls");
        assert!(calls * 10 <= least * 11 + spare * 10, "seed {seed}: {calls} calls {what} where {least} were needed");
        if is_calm {
            assert_eq!((calls, sum(report, "failed_calls")), (least, 0), "seed {seed}: {what}");
        }
    };
    let mut status = None;
    let status_now = || Some(live.run(["status", "--format", "json"]).json());
    if some(&mut random, 2) && cut_short(&live, &mut random) {
        is_counted = false;
    }
    if some(&mut random, 4) {
        dial.deny(&["eu-west-1"]);
        let report = live.collect().code(4).json();
        let (denied, others): (Vec<_>, Vec<_>) =
            report["streams"].as_array().unwrap().iter().partition(|stream| !stream["trouble"].is_null());
        let kinds: BTreeSet<&str> = denied.iter().map(|stream| stream["trouble"]["kind"].as_str().unwrap()).collect();
        assert!(denied.len() >= 2 && kinds.contains("access-denied"), "seed {seed}: {report}");
        if is_counted && others.len() as u64 == STREAMS - 2 {
            check(std::slice::from_ref(&report), fewest_calls(&records, None, &["eu-west-1"]), "with a region denied");
        }
        dial.deny(&[]);
        status = is_counted.then(status_now).flatten();
    }
    let reports = read_to_the_end(&live, seed);
    if is_counted {
        check(&reports, fewest_calls(&records, status.as_ref(), &[]), "to read all");
    }
    if random.u8(0..3) == 0 || ahead < 0 {
        dial.set_clock(ahead.max(0) * 1_000_000);
        let is_counted = is_counted && ahead >= 0;
        let status = is_counted.then(status_now).flatten();
        let late: Vec<Value> = (0..random.i64(1..80))
            .map(|place| record("AssumeRole", "sts", "eu-west-1", random.i64(20..300), &format!("late-{place}")))
            .collect();
        live.add("late.json", &late);
        records.extend(late);
        // The service looks for files once a second.
        std::thread::sleep(Duration::from_millis(1100));
        let reports = read_to_the_end(&live, seed);
        if is_counted {
            check(&reports, fewest_calls(&records, status.as_ref(), &[]), "to read what came late");
        }
    }
    let expected: BTreeSet<String> = records.iter().map(id).collect();
    let found = live.ids();
    let (lost, added) = (expected.difference(&found).count(), found.difference(&expected).count());
    assert!(lost == 0 && added == 0, "seed {seed}: {lost} lost, {added} added");
    let status = live.run(["status", "--format", "json"]).code(0).json();
    assert!(
        status["collecting"]["verdict"].as_str().unwrap().starts_with("all 12 streams are covered up to"),
        "{status}"
    );
}

/// A part of the worlds, which are shared out among threads that mostly wait.
fn worlds(part: u64) {
    let all: u64 = std::env::var("TRAILHOUND_TEST_WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let next = Mutex::new(part * all / PARTS..(part + 1) * all / PARTS);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(seed) = { next.lock().unwrap().next() } {
                    survive(seed);
                }
            });
        }
    });
}

/// Into so many tests: one alone takes a quarter of an hour.
const PARTS: u64 = 4;

#[test]
fn whatever_goes_wrong_on_the_way_everything_arrives() {
    worlds(0);
}

#[test]
fn whatever_goes_wrong_everything_arrives_in_other_worlds() {
    worlds(1);
}

#[test]
fn whatever_goes_wrong_everything_arrives_in_more_worlds() {
    worlds(2);
}

#[test]
fn whatever_goes_wrong_everything_arrives_in_the_last_worlds() {
    worlds(3);
}

#[test]
fn a_second_pass_costs_a_call_for_each_stream() {
    let records =
        [record("CreateUser", "iam", "us-east-1", 7200, "1"), record("AssumeRole", "sts", "eu-west-1", 60, "2")];
    let live = Live::with(|_| (), &records);
    let first = live.collect().code(0).json();
    assert_eq!((sum(&first, "calls"), sum(&first, "stored")), (STREAMS, 2));
    let second = live.collect().code(0).json();
    assert_eq!((sum(&second, "calls"), sum(&second, "stored"), sum(&second, "duplicates")), (STREAMS, 0, 1));
    live.add("1.json", &[record("DeleteUser", "iam", "us-east-1", 30, "3")]);
    std::thread::sleep(Duration::from_millis(1100));
    let third = live.run(["collect"]).code(0).stderr();
    assert!(third.contains("12 of 12 streams read to their end"), "{third}");
    assert!(third.contains("= 1 stored"), "{third}");
    assert_eq!(live.ids().len(), 3);
}

#[test]
fn a_region_that_is_denied_is_named_and_stops_no_other() {
    let records =
        [record("AssumeRole", "sts", "us-east-1", 60, "1"), record("AssumeRole", "sts", "eu-west-1", 60, "2")];
    let live = Live::with(|setup| setup.denied.push("eu-west-1".to_owned()), &records);
    let ran = live.run(["collect"]).code(4);
    let told = ran.stderr();
    assert!(told.contains("111122223333/eu-west-1/signin.amazonaws.com and 1 more stream: access denied: cloudtrail:LookupEvents is not allowed"), "{told}");
    assert!(told.contains("allow the action"), "{told}");
    assert_eq!(live.ids().len(), 1);
    let status = live.run(["status"]).code(4).stdout();
    assert!(status.contains("2 of 12 streams have gaps"), "{status}");
    assert!(status.contains("access-denied"), "{status}");
}

#[test]
fn a_paused_stream_is_not_read_until_it_is_resumed() {
    let live = Live::with(|_| (), &[record("AssumeRole", "sts", "eu-west-1", 60, "1")]);
    let stream = "111122223333/eu-west-1/sts.amazonaws.com";
    live.run(["collect", "pause", "111122223333/eu-west-1/sts", "--reason", "load test"]).code(0);
    let first = live.collect().code(0).json();
    assert_eq!((sum(&first, "calls"), sum(&first, "stored")), (STREAMS - 1, 0));
    let status = live.run(["status"]).code(4).stdout();
    assert!(status.contains("paused by tester: load test; resume the stream"), "{status}");
    let told = live.run(["collect", "resume", "*/eu-west-1/*"]).code(0).stdout();
    assert!(told.contains(&format!("resumed {stream}")) && told.contains("1 stream was not paused"), "{told}");
    assert_eq!(sum(&live.collect().code(0).json(), "stored"), 1);
    let unknown = live.run(["collect", "pause", "*/mars-1/*"]).code(2).stderr();
    assert!(unknown.contains("no stream is called"), "{unknown}");
}

#[test]
fn wrong_credentials_and_a_service_that_is_away_are_told_as_such() {
    let live = Live::new(|_| ());
    let none =
        live.command().env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").arg("collect").output();
    let told = Ran(none.unwrap()).code(1).stderr();
    assert!(told.contains("the credentials are not accepted: none were found: set AWS_PROFILE"), "{told}");
    let away = live.command().env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").arg("collect").output();
    let told = Ran(away.unwrap()).code(1).stderr();
    assert!(told.contains("no proper answer from the service"), "{told}");
    let status = live.run(["status"]).code(4).stdout();
    assert!(status.contains("not known since"), "{status}");
}

#[test]
fn accounts_are_read_by_their_roles_and_one_that_fails_stops_no_other() {
    let other = "444455556666";
    let mut record = record("CreateUser", "iam", "us-east-1", 60, "other");
    record["recipientAccountId"] = other.into();
    record["userIdentity"]["accountId"] = other.into();
    let live = Live::with(|_| (), &[record]);
    live.world.file(
        "home/trailhound.toml",
        format!("[[accounts]]\nrole = 'arn:aws:iam::{other}:role/trailhound'\nexternal_id = {{ env = 'THEIR_ID' }}\n\n[[accounts]]\nrole = 'nonsense'\n"),
    );
    let missing = live.collect().code(2).stderr();
    assert!(missing.contains("external_id: the environment variable THEIR_ID is not set"), "{missing}");
    let ran = Ran(live.command().env("THEIR_ID", "hush-hush").args(["collect"]).output().unwrap()).code(4);
    assert!(ran.stderr().contains("\"nonsense\" is no ARN of a role"), "{}", ran.stderr());
    assert!(!ran.stderr().contains("hush-hush"));
    assert_eq!(live.ids(), BTreeSet::from(["CreateUser-other".to_owned()]));
    let shown =
        Ran(live.command().env("THEIR_ID", "hush-hush").args(["config", "show"]).output().unwrap()).code(0).stdout();
    assert!(!shown.contains("hush-hush"), "{shown}");
}

#[test]
fn an_external_id_that_aws_does_not_give_stops_no_other_account() {
    let live = Live::with(|_| (), &[record("CreateUser", "iam", "us-east-1", 60, "1")]);
    let secret = |arn: &str| {
        live.configure(&format!(
            "[[accounts]]\nrole = 'arn:aws:iam::444455556666:role/trailhound'\nexternal_id = {{ aws = '{arn}' }}\n"
        ))
    };
    secret("arn:aws:secretsmanager:us-east-1:111122223333:secret:theirs-AbCdEf");
    let ran = live.run(["collect"]).code(4);
    assert!(
        ran.stderr().contains("arn:aws:iam::444455556666:role/trailhound: external_id of [[accounts]]: "),
        "{}",
        ran.stderr()
    );
    assert_eq!(live.ids(), BTreeSet::from(["CreateUser-1".to_owned()]));
    let status = live.run(["status"]).code(4).stdout();
    assert!(status.contains("not known since") && status.contains("secret:theirs-AbCdEf: "), "{status}");
    // What can be seen without AWS is a mistake.
    secret("theirs");
    assert!(live.collect().code(2).stderr().contains("external_id: what aws = names is no ARN"));
}

/// The disk takes no file of the lake, and of the state nothing as long as there is ballast.
#[test]
fn a_full_disk_is_in_the_status_and_people_are_told() {
    let live = Live::new(|_| ());
    live.collect().code(0);
    live.add("1.json", &[record("CreateUser", "iam", "us-east-1", 60, "1")]);
    std::thread::sleep(Duration::from_millis(1100));
    let alerts = live.world.path("alerts.jsonl");
    live.configure(&format!("[[notify]]\nname = 'file'\nkind = 'file'\npath = '{}'\n", alerts.display()));
    let ballast = live.world.home().join("ballast");
    let full = |points: &str| {
        let points = format!("{}=return;{points}", lake::PUT_FULL);
        Ran(live.command().args(["collect"]).env("FAILPOINTS", points).output().unwrap()).code(1)
    };
    let of_state = "state::end-run::full=return;state::record-alerts::full=return";
    for points in [of_state.to_owned(), format!("{of_state};state::begin-run::full=return")] {
        assert!(ballast.exists());
        let ran = full(&points);
        assert!(ran.stderr().contains("the disk is full"), "{}", ran.stderr());
        assert!(!ballast.exists(), "it made room");
        let status = live.run(["status"]).code(4).stdout();
        assert!(status.contains("the last pass failed"), "{status}");
        let failed = status.lines().find(|line| line.starts_with("failed ")).unwrap();
        assert!(
            failed.contains("(collect, ") && failed.contains("the disk is full: ") && failed.contains("make room"),
            "{failed}"
        );
        assert!(!status.contains("unfinished"), "{status}");
        // Somebody makes room; whatever comes next lays it again.
        live.run(["collect", "--region", "us-west-2"]).code(0);
    }
    let told = std::fs::read_to_string(&alerts).unwrap();
    assert!(told.contains("disk-full"), "{told}");
    // What was missed is read.
    live.collect().code(0);
    assert_eq!(live.ids(), BTreeSet::from(["CreateUser-1".to_owned()]));
    let status = live.run(["status"]).code(0).stdout();
    assert!(!status.contains("failed  "), "{status}");
}

#[test]
fn every_account_of_the_organisation_is_read_through_its_role() {
    let accounts = [ACCOUNT, "444455556666", "777788889999"];
    let records: Vec<Value> = accounts
        .iter()
        .map(|account| {
            let mut record = record("CreateUser", "iam", "us-east-1", 60, account);
            record["recipientAccountId"] = (*account).into();
            record
        })
        .collect();
    let live = Live::with(|_| (), &records);
    live.configure("[collect]\nregions = ['us-east-1']\n[[accounts]]\norganization_role = 'audit/trailhound'\n");
    let report = live.collect().code(0).json();
    assert_eq!(report["streams"].as_array().unwrap().len(), accounts.len() * 8);
    assert_eq!(live.ids(), records.iter().map(id).collect());
    let covered = live.run(["sql", "SELECT DISTINCT account_id FROM coverage ORDER BY 1", "--format", "csv"]).code(0);
    assert_eq!(covered.stdout(), format!("account_id\n{}\n", accounts.join("\n")));
}
