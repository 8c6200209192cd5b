//! Who plans a statement: the [`Asker`](super::Asker), or the door itself where a client looks something up in the
//! system catalogue. Whoever plans it, the plan is checked.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as Planned;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, CastKind, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, Query, SelectItem, SetExpr, Statement, TableFactor, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;

use super::asker::Asker;
use super::problem::Problem;

/// Plans one statement, and returns the plan only if all it does is read.
pub(super) async fn plan(
    asker: &dyn Asker,
    compatibility: &PostgresCompatibilityParser,
    context: &SessionContext,
    sql: &str,
) -> Result<LogicalPlan, Problem> {
    let plan = match is_lookup(sql) {
        true => lookup(compatibility, context, sql).await?,
        false => asker.plan(context, sql).await?,
    };
    let only_reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    match only_reading.verify_plan(&plan) {
        Ok(()) => Ok(plan),
        Err(_) => Err(Problem::refused("a statement that changes something")),
    }
}

/// Plans a look-up in the system catalogue, which is written for PostgreSQL: what the engine lacks is rewritten. The
/// rewriting would change the meaning of other statements (`'{…}'` becomes an array), so they never pass it.
async fn lookup(
    compatibility: &PostgresCompatibilityParser,
    context: &SessionContext,
    sql: &str,
) -> Result<LogicalPlan, Problem> {
    let named = with_names(sql);
    let mut statements = compatibility
        .parse(named.as_deref().unwrap_or(sql))
        .map_err(|error| Problem::new("42601", format!("syntax error: {error}")))?;
    match (statements.pop(), statements.is_empty()) {
        (Some(mut statement), true) => {
            let _: ControlFlow<()> = VisitMut::visit(&mut statement, &mut Gaps);
            Ok(context.state().statement_to_plan(Planned::Statement(Box::new(statement))).await?)
        }
        _ => Err(Problem::new("42601", "syntax error: expected one statement")),
    }
}

/// Writes `'pg_catalog.array_in'::regproc` as the name that the catalogue's tables hold: the rewriting makes a number of
/// it. Writes `to_regtype('text')` as the cast that the rewriting knows. Nothing where there is neither.
fn with_names(sql: &str) -> Option<String> {
    let lower = sql.to_lowercase();
    if !["regproc", "to_reg"].iter().any(|name| lower.contains(name)) {
        return None;
    }
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).ok()?;
    let _: ControlFlow<()> = VisitMut::visit(&mut statements, &mut ByName);
    Some(statements.first()?.to_string())
}

struct ByName;

impl VisitorMut for ByName {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Some(cast) = looked_up(expression) {
            *expression = cast;
            return ControlFlow::Continue(());
        }
        if let Expr::Cast { expr, data_type, .. } = expression
            && data_type.to_string().eq_ignore_ascii_case("regproc")
            && let Expr::Value(value) = expr.as_ref()
            && let Value::SingleQuotedString(name) = &value.value
        {
            let name = name.strip_prefix("pg_catalog.").unwrap_or(name).to_owned();
            *expression = Expr::value(Value::SingleQuotedString(name));
        }
        ControlFlow::Continue(())
    }
}

/// `to_regclass(x)` as `nullif(CAST(x AS regclass), 0)`, and `to_regtype(x)` likewise: the engine takes a cast for a value
/// that is always there, and nothing has the number 0.
fn looked_up(expression: &Expr) -> Option<Expr> {
    let Expr::Function(function) = expression else { return None };
    let name = parts(&function.name).pop()?;
    let kind = name.strip_prefix("to_").filter(|kind| matches!(*kind, "regclass" | "regtype"))?;
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = list.args.as_slice() else { return None };
    // Drivers say that a name is text; the rewriting knows names alone.
    let mut argument: &Expr = argument;
    while let Expr::Cast { expr, .. } | Expr::Nested(expr) = argument {
        argument = expr;
    }
    let data_type = DataType::Custom(ObjectName::from(vec![Ident::new(kind)]), Vec::new());
    let expr = Box::new(argument.clone());
    let cast = Expr::Cast { kind: CastKind::Cast, expr, data_type, array: false, format: None };
    let zero = Expr::value(Value::Number("0".to_owned(), false));
    let args = [cast, zero].map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).to_vec();
    let mut function = function.clone();
    function.name = ObjectName::from(vec![Ident::new("nullif")]);
    function.args = FunctionArguments::List(FunctionArgumentList { args, ..list.clone() });
    Some(Expr::Function(function))
}

