//! The views: the same events under the names and types that CloudTrail's users know.
//!
//! - `iam_events`: the identity events with the classic tracker's columns, all of them text;
//! - `cloudtrail`: what CloudTrail Lake calls an event data store: timestamps, maps, structs;
//! - `cloudtrail_logs`: the table that Athena's documentation has people create: text and structs.

mod athena;
mod shapes;

use std::fmt;
use std::sync::Arc;

use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::common::Result;
use datafusion::execution::context::{SessionContext, SessionState};
use futures::future::BoxFuture;

pub(crate) use athena::for_athena;
pub(crate) use shapes::register;

/// The identity events, as the classic tracker's users know them.
const IAM_EVENTS: &str = "
SELECT
    CAST(event_date AS varchar) AS event_date, event_id, iso8601(event_time) AS event_time, event_name, event_source,
    event_type, user_name, aws_region, source_ip, user_agent, request_parameters, response_elements, error_code,
    error_message,
    CAST(date_part('year', event_date) AS varchar) AS year,
    CAST(date_part('month', event_date) AS varchar) AS month,
    CAST(date_part('day', event_date) AS varchar) AS day,
    aws_region AS region, account_id, session_name, target
FROM events
WHERE event_type IN ('iam', 'sts', 'signin', 'sso')";

/// CloudTrail Lake's columns and types.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/query-supported-event-schemas.html>
const CLOUDTRAIL: &str = "
SELECT
    event_version AS eventversion, lake_user_identity(user_identity) AS useridentity,
    CAST(event_time AS timestamp) AS eventtime, event_source AS eventsource, event_name AS eventname,
    aws_region AS awsregion, source_ip AS sourceipaddress, user_agent AS useragent, error_code AS errorcode,
    error_message AS errormessage, json_map(request_parameters) AS requestparameters,
    json_map(response_elements) AS responseelements, json_map(additional_event_data) AS additionaleventdata,
    request_id AS requestid, event_id AS eventid, read_only AS readonly, record_resources(resources) AS resources,
    aws_event_type AS eventtype, json_extract_scalar(rest, '$.apiVersion') AS apiversion,
    json_extract_scalar(rest, '$.managementEvent') = 'true' AS managementevent,
    account_id AS recipientaccountid, shared_event_id AS sharedeventid, vpc_endpoint_id AS vpcendpointid,
    json_extract_scalar(rest, '$.vpcEndpointAccountId') AS vpcendpointaccountid,
    json_map(json_extract(rest, '$.serviceEventDetails')) AS serviceeventdetails,
    record_addendum(json_extract(rest, '$.addendum')) AS addendum,
    json_map(json_extract(rest, '$.edgeDeviceDetails')) AS edgedevicedetails,
    json_map(json_extract(rest, '$.insightDetails')) AS insightdetails, event_category AS eventcategory,
    record_tls(json_extract(rest, '$.tlsDetails')) AS tlsdetails,
    json_extract_scalar(rest, '$.sessionCredentialFromConsole') AS sessioncredentialfromconsole,
    event_date
FROM events";

/// The columns and types of the table in Athena's documentation, and the partitions of its variants.
/// <https://docs.aws.amazon.com/athena/latest/ug/create-cloudtrail-table.html>
const CLOUDTRAIL_LOGS: &str = "
SELECT
    event_version AS eventversion, athena_user_identity(user_identity) AS useridentity,
    iso8601_z(event_time) AS eventtime, event_source AS eventsource, event_name AS eventname,
    aws_region AS awsregion, source_ip AS sourceipaddress, user_agent AS useragent, error_code AS errorcode,
    error_message AS errormessage, request_parameters AS requestparameters, response_elements AS responseelements,
    additional_event_data AS additionaleventdata, request_id AS requestid, event_id AS eventid,
    CAST(read_only AS varchar) AS readonly, record_resources(resources) AS resources, aws_event_type AS eventtype,
    json_extract_scalar(rest, '$.apiVersion') AS apiversion, account_id AS recipientaccountid,
    json_extract(rest, '$.serviceEventDetails') AS serviceeventdetails, shared_event_id AS sharedeventid,
    vpc_endpoint_id AS vpcendpointid,
    json_extract_scalar(rest, '$.vpcEndpointAccountId') AS vpcendpointaccountid, event_category AS eventcategory,
    record_addendum(json_extract(rest, '$.addendum')) AS addendum,
    json_extract_scalar(rest, '$.sessionCredentialFromConsole') AS sessioncredentialfromconsole,
    json_extract(rest, '$.edgeDeviceDetails') AS edgedevicedetails,
    record_tls(json_extract(rest, '$.tlsDetails')) AS tlsdetails,
    account_id AS account, aws_region AS region, replace(CAST(event_date AS varchar), '-', '/') AS timestamp,
    substr(CAST(event_date AS varchar), 1, 4) AS year, substr(CAST(event_date AS varchar), 6, 2) AS month,
    substr(CAST(event_date AS varchar), 9, 2) AS day, event_date
FROM events";

/// Every view and what it is made of.
pub(crate) const VIEWS: [(&str, &str); 3] =
    [("iam_events", IAM_EVENTS), ("cloudtrail", CLOUDTRAIL), ("cloudtrail_logs", CLOUDTRAIL_LOGS)];

/// Tables, and the views over them. A view is planned when a question names it: most name one, and planning all three
/// takes as long as most answers.
pub(crate) struct Views {
    tables: MemorySchemaProvider,
    /// The session as it is then; nothing once it is gone.
    session: Box<dyn Fn() -> Option<SessionState> + Send + Sync>,
}

impl fmt::Debug for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Views").finish_non_exhaustive()
    }
}

impl Views {
    /// Tables to be registered, and the views, for a session.
    pub(crate) fn of(context: &SessionContext) -> Views {
        let session = context.state_weak_ref();
        let session = move || session.upgrade().map(|session| session.read().clone());
        Views { tables: MemorySchemaProvider::new(), session: Box::new(session) }
    }
}

impl SchemaProvider for Views {
    fn table_names(&self) -> Vec<String> {
        let views = VIEWS.iter().map(|(name, _)| (*name).to_owned());
        self.tables.table_names().into_iter().chain(views).collect()
    }

    fn table<'a, 'b, 'f>(&'a self, name: &'b str) -> BoxFuture<'f, Result<Option<Arc<dyn TableProvider>>>>
    where
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        table(self, name)
    }

    fn register_table(&self, name: String, table: Arc<dyn TableProvider>) -> Result<Option<Arc<dyn TableProvider>>> {
        self.tables.register_table(name, table)
    }

    fn table_exist(&self, name: &str) -> bool {
        VIEWS.iter().any(|(view, _)| *view == name) || self.tables.table_exist(name)
    }
}

/// No `async fn` in the implementation: a future that holds a plan is slow to compile there.
fn table<'a>(views: &'a Views, name: &'a str) -> BoxFuture<'a, Result<Option<Arc<dyn TableProvider>>>> {
    let view = VIEWS.iter().find(|(view, _)| *view == name);
    let (Some((_, text)), Some(session)) = (view, (views.session)()) else {
        return views.tables.table(name);
    };
    Box::pin(async move {
        let plan = session.create_logical_plan(text).await?;
        let view: Arc<dyn TableProvider> = Arc::new(ViewTable::new(plan, Some(text.trim().to_owned())));
        Ok(Some(view))
    })
}
