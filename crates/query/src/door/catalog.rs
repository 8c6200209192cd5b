//! The system catalogue of a session: what clients look up before they ask anything.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::common::cast::as_string_array;
use datafusion::common::exec_datafusion_err;
use datafusion::error::DataFusionError;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::expr_fn::SimpleScalarUDF;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Signature, TypeSignature, Volatility};
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;
use datafusion_pg_catalog::pg_catalog::context::{PgCatalogContextProvider, Role};
use datafusion_pg_catalog::pg_catalog::generate_series_arg_coercion::CoerceIntArgsToBigInt;
use datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;
use datafusion_pg_catalog::pg_catalog::{
    PgCatalogSchemaProvider, PgCatalogStaticTables, create_current_database_udf, setup_pg_catalog,
};

use super::settings::{SERVER_VERSION, Settings};

/// Whether a client needs to write a schema before a name: never.
const VISIBLE: &[&str] = &[
    "pg_collation_is_visible",
    "pg_conversion_is_visible",
    "pg_function_is_visible",
    "pg_opclass_is_visible",
    "pg_operator_is_visible",
    "pg_opfamily_is_visible",
    "pg_statistics_obj_is_visible",
    "pg_ts_config_is_visible",
    "pg_ts_dict_is_visible",
    "pg_type_is_visible",
];

/// What is said about things that have no comment, no size and no definition of their own here.
const DEFINITIONS: &[&str] = &[
    "col_description",
    "obj_description",
    // What a pool of connections calls as it takes one back.
    "pg_advisory_unlock_all",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_function_result",
    "pg_get_functiondef",
    "pg_get_indexdef",
    "pg_get_ruledef",
    "pg_get_serial_sequence",
    "pg_get_triggerdef",
    "pg_get_viewdef",
    "pg_size_pretty",
    "pg_tablespace_location",
    "shobj_description",
];

/// The system catalogue that every session shares: its tables are loaded once, they are five megabytes.
pub(super) struct Catalog {
    tables: Arc<PgCatalogStaticTables>,
    /// The functions that tell about it.
    functions: Vec<Arc<ScalarUDF>>,
}

impl Catalog {
    pub(super) fn load() -> Result<Catalog, DataFusionError> {
        let model = SessionContext::new();
        let known: HashSet<String> = model.state().scalar_functions().keys().cloned().collect();
        let name = model.state().config_options().catalog.default_catalog.clone();
        setup_pg_catalog(&model, &name, User(String::new())).map_err(|error| *error)?;
        let state = model.state();
        let added = state.scalar_functions().iter().filter(|(name, _)| !known.contains(*name));
        let functions = added.map(|(_, function)| Arc::clone(function)).collect();
        Ok(Catalog { tables: Arc::new(PgCatalogStaticTables::try_new()?), functions })
    }

    /// Adds the catalogue to a session, and the functions that tell about both. What the engine has already stays.
    pub(super) fn add_to(
        &self,
        context: &SessionContext,
        user: &str,
        pid: i32,
        settings: &Arc<Mutex<Settings>>,
    ) -> Result<(), DataFusionError> {
        let state = context.state_ref();
        state.write().config_mut().options_mut().catalog.information_schema = true;
        let name = context.state().config_options().catalog.default_catalog.clone();
        let catalogs = Arc::clone(context.state().catalog_list());
        let tables = PgCatalogSchemaProvider::try_new(catalogs, Arc::clone(&self.tables), User(user.to_owned()))?;
        let catalog = context.catalog(&name).ok_or_else(|| exec_datafusion_err!("no catalogue {name}"))?;
        let schema = WithSettings { tables: Arc::new(tables), settings: Arc::clone(settings) };
        catalog.register_schema("pg_catalog", Arc::new(schema))?;
        for function in &self.functions {
            if !context.state().scalar_functions().contains_key(function.name()) {
                context.register_udf(function.as_ref().clone());
            }
        }
        context.register_udtf("pg_get_keywords", Arc::clone(&self.tables.pg_get_keywords) as _);
        // As `setup_pg_catalog` does: names of types like `regclass`, and series of what `array_upper` returns.
        let existing = state.read().clone();
        let planner = Arc::new(PgOidTypePlanner);
        let mut built = SessionStateBuilder::new_from_existing(existing.clone()).with_type_planner(planner).build();
        keep_names(&existing, &mut built)?;
        *state.write() = built;
        CoerceIntArgsToBigInt::widen(context);
        register_own(context, user, pid, settings);
        Ok(())
    }
}

