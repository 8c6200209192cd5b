//! What may run: a list of what is allowed, so that what nobody thought of is refused.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DescribeAlias, Expr, Query, Select, SetExpr, Statement, TableFactor, Visit, Visitor,
};

use super::error::DialectError;

/// Table functions that make rows of their arguments and read nothing.
const TABLE_FUNCTIONS: [&str; 3] = ["unnest", "generate_series", "sequence"];
/// The words that a statement which may run begins with.
const VERBS: [&str; 9] = ["select", "with", "values", "explain", "show", "describe", "desc", "table", "("];

/// What a first word begins that is no query, by its name.
pub(crate) fn forbidden_verb(word: &str) -> Option<String> {
    let is_verb = word.chars().all(|letter| letter.is_ascii_alphabetic()) && !word.is_empty();
    let allowed = VERBS.iter().any(|verb| word.eq_ignore_ascii_case(verb));
    (is_verb && !allowed).then(|| word.to_uppercase())
}

/// Refuses whatever is no query.
pub(crate) fn check(statement: &Statement) -> Result<(), DialectError> {
    match statement {
        Statement::Query(query) => check_parts(query.as_ref()),
        Statement::Explain { statement, describe_alias, .. } => match (statement.as_ref(), describe_alias) {
            (Statement::Query(query), _) => check_parts(query.as_ref()),
            (other, _) => Err(not_a_query(format!("EXPLAIN of {}", verb(other)))),
        },
        Statement::ExplainTable { describe_alias: DescribeAlias::Describe | DescribeAlias::Desc, .. } => Ok(()),
        Statement::ShowTables { .. } | Statement::ShowColumns { .. } => Ok(()),
        other => Err(not_a_query(verb(other))),
    }
}

/// The words a statement begins with, for a message.
fn verb(statement: &Statement) -> String {
    let text = statement.to_string();
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    match words.as_slice() {
        [first @ ("CREATE" | "DROP" | "ALTER" | "SHOW"), second] => format!("{first} {}", second.to_uppercase()),
        [first, ..] => first.to_uppercase(),
        [] => "this".to_owned(),
    }
}

fn not_a_query(what: String) -> DialectError {
    DialectError::NotAQuery { what }
}

fn check_parts(query: &Query) -> Result<(), DialectError> {
    match query.visit(&mut Checker) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Looks at every part of a query where something else than reading could hide.
struct Checker;

impl Visitor for Checker {
    type Break = DialectError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<DialectError> {
        if !query.locks.is_empty() {
            return ControlFlow::Break(not_a_query("FOR UPDATE".to_owned()));
        }
        let strange = query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty();
        if strange {
            return ControlFlow::Break(unsupported("a clause of another engine behind the query"));
        }
        check_body(&query.body)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<DialectError> {
        if select.into.is_some() {
            return ControlFlow::Break(not_a_query("SELECT INTO".to_owned()));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<DialectError> {
        // A query's only statements are those that change something.
        ControlFlow::Break(not_a_query(verb(statement)))
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<DialectError> {
        match table {
            TableFactor::Table { name, args, version, sample, json_path, .. } => {
                if args.is_some() {
                    return check_table_function(&name.to_string());
                }
                if version.is_some() || sample.is_some() || json_path.is_some() {
                    return ControlFlow::Break(unsupported("a version or a sample of a table"));
                }
                match name.0.iter().filter_map(|part| part.as_ident()).find(|part| part.quote_style == Some('\'')) {
                    Some(part) if !super::rewrite::names_event_data_store(&part.value) => {
                        ControlFlow::Break(DialectError::Table {
                            what: part.to_string(),
                            reason: "a table has a name, and files are not read".to_owned(),
                        })
                    }
                    _ => ControlFlow::Continue(()),
                }
            }
            TableFactor::Derived { .. } | TableFactor::UNNEST { .. } | TableFactor::NestedJoin { .. } => {
                ControlFlow::Continue(())
            }
            TableFactor::Function { name, .. } => check_table_function(&name.to_string()),
            TableFactor::TableFunction { expr, .. } => check_table_function(&match expr {
                Expr::Function(function) => function.name.to_string(),
                _ => expr.to_string(),
            }),
            other => ControlFlow::Break(unsupported(&format!("{other} as a table"))),
        }
    }
}

fn check_body(body: &SetExpr) -> ControlFlow<DialectError> {
    match body {
        SetExpr::Select(_) | SetExpr::Values(_) | SetExpr::Table(_) | SetExpr::Query(_) => ControlFlow::Continue(()),
        SetExpr::SetOperation { left, right, .. } => {
            check_body(left)?;
            check_body(right)
        }
        SetExpr::Insert(_) => ControlFlow::Break(not_a_query("INSERT".to_owned())),
        SetExpr::Update(_) => ControlFlow::Break(not_a_query("UPDATE".to_owned())),
        SetExpr::Delete(_) => ControlFlow::Break(not_a_query("DELETE".to_owned())),
        SetExpr::Merge(_) => ControlFlow::Break(not_a_query("MERGE".to_owned())),
    }
}

fn check_table_function(name: &str) -> ControlFlow<DialectError> {
    if TABLE_FUNCTIONS.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return ControlFlow::Continue(());
    }
    ControlFlow::Break(DialectError::Table {
        what: format!("{name}(…)"),
        reason: format!("the functions that give tables are {}", TABLE_FUNCTIONS.join(", ")),
    })
}

fn unsupported(what: &str) -> DialectError {
    DialectError::Unsupported { what: what.to_owned(), instead: "write the query without it".to_owned() }
}
