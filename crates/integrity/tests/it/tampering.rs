//! Everything that somebody may do to a bucket, and that it is told, of the right object.

use std::sync::atomic::Ordering;

use integrity::evidence::Trouble;
use integrity::hash::Sha256;
use integrity::keys::{KeyFile, KeySource, PublicKey};
use integrity::report::{Kind, Status};
use integrity::verify::Only;
use serde_json::{Value, json};

use crate::world::{ACCOUNT, KEYS, MemoryJournal, REGION, Report, World, Writer, at, gunzip, gzip, plus};
use event::Timestamp;

/// Thirty hours over midnight, with two or three files in each but some quiet ones.
pub(crate) fn trail() -> (World, Vec<(Vec<String>, String)>) {
    let mut world = World::new("2026-01-15T16:30:00Z");
    let mut writer = Writer::new("2026-01-14T10:01:31Z");
    let hours = (0..30).map(|hour| writer.hour(&mut world, [2, 0, 3, 2][hour % 4])).collect();
    (world, hours)
}

fn digest_text(world: &World, key: &str) -> Value {
    serde_json::from_slice(&gunzip(&world.objects[key].bytes).unwrap()).unwrap()
}

#[test]
fn an_untouched_trail_is_verified_to_the_last_object() {
    let (world, hours) = trail();
    let report = world.verify();
    report.assert_clean();
    let files: usize = hours.iter().map(|(files, _)| files.len()).sum();
    assert_eq!((report.totals.digests.verified, report.totals.logs.verified), (30, files as u64));
    assert_eq!((report.totals.listed_logs, report.totals.named_logs), (files as u64, files as u64));
    assert_eq!((report.totals.quiet, report.totals.by_successor, report.totals.named_elsewhere), (8, 0, 0));
    let [chain] = &report.chains[..] else { panic!("one chain: {:?}", report.chains) };
    assert_eq!((chain.trail.as_str(), chain.digests), ("main", 30));
    assert_eq!((chain.from, chain.to), (at("2026-01-14T10:01:31Z"), at("2026-01-15T16:01:31Z")));
    let statuses: Vec<Status> = report.hours.iter().map(|hour| hour.status).collect();
    // The last half an hour has no digest yet.
    assert_eq!(statuses.len(), 31);
    assert!(statuses[..30].iter().all(|status| *status == Status::Verified));
    assert_eq!(statuses[30], Status::NotDue);
    assert_eq!(report.hours.iter().map(|hour| hour.counts.logs.verified).sum::<u64>(), files as u64);
}

#[test]
fn a_changed_byte_a_truncated_file_and_appended_bytes() {
    for (what, change) in [
        ("changed", (|bytes| *bytes = gzip(b"{\"Records\":[]}")) as fn(&mut Vec<u8>)),
        ("truncated", |bytes| bytes.truncate(bytes.len() - 1)),
        ("empty", Vec::clear),
        ("appended a byte", |bytes| bytes.push(0)),
        ("appended a member", |bytes| bytes.extend(gzip(b"x"))),
        ("inflated", |bytes| *bytes = gunzip(bytes).unwrap()),
    ] {
        let (mut world, hours) = trail();
        let (files, digest) = &hours[6];
        change(&mut world.objects.get_mut(&files[1]).unwrap().bytes);
        let report = world.verify();
        report.assert_told(vec![(Status::Tampered, Kind::Log, &files[1])]);
        assert_eq!(report.hour("2026-01-14T16:00:00Z"), Status::Tampered, "{what}");
        assert_eq!(report.hour("2026-01-14T17:00:00Z"), Status::Verified, "{what}");

        let (mut world, _) = trail();
        change(&mut world.objects.get_mut(digest).unwrap().bytes);
        let report = world.verify();
        report.assert_told(vec![(Status::Tampered, Kind::Digest, digest)]);
        // Its files are there, and nothing sound says of them what they were.
        assert_eq!((report.totals.logs.unjudged, report.totals.logs.injected), (files.len() as u64, 0), "{what}");
    }
}

