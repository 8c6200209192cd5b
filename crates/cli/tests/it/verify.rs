//! `trailhound verify`: copies and buckets, every format, and a run that is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sample::{Plan, Signing};
use serde_json::{Value, json};

use crate::formats::snapshot;
use crate::support::{NOW, Ran, World};

const ACCOUNT: &str = "111122223333";
const UNTIL: &str = "2026-01-30T12:10:00Z";

/// A signed afternoon of one account with two regions. The keys are the sample's, so that every hash is always the same.
fn small(folder: &Path) {
    for (number, region) in ["us-east-1", "eu-west-1"].into_iter().enumerate() {
        for hour in 7..11 {
            let time = format!("2026-01-30T{hour:02}:05:00Z");
            let id = format!("00000000-0000-4000-8000-{number:010}{hour:02}");
            let record = testkit::event("GetUser").account(ACCOUNT).at(&time).iam_user("alice").id(&id).build();
            let text = json!({"Records": [record]}).to_string();
            let name = format!("{ACCOUNT}_CloudTrail_{region}_20260130T{hour:02}10Z_{number:014}{hour:02}.json.gz");
            let day = folder.join(format!("AWSLogs/{ACCOUNT}/CloudTrail/{region}/2026/01/30"));
            fs::create_dir_all(&day).unwrap();
            fs::write(day.join(name), gzip(text.as_bytes())).unwrap();
        }
    }
    let signing = Signing {
        bucket: "our-trail".to_owned(),
        trail: "main".to_owned(),
        from: Some("2026-01-30T06:00:00Z".parse().unwrap()),
        ..Signing::organisation(UNTIL.parse().unwrap())
    };
    signing.sign(folder).unwrap();
}

