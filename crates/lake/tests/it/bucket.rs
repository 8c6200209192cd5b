//! A lake in a bucket: the same lake, whose log entries are put on the condition that there is none.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use lake::{ClassicFormat, Codec, CompactOptions, ExportOptions, Lake, LakeError, Place, WriterOptions};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::child::kept_from;
use crate::corpus::{append, expected, records, stored};

/// A bucket that answers as S3 may: now and then a put is answered too late, and the client, which puts again by itself, is
/// told that the object is there.
#[derive(Debug)]
struct Forgetful {
    store: InMemory,
    every: u64,
    puts: AtomicU64,
}

impl fmt::Display for Forgetful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a forgetful bucket")
    }
}

#[async_trait]
impl ObjectStore for Forgetful {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let is_condition = opts.mode == PutMode::Create;
        let put = self.store.put_opts(location, payload, opts).await?;
        if is_condition && self.every > 0 && self.puts.fetch_add(1, Ordering::Relaxed) % self.every == self.every - 1 {
            return Err(Error::AlreadyExists { path: location.to_string(), source: "put before".into() });
        }
        Ok(put)
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.store.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

/// A bucket of which every so manieth entry of the log is put and said to be somebody else's; 0 for none.
fn bucket(every: u64) -> Arc<dyn ObjectStore> {
    Arc::new(Forgetful { store: InMemory::new(), every, puts: AtomicU64::new(0) })
}

fn place(bucket: &Arc<dyn ObjectStore>) -> Place {
    Place::bucket(Arc::clone(bucket), "s3://bucket", "some/lake")
}

fn options() -> WriterOptions {
    WriterOptions { file_rows: 60, checkpoint_every: 2, compacts: false, ..WriterOptions::default() }
}

/// The names of the objects below the lake's prefix, and that there are no others.
fn names(bucket: &Arc<dyn ObjectStore>) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let listed = runtime.block_on(futures::TryStreamExt::try_collect::<Vec<_>>(bucket.list(None)));
    let names = listed.expect("a list").into_iter().map(|meta| meta.location.to_string());
    names.map(|name| name.strip_prefix("some/lake/").expect("below the prefix").to_owned()).collect()
}

#[test]
fn a_lake_in_a_bucket_is_the_same_lake() {
    for every in [0, 1, 2, 3] {
        let bucket = bucket(every);
        let place = place(&bucket);
        assert!(matches!(Lake::open(&place), Err(LakeError::NotFound { .. })));
        let lake = Lake::open_or_create(&place).expect("a lake");
        assert_eq!(Lake::open_or_create(&place).expect("the same").id(), lake.id());
        let (one, two) = (lake.writer(options()).expect("writer"), lake.writer(options()).expect("writer"));
        append(&one, &records(0..200));
        append(&two, &records(150..350));
        assert_eq!(one.commit().expect("commit").rows, 200, "every {every}");
        let committed = two.commit().expect("commit");
        assert_eq!((committed.rows, committed.late_duplicates), (150, 50), "every {every}");
        append(&one, &records(300..400));
        one.commit().expect("commit");
        let compacted =
            lake.compact(&CompactOptions { file_rows: 1000, ..CompactOptions::default() }).expect("compact");
        assert!(compacted.files_before > compacted.files_after && compacted.files_after > 0, "{compacted:?}");
        assert_eq!(stored(&Lake::open(&place).expect("the lake")), expected(0..400), "every {every}");
        assert_eq!(lake.verify().expect("verify").problems, [], "every {every}");
        lake.expire(kept_from()).expect("expire");
        std::thread::sleep(Duration::from_millis(5));
        let swept = lake.vacuum(Duration::from_nanos(1)).expect("vacuum");
        assert_eq!((swept.files >= compacted.files_before, swept.kept), (true, 0), "{swept:?}");
        assert_eq!(lake.vacuum(Duration::from_nanos(1)).expect("vacuum"), Default::default());
        let kept = expected(0..400).into_iter().filter(|(_, record)| {
            record["eventTime"].as_str().is_some_and(|time| time >= kept_from().to_string().as_str())
        });
        let reopened = Lake::open(&place).expect("the lake");
        assert_eq!(stored(&reopened), kept.collect::<Vec<_>>(), "every {every}");
        assert_eq!(reopened.verify().expect("verify").problems, [], "every {every}");
        let names = names(&bucket);
        assert!(names.iter().any(|name| name.ends_with(".checkpoint.parquet")), "every {every}: {names:?}");
        assert!(!names.iter().any(|name| name.contains("lock")), "{names:?}");
    }
}