#[test]
fn a_file_that_was_compressed_again_is_the_same_file() {
    let (mut world, hours) = trail();
    let stored = world.objects.get_mut(&hours[2].0[0]).unwrap();
    let content = gunzip(&stored.bytes).unwrap();
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::new(12).unwrap());
    let mut again = vec![0; compressor.gzip_compress_bound(content.len())];
    let length = compressor.gzip_compress(&content, &mut again).unwrap();
    again.truncate(length);
    assert_ne!(stored.bytes, again);
    stored.bytes = again;
    world.verify().assert_clean();
}

#[test]
fn a_swapped_pair_a_renamed_file_and_a_removed_one() {
    let (mut world, hours) = trail();
    let (one, other) = (&hours[2].0[0], &hours[2].0[2]);
    let bytes = world.objects[one].bytes.clone();
    let swapped = std::mem::replace(&mut world.objects.get_mut(other).unwrap().bytes, bytes);
    world.objects.get_mut(one).unwrap().bytes = swapped;
    world.verify().assert_told(vec![(Status::Tampered, Kind::Log, one), (Status::Tampered, Kind::Log, other)]);

    let (mut world, hours) = trail();
    let file = &hours[2].0[0];
    let stored = world.objects.remove(file).unwrap();
    let renamed = file.replace("_0000", "_1000");
    world.objects.insert(renamed.clone(), stored);
    let report = world.verify();
    report.assert_told(vec![(Status::Missing, Kind::Log, file), (Status::Injected, Kind::Log, &renamed)]);

    let (mut world, hours) = trail();
    world.objects.remove(&hours[2].0[0]);
    world.verify().assert_told(vec![(Status::Missing, Kind::Log, &hours[2].0[0])]);
}

#[test]
fn a_removed_digest_is_missing_and_so_are_its_neighbours() {
    let (mut world, hours) = trail();
    world.objects.remove(&hours[6].1);
    let report = world.verify();
    report.assert_told(vec![(Status::Missing, Kind::Digest, &hours[6].1)]);
    assert_eq!(report.totals.gaps, 0);
    assert_eq!(report.totals.logs.unjudged, hours[6].0.len() as u64);
    assert_eq!(report.hour("2026-01-14T16:00:00Z"), Status::Missing);

    // Of the older one of two nothing is left that names it, but for the time that nothing covers.
    let (mut world, hours) = trail();
    for hour in [5, 6] {
        world.objects.remove(&hours[hour].1);
    }
    let report = world.verify();
    report.assert_told(vec![(Status::Missing, Kind::Digest, &hours[6].1), (Status::Missing, Kind::Gap, "")]);
    let gap = report.findings.iter().find(|finding| finding.kind == Kind::Gap).unwrap();
    assert_eq!((gap.from, gap.to), (at("2026-01-14T15:01:31Z"), Some(at("2026-01-14T16:01:31Z"))));
    assert_eq!((report.totals.gaps, report.totals.digests.missing), (1, 1));
    assert_eq!(report.hour("2026-01-14T15:00:00Z"), Status::Missing);

    // Three days of them, over days that have no folder of digests any more.
    let mut world = World::new("2026-01-18T10:30:00Z");
    let mut writer = Writer::new("2026-01-14T10:00:00Z");
    let hours: Vec<(Vec<String>, String)> = (0..96).map(|_| writer.hour(&mut world, 1)).collect();
    for (_, digest) in &hours[10..80] {
        world.objects.remove(digest);
    }
    let report = world.verify();
    report.assert_told(vec![(Status::Missing, Kind::Digest, &hours[79].1), (Status::Missing, Kind::Gap, "")]);
    assert_eq!((report.totals.logs.unjudged, report.totals.logs.unsigned), (70, 0));

    // The oldest one.
    let (mut world, hours) = trail();
    world.objects.remove(&hours[0].1);
    world.verify().assert_told(vec![(Status::Missing, Kind::Digest, &hours[0].1)]);
}