/// Returns whether a statement asks the system catalogue and nothing else.
fn is_lookup(sql: &str) -> bool {
    let Ok(statements) = Parser::parse_sql(&PostgreSqlDialect {}, sql) else { return false };
    let [statement @ Statement::Query(_)] = statements.as_slice() else { return false };
    let mut names = Names::default();
    let _: ControlFlow<()> = Visit::visit(statement, &mut names);
    names.asks_catalog && !names.asks_else
}

/// What a statement names.
#[derive(Default)]
struct Names {
    /// The names of its common table expressions.
    own: HashSet<String>,
    asks_catalog: bool,
    asks_else: bool,
}

/// Functions that stand where a table does and read nothing.
const SERIES: &[&str] = &["generate_series", "range", "unnest", "string_to_array"];

/// Functions that tell about the session or the catalogue and do not begin with `pg_`.
const FUNCTIONS: &[&str] = &[
    "array_lower",
    "array_upper",
    "col_description",
    "current_catalog",
    "current_database",
    "current_role",
    "current_schema",
    "current_schemas",
    "current_setting",
    "current_user",
    "format_type",
    "has_any_column_privilege",
    "has_database_privilege",
    "has_schema_privilege",
    "has_table_privilege",
    "inet_server_addr",
    "inet_server_port",
    "obj_description",
    "quote_ident",
    "session_user",
    "shobj_description",
    "to_regclass",
    "to_regtype",
    "txid_current",
    "user",
    "version",
];

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(with) = &query.with {
            self.own.extend(with.cte_tables.iter().map(|table| table.alias.name.value.to_lowercase()));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let parts = parts(relation);
        match parts.as_slice() {
            [.., schema, _] if is_catalog(schema) => self.asks_catalog = true,
            [name] if name.starts_with("pg_") => self.asks_catalog = true,
            [name] if self.own.contains(name) || SERIES.contains(&name.as_str()) => {}
            _ => self.asks_else = true,
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        self.asks_catalog |= match expression {
            Expr::Function(function) => match parts(&function.name).as_slice() {
                [.., schema, _] => is_catalog(schema),
                [name] => name.starts_with("pg_") || FUNCTIONS.contains(&name.as_str()),
                [] => false,
            },
            Expr::Cast { data_type, .. } => {
                let kind = data_type.to_string().to_lowercase();
                kind.starts_with("reg") || kind.starts_with("pg_catalog.")
            }
            _ => false,
        };
        ControlFlow::Continue(())
    }
}

/// Puts nothing where the catalogue lacks something whose value would be nothing: privileges, options, arrays of what a
/// role is a member of, and what is asked for each row of a table about its defaults, sequences and collations.
struct Gaps;

impl VisitorMut for Gaps {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        let is_gap = match expression {
            Expr::CompoundIdentifier(names) => {
                names.last().is_some_and(|name| matches!(name.value.as_str(), "relacl" | "attacl" | "reloptions"))
            }
            Expr::Function(function) => match (parts(&function.name).last().map(String::as_str), &function.args) {
                (Some("array"), FunctionArguments::Subquery(_)) => true,
                (Some("array_to_string"), FunctionArguments::List(list)) => {
                    let first = list.args.first().map(ToString::to_string).unwrap_or_default();
                    first.ends_with("acl") || first.contains("reloptions")
                }
                _ => false,
            },
            Expr::Cast { data_type, .. } => data_type.to_string().eq_ignore_ascii_case("regtype[]"),
            _ => false,
        };
        if is_gap {
            *expression = nothing(DataType::Text);
        } else if is_key_part(expression) {
            *expression = nothing(DataType::Int(None));
        } else if is_composite_type(expression) {
            *expression = Expr::value(Value::Boolean(false));
        } else if is_asked_for_each_row(expression) {
            *expression = nothing(DataType::Text);
        }
        ControlFlow::Continue(())
    }
}

fn nothing(data_type: DataType) -> Expr {
    let expr = Box::new(Expr::value(Value::Null));
    Expr::Cast { kind: CastKind::Cast, expr, data_type, array: false, format: None }
}

