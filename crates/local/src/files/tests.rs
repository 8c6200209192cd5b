use std::fs;
use std::io::{Cursor, Write};

use ::zip::write::SimpleFileOptions;
use flate2::Compression;
use flate2::write::GzEncoder;
use pipeline::source::Content;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// What a source brought: the contents by name, and what could not be read.
#[derive(Debug, Default, PartialEq, Eq)]
struct Brought {
    items: Vec<(String, String)>,
    unreadable: Vec<(String, String)>,
}

impl Brought {
    fn names(&self) -> Vec<&str> {
        self.items.iter().map(|(name, _)| name.as_str()).collect()
    }
}

fn drain(source: &mut FileSource) -> Brought {
    let mut brought = Brought::default();
    while let Some(next) = source.next_item() {
        match next {
            Ok(item) => {
                let name = item.name.clone();
                let mut bytes = Vec::new();
                let outcome = item.open().and_then(|content| match content {
                    Content::Bytes(all) => {
                        bytes = all;
                        Ok(0)
                    }
                    Content::Reader(mut reader) => reader.read_to_end(&mut bytes),
                });
                if let Err(error) = outcome {
                    brought.unreadable.push((name.clone(), error.to_string()));
                }
                brought.items.push((name, String::from_utf8_lossy(&bytes).into_owned()));
            }
            Err(unreadable) => brought.unreadable.push((unreadable.name, unreadable.reason)),
        }
    }
    brought
}

/// Reads paths under a folder; the folder's own path is taken off the names.
fn read_in(folder: &Path, paths: &[&str]) -> Brought {
    let paths: Vec<PathBuf> = paths.iter().map(|path| folder.join(path)).collect();
    let prefix = format!("{}/", folder.display());
    let mut brought = drain(&mut FileSource::new(&paths, Options::default()));
    for (name, _) in brought.items.iter_mut().chain(&mut brought.unreadable) {
        *name = name.strip_prefix(&prefix).unwrap_or(name).to_owned();
    }
    brought
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content).expect("a file");
    }
    folder
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (place, (name, content)) in entries.iter().enumerate() {
        let method = if place % 2 == 0 { ::zip::CompressionMethod::Deflated } else { ::zip::CompressionMethod::Stored };
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).expect("into memory");
        zip.write_all(content).expect("into memory");
    }
    zip.finish().expect("into memory").into_inner()
}

fn tar_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = ::tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // Set by hand: the builder refuses the names that a stranger may choose.
        header.as_gnu_mut().expect("a GNU header").name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, *content).expect("into memory");
    }
    tar.into_inner().expect("into memory")
}

const EARLY: &str = "111122223333_CloudTrail_us-east-1_20240101T0005Z_aaaaaaaaaaaaaaaa.json.gz";
const LATE: &str = "111122223333_CloudTrail_eu-west-1_20240102T0005Z_aaaaaaaaaaaaaaaa.json.gz";

#[test]
fn a_folder_is_read_in_the_order_of_delivery_then_by_path() {
    let late = format!("a/{LATE}");
    let early = format!("z/y/{EARLY}");
    let folder =
        folder(&[(&late, b"late"), (&early, b"early"), ("b.json", b"b"), ("a.json", b"a"), (".hidden.json", b"h")]);
    let brought = read_in(folder.path(), &["."]);
    let names: Vec<String> = brought.names().iter().map(|name| name.trim_start_matches("./").to_owned()).collect();
    assert_eq!(names, [early.as_str(), late.as_str(), ".hidden.json", "a.json", "b.json"]);
    assert_eq!(brought.items[0].1, "early");
    assert_eq!(brought.unreadable, []);
}

#[test]
fn names_are_the_path_as_given_joined_with_the_rest() {
    let folder = folder(&[("logs/x/a.json", b"a")]);
    let given = folder.path().join("logs/../logs");
    let brought = drain(&mut FileSource::new(&[&given], Options::default()));
    assert_eq!(brought.names(), [given.join("x/a.json").to_string_lossy()]);
}

