//! The order of DataFusion's rules: a filter that comes down into a view is simplified before its parts are shared.
//!
//! A view writes `iso8601(time)`; `event_time >= '…' AND event_time < '…'` becomes two comparisons of `time` once it
//! stands below the view. DataFusion shares the two calls of `iso8601` first, and what is shared is simplified no more.
//! What stays above the view, as `min(from_iso8601_timestamp(event_time))` does, takes the time from below it. Of a view's
//! `event_type IN ('iam', 'sts', …)` and a question's `event_type = 'sts'` only the second is looked up in every row.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, LogicalPlan, Operator, Projection, SubqueryAlias};
use datafusion::optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion::optimizer::extract_leaf_expressions::{ExtractLeafExpressions, PushDownLeafProjections};
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::prelude::SessionContext;

use super::time;

/// Puts a second simplification between the rule that moves filters down and those that share subexpressions.
pub(crate) fn simplify_before_sharing(context: &SessionContext) {
    // DataFusion's own last rules, in its order.
    let last: [Arc<dyn OptimizerRule + Send + Sync>; 4] = [
        Arc::new(CommonSubexprEliminate::new()),
        Arc::new(ExtractLeafExpressions::new()),
        Arc::new(PushDownLeafProjections::new()),
        Arc::new(OptimizeProjections::new()),
    ];
    let state = context.state();
    let known: Vec<&str> = state.optimizers().iter().map(|rule| rule.name()).collect();
    // A session with other rules keeps them.
    if !last.iter().all(|rule| known.contains(&rule.name())) {
        return;
    }
    for rule in &last {
        context.remove_optimizer_rule(rule.name());
    }
    context.add_optimizer_rule(Arc::new(SimplifyExpressions::new()));
    context.add_optimizer_rule(Arc::new(TakeTheTime));
    context.add_optimizer_rule(Arc::new(DropImpliedLists));
    last.into_iter().for_each(|rule| context.add_optimizer_rule(rule));
}

/// Reads no text that a view has just written: the view gives the time itself too, and that is taken.
#[derive(Debug)]
struct TakeTheTime;

impl OptimizerRule for TakeTheTime {
    fn name(&self) -> &'static str {
        "take_the_time"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        // The others give all columns of what is below them, and would give one more.
        if !matches!(plan, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_)) {
            return Ok(Transformed::no(plan));
        }
        let mut names = Vec::new();
        let inputs = plan.inputs();
        let [input] = inputs.as_slice() else { return Ok(Transformed::no(plan)) };
        let mut below: &LogicalPlan = input;
        let schema = Arc::clone(below.schema());
        while let LogicalPlan::SubqueryAlias(alias) = below {
            names.push(alias.alias.clone());
            below = alias.input.as_ref();
        }
        let (Some(name), LogicalPlan::Projection(view)) = (names.first().cloned(), below) else {
            return Ok(Transformed::no(plan));
        };
        let view = view.clone();
        let mut times: Vec<Expr> = Vec::new();
        let mut take = |expression: Expr| {
            let Expr::ScalarFunction(call) = &expression else { return Ok(Transformed::no(expression)) };
            let [Expr::Column(column)] = call.args.as_slice() else { return Ok(Transformed::no(expression)) };
            let Ok(place) = schema.index_of_column(column) else { return Ok(Transformed::no(expression)) };
            let written = view.expr[place].clone().unalias();
            let Some(time) = time::read_back(call, &written, view.input.schema())? else {
                return Ok(Transformed::no(expression));
            };
            let its = format!("__time_of_{}", column.name);
            let time = time.alias(&its);
            if !times.contains(&time) {
                times.push(time);
            }
            let taken = Expr::Column(Column::new(Some(name.clone()), its));
            Ok(Transformed::yes(taken.alias(expression.schema_name().to_string())))
        };
        let plan = plan.map_expressions(|expression| expression.transform_up(&mut take))?.data;
        if times.is_empty() {
            return Ok(Transformed::no(plan));
        }
        let columns = view.expr.into_iter().chain(times).collect();
        let mut view = LogicalPlan::Projection(Projection::try_new(columns, view.input)?);
        for name in names.into_iter().rev() {
            view = LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(view), name)?);
        }
        let expressions = plan.expressions();
        Ok(Transformed::yes(plan.with_new_exprs(expressions, vec![view])?))
    }
}

/// Leaves a list out that a value of it makes true: `x IN ('a', 'b') AND x = 'a'` is `x = 'a'`.
#[derive(Debug)]
struct DropImpliedLists;

impl OptimizerRule for DropImpliedLists {
    fn name(&self) -> &'static str {
        "drop_implied_lists"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = &plan else { return Ok(Transformed::no(plan)) };
        let conditions = split_conjunction(&filter.predicate);
        let values: Vec<(&Expr, &Expr)> = conditions.iter().filter_map(|condition| value_of(condition)).collect();
        let is_implied = |condition: &Expr| match condition {
            Expr::InList(InList { expr, list, negated: false }) => {
                values.iter().any(|(column, value)| *column == expr.as_ref() && list.contains(value))
            }
            _ => false,
        };
        let kept: Vec<Expr> =
            conditions.iter().filter(|condition| !is_implied(condition)).map(|&kept| kept.clone()).collect();
        if kept.len() == conditions.len() {
            return Ok(Transformed::no(plan));
        }
        let Some(predicate) = conjunction(kept) else { return Ok(Transformed::no(plan)) };
        let filter = Filter::try_new(predicate, Arc::clone(&filter.input))?;
        Ok(Transformed::yes(LogicalPlan::Filter(filter)))
    }
}

/// The column and the literal of a condition that they are equal.
fn value_of(condition: &Expr) -> Option<(&Expr, &Expr)> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => match (left.as_ref(), right.as_ref()) {
            (column @ Expr::Column(_), value @ Expr::Literal(..))
            | (value @ Expr::Literal(..), column @ Expr::Column(_)) => Some((column, value)),
            _ => None,
        },
        _ => None,
    }
}