#[test]
fn an_edited_digest_a_forged_signature_and_a_wrong_key() {
    let (mut world, hours) = trail();
    let (files, digest) = &hours[2];
    let mut text = digest_text(&world, digest);
    // Somebody who removes a file, and its entry.
    text["logFiles"].as_array_mut().unwrap().remove(0);
    world.objects.get_mut(digest).unwrap().bytes = gzip(text.to_string().as_bytes());
    world.objects.remove(&files[0]);
    let report = world.verify();
    report.assert_told(vec![(Status::Tampered, Kind::Digest, digest)]);
    assert!(report.findings[0].detail.contains("signature verification failed"));

    // Who makes it say that it is of ten years makes no more than its day doubtful.
    let (mut world, hours) = trail();
    let (_, digest) = &hours[29];
    let mut text = digest_text(&world, digest);
    text["digestStartTime"] = json!("2016-01-14T14:01:31Z");
    world.objects.get_mut(digest).unwrap().bytes = gzip(text.to_string().as_bytes());
    let mut writer = Writer { number: 9_000, ..Writer::new("2026-01-14T10:01:31Z") };
    let injected = writer.log(&mut world, at("2026-01-14T11:20:00Z"), b"injected");
    world
        .verify()
        .assert_told(vec![(Status::Tampered, Kind::Digest, digest), (Status::Injected, Kind::Log, &injected)]);

    // And who signs it again, with a key of his own.
    let (mut world, hours) = trail();
    let (_, digest) = &hours[2];
    let mut text = digest_text(&world, digest);
    text["logFiles"].as_array_mut().unwrap().remove(0);
    let text = text.to_string();
    let signed = format!(
        "{}\n{}/{}\n{}\n{}",
        digest_text(&world, digest)["digestEndTime"].as_str().unwrap(),
        "trail-bucket",
        digest,
        Sha256::of(text.as_bytes()),
        digest_text(&world, digest)["previousDigestSignature"].as_str().unwrap()
    );
    let stored = world.objects.get_mut(digest).unwrap();
    stored.bytes = gzip(text.as_bytes());
    stored.metadata.signature = Some(KEYS[1].sign(&signed));
    let report = world.verify();
    report.assert_told(vec![(Status::Tampered, Kind::Digest, digest)]);

    // Only the signature: the one after it says that the content is sound.
    let (mut world, hours) = trail();
    let (files, digest) = &hours[2];
    world.objects.get_mut(digest).unwrap().metadata.signature = Some("00".repeat(256));
    let report = world.verify();
    report.assert_told(vec![(Status::Tampered, Kind::Digest, digest)]);
    assert!(report.findings[0].detail.contains("content is proven"), "{:?}", report.findings);
    assert_eq!((report.totals.logs.unjudged, report.totals.digests.tampered), (0, 1));
    assert!(files.len() > 1);
}

#[test]
fn a_digest_of_another_place_is_none_of_this_one() {
    // Another bucket's, under a name of this one.
    let (mut world, hours) = trail();
    let mut other = World::new("2026-01-15T16:30:00Z");
    let mut writer = Writer::new("2026-01-14T10:01:31Z");
    writer.bucket = "other-bucket".to_owned();
    let foreign: Vec<(Vec<String>, String)> = (0..7).map(|_| writer.hour(&mut other, 2)).collect();
    assert_eq!(foreign[6].1, hours[6].1);
    world.objects.insert(hours[6].1.clone(), other.objects[&foreign[6].1].clone());
    let report = world.verify();
    report.assert_told(vec![(Status::Tampered, Kind::Digest, &hours[6].1)]);
    assert!(report.findings[0].detail.contains("moved from its original location s3://other-bucket/"));

    // Its own neighbour's.
    let (mut world, hours) = trail();
    let stored = world.objects[&hours[6].1].clone();
    world.objects.insert(hours[7].1.clone(), stored);
    world.verify().assert_told(vec![(Status::Tampered, Kind::Digest, &hours[7].1)]);

    // Its own, under another name.
    let (mut world, hours) = trail();
    let stored = world.objects.remove(&hours[6].1).unwrap();
    let renamed = hours[6].1.replace("T170131Z", "T170231Z");
    world.objects.insert(renamed.clone(), stored);
    let report = world.verify();
    assert!(report.told().contains(&(Status::Tampered, Kind::Digest, &renamed)));
    assert_eq!(report.totals.digests.tampered, 1, "{:#?}", report.findings);
}