#[test]
fn a_file_is_read_once_however_often_it_is_reached() {
    let folder = folder(&[("logs/a.json", b"a"), ("logs/deep/b.json", b"b")]);
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("logs"), folder.path().join("logs/deep/loop")).expect("a link");
    let paths = ["logs/a.json", "logs", "logs/", "logs/deep/../a.json", "logs/*.json", "logs/**/*.json"];
    let brought = read_in(folder.path(), &paths);
    let mut contents: Vec<&str> = brought.items.iter().map(|(_, content)| content.as_str()).collect();
    contents.sort_unstable();
    assert_eq!(contents, ["a", "b"], "{brought:?}");
    assert_eq!(brought.unreadable, []);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_goes_on() {
    let folder = folder(&[("a.json", b"a"), ("broken.zip", b"PK\x03\x04 and nothing behind it")]);
    let brought = read_in(folder.path(), &["missing.json", "a.json", "none*.json", "a[.json", "broken.zip"]);
    assert_eq!(brought.names(), ["a.json"]);
    let reasons: Vec<(&str, &str)> =
        brought.unreadable.iter().map(|(name, why)| (name.as_str(), why.as_str())).collect();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    for (name, expected) in [
        ("missing.json", "No such file"),
        ("none*.json", "no file matches"),
        ("a[.json", "not a valid pattern"),
        ("broken.zip", "not a sound zip archive"),
    ] {
        assert!(reasons.iter().any(|(found, why)| *found == name && why.contains(expected)), "{name}: {reasons:?}");
    }
}

#[test]
fn clutter_is_skipped_and_counted_unless_it_is_named() {
    let files: &[(&str, &[u8])] = &[("README.md", b"#"), ("a.json", b"a"), (".git/config", b""), (".DS_Store", b"")];
    let folder = folder(files);
    let mut source = FileSource::new(&[folder.path()], Options::default());
    assert_eq!(drain(&mut source).items.len(), 1);
    assert_eq!(source.skipped().files, 3);
    assert!(source.skipped().names.iter().any(|name| name.ends_with("/README.md")));
    assert_eq!(read_in(folder.path(), &["README.md"]).names(), ["README.md"]);
    assert_eq!(read_in(folder.path(), &["*"]).names(), ["a.json"], "a glob names no file");
}

#[cfg(unix)]
#[test]
fn devices_and_pipes_in_folders_are_refused_and_links_that_lead_nowhere_are_named() {
    let folder = folder(&[("a.json", b"a")]);
    std::os::unix::fs::symlink("/dev/zero", folder.path().join("device")).expect("a link");
    std::os::unix::fs::symlink("/nowhere/at/all", folder.path().join("nowhere")).expect("a link");
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status().expect("mkfifo");
    assert!(made.success());
    let brought = read_in(folder.path(), &["."]);
    assert_eq!(brought.items.len(), 1);
    let names: Vec<&str> = brought.unreadable.iter().map(|(name, _)| name.trim_start_matches("./")).collect();
    assert_eq!(names, ["device", "nowhere", "pipe"]);
    assert_eq!(drain(&mut FileSource::new(&["/dev/zero"], Options::default())).unreadable.len(), 1);
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_read_when_the_user_names_it() {
    let folder = folder(&[]);
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, "from the pipe").expect("a reader")
    });
    let brought = drain(&mut FileSource::new(&[&pipe], Options::default()));
    writer.join().expect("the writer");
    assert_eq!(brought.items[0].1, "from the pipe");
}

#[cfg(unix)]
#[test]
fn a_name_that_is_no_utf8_is_read_all_the_same() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder(&[]);
    let name = std::ffi::OsStr::from_bytes(b"odd\xff.json");
    fs::write(folder.path().join(name), "odd").expect("a file");
    let brought = read_in(folder.path(), &["."]);
    assert!(brought.items[0].0.ends_with("odd\u{fffd}.json") && brought.items[0].1 == "odd", "{brought:?}");
}

