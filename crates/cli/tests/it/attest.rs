//! `trailhound attest`, and its bundle, which is checked by what its guide says: with openssl and sha256sum alone.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sample::Signing;

use serde_json::{Value, json};
use testkit::http::script::{Asked, Script};

use crate::proof::Trail;
use crate::support::{Ran, World};

fn attest(world: &World, trail: &Trail, more: &[&str]) -> Ran {
    let mut command = world.command();
    command.args(["attest", "--keys"]).arg(trail.keys()).arg(trail.all()).args(more);
    Ran(command.output().unwrap())
}

/// Hours by verdict.
fn hours(ran: &Ran) -> Vec<(String, u64)> {
    let text = ran.stdout();
    let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut found: Vec<(String, u64)> = Vec::new();
    for row in rows {
        let verdict = row["verdict"].as_str().unwrap();
        match found.iter_mut().find(|(known, _)| known == verdict) {
            Some((_, hours)) => *hours += 1,
            None => found.push((verdict.to_owned(), 1)),
        }
    }
    found.sort();
    found
}

/// The verdict of each hour, by its time of the day.
fn verdicts(ran: &Ran) -> Vec<(String, String)> {
    let text = ran.stdout();
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let word = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.map(|row| (word(&row, "hour")[11..16].to_owned(), word(&row, "verdict"))).collect()
}

fn verdict_of(ran: &Ran, hour: &str) -> String {
    let found = verdicts(ran).into_iter().find(|(start, _)| start == hour);
    found.unwrap_or_else(|| panic!("{hour}: {}", ran.stdout())).1
}

/// Attests with a bundle of evidence.
fn evidence(world: &World, trail: &Trail, more: &[&str]) -> (PathBuf, Ran) {
    let bundle = world.path(&format!("evidence-{}.zip", fs::read_dir(world.path("")).unwrap().count()));
    let mut arguments = vec!["--fresh", "--format", "jsonl", "--output", bundle.to_str().unwrap()];
    arguments.extend(more);
    let ran = attest(world, trail, &arguments);
    assert!(bundle.exists(), "{}", ran.stderr());
    (bundle, ran)
}

/// What `attest check` says of a bundle with some changed text in one part.
fn changed(world: &World, bundle: &Path, part: &str, change: &dyn Fn(String) -> String) -> Ran {
    let folder = tempfile::TempDir::new().unwrap();
    unpack(bundle, folder.path());
    let path = folder.path().join(part);
    let text = fs::read_to_string(&path).unwrap();
    let other = change(text.clone());
    assert_ne!(other, text, "{part}");
    fs::write(path, other).unwrap();
    let other = world.path("changed.zip");
    hide(folder.path(), &other);
    check(world, &other)
}

/// Changes a line of the signatures that stand beside a trail.
fn change_metadata(trail: &Trail, name: &str, change: impl Fn(&str) -> String) {
    let path = trail.root.join("metadata.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|line| if line.contains(name) { change(line) } else { line.to_owned() });
    let other: String = lines.map(|line| format!("{line}\n")).collect();
    assert_ne!(other, text, "{name}");
    fs::write(path, other).unwrap();
}

fn digests(trail: &Trail) -> Vec<PathBuf> {
    let all = walkdir::WalkDir::new(&trail.root).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = all.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
    files.filter(|path| path.to_str().unwrap().contains("/CloudTrail-Digest/")).collect()
}

fn edit(digest: &Path, change: impl Fn(String) -> String) {
    let mut text = String::new();
    GzDecoder::new(fs::File::open(digest).unwrap()).read_to_string(&mut text).unwrap();
    let other = change(text.clone());
    assert_ne!(other, text);
    let mut gzip = GzEncoder::new(fs::File::create(digest).unwrap(), Compression::default());
    gzip.write_all(other.as_bytes()).unwrap();
    gzip.finish().unwrap();
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn bundle(world: &World, trail: &Trail) -> PathBuf {
    let bundle = world.path("evidence.zip");
    let include = "SELECT event_name, user_name FROM events ORDER BY event_time, event_id LIMIT 2";
    let ran = attest(world, trail, &["--output", bundle.to_str().unwrap(), "--include", include]);
    assert!(ran.stderr().contains("its manifest's SHA-256 is "), "{}", ran.stderr());
    bundle
}

/// Takes a bundle apart, with nothing of ours.
fn unpack(bundle: &Path, folder: &Path) {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(bundle).unwrap()).unwrap();
    archive.extract(folder).unwrap();
}

/// Puts a folder back into a bundle.
fn pack(folder: &Path, bundle: &Path) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(bundle).unwrap());
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            std::io::copy(&mut std::fs::File::open(entry.path()).unwrap(), &mut zip).unwrap();
        }
    }
    zip.finish().unwrap();
}