/// `(information_schema._pg_expandarray(i.indkey)).n`, `con.conkey[1]` and `unnest(i.indkey)`: JDBC's and SQLAlchemy's
/// columns of keys and indexes, which no table here has.
fn is_key_part(expression: &Expr) -> bool {
    match expression {
        Expr::Function(function) => match (parts(&function.name).last().map(String::as_str), &function.args) {
            (Some("_pg_expandarray"), _) => true,
            (Some("unnest" | "generate_subscripts"), FunctionArguments::List(list)) => match list.args.first() {
                Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::CompoundIdentifier(names)))) => {
                    names.last().is_some_and(is_key)
                }
                _ => false,
            },
            _ => false,
        },
        Expr::CompoundFieldAccess { root, access_chain } => match (root.as_ref(), access_chain.first()) {
            (Expr::Nested(_), Some(AccessExpr::Dot(_))) => true,
            (_, Some(AccessExpr::Dot(Expr::Identifier(name)))) => is_key(name),
            (Expr::CompoundIdentifier(names), _) => names.last().is_some_and(is_key),
            _ => false,
        },
        _ => false,
    }
}

/// Whether a column of the catalogue has the columns of a key or an index.
fn is_key(column: &Ident) -> bool {
    let column = column.value.to_lowercase();
    ["conkey", "confkey", "indkey", "indclass", "indoption"].iter().any(|key| column.ends_with(key))
}

/// `(SELECT c.relkind = 'c' FROM …)`: whether a type is a table's, as JDBC asks. The engine does not plan it.
fn is_composite_type(expression: &Expr) -> bool {
    matches!(expression, Expr::Subquery(query) if query.to_string().starts_with("SELECT c.relkind = 'c' FROM"))
}

/// `(SELECT d.description FROM pg_description d WHERE d.objoid = c.oid)`, where `c` is a table outside of it: the engine
/// plans such a subquery only where it cannot have more than one row, as with `count(*)`.
fn is_asked_for_each_row(expression: &Expr) -> bool {
    let Expr::Subquery(query) = expression else { return false };
    let mut tables = Tables::default();
    let _: ControlFlow<()> = Visit::visit(query.as_ref(), &mut tables);
    tables.named.iter().any(|table| !tables.own.contains(table)) && !is_aggregated(query)
}

/// Whether a query sums its rows up into one.
fn is_aggregated(query: &Query) -> bool {
    const AGGREGATES: &[&str] = &["array_agg", "bool_and", "bool_or", "count", "max", "min", "string_agg", "sum"];
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let [
        SelectItem::UnnamedExpr(Expr::Function(function))
        | SelectItem::ExprWithAlias { expr: Expr::Function(function), .. },
    ] = select.projection.as_slice()
    else {
        return false;
    };
    parts(&function.name).last().is_some_and(|name| AGGREGATES.contains(&name.as_str()))
}

/// The tables that a query has, and those that its columns are said to be of.
#[derive(Default)]
struct Tables {
    own: HashSet<String>,
    named: HashSet<String>,
}

impl Visitor for Tables {
    type Break = ();

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        let alias = match table {
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::Function { alias: Some(alias), .. }
            | TableFactor::TableFunction { alias: Some(alias), .. }
            | TableFactor::UNNEST { alias: Some(alias), .. }
            | TableFactor::NestedJoin { alias: Some(alias), .. } => Some(alias.name.value.to_lowercase()),
            TableFactor::Table { name, .. } => parts(name).pop(),
            _ => None,
        };
        self.own.extend(alias);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(names) = expression
            && let [.., table, _] = names.as_slice()
        {
            self.named.insert(table.value.to_lowercase());
        }
        ControlFlow::Continue(())
    }
}

fn is_catalog(schema: &str) -> bool {
    matches!(schema, "pg_catalog" | "information_schema")
}

fn parts(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.to_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::is_lookup;

    #[test]
    fn lookups_are_told_from_questions() {
        for sql in [
            "select * from pg_catalog.pg_class",
            "select * from pg_class c, pg_namespace n where c.relnamespace = n.oid",
            "select table_name from information_schema.tables",
            "with t as (select relname from pg_class) select * from t",
            "select version()",
            "select current_schema(), session_user",
            "select current_user",
            "select pg_catalog.current_schemas(true)",
            "select 'events'::regclass",
            "select i from generate_series(1, array_upper(current_schemas(true), 1)) i",
        ] {
            assert!(is_lookup(sql), "{sql}");
        }
        for sql in [
            "select 1",
            "select * from events",
            "select * from public.events, pg_class",
            "select count(*) from events where user_name = current_user",
            "select * from unnest(array[1, 2])",
            "explain select * from pg_class",
            "show tables",
            "not even sql",
        ] {
            assert!(!is_lookup(sql), "{sql}");
        }
    }
}
