//! Athena's SQL to DataFusion's, on the statement's tree, from the leaves up.
//!
//! What a function of ours can do is left to it; here is what takes another shape: names of tables (`tables`),
//! functions that are clauses (`calls`), `try` (`attempt`), types (`casts`), and names of columns (`names`).

mod attempt;
mod calls;
mod casts;
mod names;
mod tables;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType, Expr, Fetch, LambdaFunction, LimitClause, ObjectName, Query, Select,
    SelectItem, Statement, Subscript, TableFactor, TimezoneInfo, TypedString, Value, ValueWithSpan, Visit, VisitMut,
    Visitor, VisitorMut, visit_expressions_mut,
};
use event::Timestamp;

use super::build;
use super::error::DialectError;

pub(crate) use calls::ONLY_REWRITTEN;
pub(crate) use tables::names_event_data_store;

/// Rewrites a statement in place and tells which functions it calls then.
pub(crate) fn rewrite(statement: &mut Statement, now: Timestamp) -> Result<Vec<String>, DialectError> {
    let mut defined = names::Defined::default();
    let _ = Visit::visit(&*statement, &mut defined);
    let mut rewriter = Rewriter { now, defined, projections: Vec::new(), dropped: BTreeSet::new() };
    match statement {
        // Every table there is, whatever the database was called.
        Statement::ShowTables { show_options, .. } => {
            show_options.show_in = None;
            return Ok(Vec::new());
        }
        Statement::ShowColumns { show_options, .. } => {
            tables::rename_shown(show_options);
            return Ok(Vec::new());
        }
        _ => {}
    }
    if let ControlFlow::Break(error) = VisitMut::visit(statement, &mut rewriter) {
        return Err(error);
    }
    let mut called = Called(BTreeSet::new());
    let _ = Visit::visit(&*statement, &mut called);
    Ok(called.0.into_iter().collect())
}

struct Rewriter {
    now: Timestamp,
    defined: names::Defined,
    /// For each SELECT that is being visited: its unnamed expressions as they were written.
    projections: Vec<Vec<Option<String>>>,
    /// The qualified names of tables that lost their qualifier, lower case.
    dropped: BTreeSet<Vec<String>>,
}