/// Runs the commands of the guide; what they say.
fn by_the_guide(folder: &Path) -> String {
    let guide = std::fs::read_to_string(folder.join("GUIDE.md")).unwrap();
    let blocks = guide.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let script: String = blocks.collect::<Vec<_>>().join("\n");
    assert!(script.contains("openssl dgst -sha256 -verify") && script.contains("sha256sum --check"), "{script}");
    let ran = Command::new("sh").arg("-c").arg(script).current_dir(folder).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr))
}

fn check(world: &World, bundle: &Path) -> Ran {
    Ran(world.command().args(["attest", "check"]).arg(bundle).output().unwrap())
}

fn check_with_keys(world: &World, bundle: &Path, trail: &Trail) -> Ran {
    let mut command = world.command();
    Ran(command.args(["attest", "check", "--keys"]).arg(trail.keys()).arg(bundle).output().unwrap())
}

/// Makes the manifest anew, to hide what was changed, and puts the folder back into a bundle.
fn hide(folder: &Path, bundle: &Path) {
    let again =
        "find * -type f ! -name 'MANIFEST*' -exec sha256sum {} + > MANIFEST.new && mv MANIFEST.new MANIFEST.sha256";
    assert!(Command::new("sh").args(["-c", again]).current_dir(folder).status().unwrap().success());
    pack(folder, bundle);
}

/// Changes the hash of a log file in a digest, and all that follows from it but the signature. Returns the digest.
fn forge(folder: &Path) -> String {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let number = (1..).map(|number| format!("digests/{number:06}")).find(|digest| {
        let json = read(&format!("{digest}.json"));
        json.contains("\"hashValue\":\"")
    });
    let forged = number.unwrap();
    let (json, signed) = (read(&format!("{forged}.json")), read(&format!("{forged}.signed")));
    let of_log = json.split("\"hashValue\":\"").nth(1).unwrap().split('"').next().unwrap();
    let other = "0".repeat(64);
    let content = json.replace(of_log, &other);
    let hash: String = digest(&SHA256, content.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    for (name, old, new) in [
        (format!("{forged}.json"), of_log, &other),
        ("logs.sha256".to_owned(), of_log, &other),
        (format!("{forged}.signed"), signed.lines().nth(2).unwrap(), &hash),
        ("digests.csv".to_owned(), signed.lines().nth(2).unwrap(), &hash),
    ] {
        let text = read(&name);
        assert!(text.contains(old), "{name}");
        std::fs::write(folder.join(&name), text.replace(old, new)).unwrap();
    }
    forged
}

/// Signs every digest with a key of one's own, and puts it in the place of CloudTrail's.
fn sign_anew(folder: &Path) {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    for entry in walkdir::WalkDir::new(folder) {
        let path = entry.unwrap().into_path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("signed") => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let text = std::fs::read(&path).unwrap();
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &text, &mut signature).unwrap();
                std::fs::write(path.with_extension("sig"), signature).unwrap();
            }
            Some("pem") => std::fs::write(path, integrity::pem::write(pair.public_key().as_ref())).unwrap(),
            _ => {}
        }
    }
}

#[test]
fn an_hour_is_attested_once_all_of_it_was_ingested() {
    let world = World::new();
    let trail = Trail::write(&world);
    let before = attest(&world, &trail, &["--format", "jsonl"]).code(4);
    let missing = hours(&before).into_iter().find(|(verdict, _)| verdict == "not_ingested");
    assert_eq!(missing.map(|(_, hours)| hours), Some(4), "{}", before.stdout());
    trail.ingest(&world, &[&trail.all()]).code(0);
    let after = attest(&world, &trail, &["--format", "jsonl"]);
    assert!(hours(&after).iter().all(|(verdict, _)| verdict != "not_ingested"), "{}", after.stdout());
    assert!(hours(&after).iter().any(|(verdict, hours)| verdict == "attested" && *hours >= 4), "{}", after.stdout());
    // A file that was changed behind our back.
    trail.change(3);
    let changed = attest(&world, &trail, &["--format", "jsonl", "--fresh"]).code(4);
    assert!(hours(&changed).contains(&("wrong".to_owned(), 1)), "{}", changed.stdout());
    let table = attest(&world, &trail, &["--fresh"]).code(4).stdout();
    assert!(table.contains("1 hour wrong"), "{table}");
}