/// Gives a name that two functions claim, one of them as its alias, back to the one that had it: a state that is built
/// anew registers every function once more, in whatever order.
fn keep_names(before: &SessionState, built: &mut SessionState) -> Result<(), DataFusionError> {
    for (name, function) in before.scalar_functions() {
        if built.scalar_functions().get(name).is_none_or(|other| !Arc::ptr_eq(other, function)) {
            built.register_udf(Arc::clone(function))?;
        }
    }
    for (name, function) in before.aggregate_functions() {
        if built.aggregate_functions().get(name).is_none_or(|other| !Arc::ptr_eq(other, function)) {
            built.register_udaf(Arc::clone(function))?;
        }
    }
    for (name, function) in before.window_functions() {
        if built.window_functions().get(name).is_none_or(|other| !Arc::ptr_eq(other, function)) {
            built.register_udwf(Arc::clone(function))?;
        }
    }
    Ok(())
}

/// Adds functions that answer for this session, and those that `datafusion-pg-catalog` lacks.
fn register_own(context: &SessionContext, user: &str, pid: i32, settings: &Arc<Mutex<Settings>>) {
    context.register_udf(create_current_database_udf(&context.state().config_options().catalog.default_catalog));
    let schema = context.state().config_options().catalog.default_schema.clone();
    for (name, value) in
        [("session_user", user), ("version", &format!("PostgreSQL {SERVER_VERSION}")), ("current_schema", &schema)]
    {
        context.register_udf(constant(name, vec![TypeSignature::Nullary], ScalarValue::from(value)));
    }
    let [yes, no] = [true, false].map(|is| ScalarValue::Boolean(Some(is)));
    let nothing = ScalarValue::Utf8(None);
    for (names, value) in [
        (VISIBLE, yes),
        (&["pg_is_in_recovery", "pg_is_other_temp_schema"], no),
        (&["pg_my_temp_schema", "pg_table_size", "pg_indexes_size"], ScalarValue::Int64(Some(0))),
        (&["pg_backend_pid"], ScalarValue::Int32(Some(pid))),
        // Nothing is ever written, so nothing ever follows the first transaction.
        (&["txid_current"], ScalarValue::Int64(Some(1))),
        // What PostgreSQL says where a client did not come through the network.
        (&["inet_server_addr"], ScalarValue::Utf8(None)),
        (&["inet_server_port"], ScalarValue::Int32(None)),
        (&["pg_get_userbyid"], ScalarValue::from(user)),
        (DEFINITIONS, nothing),
    ] {
        for name in names {
            let arguments = [TypeSignature::Nullary].into_iter().chain((1..=3).map(TypeSignature::Any)).collect();
            context.register_udf(constant(name, arguments, value.clone()));
        }
    }
    context.register_udf(current_setting(Arc::clone(settings)));
}

/// The catalogue's tables, but for `pg_settings`, which has what `SHOW` tells.
struct WithSettings {
    tables: Arc<dyn SchemaProvider>,
    settings: Arc<Mutex<Settings>>,
}

impl fmt::Debug for WithSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WithSettings").finish_non_exhaustive()
    }
}

