//! The classic layout where events do not stay: what a file has is kept when others take its place.

use std::path::Path as FilePath;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use futures::TryStreamExt;
use lake::{ClassicFormat, ExportOptions, ExportReport, Lake, LakeError, Place, WriterOptions};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::corpus::{altered, append, id, record, records};

const KEEPS: ClassicFormat = ClassicFormat { by_region: true, codec: lake::Codec::Zstd, keeps_rows: true };

/// A bucket that is exported to.
struct Target(Arc<dyn ObjectStore>);

impl Target {
    fn new() -> Target {
        Target(Arc::new(InMemory::new()))
    }

    fn place(&self) -> Place {
        Place::bucket(Arc::clone(&self.0), "s3://bucket", "iam-events")
    }

    /// Exports a lake that has these records and no others.
    fn export(&self, records: &[String], format: ClassicFormat) -> Result<ExportReport, LakeError> {
        let folder = tempfile::tempdir().expect("folder");
        let lake = Lake::open_or_create(folder.path()).expect("a lake");
        let writer = lake.writer(WriterOptions { file_rows: 60, ..WriterOptions::default() }).expect("writer");
        append(&writer, records);
        writer.commit().expect("commit");
        lake.export_classic_as(self.place(), &ExportOptions::default(), format)
    }

    /// Every object, by its key.
    fn objects(&self) -> Vec<(String, Bytes)> {
        run(async {
            let listed: Vec<_> = self.0.list(None).try_collect().await.expect("a list");
            let mut objects = Vec::new();
            for meta in listed {
                let bytes = self.0.get(&meta.location).await.expect("an object").bytes().await.expect("its bytes");
                objects.push((meta.location.to_string(), bytes));
            }
            objects.sort();
            objects
        })
    }

    /// What has other bytes here than there.
    fn differs_from(&self, other: &Target) -> Vec<String> {
        let (here, there) = (self.objects(), other.objects());
        let missing = |one: &[(String, Bytes)], all: &[(String, Bytes)]| -> Vec<String> {
            one.iter().filter(|object| !all.contains(object)).map(|(key, _)| key.clone()).collect()
        };
        [missing(&here, &there), missing(&there, &here)].concat()
    }

    fn put(&self, key: &str, bytes: Bytes) {
        run(async { self.0.put(&Path::from(key), bytes.into()).await }).expect("put");
    }

