//! Log files are checked against signed digests as they are read.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sample::Signing;
use serde_json::Value;

use crate::live::Live;
use crate::support::{Ran, Stored, World};

const ACCOUNT: &str = "111122223333";
const REGION: &str = "us-east-1";
const HOURS: std::ops::Range<u32> = 7..11;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn gunzip(path: &Path) -> Vec<u8> {
    let mut content = Vec::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut content).unwrap();
    content
}

/// A signed trail of some hours with two log files of two records each.
pub(crate) struct Trail {
    pub(crate) root: PathBuf,
    pub(crate) logs: Vec<PathBuf>,
    digests: Vec<PathBuf>,
}

impl Trail {
    pub(crate) fn write(world: &World) -> Trail {
        let root = world.path("copy/of/bucket");
        let home = root.join("audit/AWSLogs").join(ACCOUNT);
        for hour in HOURS {
            for minute in ["05", "35"] {
                let time = format!("2026-01-30T{:02}:{minute}:00Z", hour - 1);
                let record = |number: u32| {
                    let id = format!("00000000-0000-4000-8000-{hour:06}{minute}{number:04}");
                    testkit::event("ListUsers").account(ACCOUNT).at(&time).iam_user("alice").id(&id).build()
                };
                let text = serde_json::json!({"Records": [record(1), record(2)]}).to_string();
                let name =
                    format!("{ACCOUNT}_CloudTrail_{REGION}_20260130T{hour:02}{minute}Z_{hour:014}{minute}.json.gz");
                let day = home.join("CloudTrail").join(REGION).join("2026/01/30");
                std::fs::create_dir_all(&day).unwrap();
                std::fs::write(day.join(name), gzip(text.as_bytes())).unwrap();
            }
        }
        let signing = Signing {
            bucket: "our-trail".to_owned(),
            trail: "main".to_owned(),
            from: Some("2026-01-30T06:00:00Z".parse().unwrap()),
            ..Signing::organisation("2026-01-30T12:10:00Z".parse().unwrap())
        };
        signing.sign(&root.join("audit")).unwrap();
        let files = |kind: &str| {
            let day = home.join(kind).join(REGION).join("2026/01/30");
            let mut files: Vec<PathBuf> = std::fs::read_dir(day).unwrap().map(|entry| entry.unwrap().path()).collect();
            files.sort();
            files
        };
        let (logs, digests) = (files("CloudTrail"), files("CloudTrail-Digest"));
        assert!(logs.len() == 2 * HOURS.len() && digests.len() >= HOURS.len());
        Trail { root: root.join("audit"), logs, digests }
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.root.join("public-keys.json")
    }

    pub(crate) fn ingest(&self, world: &World, paths: &[&PathBuf]) -> Ran {
        let mut command = world.command();
        command.args(["ingest", "--summary", "json", "--verify", "--keys"]).arg(self.keys()).args(paths);
        Ran(command.output().unwrap())
    }

    pub(crate) fn all(&self) -> PathBuf {
        self.root.join("AWSLogs")
    }

    /// The folders of log files and of digests.
    fn parts(&self) -> [PathBuf; 2] {
        [&self.logs, &self.digests].map(|files| files[0].parent().unwrap().to_owned())
    }

    /// Puts another record into a log file.
    pub(crate) fn change(&self, log: usize) {
        let text = String::from_utf8(gunzip(&self.logs[log])).unwrap();
        std::fs::write(&self.logs[log], gzip(text.replace("alice", "clara").as_bytes())).unwrap();
    }
}

/// Proven, pending, failed, missing.
fn counts(run: &Value) -> [u64; 4] {
    ["proven", "pending", "failed", "missing"].map(|name| run["proofs"][name].as_u64().unwrap())
}

fn alerts(world: &World) -> Vec<Value> {
    let text = world.run(["alerts", "export"]).code(0).stdout();
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|alert| alert["detection"] == "log-file-tampered").collect()
}

