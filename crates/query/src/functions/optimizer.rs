//! The order of DataFusion's rules: a filter that comes down into a view is simplified before its parts are shared.
//!
//! A view writes `iso8601(time)`; `event_time >= '…' AND event_time < '…'` becomes two comparisons of `time` once it
//! stands below the view. DataFusion shares the two calls of `iso8601` first, and what is shared is simplified no more.

use std::sync::Arc;

use datafusion::optimizer::OptimizerRule;
use datafusion::optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion::optimizer::extract_leaf_expressions::{ExtractLeafExpressions, PushDownLeafProjections};
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::prelude::SessionContext;

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
    last.into_iter().for_each(|rule| context.add_optimizer_rule(rule));
}
