//! `trailhound attest`, and its bundle, which is checked by what its guide says: with openssl and sha256sum alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};

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
    let more = "111122223333,us-east-1,2026-01-30T20:00:00Z,attested,verified,1,0,0,0,0,false\n";
    std::fs::write(&statement, std::fs::read_to_string(&statement).unwrap() + more).unwrap();
    hide(folder.path(), &changed);
    let told = check(&world, &changed).code(4).stdout();
    assert!(told.contains("2026-01-30T20:00:00Z is attested; no signed digests prove it"), "{told}");
    assert!(told.contains("does not hold: 1 problem\n"), "{told}");
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
