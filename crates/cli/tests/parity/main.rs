//! Parity with the AWS CLI: the real `aws cloudtrail validate-logs`, against S3 on this machine and the testkit's
//! CloudTrail, over a trail that the sample signed and over every way of tampering with it; and `trailhound verify` beside
//! it, which must find all that it finds and what was tampered with besides. What both say stands in `docs/integrity.md`;
//! `TRAILHOUND_BLESS=1` writes the table there.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod aws_cli;
mod bucket;
mod ours;
mod tamper;
mod trail;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use sample::{Plan, Signing};
use testkit::http::trails::Trail as Described;
use testkit::http::{Setup, serve};

use crate::aws_cli::{AwsCli, Verdict};
use crate::bucket::{Objects, S3};
use crate::ours::Finding;
use crate::tamper::{MATRIX, Tampering};
use crate::trail::{ARN, BUCKET, FROM, PREFIX, REGION, Trail, UNTIL, label};

/// Where the table stands, between these two lines.
const PAGE: &str = "../../docs/integrity.md";
const BEGIN: &str = "<!-- parity: written by the test of that name -->\n";
const END: &str = "<!-- end of parity -->\n";

/// The tests' Python: `None` where it is not set up, which `cargo xtask test` does.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("TRAILHOUND_PYTHON").map(PathBuf::from);
    if python.is_none() {
        eprintln!("skipped: TRAILHOUND_PYTHON names no interpreter");
    }
    python
}

/// The testkit's CloudTrail, which ends with the test program.
fn cloudtrail(data: &Path, public_keys: &Path, trail: Described) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let setup = Setup {
        data: data.to_owned(),
        public_keys: Some(public_keys.to_owned()),
        trails: vec![trail],
        unlimited: true,
        ..Setup::default()
    };
    std::thread::spawn(move || serve(&listener, setup, || ()).unwrap());
    endpoint
}

fn empty(folder: &Path) -> PathBuf {
    let path = folder.join("no-history");
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn the_aws_cli_calls_an_untouched_trail_of_an_organisation_valid() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let now: jiff::Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
    let late_every = std::num::NonZero::new(4);
    let signing = Signing { late_every, ..Signing::organisation(now) };
    let plan = Plan { days: 7, events: 1_500, files: 140, signing: Some(signing), ..Plan::demo(now) };
    let made = plan.write(folder.path(), |_| {}).unwrap();

    let organisation = fs::read_dir(&made.trail).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    // The trail stands in the management account; the intrusion turns its validation off for an hour.
    let stopped = made.intrusion.iter().find(|step| step.event_name == "UpdateTrail").unwrap();
    let member = made.intrusion.iter().find(|step| step.account != stopped.account).unwrap();
    let arn = format!("arn:aws:cloudtrail:us-east-1:{}:trail/org-trail", stopped.account);
    let described = Described {
        arn: arn.clone(),
        bucket: Signing::organisation(now).bucket,
        prefix: String::new(),
        organization: Some(organisation),
    };
    let mut s3 = S3::start(&python);
    let public_keys = made.signed.unwrap().public_keys;
    let cloudtrail = cloudtrail(&empty(folder.path()), &public_keys, described.clone());
    let all = Objects::read(folder.path());
    let cli = AwsCli { python, s3: s3.endpoint.clone(), cloudtrail };

    for (account, region) in [(&stopped.account, "us-east-1"), (&member.account, "eu-west-1")] {
        let is_theirs = |key: &str| key.contains(&format!("/{account}/")) && key.contains(&format!("/{region}/"));
        let objects: Objects = Objects(
            all.0.iter().filter(|(key, _)| is_theirs(key)).map(|(key, object)| (key.clone(), object.clone())).collect(),
        );
        s3.hold(&described.bucket, &objects);
        let verdict = cli.validate(&arn, region, Some(account), ("2026-01-23T00:00:00Z", "2026-01-31T12:00:00Z"));
        assert_eq!((verdict.exit, &verdict.invalid[..]), (0, &[][..]), "{}", verdict.summary);
        let digests = |keys: &BTreeSet<String>| keys.iter().filter(|key| key.contains("-Digest/")).cloned().collect();
        let (seen, there): (BTreeSet<String>, BTreeSet<String>) =
            (digests(&verdict.valid), digests(&objects.0.keys().cloned().collect()));
        assert_eq!(seen, there, "it looked at every digest");
        assert!(there.iter().any(|key| key.contains("_backfill")));
        let gap = verdict.gaps.iter().filter(|gap| !gap.starts_with("(backfill)")).count();
        assert_eq!(gap, 1, "validation was off once: {:?}", verdict.gaps);
        // Log files of the hour without validation and of the hour that runs are nobody's.
        let logs = objects.0.keys().filter(|key| key.contains("/CloudTrail/")).count();
        let seen = verdict.valid.len() - seen.len();
        assert!(seen <= logs && seen + 4 >= logs && seen > 4, "{seen} of {logs} log files");
    }
}

