//! Workgroups, and what is known of a table.

use pipeline::service::CallError;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Athena, AthenaError, operation};
use crate::signed::Operation;

/// <https://docs.aws.amazon.com/athena/latest/APIReference/API_GetWorkGroup.html>
const GET_WORKGROUP: Operation<'_> = operation!("GetWorkGroup");
/// <https://docs.aws.amazon.com/athena/latest/APIReference/API_CreateWorkGroup.html>
const CREATE_WORKGROUP: Operation<'_> = operation!("CreateWorkGroup");
/// <https://docs.aws.amazon.com/athena/latest/APIReference/API_GetTableMetadata.html>
const GET_TABLE: Operation<'_> = operation!("GetTableMetadata");

/// A workgroup that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workgroup {
    /// Its name.
    pub name: String,
    /// Whether statements run in it.
    pub is_enabled: bool,
    /// Where results are written, if it says so.
    pub output_location: Option<String>,
    /// Whether Athena keeps results itself, so that no location is needed.
    pub keeps_results: bool,
    /// Whether it overrides what a statement asks for.
    pub is_enforced: bool,
    /// The most bytes that one query may scan, if there is a limit.
    pub scan_limit: Option<u64>,
}

/// A workgroup to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWorkgroup {
    /// Its name.
    pub name: String,
    /// Where results are written.
    pub output_location: Option<String>,
    /// The most bytes that one query may scan; Athena takes no limit below 10 MB.
    pub scan_limit: u64,
}

/// A table that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Where its data lies, if it is known.
    pub location: Option<String>,
    /// Whether it is a view.
    pub is_view: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WorkgroupAnswer {
    work_group: WorkgroupFound,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WorkgroupFound {
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    configuration: Configuration,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Configuration {
    result_configuration: ResultConfiguration,
    managed_query_results_configuration: Managed,
    enforce_work_group_configuration: bool,
    bytes_scanned_cutoff_per_query: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ResultConfiguration {
    output_location: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Managed {
    enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TableAnswer {
    table_metadata: TableFound,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TableFound {
    #[serde(default)]
    table_type: String,
    #[serde(default)]
    parameters: Map<String, Value>,
}

impl Athena {
    /// The workgroup of this name, if there is one.
    ///
    /// # Errors
    ///
    /// [`AthenaError`].
    pub fn workgroup(&self, name: &str) -> Result<Option<Workgroup>, AthenaError> {
        let answer = self.call::<WorkgroupAnswer>(&GET_WORKGROUP, &json!({ "WorkGroup": name }));
        let Some(found) = unless_missing(answer)? else { return Ok(None) };
        let WorkgroupFound { state, configuration } = found.work_group;
        Ok(Some(Workgroup {
            name: name.to_owned(),
            is_enabled: state.as_deref() != Some("DISABLED"),
            output_location: configuration.result_configuration.output_location.filter(|place| !place.is_empty()),
            keeps_results: configuration.managed_query_results_configuration.enabled,
            is_enforced: configuration.enforce_work_group_configuration,
            scan_limit: configuration.bytes_scanned_cutoff_per_query,
        }))
    }

    /// Makes a workgroup. What a statement asks for, such as another place for its results, goes before what the
    /// workgroup says, but for the limit.
    ///
    /// # Errors
    ///
    /// [`AthenaError`]; a workgroup of that name is one.
    pub fn create_workgroup(&self, new: &NewWorkgroup) -> Result<(), AthenaError> {
        let mut configuration = json!({
            "EnforceWorkGroupConfiguration": false,
            "PublishCloudWatchMetricsEnabled": true,
            "BytesScannedCutoffPerQuery": new.scan_limit,
            "EngineVersion": { "SelectedEngineVersion": "Athena engine version 3" },
        });
        if let Some(location) = &new.output_location {
            configuration["ResultConfiguration"] = json!({ "OutputLocation": location });
        }
        let description = "Questions to the events that Trailhound keeps";
        let body = json!({ "Name": new.name, "Description": description, "Configuration": configuration });
        self.call::<Map<String, Value>>(&CREATE_WORKGROUP, &body).map(drop)
    }

    /// The table or view of this name, if there is one.
    ///
    /// # Errors
    ///
    /// [`AthenaError`].
    pub fn table(&self, database: &str, table: &str) -> Result<Option<Table>, AthenaError> {
        let body = json!({ "CatalogName": "AwsDataCatalog", "DatabaseName": database, "TableName": table });
        let Some(found) = unless_missing(self.call::<TableAnswer>(&GET_TABLE, &body))? else { return Ok(None) };
        let TableFound { table_type, parameters } = found.table_metadata;
        let location = parameters.get("location").and_then(Value::as_str).filter(|text| !text.is_empty());
        Ok(Some(Table { location: location.map(str::to_owned), is_view: table_type == "VIRTUAL_VIEW" }))
    }
}

/// What is not there is no failure. Athena has no code for it: `InvalidRequestException` and `MetadataException` say it in
/// words ("WorkGroup x is not found.", "Entity Not Found").
fn unless_missing<T>(answer: Result<T, AthenaError>) -> Result<Option<T>, AthenaError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(AthenaError::Call { source: CallError::Refused(said), .. })
            if said.to_ascii_lowercase().replace(' ', "").contains("notfound") =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