#[test]
fn what_the_aws_cli_does_not_look_for() {
    // A file that no digest names.
    let (mut world, _) = trail();
    let mut writer = Writer::new("2026-01-14T10:01:31Z");
    writer.log(&mut world, at("2026-01-14T12:20:00Z"), b"{}");
    let injected =
        world.objects.keys().find(|key| key.ends_with("_0000000000000001.json.gz") && key.contains("T1220Z"));
    let injected = injected.unwrap().clone();
    let report = world.verify();
    report.assert_told(vec![(Status::Injected, Kind::Log, &injected)]);
    assert_eq!(report.hour("2026-01-14T12:00:00Z"), Status::Injected);

    // Names of no log file, folders of no day: whoever reads the whole prefix reads them.
    let (mut world, hours) = trail();
    let folder = hours[0].0[0].rsplit_once('/').unwrap().0.to_owned();
    let logs = folder.rsplitn(4, '/').last().unwrap().to_owned();
    let odd = format!("{folder}/planted.json.gz");
    let late = format!("{folder}/{ACCOUNT}_CloudTrail_{REGION}_20990114T1220Z_x.json.gz");
    let strays = [
        "planted.json.gz",
        "2026/x/y.json.gz",
        "2026/01/15b/y.json.gz",
        "9999/01/01/y.json.gz",
        "2026/02/20/y.json.gz",
    ];
    let strays = strays.map(|name| format!("{logs}/{name}"));
    for key in strays.iter().chain([&odd, &late]) {
        world.objects.insert(key.clone(), world.objects[&hours[0].0[0]].clone());
    }
    let report = world.verify();
    let told: Vec<String> = report.findings.iter().filter_map(|finding| finding.key.clone()).collect();
    for key in &strays {
        assert!(told.contains(key), "{key}: {told:?}");
    }
    assert_eq!(report.totals.foreign, strays.len() as u64);
    // Their folder's day is older than the first digest; what stands in the middle of it is told.
    assert_eq!(report.totals.logs.unsigned, 2, "{:?}", report.totals);

    // A previous hash that is wrong, signed all the same.
    let mut world = World::new("2026-01-14T15:30:00Z");
    let mut writer = Writer::new("2026-01-14T10:00:00Z");
    writer.hour(&mut world, 2);
    writer.hour(&mut world, 2);
    let wrong = writer.digest_with(&mut world, &[], |digest| {
        digest["previousDigestHashValue"] = json!(Sha256::of(b"other").to_string());
    });
    writer.hour(&mut world, 2);
    let report = world.verify();
    report.assert_told(vec![(Status::Tampered, Kind::Digest, &wrong)]);
    assert!(report.findings[0].detail.contains("previousDigestHashValue"));

    // A previous signature that is another's.
    let mut world = World::new("2026-01-14T15:30:00Z");
    let mut writer = Writer::new("2026-01-14T10:00:00Z");
    writer.hour(&mut world, 2);
    let wrong = writer.digest_with(&mut world, &[], |digest| digest["previousDigestSignature"] = json!("00"));
    writer.hour(&mut world, 2);
    world.verify().assert_told(vec![(Status::Tampered, Kind::Digest, &wrong)]);
}