/// Writers that commit as fast as they can, each offering half of what its neighbour offers.
#[test]
fn a_crowd_stores_each_event_once_in_a_bucket() {
    for every in [0, 3] {
        let bucket = bucket(every);
        let place = place(&bucket);
        Lake::open_or_create(&place).expect("a lake");
        let rows: Vec<u64> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4u64)
                .map(|worker| {
                    let place = &place;
                    scope.spawn(move || {
                        let lake = Lake::open(place).expect("a lake");
                        let writer = lake.writer(options()).expect("writer");
                        let mut sum = 0;
                        for step in 0..6u64 {
                            let start = step * 100 + worker * 40;
                            let (new, _, _) = append(&writer, &records(start..start + 80));
                            let committed = writer.commit().expect("commit");
                            assert_eq!(new, committed.rows + committed.late_duplicates, "counts reconcile");
                            sum += committed.rows;
                        }
                        sum
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().expect("worker")).collect()
        });
        let lake = Lake::open(&place).expect("lake");
        assert_eq!(stored(&lake), expected(0..700), "every {every}");
        assert_eq!(rows.iter().sum::<u64>(), 700, "each event was stored by one writer");
        assert_eq!(lake.verify().expect("verify").problems, []);
    }
}

#[test]
fn files_are_compressed_as_they_are_told() {
    let bucket = bucket(0);
    let lake = Lake::open_or_create(place(&bucket)).expect("a lake");
    for (codec, range) in [(Codec::Snappy, 0..200), (Codec::Snappy, 200..400)] {
        let writer = lake.writer(WriterOptions { codec, ..options() }).expect("writer");
        append(&writer, &records(range));
        writer.commit().expect("commit");
    }
    let is_snappy = |lake: &Lake| {
        let mut files = lake.active_files().expect("files").into_iter();
        files.all(|file| file.path().ends_with(".snappy.parquet"))
    };
    assert!(is_snappy(&lake));
    lake.compact(&CompactOptions::default()).expect("compact");
    assert!(is_snappy(&lake), "what is merged stays as it was");
    assert_eq!(stored(&lake), expected(0..400));
    let path = Path::from(lake.active_files().expect("files")[0].path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let bytes = runtime.block_on(async { lake.object_store().get(&path).await?.bytes().await }).expect("a file");
    let metadata = parquet::file::metadata::ParquetMetaDataReader::new().parse_and_finish(&bytes).expect("Parquet");
    assert_eq!(metadata.row_group(0).column(0).compression(), parquet::basic::Compression::SNAPPY);
}

#[test]
fn an_export_to_a_bucket_is_that_to_a_folder() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = Lake::open_or_create(folder.path()).expect("a lake");
    let writer = lake.writer(options()).expect("writer");
    append(&writer, &records(0..400));
    writer.commit().expect("commit");
    let target = folder.path().join("export");
    let local = lake.export_classic(&target, &ExportOptions::default()).expect("export");
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let place = Place::bucket(Arc::clone(&bucket), "s3://bucket", "some/lake");
    assert_eq!(lake.export_classic(&place, &ExportOptions::default()).expect("export"), local);
    let again = lake.export_classic(&place, &ExportOptions::default()).expect("export");
    assert_eq!((again.written, again.unchanged, again.bytes_written), (0, local.written, 0));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let names = names(&bucket);
    assert_eq!(names.len() as u64, local.written);
    for name in &names {
        let path = Path::from(format!("some/lake/{name}"));
        let object = runtime.block_on(async { bucket.get(&path).await?.bytes().await }).expect("an object");
        assert_eq!(object, std::fs::read(target.join(name)).expect("a file"), "{name}");
    }
    let whole = ClassicFormat { by_region: false, ..ClassicFormat::default() };
    let days = lake.export_classic_as(folder.path().join("days").as_path(), &ExportOptions::default(), whole);
    let days = days.expect("export");
    assert_eq!(days.rows, local.rows);
    assert!(
        days.written < local.written && folder.path().join("days/year=2024/month=3/day=2/events.parquet").is_file()
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 24, ..Default::default() })]

    /// Whatever parts of the events come, in whatever order, however often, and whatever the bucket forgets: each is there
    /// once, and who brings all of them again changes nothing.
    #[test]
    fn bringing_events_again_changes_nothing(
        parts in proptest::collection::vec((0u64..300, 1u64..120), 1..6),
        every in 0u64..4,
    ) {
        let bucket = bucket(every);
        let place = place(&bucket);
        let mut offered = std::collections::BTreeSet::new();
        for (start, length) in parts {
            let writer = Lake::open_or_create(&place).expect("a lake").writer(options()).expect("writer");
            append(&writer, &records(start..start + length));
            writer.commit().expect("commit");
            offered.extend(start..start + length);
        }
        let lake = Lake::open(&place).expect("the lake");
        let wanted: Vec<_> = {
            let mut wanted: Vec<_> = offered.iter().flat_map(|&n| expected(n..n + 1)).collect();
            wanted.sort_by(|left, right| left.0.cmp(&right.0));
            wanted
        };
        let mut found = stored(&lake);
        found.sort_by(|left, right| left.0.cmp(&right.0));
        proptest::prop_assert_eq!(&found, &wanted);
        let version = lake.version().expect("version");
        let writer = lake.writer(options()).expect("writer");
        let again: Vec<String> = offered.iter().flat_map(|&n| records(n..n + 1)).collect();
        proptest::prop_assert_eq!(append(&writer, &again), (0, again.len() as u64, 0));
        writer.commit().expect("commit");
        proptest::prop_assert_eq!(lake.version().expect("version"), version);
    }
}