#[test]
fn standard_input_is_read_once_and_may_be_an_archive() {
    let read =
        |bytes: Vec<u8>| drain(&mut FileSource::new(&["-", "-"], Options::default()).with_stdin(Cursor::new(bytes)));
    assert_eq!(read(b"[]".to_vec()).items, [("stdin".to_owned(), "[]".to_owned())]);
    assert_eq!(read(Vec::new()).items, [("stdin".to_owned(), String::new())]);
    let entries: &[(&str, &[u8])] = &[("a.json", b"A"), ("b.json", b"B")];
    for archive in [zip_of(entries), tar_of(entries), gz(&tar_of(entries))] {
        assert_eq!(read(archive).names(), ["stdin!a.json", "stdin!b.json"]);
    }
}

#[test]
fn archives_are_told_by_content_and_opened_where_they_stand() {
    let inner = gz(b"{}");
    let entries: &[(&str, &[u8])] =
        &[("logs/a.json", b"A"), ("logs/README.md", b"#"), ("../../etc/passwd", b"P"), ("b.json.gz", &inner)];
    for (name, archive) in
        [("x.zip", zip_of(entries)), ("no-suffix", tar_of(entries)), ("x.json", gz(&tar_of(entries)))]
    {
        let folder = folder(&[(name, &archive)]);
        let mut source = FileSource::new(&[folder.path().join(name)], Options::default());
        let mut brought = drain(&mut source);
        brought.items.sort();
        let base = folder.path().join(name).display().to_string();
        assert_eq!(brought.unreadable, [], "{name}");
        assert_eq!(
            brought.names(),
            [format!("{base}!../../etc/passwd"), format!("{base}!b.json.gz"), format!("{base}!logs/a.json")]
        );
        assert_eq!(brought.items[2].1, "A");
        assert_eq!(source.skipped().files, 1);
        // Nothing was written beside the archive, or anywhere else by an entry's name.
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1);
    }
}

#[test]
fn the_entries_of_a_zip_come_in_the_order_of_delivery() {
    let archive = zip_of(&[("z.json", b"3"), (LATE, b"2"), ("a/b", b"4"), (EARLY, b"1")]);
    let folder = folder(&[("x.zip", &archive)]);
    let contents: Vec<String> =
        read_in(folder.path(), &["x.zip"]).items.into_iter().map(|(_, content)| content).collect();
    assert_eq!(contents, ["1", "2", "4", "3"]);
}

#[test]
fn entries_hidden_behind_a_name_are_counted() {
    let mut archive = zip_of(&[("a.json", b"A"), ("b.json", b"B"), ("c.json", b"C")]);
    // What a writer of archives refuses to write, a stranger's may have.
    for place in 0..archive.len() - 6 {
        if archive[place..].starts_with(b"b.json") {
            archive[place] = b'a';
        }
    }
    let folder = folder(&[("x.zip", &archive)]);
    let brought = read_in(folder.path(), &["x.zip"]);
    assert_eq!(brought.items.len(), 2);
    let [(name, reason)] = &brought.unreadable[..] else { panic!("{brought:?}") };
    assert!(name.ends_with("x.zip") && reason.starts_with("1 of its entries"), "{brought:?}");
}

#[test]
fn an_archive_in_an_archive_is_opened_and_a_third_is_not() {
    let innermost = zip_of(&[("a.json", b"A")]);
    let middle = gz(&tar_of(&[("in.zip", &innermost), ("b.json", b"B")]));
    for outer in [zip_of(&[("mid.tgz", &middle), ("c.json", b"C")]), tar_of(&[("mid.tgz", &middle), ("c.json", b"C")])]
    {
        let folder = folder(&[("out", &outer)]);
        let mut brought = read_in(folder.path(), &["out"]);
        brought.items.sort();
        assert_eq!(brought.names(), ["out!c.json", "out!mid.tgz!b.json"]);
        assert_eq!(brought.unreadable.len(), 1);
        assert_eq!(brought.unreadable[0].0, "out!mid.tgz!in.zip");
        assert!(brought.unreadable[0].1.contains("nested deeper"), "{brought:?}");
    }
}