#[test]
fn backfills_are_chains_of_their_own() {
    let build = || {
        let mut world = World::new("2026-01-15T16:30:00Z");
        let mut writer = Writer::new("2026-01-14T10:01:31Z");
        let mut late = Vec::new();
        for hour in 0..30 {
            writer.hour(&mut world, 2);
            if [4, 5, 28].contains(&hour) {
                let file = writer.log(&mut world, plus(writer.time, -1800), format!("late {hour}").as_bytes());
                late.push((plus(writer.time, -3600), file));
            }
        }
        let mut backfill = Writer { is_backfill: true, key: 1, ..Writer::new("2026-01-14T10:01:31Z") };
        let digests: Vec<String> = late
            .iter()
            .map(|(start, file)| {
                backfill.time = *start;
                backfill.digest(&mut world, std::slice::from_ref(file))
            })
            .collect();
        (world, late, digests)
    };
    let (world, _, _) = build();
    let report = world.verify();
    report.assert_clean();
    assert_eq!((report.totals.digests.verified, report.totals.backfills, report.totals.logs.verified), (33, 3, 63));
    assert_eq!(report.chains.len(), 2);

    // Removed: the next one misses it, and nobody can say of what it named whether CloudTrail wrote it.
    let (mut world, late, digests) = build();
    world.objects.remove(&digests[0]);
    let report = world.verify();
    report.assert_told(vec![(Status::Missing, Kind::Digest, &digests[0])]);
    assert_eq!((report.totals.logs.unjudged, report.totals.logs.injected), (1, 0));
    // Other hours are not excused by that, and no hour is without digests.
    let mut writer = Writer { number: 9_000, ..Writer::new("2026-01-14T10:01:31Z") };
    let injected = [-3 * 3600, 3 * 3600].map(|away| writer.log(&mut world, plus(late[0].0, away), b"injected"));
    let report = world.verify();
    report.assert_told(vec![
        (Status::Missing, Kind::Digest, &digests[0]),
        (Status::Injected, Kind::Log, &injected[0]),
        (Status::Injected, Kind::Log, &injected[1]),
    ]);
    assert!(report.periods.iter().all(|period| period.status != Status::Unjudged), "{:?}", report.periods);

    // Edited: the same. That it says to be of ten years excuses no other day.
    for start in ["2026-01-14T14:01:31Z", "2016-01-14T14:01:31Z"] {
        let (mut world, late, digests) = build();
        let mut text = digest_text(&world, &digests[0]);
        text["digestStartTime"] = json!(start);
        text["newestEventTime"] = json!("2026-01-14T14:01:33Z");
        world.objects.get_mut(&digests[0]).unwrap().bytes = gzip(text.to_string().as_bytes());
        let report = world.verify();
        report.assert_told(vec![(Status::Tampered, Kind::Digest, &digests[0])]);
        assert_eq!((report.totals.logs.unjudged, report.totals.logs.injected), (1, 0));
        let mut writer = Writer { number: 9_000, ..Writer::new("2026-01-14T10:01:31Z") };
        let injected = writer.log(&mut world, plus(late[2].0, 60), b"injected");
        world
            .verify()
            .assert_told(vec![(Status::Tampered, Kind::Digest, &digests[0]), (Status::Injected, Kind::Log, &injected)]);
    }

    let (mut world, _, digests) = build();
    world.objects.get_mut(&digests[2]).unwrap().metadata.generated = None;
    world.verify().assert_told(vec![(Status::Tampered, Kind::Digest, &digests[2])]);

    // A late file that was changed.
    let (mut world, late, _) = build();
    world.objects.get_mut(&late[1].1).unwrap().bytes = gzip(b"changed");
    world.verify().assert_told(vec![(Status::Tampered, Kind::Log, &late[1].1)]);
}

