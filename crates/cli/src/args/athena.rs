//! Athena over a lake in S3.

use clap::{Args, Subcommand};

use super::{AthenaPlace, DocumentFormat};

#[derive(Debug, Args)]
pub(crate) struct AthenaArgs {
    #[command(subcommand)]
    pub(crate) command: AthenaCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AthenaCommand {
    /// Make the database, the table over the lake, the views and the workgroup, and show what the lake holds.
    ///
    /// What is there already and fits stays as it is; the views are made anew. The table reads the lake's Delta log: no
    /// crawler is needed, and nothing has to be done when the lake grows or is compacted.
    #[command(after_help = "Examples:\n  \
        trailhound athena setup --location s3://our-lake/lake --output-location s3://our-results/\n  \
        trailhound athena setup --location s3://our-lake/lake --database trails --workgroup analysts\n\n\
        Needs athena:GetWorkGroup, CreateWorkGroup, GetTableMetadata, StartQueryExecution,\n\
        GetQueryExecution, GetQueryResults and StopQueryExecution; glue:GetDatabase, CreateDatabase,\n\
        GetTable, CreateTable and UpdateTable; s3:ListBucket and GetObject on the lake;\n\
        s3:GetBucketLocation, GetObject and PutObject on the results.")]
    Setup(AthenaSetupArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AthenaSetupArgs {
    /// Where the lake lies: the folder that holds _delta_log.
    #[arg(long, value_name = "PLACE")]
    pub(crate) location: String,
    #[command(flatten)]
    pub(crate) place: AthenaPlace,
    /// The table. Where it is called otherwise, a view gives it the name events, which the queries know.
    #[arg(long, value_name = "NAME", default_value = query::athena::EVENTS)]
    pub(crate) table: String,
    /// The most that one query may scan in a new workgroup, in gigabytes.
    #[arg(long, value_name = "GB", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) scan_limit: u32,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = DocumentFormat::Table)]
    pub(crate) format: DocumentFormat,
}
