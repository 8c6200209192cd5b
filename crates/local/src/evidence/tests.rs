use std::fs;
use std::fs::File;
use std::io::Write;

use super::*;

const KEY: &str = "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/15/d.json.gz";
const LOG: &str = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/15/l.json.gz";

fn write(folder: &Path, name: &str, content: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).unwrap().write_all(content.as_bytes()).unwrap();
}

fn content(copy: &BucketCopy, key: &str) -> String {
    let mut text = String::new();
    io::Read::read_to_string(&mut copy.read(key, 1 << 20).unwrap().content, &mut text).unwrap();
    text
}

fn keys(copy: &BucketCopy, prefix: &str) -> Vec<String> {
    let mut keys = Vec::new();
    copy.list(prefix, &mut |listed| keys.push(listed.key)).unwrap();
    keys.sort();
    keys
}

#[test]
fn a_folder_and_an_archive_of_it_are_the_same_bucket() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [(KEY, "digest"), (LOG, "log"), ("AWSLogs/111122223333/notes.txt", "notes")] {
        write(&folder.path().join("copy/of"), name, text);
    }
    let tar = folder.path().join("copy.tar");
    let mut builder = tar::Builder::new(File::create(&tar).unwrap());
    builder.append_dir_all(".", folder.path().join("copy")).unwrap();
    builder.finish().unwrap();
    for path in [folder.path().join("copy"), tar] {
        let copy = BucketCopy::open(&path, folder.path()).unwrap();
        assert_eq!(copy.prefixes(), ["of/"]);
        let account = copy.level("of/AWSLogs/111122223333/").unwrap();
        assert_eq!(account.folders, ["CloudTrail", "CloudTrail-Digest"]);
        assert_eq!(content(&copy, &format!("of/{LOG}")), "log");
        assert_eq!(keys(&copy, "of/AWSLogs/111122223333/CloudTrail/"), [format!("of/{LOG}")]);
        assert!(matches!(copy.read("of/AWSLogs/x", 10), Err(Trouble::NotFound)));
        assert!(matches!(copy.read(&format!("of/{LOG}"), 2), Err(Trouble::TooLarge { size: 3, limit: 2 })));
        assert_eq!(copy.level("nowhere/").unwrap(), Level::default());
    }
    // Whoever points into it means a part.
    let part = folder.path().join("copy/of/AWSLogs/111122223333/CloudTrail");
    let copy = BucketCopy::open(&part, folder.path()).unwrap();
    assert_eq!((copy.prefixes(), copy.below()), (vec![String::new()], "AWSLogs/111122223333/CloudTrail/"));
}