#[test]
fn the_evidence_is_checked_by_openssl_and_sha256sum_alone() {
    let world = World::new();
    let trail = Trail::write(&world);
    trail.ingest(&world, &[&trail.all()]).code(0);
    let evidence = bundle(&world, &trail);
    let told = check(&world, &evidence).code(0).stdout();
    assert!(told.contains("8 named by digests") && told.contains("the evidence is what it says it is"), "{told}");
    assert!(told.contains("not compared with ListPublicKeys"), "{told}");
    let told = check_with_keys(&world, &evidence, &trail).code(0).stdout();
    assert!(told.ends_with("the evidence is what it says it is\n"), "{told}");
    let folder = world.path("unpacked");
    unpack(&evidence, &folder);
    assert_eq!(by_the_guide(&folder), "");
    let answer = std::fs::read_to_string(folder.join("include/1.jsonl")).unwrap();
    assert_eq!(answer.lines().count(), 2);
    assert!(answer.contains("ListUsers"), "{answer}");
    // Evidence is not overwritten.
    let again = attest(&world, &trail, &["--output", evidence.to_str().unwrap()]).code(1);
    assert!(again.stderr().contains("is there already"), "{}", again.stderr());
}

#[test]
fn evidence_that_was_changed_does_not_hold() {
    let world = World::new();
    let trail = Trail::write(&world);
    trail.ingest(&world, &[&trail.all()]).code(0);
    let evidence = bundle(&world, &trail);
    let changed = world.path("changed.zip");
    // What is changed, and whether the manifest is made anew to hide it.
    let cases: [(&str, bool, &str); 6] = [
        ("statement.csv", false, "is not what the manifest says"),
        ("digests/000002.json", false, "is not what the manifest says"),
        ("digests/000002.json", true, "digest 000002"),
        ("digests/000002.sig", true, "is not signed by CloudTrail"),
        ("digests/000002.signed", true, "what was signed is not digest 000002"),
        ("logs.sha256", true, "does not say what digest"),
    ];
    for (part, hides, expected) in cases {
        let folder = tempfile::TempDir::new().unwrap();
        unpack(&evidence, folder.path());
        let path = folder.path().join(part);
        let mut content = std::fs::read(&path).unwrap();
        let place = content.len() / 2;
        content[place] ^= 1;
        std::fs::write(&path, content).unwrap();
        if hides {
            hide(folder.path(), &changed);
        } else {
            pack(folder.path(), &changed);
        }
        let told = check(&world, &changed).code(4).stdout();
        assert!(told.contains(expected), "{part}: {told}");
        let by_hand = by_the_guide(folder.path());
        // The list of log files is compared with the bucket by hand.
        assert!(!by_hand.is_empty() || part == "logs.sha256", "{part}");
    }
    // A part that nobody knows, one that is gone, and no bundle at all.
    let folder = tempfile::TempDir::new().unwrap();
    unpack(&evidence, folder.path());
    std::fs::write(folder.path().join("more.txt"), "more").unwrap();
    std::fs::remove_file(folder.path().join("statement.json")).unwrap();
    pack(folder.path(), &changed);
    let told = check(&world, &changed).code(4).stdout();
    assert!(told.contains("more.txt is not in the manifest"), "{told}");
    assert!(told.contains("statement.json is in the manifest, and is not there"), "{told}");
    std::fs::write(&changed, "no zip").unwrap();
    check(&world, &changed).code(2);
}

