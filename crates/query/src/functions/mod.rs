//! Athena's functions, by the names and with the results that Athena's users know.
//!
//! A scalar function is one [`Function`](function::Function): what it takes, what it gives and a body over columns.
//! They stand in rooms by what they work on: `json`, `time`, `text`, `patterns`, `collections`, `urls`, `casts`.
//! `aggregates` are those that DataFusion lacks, `unnest` plans `UNNEST` beside a table. `once`, `likes`, `distinct` and
//! `defaults` are about speed alone: the rows are the same without them.

mod aggregates;
mod call;
mod casts;
mod collections;
mod defaults;
mod distinct;
mod function;
mod json;
mod likes;
mod once;
mod optimizer;
mod patterns;
mod text;
mod time;
mod typename;
mod types;
mod unnest;
mod urls;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use datafusion::error::Result;
use datafusion::prelude::SessionContext;

use function::Function;
pub(crate) use function::TRY_PREFIX;
pub(crate) use once::distinct_views;
#[cfg(test)]
pub(crate) use types::trino_name;

/// Registers the functions, over DataFusion's own where those mean something else, the planner of `UNNEST`, and rules
/// that make what people write cheap to work out.
///
/// # Errors
///
/// The session takes no planners.
pub(crate) fn register(context: &SessionContext) -> Result<()> {
    for function in functions() {
        function.into_udfs().for_each(|udf| context.register_udf(udf));
    }
    aggregates::aggregates().into_iter().for_each(|aggregate| context.register_udaf(aggregate));
    context.add_analyzer_rule(Arc::new(defaults::TellNullApart));
    context.add_analyzer_rule(Arc::new(likes::LikeByValue::new()));
    context.add_analyzer_rule(Arc::new(distinct::CountByGroup::new()));
    optimizer::simplify_before_sharing(context);
    context.register_relation_planner(Arc::new(unnest::Unnest))
}

fn functions() -> Vec<Function> {
    [
        json::functions(),
        time::functions(),
        text::functions(),
        patterns::functions(),
        collections::functions(),
        urls::functions(),
        casts::functions(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether a function has a form that gives null where it fails.
pub(crate) fn is_fallible(name: &str) -> bool {
    static FALLIBLE: LazyLock<BTreeSet<String>> =
        LazyLock::new(|| functions().iter().flat_map(Function::fallible_names).collect());
    FALLIBLE.contains(name)
}