/// The folder `copy`, packed in each way that is read, in a folder whose name has the mark of an archive's entries in it.
fn packed(folder: &Path, names: &[String]) -> Vec<PathBuf> {
    let (copy, odd) = (folder.join("copy"), folder.join("what!"));
    fs::create_dir_all(&odd).unwrap();
    let tar = odd.join("copy.tar.gz");
    let gzip = flate2::write::GzEncoder::new(File::create(&tar).unwrap(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(gzip);
    builder.append_dir_all(".", &copy).unwrap();
    builder.into_inner().unwrap().finish().unwrap();
    let zip = odd.join("copy.zip");
    let mut writer = ::zip::ZipWriter::new(File::create(&zip).unwrap());
    for name in names {
        writer.start_file(name.as_str(), ::zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(&fs::read(copy.join(name)).unwrap()).unwrap();
    }
    writer.finish().unwrap();
    vec![tar, zip]
}

#[test]
fn an_archive_has_the_signatures_and_the_notes_that_the_folder_has() {
    let folder = tempfile::tempdir().unwrap();
    let day = KEY.rsplit_once('/').unwrap().0;
    let inner = "PK\u{5}\u{6}";
    let mut files = vec![
        (KEY.to_owned(), "digest"),
        (format!("{KEY}.sig"), "signed"),
        (LOG.to_owned(), "log"),
        ("README.md".to_owned(), "notes"),
        ("AWSLogs/111122223333/SHA256SUMS".to_owned(), "sums"),
        (format!("{day}/README"), "notes"),
        (format!("{day}/other.zip"), inner),
        (format!("{day}/a.sig"), "of nothing"),
    ];
    files.extend((0..150).map(|number| (format!("{day}/{number}.md"), "notes")));
    files.iter().for_each(|(name, text)| write(&folder.path().join("copy"), name, text));
    let names: Vec<String> = files.into_iter().map(|(name, _)| name).collect();
    let of_folder = BucketCopy::open(&folder.path().join("copy"), folder.path()).unwrap();
    assert_eq!(keys(&of_folder, "AWSLogs/").len(), 2 + 1 + 3 + 150);
    for path in packed(folder.path(), &names) {
        let copy = BucketCopy::open(&path, folder.path()).unwrap();
        assert_eq!(copy.unreadable(), [], "{}", path.display());
        assert_eq!(keys(&copy, ""), keys(&of_folder, ""), "{}", path.display());
        assert_eq!(copy.prefixes(), of_folder.prefixes());
        let object = copy.read(KEY, 10).unwrap();
        assert_eq!(object.metadata.signature.as_deref(), Some("signed"), "{}", path.display());
        assert_eq!(content(&copy, &format!("{day}/other.zip")), inner);
    }
}

#[test]
fn what_has_no_content_in_an_archive_is_named_however_many_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let tar = folder.path().join("copy.tar");
    let mut builder = tar::Builder::new(File::create(&tar).unwrap());
    for number in 0..150 {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, format!("AWSLogs/{number}.sig"), "/etc/passwd").unwrap();
    }
    builder.finish().unwrap();
    let copy = BucketCopy::open(&tar, folder.path()).unwrap();
    assert_eq!((copy.unreadable().len(), keys(&copy, "").len()), (150, 0));
    assert!(copy.unreadable().iter().all(|(_, why)| why.contains("link")));
}

#[test]
fn a_key_leads_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "secret", "hush");
    write(&folder.path().join("copy"), LOG, "log");
    let copy = BucketCopy::open(&folder.path().join("copy"), folder.path()).unwrap();
    for key in ["../secret", "AWSLogs/../../secret", "/etc/passwd", "AWSLogs//x", "./AWSLogs", "C:\\secret", "a\\b"] {
        assert!(matches!(copy.read(key, 1 << 20), Err(Trouble::NotFound)), "{key}");
        assert_eq!(copy.level(&format!("{key}/")).unwrap(), Level::default(), "{key}");
    }
}

#[test]
fn signatures_are_found_beside_the_copy() {
    let line = format!(r#"{{"Key":"{KEY}","Metadata":{{"signature":"one","signature-algorithm":"SHA256withRSA"}}}}"#);
    let head = r#"{"ETag":"x","Metadata":{"Signature":"two","backfill-generation-timestamp":"2026-01-15T00:00:00Z"}}"#;
    for (name, text, expected) in [
        ("metadata.jsonl", format!("no line\n{{}}\n{line}\n"), "one"),
        (&format!("{KEY}.metadata.json"), head.to_owned(), "two"),
        (&format!("{KEY}.sig"), "three\n".to_owned(), "three"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("copy"), KEY, "digest");
        assert_eq!(
            BucketCopy::open(&folder.path().join("copy"), folder.path()).unwrap().read(KEY, 10).unwrap().metadata,
            Default::default()
        );
        write(&folder.path().join("copy"), name, &text);
        let copy = BucketCopy::open(&folder.path().join("copy"), folder.path()).unwrap();
        let metadata = copy.read(KEY, 10).unwrap().metadata;
        assert_eq!(metadata.signature.as_deref(), Some(expected), "{name}");
        assert_eq!(metadata.algorithm.is_some(), name == "metadata.jsonl");
        assert_eq!(metadata.generated_at().is_some(), name.ends_with(".metadata.json"));
        // What stands beside an object is none.
        assert_eq!(keys(&copy, "AWSLogs/"), [KEY], "{name}");
    }
    // A signature beside nothing is an object that nobody knows.
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &format!("{KEY}.sig"), "x");
    assert_eq!(keys(&BucketCopy::open(folder.path(), folder.path()).unwrap(), "AWSLogs/"), [format!("{KEY}.sig")]);
}