#[test]
fn an_untouched_trail_is_proven() {
    let world = World::new();
    let trail = Trail::write(&world);
    let run = trail.ingest(&world, &[&trail.all()]).code(0).json();
    assert_eq!(counts(&run), [8, 0, 0, 0]);
    assert_eq!(run["proofs"]["digests"], trail.digests.len() as u64);
    assert_eq!(run["proofs"]["unproven_digests"], 0);
    assert!(alerts(&world).is_empty());
    // Again, and to people.
    let mut command = world.command();
    command.args(["ingest", "--verify", "--keys"]).arg(trail.keys()).arg(trail.all());
    let told = Ran(command.output().unwrap()).code(0).stderr();
    assert!(told.contains("proofs: 8 proven, by "), "{told}");
    assert!(!told.contains("left for later"), "{told}");
    let status = world.run(["status"]).code(0).stdout();
    assert!(status.contains("proofs        8 proven, by "), "{status}");
    assert_eq!(counts(&world.run(["status", "--format", "json"]).code(0).json()), [8, 0, 0, 0]);
    // Without being asked nothing is proven, and nothing is said of it.
    let other = World::new();
    let run = other.ingest(&trail.all()).code(0).json();
    assert_eq!((run["proofs"].clone(), run["digests"].as_u64()), (Value::Null, Some(trail.digests.len() as u64)));
}

/// The folder that was copied, with what lies beside the logs to prove them: none of that is a log.
#[test]
fn a_copy_of_a_bucket_is_read_whole() {
    let world = World::new();
    let trail = Trail::write(&world);
    let run = trail.ingest(&world, &[&trail.root]).code(0).json();
    assert_eq!((counts(&run), run["records"]["rejected"].as_u64().unwrap_or(0)), ([8, 0, 0, 0], 0), "{run}");
    assert_eq!(run["passed_over"], 2, "the signatures and the keys: {run}");
}

#[test]
fn a_changed_log_file_is_found_whichever_comes_first() {
    for order in [[0, 1], [1, 0]] {
        let world = World::new();
        let trail = Trail::write(&world);
        trail.change(3);
        let parts = trail.parts();
        let [first, second] = order.map(|part| &parts[part]);
        let run = trail.ingest(&world, &[first]).code(0).json();
        assert_eq!(counts(&run), if order[0] == 0 { [0, 8, 0, 0] } else { [0, 0, 0, 8] });
        let run = trail.ingest(&world, &[second]).code(4).json();
        assert_eq!((counts(&run), run["failed_objects"].as_u64()), ([7, 0, 1, 0], Some(1)));
        let found = alerts(&world);
        let [alert] = &found[..] else { panic!("{found:?}") };
        assert_eq!((alert["severity"].as_str(), alert["account"].as_str()), (Some("critical"), Some(ACCOUNT)));
        let name = trail.logs[3].file_name().unwrap().to_str().unwrap();
        assert!(alert["summary"].as_str().unwrap().contains(name), "{alert}");
        // Once more: it is told once, and still decides the exit code.
        trail.ingest(&world, &[&trail.all()]).code(4);
        assert_eq!(alerts(&world).len(), 1);
    }
}

#[test]
fn what_is_no_sound_member_or_read_with_other_bytes_once_stays_failed() {
    let world = World::new();
    let trail = Trail::write(&world);
    let good: Vec<Vec<u8>> = trail.logs.iter().map(|log| std::fs::read(log).unwrap()).collect();
    // The same content in two members; something behind the member; compressed anew, which changes nothing; the end gone.
    let text = gunzip(&trail.logs[0]);
    std::fs::write(&trail.logs[0], [gzip(&text[..50]), gzip(&text[50..])].concat()).unwrap();
    std::fs::write(&trail.logs[1], [&good[1][..], b"tail"].concat()).unwrap();
    let mut again = GzEncoder::new(Vec::new(), Compression::fast());
    again.write_all(&gunzip(&trail.logs[2])).unwrap();
    std::fs::write(&trail.logs[2], again.finish().unwrap()).unwrap();
    std::fs::write(&trail.logs[3], &good[3][..good[3].len() - 9]).unwrap();
    std::fs::write(&trail.logs[4], gunzip(&trail.logs[4])).unwrap();
    let run = trail.ingest(&world, &[&trail.all()]).code(4).json();
    assert_eq!(counts(&run), [4, 0, 4, 0]);
    // Their events are in the store: putting the files back does not wash them clean.
    for (log, bytes) in trail.logs.iter().zip(&good) {
        std::fs::write(log, bytes).unwrap();
    }
    let run = trail.ingest(&world, &[&trail.all()]).code(4).json();
    assert_eq!(counts(&run), [4, 0, 4, 0]);
    assert_eq!(alerts(&world).len(), 4);
}

