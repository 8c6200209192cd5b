//! The views in Athena's SQL: the same text, with Athena's own functions in the place of ours.
//!
//! Athena casts JSON as a whole: where one member does not fit its type, the document is null, and ours only the member.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Select, SelectItem, VisitMut,
    VisitorMut,
};

use super::VIEWS;
use super::shapes::{JSON_MAP, athena_type};
use crate::dialect;

/// Every view, and what it is made of over a table of that name.
pub(crate) fn for_athena(table: &str) -> Vec<(&'static str, String)> {
    VIEWS.iter().map(|(name, text)| (*name, translated(text, table))).collect()
}

fn translated(text: &str, table: &str) -> String {
    let mut statement = dialect::parse(text).expect("the views' text is SQL: a test reads them all");
    // It never breaks off.
    let _ = VisitMut::visit(&mut statement, &mut Translator { table });
    statement.to_string()
}

struct Translator<'a> {
    table: &'a str,
}

impl VisitorMut for Translator<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        *relation = ObjectName::from(vec![verbatim(self.table.to_owned())]);
        ControlFlow::Continue(())
    }

    /// A view's column can have no type of JSON.
    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::ExprWithAlias { expr, .. } = item
                && called(expr).is_some_and(|(name, _)| name == "json_extract")
            {
                *expr = written(format!("json_format({expr})"));
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(translation) = called(expr).and_then(|(name, arguments)| translation(&name, &arguments)) {
            *expr = written(translation);
        }
        ControlFlow::Continue(())
    }
}

/// What Athena calls a function of ours; `None` where it calls it the same.
fn translation(name: &str, arguments: &[String]) -> Option<String> {
    let first = arguments.first()?;
    match name {
        "iso8601" => return Some(format!("date_format({first}, '%Y-%m-%dT%H:%i:%s+00:00')")),
        "iso8601_z" => return Some(format!("date_format({first}, '%Y-%m-%dT%H:%i:%sZ')")),
        "date_part" => return Some(format!("{}({})", first.trim_matches('\''), arguments.get(1)?)),
        _ => {}
    }
    let shape = athena_type(name)?;
    let document = if first.starts_with("json_extract(") { first.clone() } else { format!("json_parse({first})") };
    if name != JSON_MAP {
        return Some(format!("try(CAST({document} AS {shape}))"));
    }
    // What is nested stays JSON, as text; what is null stays null.
    Some(format!(
        "transform_values(try(CAST({document} AS map(varchar, json))), \
         (k, v) -> coalesce(json_extract_scalar(v, '$'), nullif(json_format(v), 'null')))"
    ))
}

/// The function that an expression calls, and its arguments as they are written.
fn called(expr: &Expr) -> Option<(String, Vec<String>)> {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr else { return None };
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.to_string()),
        _ => None,
    };
    let arguments = list.args.iter().map(argument).collect::<Option<Vec<String>>>()?;
    Some((name.to_string().to_lowercase(), arguments))
}

/// An expression that is written as it is given: types such as `row(…)` have no place in the parser's tree.
fn written(text: String) -> Expr {
    Expr::Identifier(verbatim(text))
}

/// A name without quotes is written as it is.
fn verbatim(text: String) -> Ident {
    Ident::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_views_call_only_what_athena_has() {
        let views = for_athena("\"trails\".\"events\"");
        assert_eq!(
            views.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            ["iam_events", "cloudtrail", "cloudtrail_logs"]
        );
        for (name, text) in &views {
            for ours in ["iso8601", "date_part", "user_identity(", "record_", "json_map"] {
                assert!(!text.contains(ours), "{name} calls {ours}: {text}");
            }
            assert!(text.contains("FROM \"trails\".\"events\""), "{text}");
        }
    }

    #[test]
    fn what_is_ours_becomes_what_is_athenas() {
        let text = "SELECT date_part('year', d) AS y, json_map(p) AS m, record_tls(json_extract(rest, '$.t')) AS t, \
                    json_extract(rest, '$.e') AS e, iso8601(time) AS time FROM events WHERE kind = 'iam'";
        assert_eq!(
            translated(text, "\"d\".\"t\""),
            "SELECT year(d) AS y, transform_values(try(CAST(json_parse(p) AS map(varchar, json))), \
             (k, v) -> coalesce(json_extract_scalar(v, '$'), nullif(json_format(v), 'null'))) AS m, \
             try(CAST(json_extract(rest, '$.t') AS row(\"tlsversion\" varchar, \"ciphersuite\" varchar, \
             \"clientprovidedhostheader\" varchar))) AS t, json_format(json_extract(rest, '$.e')) AS e, \
             date_format(time, '%Y-%m-%dT%H:%i:%s+00:00') AS time FROM \"d\".\"t\" WHERE kind = 'iam'"
        );
    }
}
