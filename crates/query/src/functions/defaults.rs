//! Conditions on a column with a default: `coalesce(error_code, '') = ''`.
//!
//! Written so, a new column is made for every row before it is compared, and nothing is known of it. Where null is told
//! apart from the rest, the column itself is compared, and files and row groups can be left alone:
//! `(error_code IS NULL AND '' = '') OR (error_code IS NOT NULL AND error_code = '')`; what is constant folds away.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::{BinaryExpr, InList, Like};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

/// Tells null apart in conditions on a column with a default.
#[derive(Debug)]
pub(super) struct TellNullApart;

impl AnalyzerRule for TellNullApart {
    fn name(&self) -> &str {
        "tell_null_apart"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let in_plan = |plan: LogicalPlan| {
            let LogicalPlan::Filter(filter) = plan else { return Ok(Transformed::no(plan)) };
            let Filter { predicate, input, .. } = filter;
            predicate
                .transform_up(in_condition)?
                .map_data(|predicate| Ok(LogicalPlan::Filter(Filter::try_new(predicate, input)?)))
        };
        Ok(plan.transform_up_with_subqueries(in_plan)?.data)
    }
}

fn in_condition(condition: Expr) -> Result<Transformed<Expr>> {
    let Some((column, default)) = subject(&condition).and_then(with_default) else {
        return Ok(Transformed::no(condition));
    };
    let of_default = with_subject(&condition, default);
    let of_column = with_subject(&condition, column.clone());
    let apart = column.clone().is_null().and(of_default).or(column.is_not_null().and(of_column));
    Ok(Transformed::yes(apart))
}

/// What a condition compares with constants.
fn subject(condition: &Expr) -> Option<&Expr> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() && is_constant(right) => {
            Some(left)
        }
        Expr::Like(Like { expr, pattern, .. }) if is_constant(pattern) => Some(expr),
        Expr::InList(InList { expr, list, .. }) if list.iter().all(is_constant) => Some(expr),
        _ => None,
    }
}

/// The same condition on something else.
fn with_subject(condition: &Expr, subject: Expr) -> Expr {
    let mut condition = condition.clone();
    match &mut condition {
        Expr::BinaryExpr(BinaryExpr { left: place, .. })
        | Expr::Like(Like { expr: place, .. })
        | Expr::InList(InList { expr: place, .. }) => **place = subject,
        _ => {}
    }
    condition
}

/// The column and its default, if that is what the expression is.
fn with_default(expr: &Expr) -> Option<(Expr, Expr)> {
    let Expr::ScalarFunction(call) = expr else { return None };
    match (call.name(), call.args.as_slice()) {
        ("coalesce", [column @ Expr::Column(_), default]) if is_constant(default) => {
            Some((column.clone(), default.clone()))
        }
        _ => None,
    }
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => !value.is_null(),
        Expr::Cast(cast) => is_constant(&cast.expr),
        _ => false,
    }
}