#[test]
fn whatever_the_aws_cli_finds_is_found_and_more() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let trail = Trail::write(folder.path());
    let described =
        Described { arn: ARN.to_owned(), bucket: BUCKET.to_owned(), prefix: PREFIX.to_owned(), organization: None };
    let cloudtrail = cloudtrail(&empty(folder.path()), &folder.path().join("public-keys.json"), described);

    // Each half in a bucket of its own on a server of its own, so that both cores have something to do.
    let rows = std::thread::scope(|scope| {
        let half = |first: usize| {
            let (trail, python, cloudtrail) = (&trail, python.clone(), cloudtrail.clone());
            scope.spawn(move || {
                let mut s3 = S3::start(&python);
                let cli = AwsCli { python, s3: s3.endpoint.clone(), cloudtrail };
                let rows = MATRIX.iter().enumerate().skip(first).step_by(2);
                rows.map(|(number, tampering)| (number, row(tampering, trail, &mut s3, &cli))).collect::<Vec<_>>()
            })
        };
        let halves = [half(0), half(1)];
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect::<BTreeMap<usize, String>>()
    });
    let rows: String = rows.into_values().collect();
    assert_table(&format!("| what was done | the AWS CLI says | `trailhound verify` says |\n|---|---|---|\n{rows}"));
}

/// Tampers with the trail and asks about it.
fn row(tampering: &Tampering, trail: &Trail, s3: &mut S3, cli: &AwsCli) -> String {
    let mut objects = trail.objects.clone();
    let culprits = (tampering.apply)(trail, &mut objects);
    s3.hold(BUCKET, &objects);
    let verdict = cli.validate(ARN, REGION, None, (FROM, UNTIL));
    if tampering.what == "nothing" {
        assert_eq!(verdict.valid, trail.objects.0.keys().cloned().collect(), "everything is valid");
    }
    assert_eq!(verdict.exit, i32::from(!verdict.invalid.is_empty()));
    // Whoever blames an object that nobody touched is wrong.
    let wrongly = verdict.invalid.iter().find(|finding| !culprits.contains(&finding.key));
    assert!(wrongly.is_none(), "{}: {wrongly:?}, not {culprits:?}", tampering.what);

    let home = tempfile::tempdir().unwrap();
    let address = format!("s3://{BUCKET}/{PREFIX}");
    let ours = ours::verify(home.path(), &address, UNTIL, (&s3.endpoint, &cli.cloudtrail));
    let names = |finding: &Finding, key: &str| match &finding.key {
        Some(named) => named == key,
        // A digest that no other names is missed by its hour.
        None => end_of(key).is_some_and(|end| finding.covers(&end)),
    };
    let found = |key: &str| ours.findings.iter().any(|finding| finding.is_wrong() && names(finding, key));
    let missed = verdict.invalid.iter().find(|finding| !found(&finding.key));
    assert!(missed.is_none(), "{}: only the AWS CLI finds {missed:?}: {:?}", tampering.what, ours.findings);
    for missed in culprits.iter().filter(|culprit| !found(culprit)) {
        assert!(tampering.is_too_new, "{}: {missed} is not found: {:?}", tampering.what, ours.findings);
    }
    // Of what a digest named that is gone or not sound nobody can say that it is sound, nor that it is not.
    let is_culprit = |finding: &&Finding| culprits.iter().any(|key| names(finding, key));
    let wrongly = ours.findings.iter().find(|finding| finding.is_wrong() && !is_culprit(finding));
    assert!(wrongly.is_none(), "{}: {wrongly:?}, not {culprits:?}", tampering.what);
    assert_eq!(ours.exit == 4, ours.findings.iter().any(Finding::is_wrong), "{}: {ours:?}", tampering.what);
    format!("| {} | {} | {} |\n", tampering.what, cell(&verdict), our_cell(&ours))
}

/// The time in a digest's name.
fn end_of(key: &str) -> Option<String> {
    let name = key.contains("/CloudTrail-Digest/").then(|| key.rsplit('/').next()).flatten()?;
    let end = name.split(['_', '.']).find(|part| part.len() == 16 && part.ends_with('Z'))?;
    let digits = [&end[..4], &end[4..6], &end[6..8], &end[9..11], &end[11..13], &end[13..15]];
    let [year, month, day, hour, minute, second] = digits;
    Some(format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

fn our_cell(verdict: &ours::Verdict) -> String {
    let told = verdict.findings.iter().map(|finding| {
        let what = finding.key.as_deref().map_or_else(|| finding.time(), label);
        let words = finding.detail.split(' ').map(shortened).collect::<Vec<String>>().join(" ");
        format!("{what}: {}: {words}", finding.status.replace('_', " "))
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { "all verified".to_owned() } else { told.join("<br>") }
}

/// A name by its label, and a hash by its first digits.
fn shortened(word: &str) -> String {
    let hash = word.trim_end_matches(',');
    if let Some((bucket, key)) = word.strip_prefix("s3://").and_then(|path| path.split_once('/')) {
        format!("{} in {bucket}", label(key))
    } else if word.ends_with(".json.gz") {
        label(word)
    } else if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        word.replace(hash, &format!("{}…", &hash[..8]))
    } else {
        word.to_owned()
    }
}

fn cell(verdict: &Verdict) -> String {
    let invalid = verdict.invalid.iter().map(|finding| format!("{}: {}", label(&finding.key), finding.problem));
    let told: Vec<String> = invalid.chain(verdict.gaps.iter().cloned()).collect();
    if told.is_empty() { "all valid".to_owned() } else { told.join("<br>") }
}

/// Compares the table with the page's.
#[track_caller]
fn assert_table(table: &str) {
    let page = fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (old, after) = rest.split_once(END).unwrap();
    if std::env::var_os("TRAILHOUND_BLESS").is_some() {
        fs::write(PAGE, format!("{before}{BEGIN}\n{table}\n{END}{after}")).unwrap();
        return;
    }
    assert_eq!(old.trim(), table.trim(), "docs/integrity.md is out of date: TRAILHOUND_BLESS=1 writes it");
}