#[test]
fn a_digest_that_is_not_cloudtrails_proves_nothing() {
    let lines = |trail: &Trail, change: &dyn Fn(&str, String) -> Option<String>| {
        let file = trail.root.join("metadata.jsonl");
        let text = std::fs::read_to_string(&file).unwrap();
        let newest = trail.digests.last().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let text: String = text.lines().filter_map(|line| change(&newest, format!("{line}\n"))).collect();
        std::fs::write(&file, text).unwrap();
    };
    // Every signature beside them forged: those that they carry of one another prove all but the newest.
    let world = World::new();
    let trail = Trail::write(&world);
    lines(&trail, &|_, line| Some(line.replace("\"signature\":\"", "\"signature\":\"00")));
    trail.change(0);
    let run = trail.ingest(&world, &[&trail.all()]).code(4).json();
    // The last log file is named by the newest alone.
    assert_eq!(counts(&run), [6, 1, 1, 0]);
    assert_eq!(
        (run["proofs"]["digests"].as_u64(), run["proofs"]["unproven_digests"].as_u64()),
        (Some(trail.digests.len() as u64 - 1), Some(1))
    );
    // Those, too: nobody vouches for anything.
    let world = World::new();
    let trail = Trail::write(&world);
    lines(&trail, &|_, _| None);
    for digest in &trail.digests {
        let text = String::from_utf8(gunzip(digest)).unwrap();
        let field = "\"previousDigestSignature\":\"";
        std::fs::write(digest, gzip(text.replace(field, &format!("{field}00")).as_bytes())).unwrap();
    }
    let run = trail.ingest(&world, &[&trail.all()]).code(0).json();
    assert_eq!((counts(&run), run["proofs"]["digests"].as_u64()), ([0, 8, 0, 0], Some(0)));
    // Only the newest one has its signature: it vouches for the one before it, and so on, in either order.
    for reversed in [false, true] {
        let world = World::new();
        let trail = Trail::write(&world);
        lines(&trail, &|newest, line| Some(line).filter(|line| line.contains(newest)));
        let mut digests = trail.digests.clone();
        if reversed {
            digests.reverse();
        }
        trail.ingest(&world, &[&trail.parts()[0]]).code(0);
        for digest in &digests {
            trail.ingest(&world, &[digest]).code(0);
        }
        let status = world.run(["status", "--format", "json"]).code(0).json();
        assert_eq!(counts(&status), [8, 0, 0, 0], "reversed: {reversed}");
    }
    // A digest that was edited is nobody's, whatever stands beside it; those before it are vouched for by it no longer.
    let world = World::new();
    let trail = Trail::write(&world);
    let edited = &trail.digests[2];
    let text = String::from_utf8(gunzip(edited)).unwrap().replace("\"logFiles\"", "\"logfiles\"");
    std::fs::write(edited, gzip(text.as_bytes())).unwrap();
    let run = trail.ingest(&world, &[&trail.all()]).code(0).json();
    assert_eq!((run["proofs"]["unproven_digests"].as_u64(), counts(&run)[2]), (Some(1), 0));
    // One under another's name is one that was moved.
    let world = World::new();
    let trail = Trail::write(&world);
    std::fs::copy(&trail.digests[1], &trail.digests[2]).unwrap();
    let run = trail.ingest(&world, &[&trail.all()]).code(0).json();
    assert_eq!(run["proofs"]["unproven_digests"], 1);
}

#[test]
fn a_copy_that_lost_its_metadata_is_proven_but_for_the_newest_digest() {
    let digests = |world: &World| {
        let proofs = &world.run(["status", "--format", "json"]).code(0).json()["proofs"];
        [proofs["digests"].as_u64().unwrap(), proofs["unproven_digests"].as_u64().unwrap()]
    };
    // At once, and as they come, in either order.
    for order in ["at once", "oldest first", "newest first"] {
        let world = World::new();
        let trail = Trail::write(&world);
        std::fs::remove_file(trail.root.join("metadata.jsonl")).unwrap();
        trail.change(3);
        let mut paths = trail.digests.clone();
        match order {
            "at once" => paths = vec![trail.parts()[1].clone()],
            "newest first" => paths.reverse(),
            _ => {}
        }
        trail.ingest(&world, &[&trail.parts()[0]]).code(0);
        let exits: Vec<i32> = paths.iter().map(|path| trail.ingest(&world, &[path]).0.status.code().unwrap()).collect();
        assert_eq!(
            exits.iter().filter(|exit| **exit == 4).count(),
            1,
            "{order}: the run that finds it says so: {exits:?}"
        );
        // The last log file is named by the newest alone.
        assert_eq!(counts(&world.run(["status", "--format", "json"]).code(0).json()), [6, 1, 1, 0], "{order}");
        assert_eq!(digests(&world), [trail.digests.len() as u64 - 1, 1], "{order}");
        assert_eq!(alerts(&world).len(), 1, "{order}");
    }
}