#[test]
fn no_hour_is_attested_but_by_signed_digests() {
    let world = World::new();
    let trail = Trail::write(&world);
    trail.ingest(&world, &[&trail.all()]).code(0);
    let evidence = bundle(&world, &trail);
    let changed = world.path("changed.zip");
    let unpacked = || {
        let folder = tempfile::TempDir::new().unwrap();
        unpack(&evidence, folder.path());
        folder
    };
    // A digest that was changed, whose signature is gone.
    let folder = unpacked();
    let forged = forge(folder.path());
    hide(folder.path(), &changed);
    let told = check(&world, &changed).code(4).stdout();
    assert!(told.contains("is not signed by CloudTrail"), "{told}");
    std::fs::remove_file(folder.path().join(format!("{forged}.sig"))).unwrap();
    hide(folder.path(), &changed);
    let told = check(&world, &changed).code(4).stdout();
    assert!(told.contains("1 without a signature") && !told.contains("is not signed by CloudTrail"), "{told}");
    assert!(told.contains("is attested; no signed digests prove it"), "{told}");
    // All of them signed anew, with another key.
    let folder = unpacked();
    forge(folder.path());
    sign_anew(folder.path());
    hide(folder.path(), &changed);
    let told = check(&world, &changed).code(0).stdout();
    assert!(told.contains("taken from the bundle and not compared with ListPublicKeys"), "{told}");
    let told = check_with_keys(&world, &changed, &trail).code(4).stdout();
    assert!(told.contains("is not among those of --keys") && told.contains("no signed digests prove it"), "{told}");
    // An hour of which there is no digest at all.
    let folder = unpacked();
    let statement = folder.path().join("statement.csv");
    let more = "111122223333,us-east-1,2026-01-30T20:00:00Z,attested,verified,1,0,0,0,0,false,AWSLogs/\n";
    std::fs::write(&statement, std::fs::read_to_string(&statement).unwrap() + more).unwrap();
    hide(folder.path(), &changed);
    let told = check(&world, &changed).code(4).stdout();
    assert!(told.contains("2026-01-30T20:00:00Z is attested; no signed digests prove it"), "{told}");
    assert!(told.contains("statement.json says ") && told.contains("does not hold: 2 problems\n"), "{told}");
}

