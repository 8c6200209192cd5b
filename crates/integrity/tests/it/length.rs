//! Long chains and large digests.

use integrity::report::{Kind, Status};

use crate::world::{World, Writer, at};

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
