//! Copies of a bucket, which have lost what stands beside the bytes.

use integrity::hash::Sha256;
use integrity::layout::Place;
use integrity::report::{Kind, Status};
use integrity::verify;
use serde_json::json;

use crate::tampering::trail;
use crate::world::{World, Writer, gzip};

fn copy() -> (World, Vec<(Vec<String>, String)>) {
    let (mut world, hours) = trail();
    world.keeps_metadata = false;
    (world, hours)
}

#[test]
fn every_digest_but_the_newest_is_proven_by_the_one_after_it() {
    let (world, hours) = copy();
    let report = world.verify();
    let (files, newest) = &hours[29];
    report.assert_told(vec![(Status::Unjudged, Kind::Digest, newest)]);
    assert!(report.findings[0].detail.contains("its signature is unknown"));
    assert_eq!((report.totals.digests.verified, report.totals.by_successor), (29, 29));
    assert_eq!(report.totals.logs.unjudged, files.len() as u64);
    assert_eq!(report.totals.worst(), Some(Status::Unjudged));
}

#[test]
fn what_the_newest_backfilled_digest_names_is_not_called_injected() {
    let (mut world, hours) = copy();
    let mut writer = Writer { number: 9_000, is_backfill: true, ..Writer::new("2026-01-14T16:01:31Z") };
    let file = writer.log(&mut world, crate::world::at("2026-01-14T16:31:00Z"), b"late");
    let digest = writer.digest(&mut world, &[file]);
    let report = world.verify();
    let newest = &hours[29].1;
    report.assert_told(vec![(Status::Unjudged, Kind::Digest, &digest), (Status::Unjudged, Kind::Digest, newest)]);
    assert_eq!(report.totals.logs.unjudged, 1 + hours[29].0.len() as u64);
}

#[test]
fn in_a_time_range_the_digest_behind_it_is_a_witness() {
    let (mut world, hours) = copy();
    world.scope.until = crate::world::at("2026-01-14T18:00:00Z");
    world.scope.is_open_ended = false;
    let report = world.verify();
    report.assert_clean();
    assert_eq!((report.totals.digests.verified, report.totals.by_successor), (9, 9));
    // Changed itself, it is no witness against the one before it.
    world.objects.get_mut(&hours[9].1).unwrap().bytes = gzip(b"{}");
    world.verify().assert_told(vec![(Status::Unjudged, Kind::Digest, &hours[8].1)]);
}

#[test]
fn a_changed_digest_is_told_and_not_the_one_before_it() {
    for field in ["previousDigestSignature", "previousDigestHashValue", "oldestEventTime", "logFiles"] {
        let (mut world, hours) = copy();
        let digest = &hours[6].1;
        let stored = world.objects.get_mut(digest).unwrap();
        let mut text: serde_json::Value =
            serde_json::from_slice(&crate::world::gunzip(&stored.bytes).unwrap()).unwrap();
        text[field] = match field {
            "logFiles" => json!([]),
            "oldestEventTime" => json!("2026-01-14T16:00:00Z"),
            _ => json!(Sha256::of(b"other").to_string()),
        };
        stored.bytes = gzip(text.to_string().as_bytes());
        let report = world.verify();
        let told = report.told();
        assert!(told.contains(&(Status::Tampered, Kind::Digest, digest)), "{field}: {told:?}");
        // The one before it can no longer be proven, and is not blamed for that.
        assert!(!told.iter().any(|(status, _, key)| *status == Status::Tampered && key != digest), "{field}: {told:?}");
    }
}

#[test]
fn where_a_copy_comes_from_is_said_by_its_digests() {
    let (original, hours) = trail();
    let mut world = World::new("2026-01-15T16:30:00Z");
    world.objects = original.objects.iter().map(|(key, stored)| (format!("copies/of/{key}"), stored.clone())).collect();
    world.place = Place { bucket: String::new(), prefix: String::new(), here: "copies/of/".to_owned() };
    let lanes = world.lanes();
    let (newest, time) = verify::newest(&world, &lanes[0].0);
    assert_eq!(newest.as_deref(), Some(format!("copies/of/{}", hours[29].1).as_str()));
    assert_eq!(time.unwrap().to_string(), "2026-01-15T16:01:31Z");
    let place = verify::infer_place(&world, &[newest.unwrap()], world.limits).unwrap();
    assert_eq!(
        place,
        Place { bucket: "trail-bucket".to_owned(), prefix: String::new(), here: "copies/of/".to_owned() }
    );
    world.place = place;
    world.verify().assert_clean();
    // Findings name what CloudTrail called it.
    world.objects.remove(&format!("copies/of/{}", hours[2].0[0]));
    world.verify().assert_told(vec![(Status::Missing, Kind::Log, &hours[2].0[0])]);
    assert_eq!(verify::infer_place(&world, &[], world.limits), None);
}

#[test]
fn a_key_in_a_digest_leads_nowhere_else() {
    let mut world = World::new("2026-01-14T12:30:00Z");
    let mut writer = Writer::new("2026-01-14T10:00:00Z");
    writer.hour(&mut world, 1);
    writer.digest_with(&mut world, &[], |digest| {
        digest["logFiles"] = json!([
            {"s3Bucket": "trail-bucket", "s3Object": "../../etc/passwd", "hashValue": "00", "hashAlgorithm": "SHA-256"},
            {"s3Bucket": "other", "s3Object": "AWSLogs/111122223333/CloudTrail/x", "hashValue": "00"},
        ]);
    });
    let report = world.verify();
    assert_eq!(report.totals.logs.unjudged, 2);
    assert!(report.findings[0].detail.contains("outside"), "{:?}", report.findings);
    assert!(report.findings[1].detail.contains("another bucket"), "{:?}", report.findings);
}