#[test]
fn validation_that_was_off_leaves_an_unsigned_period() {
    let mut world = World::new("2026-01-15T16:30:00Z");
    let mut writer = Writer::new("2026-01-14T10:01:31Z");
    for _ in 0..5 {
        writer.hour(&mut world, 2);
    }
    let end = writer.time;
    let lonely = [plus(end, 3600), plus(end, 40_000)].map(|time| writer.log(&mut world, time, b"unsigned"));
    (writer.last, writer.time) = (None, plus(end, 20 * 3600));
    for _ in 0..5 {
        writer.hour(&mut world, 2);
    }
    let report = world.verify();
    report.assert_told(Vec::new());
    assert_eq!((report.totals.logs.unsigned, report.totals.unsigned_periods), (lonely.len() as u64, 1));
    let off: Vec<_> = report.periods.iter().filter(|period| period.status == Status::Unsigned).collect();
    assert_eq!((off[0].from, off[0].to), (end, plus(end, 20 * 3600)));
    assert_eq!(report.totals.worst(), Some(Status::Unsigned));

    // Off and never on again: after two hours somebody should know.
    world.scope.until = plus(writer.time, 7200);
    assert_eq!(world.verify().totals.unsigned_periods, 1);
    world.scope.until = plus(writer.time, 7201);
    assert_eq!(world.verify().totals.unsigned_periods, 2);

    // Files without any digest.
    let mut world = World::new("2026-01-15T16:30:00Z");
    writer.log(&mut world, at("2026-01-14T12:20:00Z"), b"{}");
    let report = world.verify();
    assert_eq!((report.totals.logs.unsigned, report.totals.unsigned_periods), (1, 1));
}

#[test]
fn what_was_written_after_validation_was_turned_off_is_unsigned_in_that_very_hour() {
    let mut world = World::new("2026-01-18T16:30:00Z");
    let mut writer = Writer::new("2026-01-14T10:40:31Z");
    for _ in 0..5 {
        writer.hour(&mut world, 2);
    }
    // Off at 15:40:31, and forgotten by the hour, because days come after it.
    writer.log(&mut world, at("2026-01-14T15:50:00Z"), b"unsigned");
    (writer.last, writer.time) = (None, at("2026-01-18T10:40:31Z"));
    for _ in 0..5 {
        writer.hour(&mut world, 2);
    }
    let report = world.verify();
    report.assert_told(Vec::new());
    assert_eq!(report.totals.logs.unsigned, 1);
    // While it was on there is no excuse.
    let within = writer.log(&mut world, at("2026-01-14T15:30:00Z"), b"injected");
    world.verify().assert_told(vec![(Status::Injected, Kind::Log, within.as_str())]);
}

struct NoKeys(Trouble);

impl KeySource for NoKeys {
    fn keys(&self, _: &str, _: Timestamp, _: Timestamp) -> Result<Vec<PublicKey>, Trouble> {
        Err(self.0.clone())
    }
}