#[test]
fn encrypted_and_unknown_entries_are_named_and_the_others_read() {
    let mut archive = zip_of(&[("a.json", b"AAAA"), ("b.json", b"BBBB"), ("c.json", b"CCCC")]);
    // The flags (encrypted) of the first entry and the method (12: bzip2) of the second, in the central directory.
    let directory: Vec<usize> =
        archive.windows(4).enumerate().filter(|(_, bytes)| *bytes == b"PK\x01\x02").map(|(at, _)| at).collect();
    archive[directory[0] + 8] |= 1;
    archive[directory[1] + 10] = 12;
    let folder = folder(&[("x.zip", &archive)]);
    let brought = read_in(folder.path(), &["x.zip"]);
    assert_eq!(brought.items, [("x.zip!c.json".to_owned(), "CCCC".to_owned())]);
    let reasons: Vec<&str> = brought.unreadable.iter().map(|(_, reason)| reason.as_str()).collect();
    assert!(reasons[0].contains("encrypted") && reasons[1].contains("method"), "{reasons:?}");
}

#[test]
fn an_entry_that_inflates_beyond_the_limit_ends_with_an_error() {
    let zeros = vec![b' '; 3 << 20];
    let entries: &[(&str, &[u8])] = &[("bomb.json", &zeros), ("a.json", b"A")];
    for archive in [zip_of(entries), gz(&tar_of(entries))] {
        let folder = folder(&[("x", &archive)]);
        let options = Options { inflated: 1 << 20, ..Options::default() };
        let brought = drain(&mut FileSource::new(&[folder.path().join("x")], options));
        assert!(brought.items.iter().any(|(name, content)| name.ends_with("!a.json") && content == "A"));
        assert!(brought.unreadable[0].1.contains("limit of 1048576 bytes"), "{:?}", brought.unreadable);
        assert!(brought.items.iter().all(|(_, content)| content.len() <= 1 << 20));
    }
}

#[test]
fn a_zip_whose_entries_share_their_bytes_is_refused() {
    let mut archive = zip_of(&[("a.json", &[b'a'; 1000]), ("b.json", &[b'b'; 1000])]);
    let directory: Vec<usize> =
        archive.windows(4).enumerate().filter(|(_, bytes)| *bytes == b"PK\x01\x02").map(|(at, _)| at).collect();
    // The second entry's local header is said to stand inside the first's data.
    let header = 42;
    archive[directory[1] + header] = archive[directory[0] + header];
    let folder = folder(&[("x.zip", &archive)]);
    let brought = read_in(folder.path(), &["x.zip"]);
    assert_eq!(brought.items, []);
    assert!(brought.unreadable[0].1.contains("overlap"), "{brought:?}");
}

#[test]
fn large_files_and_entries_stream_and_come_whole() {
    let large = vec![b'x'; pipeline::source::SMALL as usize + 7];
    let entries: &[(&str, &[u8])] = &[("large.json", &large)];
    let files = [
        ("plain", large.clone()),
        ("x.zip", zip_of(entries)),
        ("x.tar", tar_of(entries)),
        ("x.tgz", gz(&tar_of(entries))),
    ];
    for (name, bytes) in files {
        let folder = folder(&[(name, &bytes)]);
        let mut source = FileSource::new(&[folder.path()], Options::default());
        let item = source.next_item().expect("an item").expect("readable");
        let Content::Reader(mut reader) = item.open().expect("open") else { panic!("{name} must stream") };
        let mut read = Vec::new();
        reader.read_to_end(&mut read).expect("whole");
        assert!(read == large, "{name}");
        assert!(source.next_item().is_none());
    }
}