    /// The values of a column with their ids, of all files, by id.
    fn values(&self, column: &str) -> Vec<(String, Option<String>)> {
        let mut values = Vec::new();
        for (_, bytes) in self.objects() {
            for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).expect("Parquet").build().expect("rows") {
                let batch = batch.expect("rows");
                let texts = |name: &str| batch.column_by_name(name).expect("a column").as_string::<i32>().clone();
                let (ids, found) = (texts("event_id"), texts(column));
                let rows = ids.iter().zip(&found);
                values.extend(rows.map(|(id, text)| (id.expect("an id").to_owned(), text.map(str::to_owned))));
            }
        }
        values.sort();
        values
    }
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// A file as another program might have written it.
fn parquet(columns: Vec<(&str, ArrayRef)>) -> Bytes {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let batch = batch.expect("columns");
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.into_inner().expect("a file").into()
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[test]
fn rows_whose_events_are_gone_stay_whether_fewer_or_more_come() {
    for late in [300..320, 300..900] {
        let target = Target::new();
        target.export(&records(0..300), KEEPS).expect("export");
        let exported = target.export(&records(late.clone()), KEEPS).expect("export");
        assert_eq!(exported.rows - exported.kept, late.end - late.start, "{exported:?}");
        assert!(exported.kept > 0 && exported.written > 0, "{exported:?}");
        let whole = Target::new();
        whole.export(&records(0..late.end), ClassicFormat::default()).expect("export");
        assert_eq!(target.differs_from(&whole), [""; 0], "as if nothing had gone");

        let again = target.export(&records(late.clone()), KEEPS).expect("export");
        assert_eq!((again.written, again.bytes_written, again.kept), (0, 0, exported.kept), "{late:?}");
        // Whose events are all there, the local export, has what they are and nothing else.
        target.export(&records(late.clone()), ClassicFormat::default()).expect("export");
        let ids: Vec<String> = target.values("event_id").into_iter().map(|(id, _)| id).collect();
        assert!(late.clone().all(|number| ids.contains(&id(number))) && ids.len() < late.end as usize);
    }
}

#[test]
fn of_two_rows_with_one_id_the_new_one_stays() {
    let target = Target::new();
    target.export(&records(0..50), KEEPS).expect("export");
    let exported = target.export(&[altered(&record(7))], KEEPS).expect("export");
    assert_eq!((exported.written, exported.rows - exported.kept), (1, 1));
    let agents = target.values("user_agent");
    assert_eq!(agents.len(), 50);
    for (event_id, agent) in agents {
        let expected = if event_id == id(7) { "something else" } else { "aws-cli/2.17" };
        assert_eq!(agent.as_deref(), Some(expected), "{event_id}");
    }
}

#[test]
fn a_file_of_another_program_is_kept_whatever_its_order() {
    let target = Target::new();
    target.export(&[record(0)], KEEPS).expect("export");
    let (key, _) = target.objects().remove(0);
    let times = [Some("2024-03-01T05:00:00+00:00"), None, Some("some time"), Some("2024-03-01T03:00:00.5+00:00")];
    let file = parquet(vec![
        ("event_time", texts(&times)),
        ("event_id", texts(&[Some("c"), Some("b"), Some("a"), Some("d")])),
        ("user_name", texts(&[Some("ada"), None, Some("grace"), None])),
    ]);
    target.put(&key, file);
    let exported = target.export(&[record(0)], KEEPS).expect("export");
    assert_eq!((exported.rows, exported.kept), (5, 4));
    let found = target.values("event_time");
    let found = found.iter().filter(|(event_id, _)| event_id.len() == 1).map(|(_, time)| time.as_deref());
    assert_eq!(found.collect::<Vec<_>>(), [times[2], times[1], times[0], times[3]]);
    let names = target.values("user_name");
    let of = |wanted: &str| names.iter().find(|(event_id, _)| event_id == wanted).and_then(|(_, name)| name.as_deref());
    assert_eq!((of("a"), of("b"), of("c"), of("d")), (Some("grace"), None, Some("ada"), None));
    assert_eq!(target.export(&[record(0)], KEEPS).expect("export").written, 0);
}

#[test]
fn a_file_that_cannot_be_kept_is_named_and_not_replaced() {
    let target = Target::new();
    target.export(&records(0..40), KEEPS).expect("export");
    let (key, sound) = target.objects().remove(0);
    let ids = || texts(&[Some("a"), Some("b")]);
    let mut flipped = sound.to_vec();
    flipped[40..400].fill(0xff);
    for (broken, reason) in [
        (Bytes::from_static(b"none"), ""),
        (sound.slice(..sound.len() / 2), ""),
        (Bytes::from(flipped), ""),
        (parquet(vec![("event_id", ids())]), "it has no column event_time"),
        (parquet(vec![("event_id", ids()), ("event_time", ids()), ("mine", ids())]), "has no column mine"),
        (parquet(vec![("event_id", texts(&[Some("a"), None])), ("event_time", ids())]), "row 1 has no id"),
        (
            parquet(vec![
                ("event_id", ids()),
                ("event_time", ids()),
                ("user_name", Arc::new(Int64Array::from(vec![1, 2]))),
            ]),
            "column user_name is no text",
        ),
    ] {
        target.put(&key, broken.clone());
        let error = target.export(&records(0..60), KEEPS).expect_err("it cannot be kept").to_string();
        assert!(error.contains(&format!("s3://bucket/{key}")) && error.contains(reason), "{error}");
        assert!(target.objects().contains(&(key.clone(), broken)), "{error}");
    }
}

#[test]
fn files_of_the_other_form_are_found() {
    let days = ClassicFormat { by_region: false, ..KEEPS };
    let target = Target::new();
    assert_eq!(KEEPS.other_form(target.place()).expect("a list"), None);
    target.put("iam-events/notes/events.parquet", Bytes::new());
    target.export(&records(0..20), KEEPS).expect("export");
    assert_eq!(KEEPS.other_form(target.place()).expect("a list"), None);
    let found = days.other_form(target.place()).expect("a list").expect("files of regions");
    assert!(found.starts_with("s3://bucket/iam-events/year=2024/month=3/day=1/region="), "{found}");
    target.export(&records(0..20), days).expect("export");
    let found = KEEPS.other_form(target.place()).expect("a list").expect("files of days");
    assert_eq!(found, "s3://bucket/iam-events/year=2024/month=3/day=1/events.parquet");
    let folder = tempfile::tempdir().expect("folder");
    assert_eq!(days.other_form(folder.path() as &FilePath).expect("an empty folder"), None);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 8, ..Default::default() })]

    /// Whatever of the events is there at whatever time: the files are those of one export of all of them.
    #[test]
    fn whatever_comes_and_goes_the_files_are_those_of_all(
        parts in proptest::collection::vec((0u64..200, 1u64..80), 1..5),
    ) {
        let target = Target::new();
        let mut all = std::collections::BTreeSet::new();
        for (start, length) in parts {
            target.export(&records(start..start + length), KEEPS).expect("export");
            all.extend(start..start + length);
        }
        let whole = Target::new();
        whole.export(&records(all), ClassicFormat::default()).expect("export");
        proptest::prop_assert_eq!(target.differs_from(&whole), [""; 0]);
    }
}