#[async_trait]
impl SchemaProvider for WithSettings {
    fn table_names(&self) -> Vec<String> {
        self.tables.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if name != "pg_settings" {
            return self.tables.table(name).await;
        }
        let batch = {
            let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
            let (names, values): (Vec<_>, Vec<_>) = settings.all().unzip();
            let [names, values] = [names, values].map(|texts| Arc::new(StringArray::from(texts)) as ArrayRef);
            let nothing: ArrayRef = Arc::new(StringArray::new_null(names.len()));
            let rest = SETTING.iter().map(|name| (*name, Arc::clone(&nothing), true));
            let columns = [("name", names, false), ("setting", values, true)];
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().chain(rest))?
        };
        Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.table_exist(name)
    }
}

/// The columns of `pg_settings` that have nothing to say.
const SETTING: &[&str] = &[
    "unit",
    "category",
    "short_desc",
    "extra_desc",
    "context",
    "vartype",
    "source",
    "min_val",
    "max_val",
    "boot_val",
    "reset_val",
    "sourcefile",
];

/// The one role there is.
#[derive(Debug, Clone)]
struct User(String);

#[async_trait]
impl PgCatalogContextProvider for User {
    async fn roles(&self) -> Vec<String> {
        vec![self.0.clone()]
    }

    async fn role(&self, name: &str) -> Option<Role> {
        (name == self.0).then(|| Role {
            name: self.0.clone(),
            is_superuser: false,
            can_login: true,
            can_create_db: false,
            can_create_role: false,
            can_create_user: false,
            can_replication: false,
            grants: Vec::new(),
            inherited_roles: Vec::new(),
        })
    }
}

/// Makes a function that always answers the same.
fn constant(name: &str, arguments: Vec<TypeSignature>, value: ScalarValue) -> ScalarUDF {
    let signature = Signature::one_of(arguments, Volatility::Stable);
    let kind = value.data_type();
    let answer = move |_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(value.clone()));
    ScalarUDF::from(SimpleScalarUDF::new_with_signature(name, signature, kind, Arc::new(answer)))
}

/// `current_setting(name [, missing_ok])`.
fn current_setting(settings: Arc<Mutex<Settings>>) -> ScalarUDF {
    let signature = Signature::one_of(
        vec![TypeSignature::Exact(vec![DataType::Utf8]), TypeSignature::Exact(vec![DataType::Utf8, DataType::Boolean])],
        Volatility::Stable,
    );
    let answer = move |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let [names, rest @ ..] = arrays.as_slice() else {
            return Err(exec_datafusion_err!("current_setting needs a name"));
        };
        let settings = settings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut values = Vec::with_capacity(names.len());
        for (row, name) in as_string_array(names)?.iter().enumerate() {
            let may_be_missing = rest.first().is_some_and(|flags| flags.as_boolean().value(row));
            let value = name.and_then(|name| settings.get(name)).map(|(_, value)| value.to_owned());
            match name {
                Some(name) if value.is_none() && !may_be_missing => {
                    return Err(exec_datafusion_err!("unrecognized configuration parameter \"{name}\""));
                }
                _ => values.push(value),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(StringArray::from(values)) as ArrayRef))
    };
    let function = SimpleScalarUDF::new_with_signature("current_setting", signature, DataType::Utf8, Arc::new(answer));
    ScalarUDF::from(function)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Athena's functions are not given away to namesakes of the engine's: `element_at` is an alias of one of those.
    #[test]
    fn functions_keep_their_names() {
        let context = SessionContext::new();
        crate::functions::register(&context).expect("functions");
        let before = context.state();
        let catalog = Catalog::load().expect("a catalogue");
        let settings = Arc::new(Mutex::new(Settings::new("reader")));
        catalog.add_to(&context, "reader", 1, &settings).expect("added");
        let after = context.state();
        // The door's own `version()` takes the place of the engine's.
        for (name, function) in before.scalar_functions() {
            assert_eq!(after.scalar_functions()[name].name(), function.name(), "{name}");
        }
        for (name, function) in before.aggregate_functions() {
            assert_eq!(after.aggregate_functions()[name].name(), function.name(), "{name}");
        }
        for (name, function) in before.window_functions() {
            assert_eq!(after.window_functions()[name].name(), function.name(), "{name}");
        }
    }
}
