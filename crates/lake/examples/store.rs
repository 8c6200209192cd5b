//! Measures what storing costs: decodes a folder of CloudTrail files with and without the lake, on all cores.
//!
//! `cargo run --release -p lake --example store -- FOLDER [LAKE]` prints microseconds and bytes an event. Without
//! `LAKE` the lake goes to a temporary folder. `STORE_THREADS` and `STORE_COMMIT_FILES` (files between commits) may be
//! set.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a measuring program tells its result and may fail")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use event::Timestamp;
use event::decode::{Content, Decoder};
use lake::{Lake, Writer, WriterOptions};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if path.to_string_lossy().contains(".json") {
            found.push(path);
        }
    }
}

/// Decodes every file and hands the events to the writer, if there is one. Returns the number of events.
fn run(files: &[(String, Vec<u8>)], threads: usize, writer: Option<&Writer>, commit_files: usize) -> u64 {
    let next = AtomicUsize::new(0);
    let events = AtomicU64::new(0);
    let now = Timestamp::parse("2026-01-01T00:00:00Z").expect("a time");
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut decoder = Decoder::default();
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some((name, bytes)) = files.get(place) else { break };
                    decoder.decode(Content::Bytes(bytes), &mut |batch| {
                        events.fetch_add(batch.events.len() as u64, Ordering::Relaxed);
                        if let Some(writer) = writer {
                            writer.append(&batch.events, name, now).expect("append");
                        }
                        ControlFlow::Continue(())
                    });
                    if let (Some(writer), true) = (writer, (place + 1).is_multiple_of(commit_files)) {
                        writer.commit().expect("commit");
                    }
                }
            });
        }
    });
    if let Some(writer) = writer {
        writer.commit().expect("commit");
    }
    events.into_inner()
}

/// Processor time of this process, in seconds, and its peak memory, in MB.
fn used() -> (f64, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: u64 = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|n| n.parse::<u64>().ok())
        .sum();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    (ticks as f64 / 100.0, kilobytes >> 10)
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("a folder of CloudTrail files");
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let lake_folder = arguments.next().map_or_else(|| temporary.path().join("lake"), PathBuf::from);
    let number =
        |name: &str, default: usize| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let threads = number("STORE_THREADS", std::thread::available_parallelism().map_or(1, usize::from));
    let commit_files = number("STORE_COMMIT_FILES", usize::MAX);

    let mut paths = Vec::new();
    files(Path::new(&folder), &mut paths);
    // As an ingest reads them: by the time of delivery, which stands behind the region in the name.
    paths.sort_by_cached_key(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.split('_').nth(3).unwrap_or_default().to_owned()
    });
    let contents: Vec<(String, Vec<u8>)> =
        paths.iter().map(|path| (path.display().to_string(), std::fs::read(path).expect("a file"))).collect();
    let compressed: usize = contents.iter().map(|(_, bytes)| bytes.len()).sum();
    println!("{} files, {} MB", contents.len(), compressed >> 20);

    let (cpu, before) = used();
    let started = Instant::now();
    let events = run(&contents, threads, None, commit_files);
    let decoding = (started.elapsed().as_secs_f64(), used().0 - cpu);

    let lake = Lake::open_or_create(&lake_folder).expect("a lake");
    let writer = lake.writer(WriterOptions::default()).expect("a writer");
    let (cpu, _) = used();
    let started = Instant::now();
    run(&contents, threads, Some(&writer), commit_files);
    let storing = (started.elapsed().as_secs_f64(), used().0 - cpu);

    let each = |seconds: f64| seconds * 1e6 / events as f64;
    println!("events            {events}");
    println!("decode            {:.2} s, {:.2} µs of CPU an event", decoding.0, each(decoding.1));
    println!("decode and store  {:.2} s, {:.2} µs of CPU an event", storing.0, each(storing.1));
    println!("store alone       {:.2} µs of CPU an event", each(storing.1 - decoding.1));
    let bytes: u64 = sizes(&lake_folder);
    println!(
        "lake              {:.1} bytes an event ({:.1} compressed JSON), {:.0} % of the input",
        bytes as f64 / events as f64,
        compressed as f64 / events as f64,
        bytes as f64 * 100.0 / compressed as f64
    );
    println!("peak memory       {} MB, {before} MB of it the input", used().1);
}

fn sizes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .map(|path| if path.is_dir() { sizes(&path) } else { std::fs::metadata(&path).map_or(0, |meta| meta.len()) })
        .sum()
}