#[test]
fn the_newest_digest_of_a_copy_may_lack_its_signature() {
    // Without it, and with no other: that one carries the signature of the one before it, and so on.
    for (is_kept, expected) in [(false, ", 1 without a signature"), (true, " digests\n")] {
        let world = World::new();
        let trail = Trail::write(&world);
        trail.ingest(&world, &[&trail.all()]).code(0);
        let metadata = trail.root.join("metadata.jsonl");
        let text = std::fs::read_to_string(&metadata).unwrap();
        let newest = text.lines().next_back().unwrap();
        let lines = text.lines().filter(|line| (*line == newest) == is_kept);
        std::fs::write(&metadata, lines.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let evidence = bundle(&world, &trail);
        let told = check_with_keys(&world, &evidence, &trail).code(0).stdout();
        assert!(told.contains(expected) && told.contains(" attested"), "{told}");
    }
}

#[test]
fn only_hours_that_were_asked_for_are_told_of() {
    let world = World::new();
    let trail = Trail::write(&world);
    trail.ingest(&world, &[&trail.all()]).code(0);
    // Behind the end of what is asked for, where digests are read only for the signatures that they carry.
    trail.change(5);
    let window = ["--from", "2026-01-30T07:30:00Z", "--to", "2026-01-30T08:00:00Z"];
    let (bundle, ran) = evidence(&world, &trail, &window);
    assert_eq!(verdicts(&ran.code(0)), [("07:00".to_owned(), "attested".to_owned())]);
    let told = check_with_keys(&world, &bundle, &trail).code(0).stdout();
    assert!(told.contains("time       2026-01-30T07:30:00Z to 2026-01-30T08:00:00Z\n"), "{told}");
    let mut command = world.command();
    command.arg("verify").arg(trail.all()).arg("--keys").arg(trail.keys()).args(window).args(["--format", "jsonl"]);
    let rows = Ran(command.output().unwrap()).code(0).stdout();
    assert_eq!(rows.lines().filter(|row| row.contains("\"kind\":\"hour\"")).count(), 1, "{rows}");
    // An hour of which a part was asked for is told of as a whole.
    let (bundle, ran) = evidence(&world, &trail, &["--to", "2026-01-30T08:30:00Z"]);
    let ran = ran.code(0);
    assert_eq!((verdicts(&ran).last().unwrap().0.as_str(), verdict_of(&ran, "08:00").as_str()), ("08:00", "attested"));
    check_with_keys(&world, &bundle, &trail).code(0);
    let (bundle, ran) = evidence(&world, &trail, &["--from", "2026-01-30T08:30:00Z", "--to", "2026-01-30T10:30:00Z"]);
    let hours: Vec<_> = verdicts(&ran.code(4)).into_iter().map(|(hour, verdict)| format!("{hour} {verdict}")).collect();
    assert_eq!(hours, ["08:00 attested", "09:00 wrong", "10:00 attested"]);
    check_with_keys(&world, &bundle, &trail).code(0);
    // A statement that goes on behind its end has nothing that proves it.
    let more = "111122223333,us-east-1,2026-01-30T11:00:00Z,attested,verified,1,0,0,0,0,false,AWSLogs/\n";
    let told = changed(&world, &bundle, "statement.csv", &|text| text + more).code(4).stdout();
    assert!(told.contains("2026-01-30T11:00:00Z is attested; no signed digests prove it"), "{told}");
}

/// ListPublicKeys over a trail's own keys, the last of which is valid from a time on.
fn public_keys(trail: &Trail, last_from: f64) -> Script {
    let list: Value = serde_json::from_slice(&fs::read(trail.keys()).unwrap()).unwrap();
    let keys = list["PublicKeyList"].as_array().unwrap().clone();
    Script::open(move |asked: &Asked| {
        let asked: Value = serde_json::from_str(&asked.body).unwrap();
        let number = if asked["EndTime"].as_f64().unwrap() >= last_from { keys.len() } else { keys.len() - 1 };
        let listed = keys[..number].iter().map(|key| json!({"Value": key["Value"], "Fingerprint": key["Fingerprint"]}));
        (200, json!({"PublicKeyList": listed.collect::<Vec<_>>()}).to_string())
    })
}

#[test]
fn a_backfilled_digest_brings_the_key_that_signed_it_later() {
    let world = World::new();
    let trail = Trail::write(&world);
    for digest in digests(&trail) {
        fs::remove_file(digest).unwrap();
    }
    // Three keys sign one after the other: the last of them, from 15:20 on, the digests of what came six hours late.
    let signing = Signing {
        bucket: "our-trail".to_owned(),
        trail: "main".to_owned(),
        from: Some("2026-01-30T06:00:00Z".parse().unwrap()),
        late_every: NonZero::new(2),
        ..Signing::organisation("2026-01-30T20:00:00Z".parse().unwrap())
    };
    signing.sign(&trail.root).unwrap();
    trail.ingest(&world, &[&trail.all()]).code(0);
    let service = public_keys(&trail, 1_769_785_200.0);
    let bundle = world.path("evidence.zip");
    let mut command = world.command();
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
        .envs([("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")])
        .envs([("AWS_CONFIG_FILE", "none"), ("AWS_SHARED_CREDENTIALS_FILE", "none"), ("AWS_REGION", "us-east-1")])
        .env("AWS_ENDPOINT_URL", &service.endpoint);
    command.arg("attest").arg(trail.all()).args(["--from", "2026-01-30T07:00:00Z", "--to", "2026-01-30T11:00:00Z"]);
    Ran(command.arg("--output").arg(&bundle).output().unwrap()).code(0);
    // Once for the time that was asked for, and once for the time of the late signatures.
    assert_eq!(service.asked().len(), 2, "{:?}", service.asked());
    let told = check_with_keys(&world, &bundle, &trail).code(0).stdout();
    assert!(told.contains("keys       3 keys"), "{told}");
}

#[test]
fn an_honest_bundle_of_a_trail_with_a_bad_digest_holds() {
    // A signature that was made up, of a digest whose own content the one after it proves.
    let world = World::new();
    let trail = Trail::write(&world);
    trail.ingest(&world, &[&trail.all()]).code(0);
    let bad = digests(&trail)[2].clone();
    change_metadata(&trail, name(&bad), |line| line.replace("\"signature\":\"", "\"signature\":\"00"));
    let (bundle, ran) = evidence(&world, &trail, &[]);
    assert_eq!(hours(&ran.code(4)).iter().find(|(verdict, _)| verdict == "wrong").unwrap().1, 1);
    let told = check_with_keys(&world, &bundle, &trail).code(0).stdout();
    assert!(!told.contains("proves nothing"), "{told}");

    // A digest that was changed to name what CloudTrail never wrote, in an hour that others prove.
    let world = World::new();
    let trail = Trail::write(&world);
    trail.ingest(&world, &[&trail.all()]).code(0);
    let bad = digests(&trail)[0].clone();
    let planted = name(&trail.logs[2]).replace("0805Z", "0845Z");
    let file = json!({"s3Bucket": "our-trail", "s3Object": format!("AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/30/{planted}"),
        "hashValue": "0".repeat(64), "hashAlgorithm": "SHA-256"});
    edit(&bad, |text| text.replace("\"logFiles\":[]", &format!("\"logFiles\":[{file}]")));
    let (bundle, ran) = evidence(&world, &trail, &[]);
    let ran = ran.code(4);
    assert_eq!(verdict_of(&ran, "08:00"), "attested", "{}", ran.stdout());
    let told = check_with_keys(&world, &bundle, &trail).code(0).stdout();
    assert!(told.contains("1 whose signature proves nothing") && told.ends_with("it says it is\n"), "{told}");
    // Nothing but the findings excuses it.
    let told = changed(&world, &bundle, "findings.jsonl", &|_| String::new()).code(4).stdout();
    assert!(told.contains("is not signed by CloudTrail") && told.contains("does not hold: 1 problem\n"), "{told}");
    let attest = |text: String| -> String {
        let lines = text.lines().map(|line| if line.contains(",wrong,") { attested(line) } else { line.to_owned() });
        lines.map(|line| line + "\n").collect()
    };
    let told = changed(&world, &bundle, "statement.csv", &attest).code(4).stdout();
    assert!(told.contains("is attested; no signed digests prove it"), "{told}");

    // A key that nobody lists.
    let world = World::new();
    let trail = Trail::write(&world);
    let mut keys: Value = serde_json::from_slice(&fs::read(trail.keys()).unwrap()).unwrap();
    keys["PublicKeyList"].as_array_mut().unwrap().pop().unwrap();
    fs::write(trail.keys(), keys.to_string()).unwrap();
    // Something that is wrong is more pressing than something that is not known.
    let before = attest_hours(&world, &trail, 4);
    assert!(["unjudged", "not_ingested"].iter().all(|verdict| before.contains(*verdict)), "{before:?}");
    trail.ingest(&world, &[&trail.all()]).code(0);
    let after = attest_hours(&world, &trail, 3);
    assert!(["unjudged", "attested"].iter().all(|verdict| after.contains(*verdict)), "{after:?}");
    let (bundle, _) = evidence(&world, &trail, &[]);
    let told = check_with_keys(&world, &bundle, &trail).code(0).stdout();
    assert!(told.contains(" whose signature proves nothing"), "{told}");
}

/// A line of the statement that says that all is well.
fn attested(line: &str) -> String {
    let mut fields: Vec<&str> = line.split(',').collect();
    (fields[3], fields[4], fields[8]) = ("attested", "verified", fields[6]);
    fields.join(",")
}

fn attest_hours(world: &World, trail: &Trail, code: i32) -> BTreeSet<String> {
    let ran = attest(world, trail, &["--fresh", "--format", "jsonl"]).code(code);
    hours(&ran).into_iter().map(|(verdict, _)| verdict).collect()
}

#[test]
fn two_trails_of_one_account_are_told_apart() {
    let world = World::new();
    let trail = Trail::write(&world);
    // The trail of an organisation, which has the account too, with half of the log files.
    let other = trail.root.join("AWSLogs/o-exampleorgid/111122223333/CloudTrail/us-east-1/2026/01/30");
    fs::create_dir_all(&other).unwrap();
    for log in trail.logs.iter().step_by(2) {
        fs::copy(log, other.join(name(log))).unwrap();
    }
    for digest in digests(&trail) {
        fs::remove_file(digest).unwrap();
    }
    let signing = Signing {
        bucket: "our-trail".to_owned(),
        trail: "main".to_owned(),
        from: Some("2026-01-30T06:00:00Z".parse().unwrap()),
        ..Signing::organisation("2026-01-30T12:10:00Z".parse().unwrap())
    };
    signing.sign(&trail.root).unwrap();
    trail.ingest(&world, &[&trail.all()]).code(0);
    let (bundle, ran) = evidence(&world, &trail, &[]);
    let folders: BTreeSet<String> =
        ran.stdout().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["folder"].to_string()).collect();
    assert_eq!(folders.iter().map(String::as_str).collect::<Vec<_>>(), ["\"AWSLogs/\"", "\"AWSLogs/o-exampleorgid/\""]);
    let told = check_with_keys(&world, &bundle, &trail).code(0).stdout();
    assert!(told.contains("1 account, with 1 region together\n           111122223333: us-east-1\n"), "{told}");
    // What one of them names says nothing of the other.
    let swapped = |text: String| text.replace(",false,AWSLogs/\n", ",false,AWSLogs/o-exampleorgid/\n");
    let told = changed(&world, &bundle, "statement.csv", &swapped).code(4).stdout();
    assert!(told.contains(" twice") && told.contains("leaves out"), "{told}");
}