#[test]
fn what_cannot_be_judged_is_named_and_never_taken_as_verified() {
    let all_unjudged = |report: &Report, why: &str| {
        assert_eq!((report.totals.digests.unjudged, report.totals.digests.verified), (30, 0), "{why}");
        assert_eq!((report.totals.logs.verified, report.totals.logs.unjudged), (0, report.totals.listed_logs), "{why}");
        assert!(report.findings.iter().all(|finding| finding.detail.contains(why)), "{:?}", report.findings);
        assert_eq!(report.totals.worst(), Some(Status::Unjudged));
    };
    let (mut world, _) = trail();
    world.keys = Box::new(NoKeys(Trouble::Denied("cloudtrail:ListPublicKeys is not allowed".to_owned())));
    all_unjudged(&world.verify(), "cloudtrail:ListPublicKeys is not allowed");
    world.keys = Box::new(KeyFile::new(vec![KEYS[1].public()]));
    all_unjudged(&world.verify(), "public key");

    // Glacier, no permission, too large: one of each kind.
    let (mut world, hours) = trail();
    let (log, digest) = (hours[2].0[0].clone(), hours[6].1.clone());
    world.objects.get_mut(&log).unwrap().trouble = Some(Trouble::Archived("GLACIER".to_owned()));
    world.objects.get_mut(&digest).unwrap().trouble = Some(Trouble::Denied("s3:GetObject".to_owned()));
    let report = world.verify();
    report.assert_told(vec![(Status::Unjudged, Kind::Log, &log), (Status::Unjudged, Kind::Digest, &digest)]);
    assert_eq!(report.totals.logs.unjudged, 1 + hours[6].0.len() as u64);
    let (mut world, _) = trail();
    world.limits.stored = 10;
    assert_eq!(world.verify().totals.logs.verified, 0);

    // Of another version; other JSON under a digest's name, and under another one; without metadata.
    let (mut world, hours) = trail();
    let mut text = digest_text(&world, &hours[6].1);
    text["digestSignatureAlgorithm"] = json!("SHA512withRSA");
    world.objects.get_mut(&hours[6].1).unwrap().bytes = gzip(text.to_string().as_bytes());
    let report = world.verify();
    // The one after it has the hash of what it was.
    report.assert_told(vec![(Status::Tampered, Kind::Digest, &hours[6].1)]);
    let mut writer = Writer::new("2026-01-14T10:00:00Z");
    let mut world = World::new("2026-01-14T13:30:00Z");
    writer.hour(&mut world, 1);
    let other =
        writer.digest_with(&mut world, &[], |digest| digest["digestSignatureAlgorithm"] = json!("SHA512withRSA"));
    writer.hour(&mut world, 1);
    world.verify().assert_told(vec![(Status::Unjudged, Kind::Digest, &other)]);

    let (mut world, hours) = trail();
    world.objects.get_mut(&hours[6].1).unwrap().bytes = gzip(b"{\"Records\":[]}");
    let notes = hours[6].1.replace("_main_", "_notes_").replace("Z.json.gz", "Z.json");
    world.objects.insert(notes.clone(), world.objects[&hours[0].0[0]].clone());
    let report = world.verify();
    report.assert_told(vec![(Status::Tampered, Kind::Digest, &hours[6].1), (Status::Unjudged, Kind::Foreign, &notes)]);

    let (mut world, hours) = trail();
    let metadata = &mut world.objects.get_mut(&hours[6].1).unwrap().metadata;
    (metadata.signature, metadata.algorithm) = (None, None);
    let report = world.verify();
    report.assert_told(vec![(Status::Tampered, Kind::Digest, &hours[6].1)]);
    assert_eq!(report.totals.digests.verified, 29);

    // A folder that may not be listed.
    let (mut world, hours) = trail();
    let folder = format!("{}/", hours[28].0[0].rsplit_once('/').unwrap().0);
    world.unlisted.insert(folder.clone());
    world.verify().assert_told(vec![(Status::Unjudged, Kind::Folder, &folder)]);
}

#[test]
fn a_time_range_looks_at_the_digests_of_that_time() {
    let (mut world, hours) = trail();
    world.scope.from = Some(at("2026-01-14T14:00:00Z"));
    world.scope.until = at("2026-01-14T18:00:00Z");
    world.scope.is_open_ended = false;
    let report = world.verify();
    report.assert_clean();
    // 13:01 to 18:01: those that hold a part of it, and one that may name what came late.
    assert_eq!((report.chains[0].from, report.chains[0].to), (at("2026-01-14T13:01:31Z"), at("2026-01-14T19:01:31Z")));
    // Nothing outside of it is told.
    world.objects.get_mut(&hours[20].0[0]).unwrap().bytes.clear();
    world.objects.remove(&hours[1].1);
    world.verify().assert_clean();
    world.objects.remove(&hours[6].0[0]);
    world.verify().assert_told(vec![(Status::Missing, Kind::Log, &hours[6].0[0])]);
}

