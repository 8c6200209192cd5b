//! The columns of the `events` table: their order, their types in Arrow and in Delta, and what they hold.

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use event::Column;
use serde_json::{Value, json};

/// The version of this layout, kept in the table's properties.
pub(crate) const FORMAT: &str = "1";

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableColumn {
    /// A column of the event.
    Text(Column),
    EventTime,
    /// The partition: in the log and the folder's name, not in the files.
    EventDate,
    MfaAuthenticated,
    ReadOnly,
    IdDerived,
    SourceObject,
    IngestedAt,
    ContentHash,
}

impl TableColumn {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            TableColumn::Text(column) => column.name(),
            TableColumn::EventTime => "event_time",
            TableColumn::EventDate => "event_date",
            TableColumn::MfaAuthenticated => "mfa_authenticated",
            TableColumn::ReadOnly => "read_only",
            TableColumn::IdDerived => "id_derived",
            TableColumn::SourceObject => "source_object",
            TableColumn::IngestedAt => "ingested_at",
            TableColumn::ContentHash => "content_hash",
        }
    }

    const fn doc(self) -> &'static str {
        match self {
            TableColumn::Text(column) => column.doc(),
            TableColumn::EventTime => "When the call was made (UTC).",
            TableColumn::EventDate => "The UTC day of `event_time`; the partition.",
            TableColumn::MfaAuthenticated => "Whether the session or the sign-in used multi-factor authentication.",
            TableColumn::ReadOnly => "Whether the call only read.",
            TableColumn::IdDerived => "Whether `event_id` was derived because the record had none.",
            TableColumn::SourceObject => "The file or object the record was first read from.",
            TableColumn::IngestedAt => "When the record was stored (UTC).",
            TableColumn::ContentHash => "32 bits of a hash of the record, which tell a duplicate from a variant.",
        }
    }

    const fn nullable(self) -> bool {
        !matches!(
            self,
            TableColumn::Text(Column::EventId)
                | TableColumn::EventTime
                | TableColumn::EventDate
                | TableColumn::IdDerived
                | TableColumn::SourceObject
                | TableColumn::IngestedAt
                | TableColumn::ContentHash
        )
    }

    const fn delta_type(self) -> &'static str {
        match self {
            TableColumn::Text(_) | TableColumn::SourceObject => "string",
            TableColumn::EventTime | TableColumn::IngestedAt => "timestamp",
            TableColumn::EventDate => "date",
            TableColumn::MfaAuthenticated | TableColumn::ReadOnly | TableColumn::IdDerived => "boolean",
            TableColumn::ContentHash => "long",
        }
    }

    fn arrow_type(self) -> DataType {
        match self {
            TableColumn::Text(_) | TableColumn::SourceObject => DataType::Utf8,
            TableColumn::EventTime | TableColumn::IngestedAt => {
                DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
            }
            TableColumn::EventDate => DataType::Date32,
            TableColumn::MfaAuthenticated | TableColumn::ReadOnly | TableColumn::IdDerived => DataType::Boolean,
            TableColumn::ContentHash => DataType::Int64,
        }
    }
}

/// Every column, in the table's order.
pub(crate) static TABLE: LazyLock<Vec<TableColumn>> = LazyLock::new(|| {
    let mut columns = Vec::with_capacity(Column::COUNT + 8);
    for &column in Column::ALL {
        columns.push(TableColumn::Text(column));
        match column {
            Column::EventId => columns.extend([TableColumn::EventTime, TableColumn::EventDate]),
            Column::AccessKeyId => columns.push(TableColumn::MfaAuthenticated),
            Column::UserAgent => columns.push(TableColumn::ReadOnly),
            _ => {}
        }
    }
    columns.extend([
        TableColumn::IdDerived,
        TableColumn::SourceObject,
        TableColumn::IngestedAt,
        TableColumn::ContentHash,
    ]);
    columns
});

/// The columns that stand in the data files: all but the partition, in the table's order.
pub(crate) static FILE: LazyLock<Vec<TableColumn>> =
    LazyLock::new(|| TABLE.iter().copied().filter(|&column| column != TableColumn::EventDate).collect());

/// The schema of a data file.
pub(crate) static FILE_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let field = |column: &TableColumn| Field::new(column.name(), column.arrow_type(), column.nullable());
    Arc::new(Schema::new(FILE.iter().map(field).collect::<Vec<_>>()))
});

/// The columns, except `event_time`, whose smallest and largest values stand in the log.
pub const BOUNDED: [Column; 6] =
    [Column::AwsRegion, Column::AccountId, Column::UserName, Column::EventName, Column::EventSource, Column::EventType];

/// The table's schema as the Delta log spells it.
pub(crate) fn delta_schema() -> Value {
    let field = |column: &TableColumn| {
        json!({
            "name": column.name(),
            "type": column.delta_type(),
            "nullable": column.nullable(),
            "metadata": { "comment": column.doc().trim() },
        })
    };
    json!({ "type": "struct", "fields": TABLE.iter().map(field).collect::<Vec<_>>() })
}

/// The Arrow schema of a data file: every column but the partition, `event_date`.
#[must_use]
pub fn file_schema() -> SchemaRef {
    Arc::clone(&FILE_SCHEMA)
}

/// The columns a reader may rely on: name, Delta type and description, in the table's order.
#[must_use]
pub fn columns() -> Vec<(&'static str, &'static str, &'static str)> {
    TABLE.iter().map(|column| (column.name(), column.delta_type(), column.doc().trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden: the order of the design. A change here changes every lake.
    #[test]
    fn the_order_is_the_designs() {
        let names: Vec<&str> = TABLE.iter().map(|column| column.name()).collect();
        let design = "event_id event_time event_date event_name event_source event_type event_category account_id \
            aws_region user_name actor_type actor_arn actor_account_id principal_id role_arn session_name \
            source_identity access_key_id mfa_authenticated invoked_by source_ip user_agent read_only error_code \
            error_message target user_identity resources request_parameters response_elements \
            additional_event_data request_id shared_event_id vpc_endpoint_id event_version aws_event_type rest \
            id_derived source_object ingested_at content_hash";
        assert_eq!(names, design.split_whitespace().collect::<Vec<_>>());
    }
}