#[test]
fn digests_whose_keys_could_not_be_had_are_proven_by_a_later_run() {
    let world = World::new();
    let trail = Trail::write(&world);
    trail.change(3);
    let keys = std::fs::read(trail.keys()).unwrap();
    std::fs::write(trail.keys(), r#"{"PublicKeyList":[]}"#).unwrap();
    let run = trail.ingest(&world, &[&trail.all()]).code(0).json();
    assert_eq!((counts(&run), run["proofs"]["digests"].as_u64()), ([0, 8, 0, 0], Some(0)));
    // A run that reads nothing of them, but has the keys.
    std::fs::write(trail.keys(), keys).unwrap();
    let other = world.file("other.json", r#"{"Records":[]}"#);
    let crashed = world
        .command()
        .args(["ingest", "--verify", "--keys"])
        .arg(trail.keys())
        .arg(&other)
        .env("FAILPOINTS", "pipeline::after-late-proofs=return")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(crashed.signal(), Some(6));
    assert!(alerts(&world).is_empty());
    // It died before it told.
    let run = trail.ingest(&world, &[&other]).code(4).json();
    assert_eq!((counts(&run), run["failed_objects"].as_u64()), ([7, 0, 1, 0], Some(1)));
    assert_eq!(run["proofs"]["digests"], trail.digests.len() as u64);
    assert_eq!(alerts(&world).len(), 1);
    // Told once, and nothing is left to do.
    trail.ingest(&world, &[&other]).code(0);
    assert_eq!(alerts(&world).len(), 1);
}

#[test]
fn verifying_needs_keys_that_are_keys() {
    let world = World::new();
    let trail = Trail::write(&world);
    let mut command = world.command();
    command.args(["ingest", "--keys"]).arg(trail.keys()).arg(trail.all());
    assert!(Ran(command.output().unwrap()).code(2).stderr().contains("--verify"));
    let not_keys = world.file("keys.json", "[]");
    let mut command = world.command();
    command.args(["ingest", "--verify", "--keys"]).arg(&not_keys).arg(trail.all());
    assert!(Ran(command.output().unwrap()).code(2).stderr().contains("no list of public keys"));
    // Keys of somebody else: nothing can be checked, and nothing is proven.
    std::fs::write(trail.keys(), r#"{"PublicKeyList":[]}"#).unwrap();
    let run = trail.ingest(&world, &[&trail.all()]).code(0).json();
    assert_eq!((counts(&run), run["proofs"]["digests"].as_u64()), ([0, 8, 0, 0], Some(0)));
}

/// All that `status` says of proofs.
fn known(world: &World) -> String {
    world.run(["status", "--format", "json"]).code(0).json()["proofs"].to_string()
}

#[test]
fn every_failpoint_of_proving_then_again_equals_no_crash() {
    let calm = World::new();
    let trail = Trail::write(&calm);
    trail.change(1);
    trail.change(6);
    trail.ingest(&calm, &[&trail.all()]).code(4);
    let (expected, proofs) = (Stored::of(&calm), known(&calm));
    assert_eq!(alerts(&calm).len(), 2);

    let is_of_proofs =
        |point: &&&str| ["evidence", "::prove::", "failures-told"].iter().any(|part| point.contains(part));
    let of_state = local::state::FAILPOINTS.iter().filter(is_of_proofs);
    for point in pipeline::proof::FAILPOINTS.iter().chain(of_state) {
        let world = World::new();
        let crashed = world
            .command()
            .args(["ingest", "--verify", "--keys"])
            .arg(trail.keys())
            .arg(trail.all())
            .env("FAILPOINTS", format!("{point}=return"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(crashed.signal(), Some(6), "{point} was not met");
        trail.ingest(&world, &[&trail.all()]).code(4);
        Stored::of(&world).assert_same(&expected, point);
        assert_eq!(known(&world), proofs, "{point}");
    }
}

#[test]
fn a_digest_of_another_bucket_or_prefix_proves_nothing_in_this_one() {
    // What CloudTrail wrote to the root of the bucket our-trail.
    for (bucket, prefix, expected) in
        [("our-trail", "", [8, 0, 0, 0]), ("their-trail", "", [0, 8, 0, 0]), ("our-trail", "audit", [0, 8, 0, 0])]
    {
        let live = Live::new(|_| ());
        let trail = Trail::write(&live.world);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let root = if prefix.is_empty() { trail.root.clone() } else { trail.root.parent().unwrap().to_owned() };
        // It ends with the test program.
        std::thread::spawn(move || testkit::http::s3::serve(&listener, &root, bucket, || ()));
        live.configure(&format!(
            "[collect]\nown_account = false\nverify = true\nverify_keys = '{}'\n[[trails]]\nbucket = '{bucket}'\n\
             prefix = '{prefix}'\nregion = 'us-east-1'\ndays = 2000\n",
            trail.keys().display()
        ));
        let mut command = live.command();
        command.env("AWS_ENDPOINT_URL_S3", &endpoint).args(["collect", "--summary", "json"]);
        let run = Ran(command.output().unwrap()).code(0).json();
        let read = &run["trails"][0];
        assert_eq!(read["found"]["to_read"], (trail.logs.len() + trail.digests.len()) as u64, "{bucket} {prefix}");
        assert_eq!(counts(&read["totals"]), expected, "{bucket} {prefix}");
        let digests = if expected[0] > 0 { trail.digests.len() as u64 } else { 0 };
        assert_eq!(read["totals"]["proofs"]["digests"], digests, "{bucket} {prefix}");
        // A copy on this machine says nothing of the bucket it is from.
        let run = trail.ingest(&World::new(), &[&trail.all()]).code(0).json();
        assert_eq!(counts(&run), [8, 0, 0, 0]);
    }
}

#[test]
fn a_trail_in_a_bucket_is_proven_where_the_configuration_says_so() {
    let live = Live::new(|_| ());
    let world = &live.world;
    let trail = Trail::write(world);
    trail.change(5);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bucket = format!("http://{}", listener.local_addr().unwrap());
    let root = trail.root.clone();
    // It ends with the test program.
    std::thread::spawn(move || testkit::http::s3::serve(&listener, &root, "our-trail", || ()));
    let collect = |live: &Live, failpoints: &str| {
        let mut command = live.command();
        command.env("AWS_ENDPOINT_URL_S3", &bucket).env("FAILPOINTS", failpoints);
        Ran(command.args(["collect", "--summary", "json"]).output().unwrap())
    };
    let configure = |live: &Live, verify: &str| {
        let trails = "[[trails]]\nbucket = 'our-trail'\nregion = 'us-east-1'\ndays = 2000\n";
        live.configure(&format!("[collect]\nown_account = false\n{verify}\n{trails}"));
    };
    configure(&live, "verify = true\nverify_keys = 'nowhere.json'");
    assert!(collect(&live, "").code(1).stderr().contains("failed to read nowhere.json"));
    let verify = format!("verify = true\nverify_keys = '{}'", trail.keys().display());
    configure(&live, &verify);
    let run = collect(&live, "").code(4).json();
    let read = &run["trails"][0];
    assert!(read["totals"]["proofs"].is_object(), "{run}");
    assert_eq!(counts(&read["totals"]), [7, 0, 1, 0], "{read}");
    assert_eq!(read["found"]["to_read"], (trail.logs.len() + trail.digests.len()) as u64);
    assert_eq!(alerts(world).len(), 1);
    // Nothing is read twice, digests neither.
    assert_eq!(collect(&live, "").code(0).json()["trails"][0]["found"]["to_read"], 0);

    // A crash between the proof and its alert, or behind it, leaves nothing that counts as read and is not told.
    let crashed = Live::new(|_| ());
    configure(&crashed, &verify);
    for point in pipeline::proof::FAILPOINTS {
        let ended = collect(&crashed, &format!("{point}=return")).0.status;
        assert_eq!(ended.signal(), Some(6), "{point} was not met");
    }
    let run = collect(&crashed, "").code(4).json();
    assert_eq!(counts(&run["trails"][0]["totals"]), [7, 0, 1, 0]);
    // When it was found may differ.
    let told = |world: &World| alerts(world)[0]["summary"].clone();
    assert_eq!((alerts(&crashed.world).len(), told(&crashed.world)), (1, told(world)));
}
