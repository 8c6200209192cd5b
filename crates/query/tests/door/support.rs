//! A door on a free port of this machine, over two tables: one of every kind of value, one without an end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, ListBuilder, RecordBatch, StringArray,
    StringBuilder, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::MemTable;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::future::BoxFuture;
use futures::stream;
use query::door::{AskError, Asker, DoorOptions, Entrance, Password, serve};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

pub(crate) const USER: &str = "reader";
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// The rows that one batch of `endless` has.
pub(crate) const BATCH: usize = 1000;

/// An open door, closed when it is dropped.
pub(crate) struct Open {
    pub(crate) address: SocketAddr,
    pub(crate) endless: Endless,
    stop: Option<oneshot::Sender<()>>,
    runtime: Option<Runtime>,
    served: Option<tokio::task::JoinHandle<()>>,
}

impl Open {
    pub(crate) fn with_password() -> Open {
        Open::with(user_options())
    }

    pub(crate) fn to_all() -> Open {
        Open::with(DoorOptions::new(Entrance::Open))
    }

    pub(crate) fn with(options: DoorOptions) -> Open {
        let runtime = Runtime::new().expect("runtime");
        let endless = Endless::default();
        let asker = Arc::new(Tables { endless: endless.clone() });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("address");
        let (stop, stopped) = oneshot::channel();
        let served = runtime.spawn(async move {
            let stop = async move {
                let _ = stopped.await;
            };
            serve(listener, asker, options, stop).await.expect("serve");
        });
        Open { address, endless, stop: Some(stop), runtime: Some(runtime), served: Some(served) }
    }

    /// Closes the door, and returns how long that took.
    pub(crate) fn close(&mut self) -> Duration {
        let begun = Instant::now();
        drop(self.stop.take());
        if let (Some(runtime), Some(served)) = (&self.runtime, self.served.take()) {
            runtime.block_on(served).expect("the door ends without a panic");
        }
        begun.elapsed()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.close();
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn user_options() -> DoorOptions {
    let password = Password::given(PASSWORD).expect("password");
    DoorOptions::new(Entrance::User { name: USER.to_owned(), password })
}

/// Waits until `is_done`; a test that waits in vain fails.
pub(crate) fn wait_until(what: &str, is_done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct Tables {
    endless: Endless,
}

impl Asker for Tables {
    fn context(&self) -> BoxFuture<'_, Result<SessionContext, AskError>> {
        Box::pin(self.with_tables())
    }

    fn plan<'a>(&'a self, context: &'a SessionContext, sql: &'a str) -> BoxFuture<'a, Result<LogicalPlan, AskError>> {
        Box::pin(async move { Ok(context.state().create_logical_plan(sql).await?) })
    }
}

impl Tables {
    async fn with_tables(&self) -> Result<SessionContext, AskError> {
        let config = SessionConfig::new().with_default_catalog_and_schema("trailhound", "public");
        let context = SessionContext::new_with_config(config);
        context.register_table("events", Arc::new(events()?))?;
        let endless = StreamingTable::try_new(schema_of_endless(), vec![Arc::new(self.endless.clone())])?;
        context.register_table("endless", Arc::new(endless))?;
        context.sql("create view failures as select * from events where error_code is not null").await?;
        Ok(context)
    }
}

/// Four rows of every kind of value, the last of them nothing but nulls.
fn events() -> Result<MemTable, AskError> {
    let mut tags = ListBuilder::new(StringBuilder::new());
    tags.append_value([Some("a"), None, Some("say \"hi\", {you}")]);
    tags.append_value(Vec::<Option<&str>>::new());
    tags.append_value([Some("nul\0")]);
    tags.append_null();
    let micros = [Some(1_700_000_000_123_456), Some(0), Some(-1), None];
    let times = TimestampMicrosecondArray::from(micros.to_vec()).with_timezone("UTC");
    let local = TimestampMicrosecondArray::from(micros.to_vec());
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("event_id", Arc::new(StringArray::from(vec![Some("e1"), Some("e2"), Some("é\u{1F980}"), None]))),
        ("event_time", Arc::new(times)),
        ("local_time", Arc::new(local)),
        ("event_date", Arc::new(Date32Array::from(vec![Some(19_675), Some(0), Some(-1), None]))),
        ("read_only", Arc::new(BooleanArray::from(vec![Some(true), Some(false), Some(true), None]))),
        ("count32", Arc::new(Int32Array::from(vec![Some(7), Some(-7), Some(i32::MAX), None]))),
        ("count64", Arc::new(Int64Array::from(vec![Some(8), Some(-8), Some(i64::MAX), None]))),
        ("ratio", Arc::new(Float64Array::from(vec![Some(0.5), Some(-1e300), Some(f64::NAN), None]))),
        ("tags", Arc::new(tags.finish())),
        ("error_code", Arc::new(StringArray::from(vec![None, Some("AccessDenied"), Some("a\0b"), None]))),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, array)| array).collect());
    Ok(MemTable::try_new(schema, vec![vec![batch.expect("batch")]])?)
}

/// A table without an end, and what was made of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Endless {
    rows: Arc<AtomicUsize>,
    readers: Arc<()>,
}

impl Endless {
    /// Returns how many rows were made.
    pub(crate) fn rows(&self) -> usize {
        self.rows.load(Ordering::SeqCst)
    }

    /// Returns how many are reading.
    pub(crate) fn readers(&self) -> usize {
        Arc::weak_count(&self.readers)
    }
}

fn schema_of_endless() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false), Field::new("text", DataType::Utf8, false)]))
}

impl PartitionStream for Endless {
    fn schema(&self) -> &SchemaRef {
        static SCHEMA: std::sync::OnceLock<SchemaRef> = std::sync::OnceLock::new();
        SCHEMA.get_or_init(schema_of_endless)
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        // Held for as long as somebody reads.
        let reader = (self.rows.clone(), Arc::downgrade(&self.readers));
        let batches = stream::unfold((0_i64, reader), |(first, reader)| async move {
            tokio::task::yield_now().await;
            let numbers = Int64Array::from_iter_values(first..first + BATCH as i64);
            let texts = StringArray::from_iter_values((0..BATCH).map(|row| format!("{row:0>100}")));
            let batch = RecordBatch::try_new(schema_of_endless(), vec![Arc::new(numbers), Arc::new(texts)]);
            reader.0.fetch_add(BATCH, Ordering::SeqCst);
            Some((Ok(batch.expect("batch")), (first + BATCH as i64, reader)))
        });
        Box::pin(RecordBatchStreamAdapter::new(schema_of_endless(), batches))
    }
}
