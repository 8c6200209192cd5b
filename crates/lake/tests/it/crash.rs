//! A process that dies at any point leaves the old or the new table, and doing the work again gives what an undisturbed
//! run gives.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lake::{FAILPOINTS, Lake};

use crate::child::{Child, kept_from};
use crate::corpus::{expected, stored};

/// Every file below a folder with its content.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).expect("below").to_owned(), std::fs::read(&path).expect("file"));
            }
        }
    }
    found
}

/// What an undisturbed life leaves.
struct Undisturbed {
    export: BTreeMap<PathBuf, Vec<u8>>,
}

impl Undisturbed {
    fn new() -> Undisturbed {
        let folder = tempfile::tempdir().expect("folder");
        assert!(Child::new("life", folder.path()).succeeds());
        let undisturbed = Undisturbed { export: tree(&folder.path().join("export")) };
        assert!(undisturbed.export.len() >= 4, "two days and several regions");
        undisturbed.assert_equal(folder.path(), "an undisturbed run");
        undisturbed
    }

    fn assert_equal(&self, folder: &Path, after: &str) {
        let lake = Lake::open(&folder.join("lake")).expect("lake");
        let kept = expected(0..400).into_iter().filter(|(_, record)| {
            record["eventTime"].as_str().is_some_and(|time| time >= kept_from().to_string().as_str())
        });
        assert_eq!(stored(&lake), kept.collect::<Vec<_>>(), "rows after {after}");
        assert_eq!(lake.verify().expect("verify").problems, [], "soundness after {after}");
        assert_eq!(tree(&folder.join("export")), self.export, "the export after {after}");
        // Another vacuum finds nothing: all leftovers were swept.
        assert_eq!(
            lake.vacuum(Duration::from_nanos(1)).expect("vacuum"),
            Default::default(),
            "leftovers after {after}"
        );
    }
}

/// Between a crash and the next run the table can be read and is sound.
fn assert_readable(folder: &Path, after: &str) {
    match Lake::open(&folder.join("lake")) {
        Ok(lake) => {
            assert_eq!(lake.verify().expect("verify").problems, [], "right after {after}");
            stored(&lake);
        }
        Err(lake::LakeError::NotFound { .. }) => assert!(after.contains("create") || after.contains("put"), "{after}"),
        Err(error) => panic!("{error} after {after}"),
    }
}

#[test]
fn a_crash_at_every_failpoint_changes_nothing() {
    let undisturbed = Undisturbed::new();
    for point in FAILPOINTS {
        // The first time it is reached, and later: the same code writes data files, log entries and checkpoints.
        let passes: &[u32] = if point.starts_with("lake::put::") { &[0, 4, 13] } else { &[0] };
        for passes in passes {
            let after = format!("a crash at {point}, pass {passes}");
            let folder = tempfile::tempdir().expect("folder");
            let action = if *passes == 0 { "return".to_owned() } else { format!("{passes}*off->return") };
            let ended = Child::new("life", folder.path()).var("FAILPOINTS", &format!("{point}={action}")).succeeds();
            if ended {
                assert!(*passes > 0, "{point} is never reached");
                continue;
            }
            assert_readable(folder.path(), &after);
            assert!(Child::new("life", folder.path()).succeeds(), "the run after {after}");
            undisturbed.assert_equal(folder.path(), &after);
        }
    }
}

#[test]
fn kills_at_any_moment_change_nothing() {
    let undisturbed = Undisturbed::new();
    let folder = tempfile::tempdir().expect("folder");
    let mut killed = 0;
    // The moments differ from run to run of this test: no clock of a test can hit a moment exactly anyway.
    for round in 0..12u64 {
        let mut child = Child::new("life", folder.path()).spawn();
        std::thread::sleep(Duration::from_millis(20 + 37 * round));
        killed += u32::from(child.try_wait().expect("child").is_none());
        child.kill().expect("kill");
        child.wait().expect("child");
        assert_readable(folder.path(), "a kill (create, put or any other moment)");
    }
    assert!(killed > 0, "no child lived long enough to be killed");
    assert!(Child::new("life", folder.path()).succeeds());
    undisturbed.assert_equal(folder.path(), "kills");
}

#[test]
fn a_full_disk_is_named_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    assert!(Child::new("full-disk", folder.path()).succeeds());
}