#[test]
fn a_statement_that_leaves_hours_out_does_not_hold() {
    let world = World::new();
    let trail = Trail::write(&world);
    trail.ingest(&world, &[&trail.all()]).code(0);
    let (bundle, _) = evidence(&world, &trail, &[]);
    let without = |hours: &'static [&'static str]| {
        move |text: String| -> String {
            let lines = text.lines().filter(|line| !hours.iter().any(|hour| line.contains(&format!("T{hour}:00:00Z"))));
            lines.map(|line| format!("{line}\n")).collect()
        }
    };
    for (hours, expected) in [
        (&["08"][..], "leaves out 1 hour of 111122223333 us-east-1, from 2026-01-30T08:00:00Z on"),
        (&["10", "11"], "leaves out 2 hours of 111122223333 us-east-1, from 2026-01-30T10:00:00Z on"),
    ] {
        let told = changed(&world, &bundle, "statement.csv", &without(hours)).code(4).stdout();
        assert!(told.contains(expected), "{hours:?}: {told}");
        assert!(told.contains("WRONG: statement.json says "), "{hours:?}: {told}");
    }
    let twice = |text: String| {
        let line = text.lines().find(|line| line.contains("T08:00:00Z")).unwrap().to_owned();
        format!("{text}{line}\n")
    };
    let told = changed(&world, &bundle, "statement.csv", &twice).code(4).stdout();
    assert!(told.contains("has 111122223333 us-east-1 2026-01-30T08:00:00Z twice"), "{told}");
    let other = |text: String| text.replace("T08:00:00Z", "T08:00:01Z");
    let told = changed(&world, &bundle, "statement.csv", &other).code(4).stdout();
    assert!(told.contains("T08:00:01Z, which is no hour"), "{told}");
    let fewer = |text: String| text.replace("\"wrong\": 0", "\"wrong\": 2");
    let told = changed(&world, &bundle, "statement.json", &fewer).code(4).stdout();
    assert!(told.contains("statement.json says 2 of hours wrong; statement.csv has 0"), "{told}");
    let none = |_| "{}".to_owned();
    let told = changed(&world, &bundle, "statement.json", &none).code(4).stdout();
    assert!(told.contains("there is no statement.json that says how many hours come to what"), "{told}");
}