#[test]
fn one_object_alone() {
    let (mut world, hours) = trail();
    let lanes = world.lanes();
    let (lane, place) = &lanes[0];
    let scope = world.scope.clone();
    let (file, digest) = (hours[6].0[0].clone(), hours[6].1.clone());
    world.scope = scope.clone().around(Only::Log(file.clone()), lane, place);
    let report = world.verify();
    report.assert_told(vec![(Status::Verified, Kind::Log, &file)]);
    assert_eq!((report.totals.logs.verified, report.totals.listed_logs), (1, 1));

    world.scope = scope.clone().around(Only::Digest(digest.clone()), lane, place);
    let report = world.verify();
    report.assert_told(vec![(Status::Verified, Kind::Digest, &digest)]);
    assert_eq!(report.totals.logs.verified, hours[6].0.len() as u64);

    world.objects.get_mut(&file).unwrap().bytes = gzip(b"changed");
    let report = world.verify();
    report.assert_told(vec![(Status::Verified, Kind::Digest, &digest), (Status::Tampered, Kind::Log, &file)]);
    world.scope = scope.around(Only::Log(file.clone()), lane, place);
    world.verify().assert_told(vec![(Status::Tampered, Kind::Log, &file)]);
}

#[test]
fn accounts_regions_and_organisations_are_looked_at_at_once() {
    let mut world = World::new("2026-01-14T15:30:00Z");
    let mut last = String::new();
    for (above, account, region) in [
        ("AWSLogs/", ACCOUNT, REGION),
        ("AWSLogs/", ACCOUNT, "eu-west-1"),
        ("AWSLogs/o-exampleorgid/", "444455556666", REGION),
        ("AWSLogs/o-exampleorgid/", "777788889999", "us-gov-west-1"),
    ] {
        let mut writer = Writer::new("2026-01-14T10:00:00Z");
        writer.lane.above = above.to_owned();
        writer.lane.account = account.to_owned();
        writer.lane.region = region.to_owned();
        for _ in 0..5 {
            (_, last) = writer.hour(&mut world, 2);
        }
    }
    world.verify().assert_clean();
    for threads in [1, 2, 8] {
        world.threads = threads;
        world.objects.get_mut(&last).unwrap().metadata.signature = Some("00".to_owned());
        let report = world.verify();
        report.assert_told(vec![(Status::Tampered, Kind::Digest, &last)]);
        assert_eq!((report.chains.len(), report.totals.digests.verified), (4, 19));
    }
}

#[test]
fn a_run_that_is_stopped_anywhere_goes_on_to_the_same_end() {
    let (mut world, hours) = trail();
    world.objects.remove(&hours[3].1);
    world.objects.get_mut(&hours[6].0[0]).unwrap().bytes = gzip(b"changed");
    let mut writer = Writer::new("2026-01-14T10:01:31Z");
    writer.trail = "second".to_owned();
    for _ in 0..29 {
        writer.hour(&mut world, 1);
    }
    writer.log(&mut world, at("2026-01-14T12:20:00Z"), b"injected");
    let whole = world.verify();
    assert!(whole.findings.len() >= 3);
    let mut random = fastrand::Rng::with_seed(11);
    for is_eager in [true, false] {
        for _ in 0..20 {
            let journal = MemoryJournal::default();
            journal.is_eager.store(is_eager, Ordering::Relaxed);
            let mut stops = 0;
            loop {
                world.patience.store(random.usize(1..60), Ordering::Relaxed);
                if world.verify_with(&journal).unwrap().is_complete {
                    break;
                }
                stops += 1;
                assert!(stops < 200, "it does not come to an end");
            }
            world.patience.store(usize::MAX, Ordering::Relaxed);
            let report = journal.report(&world);
            assert_eq!((&report.findings, report.totals), (&whole.findings, whole.totals));
            assert_eq!((&report.hours, &report.chains), (&whole.hours, &whole.chains));
        }
    }
}
