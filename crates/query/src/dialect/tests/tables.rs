//! Small tables with the schemas of the views.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;

use crate::functions::tests::session;

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8View, true)
}

fn structure(name: &str, fields: Vec<Field>) -> Field {
    Field::new(name, DataType::Struct(Fields::from(fields)), true)
}

fn texts(names: &[&str]) -> Vec<Field> {
    names.iter().map(|name| text(name)).collect()
}

fn list(name: &str, element: DataType) -> Field {
    Field::new(name, DataType::List(Arc::new(Field::new_list_field(element, true))), true)
}

fn map(name: &str) -> Field {
    let entries = vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)];
    Field::new(
        name,
        DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.into()), false)), false),
        true,
    )
}

fn user_identity() -> Field {
    let mut fields = texts(&["type", "principalid", "arn", "accountid", "accesskeyid", "username"]);
    let issuer = structure("sessionissuer", texts(&["type", "principalid", "arn", "accountid", "username"]));
    let federation = structure("webidfederationdata", vec![text("federatedprovider"), map("attributes")]);
    let attributes = structure("attributes", texts(&["creationdate", "mfaauthenticated"]));
    fields.push(structure("sessioncontext", vec![attributes, issuer, federation, text("ec2roledelivery")]));
    fields.extend(texts(&["invokedby", "identityprovider"]));
    fields.push(structure("onbehalfof", texts(&["userid", "identitystorearn"])));
    structure("useridentity", fields)
}

/// CloudTrail Lake's event data store.
pub(super) fn cloudtrail() -> Schema {
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = vec![text("eventversion"), user_identity(), Field::new("eventtime", instant, true)];
    fields.extend(texts(&["eventsource", "eventname", "awsregion", "sourceipaddress", "useragent", "errorcode"]));
    fields.push(text("errormessage"));
    fields.extend([map("requestparameters"), map("responseelements"), map("additionaleventdata")]);
    fields.extend(texts(&["requestid", "eventid"]));
    fields.push(Field::new("readonly", DataType::Boolean, true));
    let resource = Fields::from(texts(&["accountid", "type", "arn", "arnprefix"]));
    fields.push(list("resources", DataType::Struct(resource)));
    fields.extend(texts(&["eventtype", "apiversion"]));
    fields.push(Field::new("managementevent", DataType::Boolean, true));
    fields.extend(texts(&["recipientaccountid", "sharedeventid", "vpcendpointid", "eventcategory"]));
    fields.push(map("serviceeventdetails"));
    fields.push(structure("tlsdetails", texts(&["tlsversion", "ciphersuite", "clientprovidedhostheader"])));
    fields.push(text("sessioncredentialfromconsole"));
    Schema::new(fields)
}

/// The table of Athena's documentation.
pub(super) fn cloudtrail_logs() -> Schema {
    let mut fields = vec![text("eventversion"), user_identity()];
    fields.extend(texts(&["eventtime", "eventsource", "eventname", "awsregion", "sourceipaddress", "useragent"]));
    fields.extend(texts(&["errorcode", "errormessage", "requestparameters", "responseelements"]));
    fields.extend(texts(&["additionaleventdata", "requestid", "eventid"]));
    fields.push(list("resources", DataType::Struct(Fields::from(texts(&["arn", "accountid", "type"])))));
    fields.extend(texts(&["eventtype", "apiversion", "readonly", "recipientaccountid", "serviceeventdetails"]));
    fields.extend(texts(&["sharedeventid", "vpcendpointid"]));
    fields.push(structure("tlsdetails", texts(&["tlsversion", "ciphersuite", "clientprovidedhostheader"])));
    fields.extend(texts(&["region", "year", "month", "day", "timestamp"]));
    Schema::new(fields)
}

/// The classic tracker's view.
pub(super) fn iam_events() -> Schema {
    Schema::new(texts(&[
        "event_date",
        "event_id",
        "event_time",
        "event_name",
        "event_source",
        "event_type",
        "user_name",
        "aws_region",
        "source_ip",
        "user_agent",
        "request_parameters",
        "response_elements",
        "error_code",
        "error_message",
        "year",
        "month",
        "day",
        "region",
        "account_id",
        "session_name",
        "target",
    ]))
}

/// A record, as JSON of a table's columns.
pub(super) struct Record(pub(super) &'static str);

/// A session with the tables. Rows are made of JSON by the casts under test, column by column.
pub(super) async fn tables() -> SessionContext {
    let context = session();
    for (name, schema, records) in [
        ("cloudtrail", cloudtrail(), super::queries::RECORDS),
        ("cloudtrail_logs", cloudtrail_logs(), super::queries::LOGS),
        ("iam_events", iam_events(), super::queries::IAM_EVENTS),
    ] {
        let schema = Arc::new(schema);
        let mut batches = Vec::new();
        for record in records {
            batches.push(batch(&context, &schema, record).await);
        }
        let table = MemTable::try_new(Arc::clone(&schema), vec![batches]).expect("rows of the schema");
        context.register_table(name, Arc::new(table)).expect("a new table");
    }
    context
}

async fn batch(context: &SessionContext, schema: &Arc<Schema>, record: &Record) -> RecordBatch {
    let columns: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| {
            let column = format!("json_extract('{}', '$.{}')", record.0.replace('\'', "''"), field.name());
            let name = crate::functions::trino_name(field.data_type());
            match field.data_type() {
                DataType::Timestamp(_, _) => format!("from_iso8601_timestamp(CAST({column} AS varchar))"),
                _ => format!("CAST({column} AS {name})"),
            }
        })
        .collect();
    let sql = format!("SELECT {}", columns.join(", "));
    let prepared = crate::dialect::prepare(&sql, crate::functions::tests::now()).expect("a query");
    let plan = context.state().statement_to_plan(prepared.into_statement()).await.expect("a plan");
    let batches = context.execute_logical_plan(plan).await.expect("a frame").collect().await.expect("a row");
    let columns = batches[0].columns().iter().zip(schema.fields());
    let columns = columns
        .map(|(column, field)| datafusion::arrow::compute::cast(column, field.data_type()).expect("the column's type"));
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).expect("a row of the schema")
}
