//! Lakes made of records, and questions to them.

use std::io::Read;
use std::path::Path;

use event::{Event, Timestamp};
use lake::{Lake, WriterOptions};
use query::{Answer, Engine, EngineOptions, Now, QueryError, Session, Source};
use serde_json::Value;

/// When the tests ask, unless a case says otherwise.
pub(crate) const NOW: &str = "2026-11-20T12:00:00Z";

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

/// A lake of these records, in several files.
pub(crate) fn lake(folder: &Path, records: &[String]) -> Lake {
    let parts: Vec<&[String]> = records.chunks(records.len().div_ceil(3).max(1)).collect();
    lake_in_parts(folder, &parts, WriterOptions::default())
}

/// A lake of these records, each part a commit of its own.
pub(crate) fn lake_in_parts(folder: &Path, parts: &[&[String]], options: WriterOptions) -> Lake {
    let lake = Lake::open_or_create(folder).expect("a lake");
    let writer = lake.writer(options).expect("a writer");
    for (number, some) in parts.iter().enumerate() {
        let events: Vec<Event<'_>> =
            some.iter().map(|record| event::decode::record(record).expect("a record")).collect();
        writer.append(&events, &format!("trail/{number}.json"), time(NOW)).expect("appended");
        writer.commit().expect("committed");
    }
    lake
}

pub(crate) fn options(now: &str) -> EngineOptions {
    EngineOptions { now: Now::Fixed(time(now)), memory: 256 << 20, spill: None, threads: 2 }
}

pub(crate) fn engine(lake: Option<Lake>, now: &str) -> Engine {
    let source = lake.map_or_else(|| Source::folder("tests/no-lake".into()), Source::lake);
    Engine::new(source, Vec::new(), options(now)).expect("an engine")
}

/// What lakes and questions need to run.
pub(crate) fn block<T>(work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(work)
}

/// An answer's columns and rows.
pub(crate) type Table = (Vec<String>, Vec<Vec<Value>>);

pub(crate) async fn rows(mut answer: Answer) -> Result<Table, QueryError> {
    let mut rows = Vec::new();
    while let Some(block) = answer.next().await? {
        rows.extend((0..block.len()).map(|row| block.row(row)));
    }
    Ok((answer.columns(), rows))
}

pub(crate) async fn ask(session: &Session, sql: &str) -> Result<Table, QueryError> {
    rows(session.ask(sql).await?).await
}

/// Asks once.
pub(crate) fn answer(engine: &Engine, sql: &str) -> Result<Table, QueryError> {
    block(async { ask(&engine.session().await?, sql).await })
}

/// A value as a CSV cell of a case has it.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The records of a month of believable traffic, with an intrusion in it, that ends at `now`.
pub(crate) fn month(now: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let end = jiff::Timestamp::from_microsecond(time(now).micros()).expect("in bounds");
    let plan = sample::Plan { events: 12_000, files: 200, ..sample::Plan::demo(end) };
    plan.write(folder.path(), |_| {}).expect("a month");
    let files =
        walkdir::WalkDir::new(folder.path()).sort_by_file_name().into_iter().map(|entry| entry.expect("a file"));
    let mut records = Vec::new();
    for file in files.filter(|file| file.path().extension().is_some_and(|extension| extension == "gz")) {
        let packed = std::fs::File::open(file.path()).expect("a file");
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(packed).read_to_string(&mut text).expect("gzip");
        let trail: Value = serde_json::from_str(&text).expect("JSON");
        records.extend(trail["Records"].as_array().expect("records").iter().map(Value::to_string));
    }
    assert!(records.len() > 10_000, "{} records", records.len());
    records
}