#[test]
fn an_archive_cut_off_anywhere_gives_what_stands_before_the_cut() {
    let entries: &[(&str, &[u8])] = &[("a.json", b"AAAAAAAAAA"), ("b.json", b"BBBBBBBBBB")];
    for (name, archive) in [("x.tar", tar_of(entries)), ("x.tgz", gz(&tar_of(entries))), ("x.zip", zip_of(entries))] {
        for cut in (0..archive.len()).step_by(7) {
            let folder = folder(&[(name, &archive[..cut])]);
            let brought = read_in(folder.path(), &[name]);
            let whole =
                brought.items.iter().filter(|(name, content)| name.contains('!') && content.len() == 10).count();
            // Every cut is noticed, but one that takes nothing from a tar file but the zeros at its end.
            let noticed = !brought.unreadable.is_empty() || brought.names() == [name];
            assert!(noticed || whole == 2, "{name} cut at {cut}: {brought:?}");
            if name == "x.tar" && cut > 2 * 512 + 512 {
                assert!(whole >= 1, "{name} cut at {cut}: {brought:?}");
            }
        }
    }
}

#[test]
fn a_damaged_entry_gives_what_it_held_before_and_names_the_damage() {
    let mut archive = zip_of(&[("a.json", b"unused"), ("b.json", b"BBBBBBBBBB")]);
    let data = archive.windows(10).position(|bytes| bytes == b"BBBBBBBBBB").expect("stored");
    archive[data + 5] = b'X';
    let folder = folder(&[("x.zip", &archive)]);
    let brought = read_in(folder.path(), &["x.zip"]);
    assert_eq!(brought.items[1], ("x.zip!b.json".to_owned(), "BBBBBXBBBB".to_owned()));
    assert!(brought.unreadable[0].1.contains("checksum"), "{brought:?}");
}

#[test]
fn a_source_left_in_the_middle_of_an_archive_ends_its_thread() {
    let folder = folder(&[("x.tar", &tar_of(&[("a", b"1"), ("b", b"2"), ("c", b"3"), ("d", b"4")]))]);
    let mut source = FileSource::new(&[folder.path()], Options::default());
    assert!(source.next_item().is_some());
    drop(source);
}

#[test]
fn the_size_hint_counts_each_file_once_and_archives_as_their_entries() {
    let archive = zip_of(&[("a.json", b"A"), ("b.json", b"B")]);
    let folder = folder(&[("x.zip", &archive), ("c.json", b"CC")]);
    let mut source = FileSource::new(&[folder.path(), folder.path()], Options::default());
    let all = archive.len() as u64 + 2;
    assert_eq!(source.size_hint(), SizeHint { items: Some(2), bytes: Some(all) });
    drain(&mut source);
    assert_eq!(source.size_hint(), SizeHint { items: Some(3), bytes: Some(all) });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The same files, made in any order and given in any order, come in one order: by delivery, then by path.
    #[test]
    fn the_order_is_that_of_delivery_whatever_the_disk_and_the_arguments_say(
        files in proptest::collection::btree_map("[a-c]/[a-c]", 0u32..5, 1..12),
        turn in any::<proptest::sample::Index>(),
    ) {
        let name = |path: &str, day: u32| match day {
            0 => format!("{path}.json"),
            day => format!("{path}/111122223333_CloudTrail_us-east-1_2024010{day}T0000Z_x.json"),
        };
        let mut names: Vec<String> = files.iter().map(|(path, day)| name(path, *day)).collect();
        let mut listed = Vec::new();
        for _ in 0..2 {
            let turn = turn.index(names.len());
            names.rotate_left(turn);
            let made: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
            let folder = folder(&made);
            let given: Vec<&str> = if turn % 2 == 0 { vec!["."] } else { names.iter().map(String::as_str).collect() };
            let brought = read_in(folder.path(), &given);
            listed.push(brought.items.into_iter().map(|(_, content)| content).collect::<Vec<_>>());
        }
        prop_assert_eq!(&listed[0], &listed[1]);
        prop_assert_eq!(listed[0].len(), names.len());
        let days: Vec<u32> = listed[0].iter().map(|name| name::delivered(name.rsplit('/').next().unwrap_or_default())).collect();
        prop_assert!(days.is_sorted());
    }
}
