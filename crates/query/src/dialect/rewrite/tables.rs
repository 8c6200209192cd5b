//! What stands in `FROM`: the tables' names as Athena's users know them, and `UNNEST` beside the table it reads.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart,
    ShowStatementOptions, TableAlias, TableFactor, TableFunctionArgs, TableWithJoins,
};

use super::super::build;
use super::names::Defined;

/// The tables and views that a qualifier is dropped from.
const TABLES: [&str; 4] = ["events", "iam_events", "cloudtrail", "cloudtrail_logs"];

/// Whether a quoted text names an event data store: its id or its ARN.
pub(crate) fn names_event_data_store(text: &str) -> bool {
    let id = text.rsplit_once(":eventdatastore/").map_or(text, |(_, id)| id);
    super::super::tokens::is_event_data_store(id)
}

/// The table of ours that a name stands for.
fn known(name: &str) -> Option<&'static str> {
    let lower = name.to_lowercase();
    if let Some(table) = TABLES.iter().find(|table| **table == lower) {
        return Some(table);
    }
    // Athena's consoles name the table after a trail's bucket (`cloudtrail_logs_aws_cloudtrail_logs_…`), its
    // documentation after how it is partitioned (`cloudtrail_logs_pp`), that of S3 `cloudtrail_table`.
    if lower.starts_with("cloudtrail_logs_") || lower.starts_with("cloudtrail_table") {
        return Some("cloudtrail_logs");
    }
    names_event_data_store(name).then_some("cloudtrail")
}

/// The parts of a name, lower case.
fn parts(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(ObjectNamePart::as_ident).map(|part| part.value.to_lowercase()).collect()
}

fn replacement(name: &ObjectName, defined: &Defined) -> Option<&'static str> {
    let parts = parts(name);
    let last = parts.last()?;
    let own = parts.len() == 1 && defined.has_table(last);
    let catalogue = parts.iter().any(|part| part == "information_schema" || part == "pg_catalog");
    if own || catalogue { None } else { known(last) }
}

/// Gives a table its name.
pub(crate) fn rename(name: &mut ObjectName, defined: &Defined) {
    if let Some(table) = replacement(name, defined) {
        *name = ObjectName::from(vec![Ident::new(table)]);
    } else {
        for part in &mut name.0 {
            if let ObjectNamePart::Identifier(part) = part {
                defined.lower(part);
            }
        }
    }
}

/// Gives a table in `FROM` its name, and the name it had as an alias, so that `old_name.column` still reads it.
pub(crate) fn rename_factor(factor: &mut TableFactor, defined: &Defined) {
    match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            let written = parts(name).pop();
            if let (Some(table), Some(written), None) = (replacement(name, defined), written, &alias)
                && table != written
            {
                let columns = Vec::new();
                *alias = Some(TableAlias { explicit: true, name: Ident::with_quote('"', written), columns, at: None });
            }
            rename(name, defined);
        }
        TableFactor::Table { name, alias, args: Some(TableFunctionArgs { args, .. }), .. }
            if name.to_string().eq_ignore_ascii_case("sequence") =>
        {
            let args = args.drain(..).filter_map(plain_arg).collect();
            *factor = unnest(build::call("sequence", args), alias.take());
        }
        TableFactor::TableFunction { expr, alias } => {
            let expr = super::take(expr);
            *factor = unnest(expr, alias.take());
        }
        TableFactor::NestedJoin { table_with_joins, .. } => group_unnests(table_with_joins, true),
        _ => {}
    }
}

fn plain_arg(arg: FunctionArg) -> Option<Expr> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

fn unnest(array: Expr, alias: Option<TableAlias>) -> TableFactor {
    TableFactor::UNNEST {
        alias,
        array_exprs: vec![array],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    }
}

/// Puts each `UNNEST` in one group with what stands before it, whose columns it reads.
///
/// The planner of relations (`functions::unnest`) is handed such a group as a whole.
pub(crate) fn group_unnests_of_list(list: &mut Vec<TableWithJoins>) {
    let mut grouped: Vec<TableWithJoins> = Vec::with_capacity(list.len());
    for table in list.drain(..) {
        match (grouped.last_mut(), &table.relation) {
            // `FROM a, UNNEST(a.b)` is a cross join.
            (Some(before), TableFactor::UNNEST { .. }) => {
                let join_operator = JoinOperator::CrossJoin(JoinConstraint::None);
                before.joins.push(Join { relation: table.relation, global: false, join_operator });
                before.joins.extend(table.joins);
            }
            _ => grouped.push(table),
        }
    }
    grouped.iter_mut().for_each(|table| group_unnests(table, false));
    *list = grouped;
}

fn group_unnests(table: &mut TableWithJoins, nested: bool) {
    while let Some(at) = table.joins.iter().position(|join| matches!(join.relation, TableFactor::UNNEST { .. })) {
        if nested && at + 1 == table.joins.len() {
            return;
        }
        let after = table.joins.split_off(at + 1);
        let joins = std::mem::replace(&mut table.joins, after);
        let group = TableFactor::NestedJoin {
            table_with_joins: Box::new(TableWithJoins { relation: unnest(build::null(), None), joins }),
            alias: None,
        };
        let relation = std::mem::replace(&mut table.relation, group);
        if let TableFactor::NestedJoin { table_with_joins, .. } = &mut table.relation {
            table_with_joins.relation = relation;
        }
    }
}

/// Notes the qualified names that lose their qualifier, for the columns that are written with it.
pub(crate) fn find_dropped(table: &TableWithJoins, defined: &Defined, dropped: &mut BTreeSet<Vec<String>>) {
    let relations = std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation));
    for relation in relations {
        match relation {
            TableFactor::Table { name, .. } if name.0.len() > 1 && replacement(name, defined).is_some() => {
                dropped.insert(parts(name));
            }
            TableFactor::NestedJoin { table_with_joins, .. } => find_dropped(table_with_joins, defined, dropped),
            _ => {}
        }
    }
}

/// Makes `default.cloudtrail_logs.eventname` `cloudtrail_logs.eventname`.
pub(crate) fn drop_qualifier(names: &mut Vec<Ident>, dropped: &BTreeSet<Vec<String>>) {
    let lower: Vec<String> = names.iter().map(|name| name.value.to_lowercase()).collect();
    for qualified in dropped {
        if lower.len() > qualified.len() && lower.starts_with(qualified) {
            names.drain(..qualified.len() - 1);
            return;
        }
    }
}

/// `SHOW COLUMNS IN a_database.a_table` shows the table's.
pub(crate) fn rename_shown(options: &mut ShowStatementOptions) {
    if let Some(shown) = &mut options.show_in
        && let Some(name) = &mut shown.parent_name
    {
        rename(name, &Defined::default());
    }
}