fn gzip(text: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The files below a folder whose names say this.
fn files(folder: &Path, part: &str) -> Vec<PathBuf> {
    let all = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = all.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
    files.filter(|path| path.to_str().unwrap().contains(part)).collect()
}

fn world() -> (World, PathBuf) {
    let world = World::new();
    let copy = world.path("copy");
    small(&copy);
    (world, copy)
}

fn verify(world: &World, copy: &Path, more: &[&str]) -> Ran {
    let keys = world.path("copy/public-keys.json");
    let mut command = world.command();
    command.arg("verify").arg(copy).arg("--keys").arg(keys).args(more);
    Ran(command.output().unwrap())
}

/// The rows of a run, but for the hours.
fn findings(ran: &Ran) -> Vec<Value> {
    let rows = ran.stdout();
    let rows = rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter(|row| !["hour", "summary"].contains(&row["kind"].as_str().unwrap())).collect()
}

/// Statuses and names of what was found, in order.
fn told(ran: &Ran) -> Vec<(String, String)> {
    let word = |value: &Value| value.as_str().unwrap_or_default().rsplit('/').next().unwrap().to_owned();
    let mut told: Vec<_> = findings(ran).iter().map(|row| (word(&row["status"]), word(&row["key"]))).collect();
    told.sort();
    told
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn an_untouched_copy_is_verified_in_every_format() {
    let (world, copy) = world();
    for format in ["table", "json", "jsonl", "csv"] {
        let ran = verify(&world, &copy, &["--format", format]).code(0);
        let text = ran.stdout().replace(&copy.display().to_string(), "[copy]");
        snapshot(&format!("verify_{format}"), &text);
    }
    // Nothing of a run that came to its end is left.
    assert_eq!(fs::read_dir(world.home().join("verify")).unwrap().count(), 0);
}

#[test]
fn what_was_done_to_a_copy_is_told_in_every_format() {
    let (world, copy) = world();
    let logs = files(&copy, "/CloudTrail/us-east-1/");
    let digests = files(&copy, "CloudTrail-Digest/eu-west-1/");
    fs::write(&logs[1], gzip(b"{\"Records\":[]}")).unwrap();
    fs::copy(&logs[0], logs[0].with_file_name(format!("{ACCOUNT}_CloudTrail_us-east-1_20260130T0812Z_x=1.json.gz")))
        .unwrap();
    fs::remove_file(&logs[2]).unwrap();
    fs::remove_file(&digests[2]).unwrap();
    fs::write(digests[0].with_file_name("<b>notes<b>\u{1b}[2J.json"), "{}").unwrap();
    for format in ["table", "json", "jsonl", "csv"] {
        let ran = verify(&world, &copy, &["--format", format]).code(4);
        let text = ran.stdout().replace(&copy.display().to_string(), "[copy]");
        assert!(!text.contains('\u{1b}'));
        snapshot(&format!("verify_tampered_{format}"), &text);
    }
    let told = told(&verify(&world, &copy, &["--format", "jsonl"]).code(4));
    for expected in [("tampered", &logs[1]), ("missing", &logs[2]), ("missing", &digests[2])] {
        assert!(told.contains(&(expected.0.to_owned(), name(expected.1))), "{expected:?}: {told:?}");
    }
    let report = world.path("report.html");
    verify(&world, &copy, &["--quiet", "--report", report.to_str().unwrap()]).code(4);
    let page = fs::read_to_string(report).unwrap().replace(&copy.display().to_string(), "[copy]");
    assert!(!page.contains("<b>") && !page.contains("<script") && !page.contains('\u{1b}'));
    snapshot("verify_report", &page);
}

#[test]
fn a_plain_copy_and_an_archive_know_all_signatures_but_the_newest() {
    let (world, copy) = world();
    let newest = |region: &str| name(files(&copy, &format!("CloudTrail-Digest/{region}/")).last().unwrap());
    let mut expected: Vec<(String, String)> =
        ["us-east-1", "eu-west-1"].iter().map(|region| ("unjudged".to_owned(), newest(region))).collect();
    expected.sort();
    fs::remove_file(copy.join("metadata.jsonl")).unwrap();
    let ran = verify(&world, &copy, &["--format", "jsonl"]).code(3);
    assert_eq!(told(&ran), expected);
    let tar = world.path("copy.tar.gz");
    let packed = Command::new("tar").arg("-C").arg(world.path("")).arg("-czf").arg(&tar).arg("copy").status().unwrap();
    assert!(packed.success());
    let archived = verify(&world, &tar, &["--format", "jsonl"]).code(3);
    assert_eq!(findings(&archived), findings(&ran));
    // A part of it, and one object.
    verify(&world, &copy, &["--region", "us-east-1", "--to", "2026-01-30T08:30:00Z"]).code(0);
    let log = files(&copy, "/CloudTrail/us-east-1/")[0].strip_prefix(&copy).unwrap().to_str().unwrap().to_owned();
    let one = verify(&world, &copy, &["--only", &log, "--format", "jsonl"]).code(0);
    assert_eq!(told(&one), [("verified".to_owned(), name(Path::new(&log)))]);
    // Without keys nothing is verified.
    let none = world.file("none.json", r#"{"PublicKeyList":[]}"#);
    let mut command = world.command();
    command.arg("verify").arg(&copy).arg("--keys").arg(none).args(["--format", "json"]);
    let rows = Ran(command.output().unwrap()).code(3).json();
    let summary = rows.as_array().unwrap().last().unwrap();
    assert_eq!(summary["counts"]["digests"]["verified"], 0);
    assert_eq!(summary["counts"]["logs"]["verified"], 0);
}

#[test]
fn mistakes_are_named() {
    let (world, copy) = world();
    let empty = world.path("empty");
    fs::create_dir_all(&empty).unwrap();
    for (path, more, expected) in [
        (&empty, vec![], "there are no log files of CloudTrail"),
        (&copy, vec!["--from", "2026-02-01", "--to", "2026-01-01"], "does not lie before"),
        (&copy, vec!["--only", "AWSLogs/x"], "no account and region"),
    ] {
        let told = verify(&world, path, &more).code(2).stderr();
        assert!(told.contains(expected), "{told}");
    }
    let told = world.run(["verify", copy.to_str().unwrap(), "--keys", "nowhere.json"]).code(1).stderr();
    assert!(told.contains("nowhere.json"), "{told}");
}

#[test]
fn a_time_without_validation_names_who_turned_it_off() {
    let world = World::new();
    let now = NOW.parse().unwrap();
    let plan =
        Plan { days: 7, events: 1_500, files: 140, signing: Some(Signing::organisation(now)), ..Plan::demo(now) };
    let made = plan.write(&world.path("copy"), |_| {}).unwrap();
    world.ingest(&made.trail);
    let ran = verify(&world, &world.path("copy"), &["--format", "jsonl"]).code(3);
    let explained = ran.stdout().lines().filter(|line| line.contains("UpdateTrail of")).count();
    let unsigned = ran.stdout().lines().filter(|line| line.contains(r#""kind":"hour","status":"unsigned""#)).count();
    let rows: Vec<String> = ran.stdout().lines().filter(|line| line.contains("unsigned")).map(str::to_owned).collect();
    assert!(explained > 0 && explained == unsigned, "{explained} of {unsigned}: {rows:#?}");
}

#[test]
fn a_run_that_is_killed_goes_on() {
    let world = World::new();
    let now = NOW.parse().unwrap();
    let plan =
        Plan { days: 7, events: 6_000, files: 1_500, signing: Some(Signing::organisation(now)), ..Plan::demo(now) };
    plan.write(&world.path("copy"), |_| {}).unwrap();
    let copy = world.path("copy");
    let injected = files(&copy, "/CloudTrail/us-east-1/")[5].clone();
    fs::write(&injected, gzip(b"changed")).unwrap();
    let whole = verify(&world, &copy, &["--format", "jsonl"]).code(4).stdout();
    let mut resumed = 0;
    for wait in [200, 500, 900] {
        let mut child = world
            .command()
            .arg("verify")
            .arg(&copy)
            .arg("--keys")
            .arg(world.path("copy/public-keys.json"))
            .args(["--format", "jsonl"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        let again = verify(&world, &copy, &["--format", "jsonl"]).code(4);
        resumed += usize::from(again.stderr().contains("going on with the run"));
        assert_eq!(again.stdout(), whole, "after {wait} ms");
    }
    assert!(resumed > 0, "no run was killed in its middle");
}

/// S3 and CloudTrail on this machine, over the folder of a signed trail as it is now. They end with the test program.
fn aws(world: &World, copy: &Path) -> Command {
    aws_with(world, copy, "our-trail", &[])
}

/// The same in a bucket of that name, where ListPublicKeys is denied in some regions.
fn aws_with(world: &World, copy: &Path, bucket: &'static str, denied: &[&str]) -> Command {
    let listen = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (s3, cloudtrail) = (listen(), listen());
    let endpoint = |listener: &std::net::TcpListener| format!("http://{}", listener.local_addr().unwrap());
    let mut command = world.command();
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
        .envs([("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")])
        .envs([("AWS_CONFIG_FILE", "none"), ("AWS_SHARED_CREDENTIALS_FILE", "none"), ("AWS_REGION", "us-east-1")])
        .env("AWS_ENDPOINT_URL_S3", endpoint(&s3))
        .env("AWS_ENDPOINT_URL", endpoint(&cloudtrail));
    let folder = copy.to_owned();
    std::thread::spawn(move || testkit::http::s3::serve(&s3, &folder, bucket, || ()));
    let no_history = world.path("no-history");
    fs::create_dir_all(&no_history).unwrap();
    let setup = testkit::http::Setup {
        data: no_history,
        public_keys: Some(copy.join("public-keys.json")),
        denied: denied.iter().map(|region| (*region).to_owned()).collect(),
        unlimited: true,
        ..Default::default()
    };
    std::thread::spawn(move || testkit::http::serve(&cloudtrail, setup, || ()));
    command
}

#[test]
fn a_bucket_is_verified_with_the_keys_that_cloudtrail_lists() {
    let (world, copy) = world();
    let run = |more: &[&str]| {
        let mut command = aws(&world, &copy);
        Ran(command.args(["verify", "s3://our-trail", "--to", UNTIL, "--format", "jsonl"]).args(more).output().unwrap())
    };
    let clean = run(&[]).code(0);
    assert_eq!(told(&clean), []);
    let summary: Value = serde_json::from_str(clean.stdout().lines().last().unwrap()).unwrap();
    assert_eq!(
        (&summary["counts"]["logs"]["verified"], &summary["counts"]["digests"]["verified"]),
        (&json!(8), &json!(13))
    );

    // The keys in a file, and then without asking anybody.
    let exported = world.path("keys.json");
    let mut export = aws(&world, &copy);
    export.args(["verify", "keys", "export", "--region", "us-east-1,eu-west-1", "--output"]).arg(&exported);
    Ran(export.output().unwrap()).code(0);
    run(&["--keys", exported.to_str().unwrap()]).code(0);

    // What is read with proof asks for them too.
    let mut ingest = aws(&world, &copy);
    let ran = Ran(ingest.args(["ingest", "--verify", "--summary", "json"]).arg(copy.join("AWSLogs")).output().unwrap())
        .code(0);
    assert_eq!((&ran.json()["proofs"]["proven"], &ran.json()["proofs"]["digests"]), (&json!(8), &json!(13)));

    let log = &files(&copy, "/CloudTrail/us-east-1/")[1];
    fs::write(log, gzip(b"changed")).unwrap();
    let digest = &files(&copy, "CloudTrail-Digest/eu-west-1/")[1];
    fs::remove_file(digest).unwrap();
    let ran = run(&[]).code(4);
    assert_eq!(told(&ran), [("missing".to_owned(), name(digest)), ("tampered".to_owned(), name(log))]);
}

#[test]
fn where_list_public_keys_is_denied_nothing_is_verified_and_it_is_said_why() {
    let (world, copy) = world();
    let run = |denied: &[&str]| {
        let mut command = aws_with(&world, &copy, "our-trail", denied);
        Ran(command.args(["verify", "s3://our-trail", "--to", UNTIL, "--format", "jsonl"]).output().unwrap()).code(3)
    };
    let barred = run(&["us-east-1", "eu-west-1"]);
    assert_eq!(told(&barred).len(), 13);
    for finding in findings(&barred) {
        assert_eq!((&finding["status"], &finding["kind"]), (&json!("unjudged"), &json!("digest")));
        let detail = finding["detail"].as_str().unwrap();
        assert!(detail.contains("could not be listed: access denied") && detail.contains("ListPublicKeys"), "{detail}");
    }
    let summary: Value = serde_json::from_str(barred.stdout().lines().last().unwrap()).unwrap();
    let counts = &summary["counts"];
    assert_eq!((&counts["logs"]["verified"], &counts["logs"]["unjudged"]), (&json!(0), &json!(8)));
    // The keys of another region are its own.
    let one = run(&["us-east-1"]);
    assert!(!findings(&one).is_empty());
    assert!(findings(&one).iter().all(|finding| finding["region"] == "us-east-1"), "{:?}", findings(&one));
}

#[test]
fn a_replica_of_a_bucket_is_judged_by_the_place_that_is_named() {
    let (world, copy) = world();
    let run = |more: &[&str]| {
        let mut command = aws_with(&world, &copy, "replica", &[]);
        Ran(command.args(["verify", "s3://replica", "--to", UNTIL, "--format", "jsonl"]).args(more).output().unwrap())
    };
    let moved = run(&[]).code(4);
    assert!(findings(&moved).iter().any(|row| row["detail"].as_str().unwrap().contains("moved from its original")));
    assert_eq!(told(&run(&["--bucket-name", "our-trail"]).code(0)), []);
    let moved = run(&["--bucket-name", "our-trail", "--prefix", "audit"]).code(4);
    let digests = told(&moved).into_iter().filter(|(status, name)| status == "tampered" && name.contains("Digest"));
    assert_eq!(digests.count(), 13);

    // The same of a copy, where the digests say what is not said.
    assert_eq!(told(&verify(&world, &copy, &["--format", "jsonl"]).code(0)), []);
    verify(&world, &copy, &["--bucket-name", "our-trail", "--prefix", "/"]).code(0);
    for wrong in [["--bucket-name", "their-trail"], ["--prefix", "audit/"]] {
        let moved = verify(&world, &copy, &[&wrong[..], &["--format", "jsonl"]].concat()).code(4);
        let digests = told(&moved).into_iter().filter(|(status, name)| status == "tampered" && name.contains("Digest"));
        assert_eq!(digests.count(), 13, "{wrong:?}");
    }
}

#[test]
fn from_a_digest_on_only_what_follows_it_in_its_account_and_region_is_looked_at() {
    let (world, copy) = world();
    let digests = files(&copy, "CloudTrail-Digest/us-east-1/");
    let key = |path: &Path| path.strip_prefix(&copy).unwrap().to_str().unwrap().to_owned();
    // The first hours of this region, and the other region.
    let logs = files(&copy, "/CloudTrail/us-east-1/");
    fs::write(&logs[0], gzip(b"changed")).unwrap();
    fs::remove_file(&digests[1]).unwrap();
    fs::remove_file(&files(&copy, "/CloudTrail/eu-west-1/")[3]).unwrap();
    verify(&world, &copy, &[]).code(4);
    let from = key(&digests[3]);
    for from in [from.clone(), format!("s3://our-trail/{from}")] {
        let ran = verify(&world, &copy, &["--from-digest", &from, "--format", "jsonl"]).code(0);
        assert_eq!(told(&ran), []);
        let summary: Value = serde_json::from_str(ran.stdout().lines().last().unwrap()).unwrap();
        assert_eq!(summary["counts"]["digests"]["verified"], json!(digests.len() - 3));
    }
    // It is looked at itself.
    let text = fs::read(&digests[3]).unwrap();
    fs::write(&digests[3], &text[..text.len() - 9]).unwrap();
    let ran = verify(&world, &copy, &["--from-digest", &from, "--format", "jsonl"]).code(4);
    assert!(told(&ran).contains(&("tampered".to_owned(), name(&digests[3]))), "{:?}", told(&ran));
    let wrong = verify(&world, &copy, &["--from-digest", &key(&logs[1])]).code(2).stderr();
    assert!(wrong.contains("that is no key of a digest"), "{wrong}");
}

#[test]
fn objects_above_the_folders_of_regions_are_told() {
    let (world, copy) = world();
    let log = fs::read(&files(&copy, "/CloudTrail/us-east-1/")[0]).unwrap();
    let account = format!("AWSLogs/{ACCOUNT}");
    let planted = [
        "AWSLogs/x.json.gz".to_owned(),
        format!("{account}/x.json"),
        format!("{account}/CloudTrail/x.json.gz"),
        format!("{account}/CloudTrail/x"),
        format!("{account}/CloudTrail-Digest/x.json.gz"),
    ];
    planted.iter().for_each(|key| fs::write(copy.join(key), &log).unwrap());
    // What others write there.
    fs::write(copy.join(&account).join("ELBAccessLogTestFile"), "test").unwrap();
    let tar = world.path("copy.tar.gz");
    let packed = Command::new("tar").arg("-C").arg(world.path("")).arg("-czf").arg(&tar).arg("copy").status().unwrap();
    assert!(packed.success());
    let keys = |ran: &Ran| {
        let mut keys: Vec<String> = findings(ran).iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect();
        keys.sort();
        keys
    };
    let mut expected = planted.to_vec();
    expected.sort();
    for path in [&copy, &tar] {
        let ran = verify(&world, path, &["--format", "jsonl"]).code(3);
        assert_eq!(keys(&ran), expected);
        let summary: Value = serde_json::from_str(ran.stdout().lines().last().unwrap()).unwrap();
        assert_eq!((&summary["counts"]["foreign"], &summary["counts"]["unlisted"]), (&json!(5), &json!(0)));
        assert!(verify(&world, path, &[]).code(3).stdout().contains("5 other objects among them"));
    }
    let mut bucket = aws(&world, &copy);
    bucket.args(["verify", "s3://our-trail", "--to", UNTIL, "--format", "jsonl"]);
    assert_eq!(keys(&Ran(bucket.output().unwrap()).code(3)), expected);
    // Whoever asks about a part, or about one object, is told of that.
    verify(&world, &copy, &["--account", ACCOUNT]).code(3);
    verify(&world, &copy.join(&account).join("CloudTrail/us-east-1"), &[]).code(0);
    let log = files(&copy, "/CloudTrail/us-east-1/")[0].strip_prefix(&copy).unwrap().to_str().unwrap().to_owned();
    verify(&world, &copy, &["--only", &log]).code(0);
}

#[test]
fn an_archive_with_signatures_in_files_and_notes_is_what_the_folder_is() {
    let (world, copy) = world();
    // As `aws s3api head-object` would give them, one file a digest.
    let metadata = fs::read_to_string(copy.join("metadata.jsonl")).unwrap();
    fs::remove_file(copy.join("metadata.jsonl")).unwrap();
    for line in metadata.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let (key, signature) = (line["Key"].as_str().unwrap(), line["Metadata"]["signature"].as_str().unwrap());
        fs::write(copy.join(format!("{key}.sig")), signature).unwrap();
    }
    fs::write(copy.join("README.md"), "where this comes from").unwrap();
    assert_eq!(told(&verify(&world, &copy, &["--format", "jsonl"]).code(0)), []);
    let tar = world.path("copy.tar.gz");
    let packed = Command::new("tar").arg("-C").arg(world.path("")).arg("-czf").arg(&tar).arg("copy").status().unwrap();
    assert!(packed.success());
    assert_eq!(told(&verify(&world, &tar, &["--format", "jsonl"]).code(0)), []);
    // Notes among the digests and the logs are objects that nobody knows, there as here.
    let folder = |part: &str| files(&copy, part)[0].parent().unwrap().to_owned();
    fs::write(folder("CloudTrail-Digest/us-east-1/").join("README.md"), "notes").unwrap();
    fs::write(folder("/CloudTrail/us-east-1/").join("SHA256SUMS"), "sums").unwrap();
    let here = verify(&world, &copy, &["--format", "jsonl"]);
    assert!(told(&here).contains(&("unjudged".to_owned(), "README.md".to_owned())), "{:?}", told(&here));
    let packed = Command::new("tar").arg("-C").arg(world.path("")).arg("-czf").arg(&tar).arg("copy").status().unwrap();
    assert!(packed.success());
    let there = verify(&world, &tar, &["--format", "jsonl"]);
    assert_eq!((findings(&there), there.0.status), (findings(&here), here.0.status));
}
