//! The table `events`: the active files of the lake's newest version.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DataFusionError, Result, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::future::BoxFuture;
use lake::{DataFile, LakeError};
use url::Url;

use super::conditions::OncePerValue;
use super::prune::{self, PARTITION};
use crate::engine::Source;

/// The name under which a session knows the lake's store.
const STORE: &str = "lake://events";
/// Bytes read from a file's end at first: the footer of a file of usual size is among them.
const FOOTER: usize = 64 << 10;

/// The lake as a table. A lake that is not there is an empty table.
#[derive(Debug)]
pub(crate) struct EventsTable {
    source: Arc<Source>,
    columns: TableSchema,
}

impl EventsTable {
    pub(crate) fn new(source: Arc<Source>) -> EventsTable {
        let view = |field: &Arc<Field>| match field.data_type() {
            // Views are compared and grouped without being copied.
            DataType::Utf8 => Field::new(field.name(), DataType::Utf8View, field.is_nullable()),
            _ => field.as_ref().clone(),
        };
        let file = Schema::new(lake::file_schema().fields().iter().map(view).collect::<Vec<_>>());
        let partition = Arc::new(Field::new(PARTITION, DataType::Date32, false));
        EventsTable {
            source,
            columns: TableSchema::builder(Arc::new(file)).with_table_partition_cols(vec![partition]).build(),
        }
    }

    /// The files of the newest version; `runtime` is told where they lie.
    async fn files(&self, runtime: &RuntimeEnv) -> Result<Vec<Arc<DataFile>>> {
        let source = Arc::clone(&self.source);
        let found = tokio::task::spawn_blocking(move || match source.find()? {
            Some(lake) => Ok(Some((lake.active_files()?, lake.object_store()))),
            None => Ok::<_, LakeError>(None),
        });
        let found = found.await.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let Some((files, store)) = found.map_err(|error| DataFusionError::External(Box::new(error)))? else {
            return Ok(Vec::new());
        };
        let url = Url::parse(STORE).expect("the store's name is a URL");
        runtime.register_object_store(&url, store);
        Ok(files)
    }

    fn partitioned(&self, file: &DataFile) -> PartitionedFile {
        let day = ScalarValue::Date32(Some(file.day().days()));
        PartitionedFile::new(file.path(), file.size())
            .with_partition_values(vec![day])
            .with_statistics(Arc::new(self.statistics(file)))
    }

    /// What the log says of a file's own columns, which come first, without the partition.
    fn statistics(&self, file: &DataFile) -> Statistics {
        let schema = self.columns.file_schema();
        let mut statistics = Statistics::new_unknown(schema);
        statistics.num_rows = Precision::Exact(usize::try_from(file.rows()).unwrap_or(usize::MAX));
        for (field, column) in schema.fields().iter().zip(&mut statistics.column_statistics) {
            *column = column_statistics(field, file);
        }
        statistics
    }
}

fn column_statistics(field: &Field, file: &DataFile) -> ColumnStatistics {
    let mut statistics = ColumnStatistics::new_unknown();
    if field.name() == "event_time" {
        if let Some((first, last)) = file.times() {
            let time = |micros| ScalarValue::TimestampMicrosecond(Some(micros), Some(Arc::from("UTC")));
            statistics.min_value = Precision::Exact(time(first));
            statistics.max_value = Precision::Exact(time(last));
            statistics.null_count = Precision::Exact(0);
        }
    } else if let Some(column) = lake::BOUNDED.iter().find(|column| column.name() == field.name())
        && let Some((low, high)) = file.bounds(*column)
    {
        let text = |text: &str| ScalarValue::Utf8View(Some(text.to_owned()));
        statistics.min_value = Precision::Inexact(text(low));
        statistics.max_value = Precision::Inexact(text(high));
    }
    statistics
}

impl TableProvider for EventsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.columns.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, conditions: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |condition: &&Expr| match prune::is_of_the_day(condition) {
            true => TableProviderFilterPushDown::Exact,
            // Rows are filtered where they are read, by a later step of the optimizer.
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(conditions.iter().map(support).collect())
    }

    fn scan<'a, 'b, 'c, 'd, 'f>(
        &'a self,
        session: &'b dyn Session,
        projection: Option<&'c Vec<usize>>,
        conditions: &'d [Expr],
        limit: Option<usize>,
    ) -> BoxFuture<'f, Result<Arc<dyn ExecutionPlan>>>
    where
        'a: 'f,
        'b: 'f,
        'c: 'f,
        'd: 'f,
        Self: 'f,
    {
        scan(self, session, projection, conditions, limit)
    }
}

/// Written without `async fn`: in an implementation the compiler proves again and again that a future which holds an
/// [`Expr`] can be sent, for ten seconds each time; here once.
fn scan<'a>(
    table: &'a EventsTable,
    session: &'a dyn Session,
    projection: Option<&'a Vec<usize>>,
    conditions: &'a [Expr],
    limit: Option<usize>,
) -> BoxFuture<'a, Result<Arc<dyn ExecutionPlan>>> {
    Box::pin(async move {
        let runtime = session.runtime_env();
        let files = prune::files(session, &table.schema(), conditions, table.files(runtime).await?)?;
        if files.is_empty() {
            let schema = datafusion::common::project_schema(&table.schema(), projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)) as Arc<dyn ExecutionPlan>);
        }
        let files: Vec<PartitionedFile> = files.iter().map(|file| table.partitioned(file)).collect();
        let url = ObjectStoreUrl::parse(STORE)?;
        let cache = runtime.cache_manager.get_file_metadata_cache();
        let reader = CachedParquetFileReaderFactory::new(runtime.object_store(&url)?, cache);
        let source = ParquetSource::new(table.columns.clone())
            .with_table_parquet_options(session.table_options().parquet.clone())
            .with_metadata_size_hint(FOOTER)
            .with_parquet_file_reader_factory(Arc::new(reader));
        let groups = spread(files, session.config().target_partitions());
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_expr_adapter(Some(Arc::new(OncePerValue)))
            .build();
        Ok(DataSourceExec::from_data_source(config) as Arc<dyn ExecutionPlan>)
    })
}

/// Files in as many groups as there are workers, each with about the same bytes; in each the order stays.
fn spread(files: Vec<PartitionedFile>, workers: usize) -> Vec<FileGroup> {
    let mut groups: Vec<(u64, Vec<PartitionedFile>)> = (0..workers.max(1)).map(|_| (0, Vec::new())).collect();
    for file in files {
        if let Some(least) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            least.0 += file.object_meta.size;
            least.1.push(file);
        }
    }
    groups.into_iter().filter(|(_, files)| !files.is_empty()).map(|(_, files)| FileGroup::new(files)).collect()
}
