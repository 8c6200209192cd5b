//! `LIKE` with a pattern that may begin anywhere: matched once for each value, by a function of ours.
//!
//! A pattern that begins with a letter stays what it is: statistics of files and row groups say what cannot match.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, Scalar, StringViewArray};
use datafusion::arrow::compute::{cast, ilike, like};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::Like;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, ScalarUDF};
use datafusion::optimizer::AnalyzerRule;

use super::call::Call;
use super::function::{self, Arg, Function};

/// Puts the functions where a question says `LIKE`.
#[derive(Debug)]
pub(super) struct LikeByValue {
    like: Arc<ScalarUDF>,
    ilike: Arc<ScalarUDF>,
}

impl LikeByValue {
    pub(super) fn new() -> LikeByValue {
        const TWO: &[Arg] = &[Arg::Text, Arg::Text];
        let udf = |name, body| Arc::new(ScalarUDF::from(Function::new(name, TWO, function::bool, body)));
        LikeByValue {
            like: udf("like", |call| matched(call, |texts, pattern| Ok(like(texts, pattern)?))),
            ilike: udf("ilike", |call| matched(call, |texts, pattern| Ok(ilike(texts, pattern)?))),
        }
    }

    fn in_expr(&self, expr: Expr) -> Result<Transformed<Expr>> {
        let Expr::Like(Like { negated, expr: subject, pattern, escape_char: None, case_insensitive }) = &expr else {
            return Ok(Transformed::no(expr));
        };
        let begins_anywhere = literal(pattern).is_some_and(|text| text.starts_with(['%', '_']) && text.len() > 1);
        if !begins_anywhere || !matches!(subject.as_ref(), Expr::Column(_)) {
            return Ok(Transformed::no(expr));
        }
        let function = if *case_insensitive { &self.ilike } else { &self.like };
        let matches = function.call(vec![subject.as_ref().clone(), pattern.as_ref().clone()]);
        Ok(Transformed::yes(if *negated { !matches } else { matches }))
    }
}

impl AnalyzerRule for LikeByValue {
    fn name(&self) -> &str {
        "like_by_value"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let in_plan = |plan: LogicalPlan| {
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(expr.transform_up(|expr| self.in_expr(expr))?.update_data(|expr| name.restore(expr)))
            })
        };
        let plan = plan.transform_up_with_subqueries(in_plan)?.data;
        plan.recompute_schema()
    }
}

/// The text of a literal, which may have been cast to the column's layout.
fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(text, _) => text.try_as_str().flatten(),
        Expr::Cast(cast) => literal(&cast.expr),
        _ => None,
    }
}

fn matched(
    call: &Call<'_>,
    kernel: fn(&ArrayRef, &Scalar<StringViewArray>) -> Result<BooleanArray>,
) -> Result<ArrayRef> {
    let Some(Some(pattern)) = call.text(1)?.same() else {
        return Err(call.error("the pattern is a constant"));
    };
    let texts = cast(&call.column(0)?, &DataType::Utf8View)?;
    Ok(Arc::new(kernel(&texts, &Scalar::new(StringViewArray::from(vec![pattern])))?))
}
