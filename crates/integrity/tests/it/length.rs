//! Long chains and large digests.

use std::sync::atomic::Ordering;

use integrity::report::{Kind, Status};

use crate::world::{MemoryJournal, World, Writer, at};

#[test]
fn a_digest_of_a_hundred_thousand_files() {
    let mut world = World::new("2026-01-14T12:30:00Z");
    let mut writer = Writer::new("2026-01-14T10:00:00Z");
    let files = (0..100_000u32).map(|number| writer.log(&mut world, at("2026-01-14T10:20:00Z"), &number.to_le_bytes()));
    let files: Vec<String> = files.collect();
    let digest = writer.digest(&mut world, &files);
    writer.hour(&mut world, 1);
    assert!(world.objects[&digest].bytes.len() > 2 << 20);
    let report = world.verify();
    report.assert_clean();
    assert_eq!((report.totals.logs.verified, report.totals.named_logs), (100_001, 100_001));
    // One of them.
    world.objects.remove(&files[77_777]);
    world.verify().assert_told(vec![(Status::Missing, Kind::Log, &files[77_777])]);
}

#[test]
fn what_is_held_of_five_years_is_no_more_than_of_a_week() {
    let mut world = World::new("2026-01-01T01:00:00Z");
    let mut writer = Writer::new("2021-01-01T00:00:00Z");
    let hours = (at("2026-01-01T00:00:00Z").micros() - writer.time.micros()) / 3_600_000_000;
    let mut removed = String::new();
    for hour in 0..hours {
        // A few files, some never named, a digest that is missing, and a month without validation.
        let (files, digest) = writer.hour(&mut world, usize::from(hour % 12 == 0));
        if hour % 6_000 == 1_200 {
            let injected = files[0].replace("_0000", "_9000");
            world.objects.insert(injected, world.objects[&files[0]].clone());
        }
        if hour == 20_000 {
            removed = digest;
        }
        if hour == 30_000 {
            writer.last = None;
            writer.time = crate::world::plus(writer.time, 30 * 86_400);
        }
    }
    world.objects.remove(&removed);
    world.scope.until = crate::world::plus(writer.time, 1800);
    let journal = MemoryJournal::default();
    journal.is_eager.store(true, Ordering::Relaxed);
    world.verify_with(&journal).unwrap();
    let report = journal.report(&world);
    assert_eq!(report.totals.digests.verified, hours as u64 - 1);
    assert_eq!((report.totals.logs.injected, report.totals.digests.missing), (8, 1));
    assert_eq!((report.totals.unsigned_periods, report.hours.len() as i64), (1, hours + 30 * 24 + 1));
    let largest = journal.largest.load(Ordering::Relaxed);
    assert!(largest < 24 << 10, "{largest} bytes are held");
}