#[test]
fn every_format_has_the_same_hours_and_a_reader_that_goes_away_costs_no_evidence() {
    let world = World::new();
    let trail = Trail::write(&world);
    trail.ingest(&world, &[&trail.all()]).code(0);
    let lines = attest(&world, &trail, &["--format", "jsonl"]).code(0).stdout();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[2]["named"], &lines[2]["covered"]), (&json!(2), &json!(false)));
    let whole = attest(&world, &trail, &["--format", "json"]).code(0);
    assert_eq!(whole.json(), Value::from(lines.clone()));
    assert!(whole.stderr().contains("\"attested\":"), "{}", whole.stderr());
    let text = attest(&world, &trail, &["--format", "csv"]).code(0).stdout();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns = reader.headers().unwrap().clone();
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let expected: Vec<Vec<String>> =
        lines.iter().map(|line| columns.iter().map(|column| plain(&line[column])).collect()).collect();
    let rows: Vec<Vec<String>> = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    assert_eq!(rows, expected);

    let bundle = world.path("evidence.zip");
    let mut command = world.command();
    command
        .args(["attest", "--format", "csv", "--keys"])
        .arg(trail.keys())
        .arg(trail.all())
        .arg("--output")
        .arg(&bundle);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    child.wait().unwrap();
    check_with_keys(&world, &bundle, &trail).code(0);
}

/// A bundle of the first version, whose statement does not say which folder a line is of.
#[test]
fn evidence_of_an_older_version_is_checked() {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/evidence-1.zip");
    let world = World::new();
    let told = check(&world, &bundle).code(0).stdout();
    assert!(told.contains(" attested") && told.contains("the evidence is what it says it is"), "{told}");
}
