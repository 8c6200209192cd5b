//! Any single bit anywhere.

use integrity::report::Status;

use crate::world::{World, Writer, gunzip};

/// Three hours, small, so that every bit can be tried.
fn small(keeps_metadata: bool) -> (World, Vec<String>) {
    let mut world = World::new("2026-01-14T12:30:00Z");
    world.keeps_metadata = keeps_metadata;
    world.threads = 1;
    let mut writer = Writer::new("2026-01-14T10:00:00Z");
    let mut keys = Vec::new();
    for _ in 0..2 {
        let (files, digest) = writer.hour(&mut world, 1);
        keys.extend(files);
        keys.push(digest);
    }
    (world, keys)
}

/// Whether the right object is told, or nothing was changed that is signed: the time in a gzip header, say. What is
/// signed is the inflated content.
#[track_caller]
fn assert_told(world: &World, before: &[u8], key: &str, bit: usize) -> bool {
    let report = world.verify();
    let after = gunzip(&world.objects[key].bytes);
    if after.as_deref() == gunzip(before).as_deref() {
        assert!(report.totals.logs.tampered + report.totals.digests.tampered == 0, "bit {bit} of {key}");
        return false;
    }
    let told = report.findings.iter().any(|finding| {
        let is_wrong = finding.status >= Status::Unjudged;
        finding.key.as_deref() == Some(key) && is_wrong
    });
    assert!(told, "bit {bit} of {key}: {:#?}", report.findings);
    true
}

#[test]
fn any_bit_of_a_log_file_or_a_digest_is_told_of_that_object() {
    let (mut world, keys) = small(true);
    for key in &keys[..2] {
        let before = world.objects[key].bytes.clone();
        let mut unsigned = 0;
        for bit in 0..before.len() * 8 {
            world.objects.get_mut(key).unwrap().bytes[bit / 8] ^= 1 << (bit % 8);
            unsigned += usize::from(!assert_told(&world, &before, key, bit));
            world.objects.get_mut(key).unwrap().bytes.clone_from(&before);
        }
        // The header's time, level, system and a flag; the bits that fill the last byte of the compressed data up; a code
        // of the compression that is never used.
        assert!(unsigned <= 6 * 8 + 1 + 7 + 8, "{unsigned} bits of {key} do not matter");
    }
}

#[test]
fn any_bit_of_a_copy_is_told_of_that_object() {
    let (mut world, keys) = small(false);
    for key in &keys[..2] {
        let before = world.objects[key].bytes.clone();
        for bit in (0..before.len() * 8).step_by(3) {
            world.objects.get_mut(key).unwrap().bytes[bit / 8] ^= 1 << (bit % 8);
            assert_told(&world, &before, key, bit);
            world.objects.get_mut(key).unwrap().bytes.clone_from(&before);
        }
    }
}

#[test]
fn any_bit_of_a_signature_is_told_of_its_digest() {
    let (mut world, keys) = small(true);
    let digest = &keys[1];
    let signature = world.objects[digest].metadata.signature.clone().unwrap();
    for bit in (0..signature.len() * 8).step_by(3) {
        let mut bytes = signature.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        if changed.eq_ignore_ascii_case(&signature) {
            continue;
        }
        world.objects.get_mut(digest).unwrap().metadata.signature = Some(changed);
        let report = world.verify();
        assert_eq!(report.findings.len(), 1, "bit {bit}: {:#?}", report.findings);
        assert_eq!(report.findings[0].key.as_deref(), Some(digest.as_str()), "bit {bit}");
        assert_eq!(report.findings[0].status, Status::Tampered);
    }
}