impl VisitorMut for Rewriter {
    type Break = DialectError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DialectError> {
        match fetch_to_limit(query) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<DialectError> {
        tables::group_unnests_of_list(&mut select.from);
        for table in &mut select.from {
            tables::find_dropped(table, &self.defined, &mut self.dropped);
        }
        let written = select.projection.iter().map(|item| match item {
            SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => None,
            SelectItem::UnnamedExpr(expr) => Some(expr.to_string()),
            _ => None,
        });
        self.projections.push(written.collect());
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<DialectError> {
        let written = self.projections.pop().unwrap_or_default();
        names::name_rewritten(&mut select.projection, written);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<DialectError> {
        tables::rename(relation, &self.defined);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<DialectError> {
        tables::rename_factor(table, &self.defined);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DialectError> {
        match self.rewrite_expr(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Rewriter {
    fn rewrite_expr(&mut self, expr: &mut Expr) -> Result<(), DialectError> {
        match expr {
            Expr::Function(_) => calls::rewrite(expr, self.now)?,
            Expr::Cast { .. } => casts::rewrite(expr)?,
            Expr::Extract { .. } => calls::rewrite_extract(expr),
            Expr::Identifier(name) => self.defined.lower(name),
            Expr::CompoundIdentifier(names) => {
                names.iter_mut().for_each(|name| self.defined.lower(name));
                tables::drop_qualifier(names, &self.dropped);
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                let root = take(root);
                *expr = self.access(root, std::mem::take(access_chain))?;
            }
            Expr::Between { expr: value, negated, low, high }
                if matches!(**value, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) =>
            {
                // Two comparisons, which a view's column can be taken out of (`functions::time::iso`).
                let (value, negated) = (take(value), *negated);
                let from = build::binary(value.clone(), BinaryOperator::GtEq, take(low));
                let to = build::binary(value, BinaryOperator::LtEq, take(high));
                let between = build::binary(from, BinaryOperator::And, to);
                *expr = if negated { build::not(between) } else { between };
            }
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                escape_with_backslash(pattern, escape_char);
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                *expr = build::call("at_timezone", vec![take(timestamp), take(time_zone)]);
            }
            Expr::Substring { expr: text, substring_from, substring_for, .. } => {
                let from = substring_from.as_deref_mut().map_or_else(|| build::number(1), take);
                let mut args = vec![take(text), from];
                args.extend(substring_for.as_deref_mut().map(take));
                *expr = build::call("substr", args);
            }
            Expr::Position { expr: part, r#in: whole } => {
                *expr = build::call("strpos", vec![take(whole), take(part)]);
            }
            Expr::Lambda(lambda) => fields_of_parameters(lambda),
            Expr::Value(ValueWithSpan { value, .. }) => {
                if let Value::UnicodeStringLiteral(text) = value {
                    *value = Value::SingleQuotedString(std::mem::take(text));
                }
            }
            Expr::TypedString(typed) => {
                if let Some(zoned) = rewrite_typed(typed) {
                    *expr = zoned;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// `a.b['key'].c[1]` as calls: Trino's subscripts of arrays and maps are one function of ours.
    fn access(&self, root: Expr, chain: Vec<AccessExpr>) -> Result<Expr, DialectError> {
        let mut chain = chain.into_iter().peekable();
        let mut value = match root {
            Expr::Identifier(root) => {
                let mut names = vec![root];
                while let Some(AccessExpr::Dot(Expr::Identifier(name))) =
                    chain.next_if(|access| matches!(access, AccessExpr::Dot(Expr::Identifier(_))))
                {
                    names.push(name);
                }
                tables::drop_qualifier(&mut names, &self.dropped);
                if names.len() == 1 { Expr::Identifier(names.remove(0)) } else { Expr::CompoundIdentifier(names) }
            }
            root => root,
        };
        for access in chain {
            value = match access {
                AccessExpr::Subscript(Subscript::Index { index }) => build::call("element_at", vec![value, index]),
                AccessExpr::Dot(Expr::Identifier(name)) => {
                    build::call("get_field", vec![value, build::text(name.value.to_lowercase())])
                }
                AccessExpr::Subscript(Subscript::Slice { .. }) => {
                    return Err(DialectError::Unsupported {
                        what: "a slice in brackets".to_owned(),
                        instead: "use slice(array, start, length)".to_owned(),
                    });
                }
                AccessExpr::Dot(other) => {
                    return Err(DialectError::Unsupported {
                        what: format!("{other} behind a point"),
                        instead: "a point is followed by the name of a field".to_owned(),
                    });
                }
            };
        }
        Ok(value)
    }
}

/// Takes an expression out of its place.
fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, build::null())
}

/// `FETCH FIRST n ROWS ONLY` is a limit.
fn fetch_to_limit(query: &mut Query) -> Result<(), DialectError> {
    let Some(Fetch { with_ties, percent, quantity }) = query.fetch.take() else { return Ok(()) };
    if with_ties || percent {
        let instead = "use rank() OVER (ORDER BY …) and a condition".to_owned();
        return Err(DialectError::Unsupported { what: "FETCH WITH TIES".to_owned(), instead });
    }
    let rows = quantity.unwrap_or_else(|| build::number(1));
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(rows),
        None => {
            query.limit_clause =
                Some(LimitClause::LimitOffset { limit: Some(rows), offset: None, limit_by: Vec::new() });
        }
        Some(_) => {
            let reason = "takes LIMIT or FETCH, not both".to_owned();
            return Err(DialectError::Arguments { name: "a query".to_owned(), reason });
        }
    }
    Ok(())
}

/// `x -> x.type = 'a'`: a point behind a parameter names a field.
fn fields_of_parameters(lambda: &mut LambdaFunction) {
    let parameters: Vec<String> = lambda.params.iter().map(|parameter| parameter.name.value.to_lowercase()).collect();
    let _ = visit_expressions_mut(&mut lambda.body, |expr| {
        if let Expr::CompoundIdentifier(names) = expr
            && names.first().is_some_and(|name| parameters.contains(&name.value.to_lowercase()))
        {
            let mut names = std::mem::take(names).into_iter();
            let parameter = names.next().map_or_else(build::null, Expr::Identifier);
            *expr = names.fold(parameter, |value, name| {
                build::call("get_field", vec![value, build::text(name.value.to_lowercase())])
            });
        }
        ControlFlow::<()>::Continue(())
    });
}

/// Writes a pattern with the one escape that DataFusion knows; without `ESCAPE`, Trino knows none.
fn escape_with_backslash(pattern: &mut Expr, escape: &mut Option<ValueWithSpan>) {
    let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) = pattern else { return };
    let escape_letter = match escape.as_ref().map(|escape| &escape.value) {
        Some(Value::SingleQuotedString(letter)) => letter.chars().next(),
        _ => None,
    };
    if escape_letter == Some('\\') || (escape_letter.is_none() && !text.contains('\\')) {
        return;
    }
    let mut escaped = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            letter if Some(letter) == escape_letter => {
                escaped.push('\\');
                escaped.extend(letters.next());
            }
            '\\' => escaped.push_str("\\\\"),
            letter => escaped.push(letter),
        }
    }
    *text = escaped;
    *escape = Some(Value::SingleQuotedString("\\".to_owned()).into());
}

/// `timestamp '2023-01-01 00:00:00'` in the unit of the lake; with a zone in its text, an instant.
fn rewrite_typed(typed: &mut TypedString) -> Option<Expr> {
    let DataType::Timestamp(precision, zone) = &mut typed.data_type else { return None };
    *precision = Some(6);
    let Value::SingleQuotedString(text) = &typed.value.value else { return None };
    let zoned = matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) || names_zone(text);
    zoned.then(|| casts::to_instant(build::text(text.clone()), false))
}

/// Whether a timestamp's text ends in a zone: `… UTC`, `… Europe/Berlin`, `…Z`, `… +02:00`.
fn names_zone(text: &str) -> bool {
    let time = text.trim().get("2023-01-01".len()..).unwrap_or_default();
    time.contains(['+', '-', 'Z', '/']) || time.ends_with("UTC")
}

/// The functions that a statement calls.
struct Called(BTreeSet<String>);

impl Visitor for Called {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(name) = calls::simple_name(function)
        {
            self.0.insert(name);
        }
        ControlFlow::Continue(())
    }
}
