//! Functions that DataFusion has as a clause, under another name, or not at all.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, Ident, LambdaFunction, ObjectName, OrderByExpr, OrderByOptions,
};
use event::Timestamp;

use super::super::build;
use super::super::error::DialectError;
use super::{attempt, casts, take};

/// Functions that exist in the text alone.
pub(crate) const ONLY_REWRITTEN: [&str; 16] = [
    "now",
    "count_if",
    "if",
    "try",
    "arbitrary",
    "every",
    "approx_percentile",
    "any_match",
    "all_match",
    "none_match",
    "filter",
    "transform",
    "listagg",
    "row",
    "current_date",
    "current_timestamp",
];

/// What Trino has and cannot be had here, and what comes nearest.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("reduce", "lambdas of two arguments cannot be had: unnest the array and aggregate it"),
    ("zip_with", "lambdas of two arguments cannot be had: unnest both arrays together"),
    ("map_filter", "unnest the map and filter its rows"),
    ("transform_keys", "unnest the map and use map_agg"),
    ("transform_values", "unnest the map and use map_agg"),
    ("map_zip_with", "unnest both maps and join them"),
    ("reduce_agg", "use the aggregate that fits: sum, array_agg, map_agg"),
    ("approx_most_frequent", "use count(*) … GROUP BY … ORDER BY count(*) DESC LIMIT n"),
    ("numeric_histogram", "use width_bucket-like arithmetic and GROUP BY"),
    ("approx_set", "use approx_distinct"),
    ("merge", "use approx_distinct"),
    ("multimap_agg", "use array_agg … GROUP BY"),
    ("map_union", "unnest the maps and use map_agg"),
    ("json_query", "use json_extract"),
    ("json_value", "use json_extract_scalar"),
    ("json_exists", "use json_extract(…) IS NOT NULL"),
    ("regexp_position", "use strpos, or regexp_extract and strpos"),
    ("ip_prefix", "compare addresses with LIKE"),
    ("contains_sequence", "join the array with array_join and use strpos"),
    ("split_to_multimap", "use split and unnest"),
    ("tdigest_agg", "use approx_percentile"),
    ("qdigest_agg", "use approx_percentile"),
    ("soundex", "use levenshtein_distance"),
    ("format", "use concat or ||"),
    ("checksum", "compare count(*) and the rows themselves"),
];

/// The name of a function without a schema, lower case.
pub(crate) fn simple_name(function: &Function) -> Option<String> {
    match function.name.0.as_slice() {
        [part] => part.as_ident().map(|name| name.value.to_lowercase()),
        _ => None,
    }
}

/// Rewrites a call.
pub(crate) fn rewrite(expr: &mut Expr, now: Timestamp) -> Result<(), DialectError> {
    let Expr::Function(function) = expr else { return Ok(()) };
    let Some(name) = simple_name(function) else { return Ok(()) };
    if let Some((what, instead)) = UNSUPPORTED.iter().find(|(known, _)| *known == name) {
        return Err(DialectError::Unsupported { what: format!("{what}()"), instead: (*instead).to_owned() });
    }
    if let Some(literal) = clock(&name, now) {
        *expr = literal;
        return Ok(());
    }
    match name.as_str() {
        "if" => {
            let (condition, then, otherwise) = match <[Expr; 3]>::try_from(args(function)) {
                Ok([condition, then, otherwise]) => (condition, then, Some(otherwise)),
                Err(args) => match <[Expr; 2]>::try_from(args) {
                    Ok([condition, then]) => (condition, then, None),
                    Err(_) => return Err(wrong(&name, "takes a condition and one or two values")),
                },
            };
            *expr = build::case(condition, then, otherwise);
        }
        "try" => {
            let [value] = exactly(function, "takes one expression")?;
            *expr = attempt::lenient(value);
        }
        "count_if" => {
            let [condition] = exactly(function, "takes one condition")?;
            rename(function, "count");
            function.args = build::list(vec![build::case(condition, build::number(1), None)]);
        }
        "arbitrary" => rename(function, "any_value"),
        "every" => rename(function, "bool_and"),
        "filter" => rename(function, "array_filter"),
        "transform" => rename(function, "array_transform"),
        "any_match" => rename(function, "array_any_match"),
        "none_match" => {
            rename(function, "array_any_match");
            let any = take(expr);
            *expr = build::not(any);
        }
        "all_match" => {
            let [array, mut lambda] = exactly(function, "takes an array and a lambda")?;
            if let Expr::Lambda(LambdaFunction { body, .. }) = &mut lambda {
                let condition = take(body);
                **body = build::not(condition);
            }
            *expr = build::not(build::call("array_any_match", vec![array, lambda]));
        }
        "row" => rename(function, "struct"),
        "sequence" => rename(function, "generate_series"),
        "ceiling" => rename(function, "ceil"),
        "rand" => rename(function, "random"),
        "mod" => {
            let [left, right] = exactly(function, "takes two numbers")?;
            *expr = build::binary(left, BinaryOperator::Modulo, right);
        }
        "md5" => {
            // DataFusion's gives the digits, Trino's the bytes.
            let digits = take(expr);
            *expr = build::call("from_hex", vec![digits]);
        }
        "greatest" | "least" => {
            // Trino gives null where any argument is null; DataFusion leaves nulls out.
            let args = args(function);
            let any_null = args.iter().cloned().map(|arg| Expr::IsNull(Box::new(arg)));
            let any_null = any_null.reduce(|left, right| build::binary(left, BinaryOperator::Or, right));
            let call = build::call(&name, args);
            *expr = match any_null {
                Some(any_null) => build::case(any_null, build::null(), Some(call)),
                None => call,
            };
        }
        "approx_percentile" => {
            let [value, fraction] = exactly(function, "takes a value and one fraction")?;
            rename(function, "approx_percentile_cont");
            function.args = build::list(vec![fraction]);
            function.within_group = vec![ascending(value)];
        }
        "approx_distinct" => {
            let mut args = args(function);
            args.truncate(1);
            function.args = build::list(args);
        }
        "listagg" => {
            rename(function, "string_agg");
            let order = std::mem::take(&mut function.within_group);
            if let FunctionArguments::List(list) = &mut function.args {
                list.clauses.retain(|clause| !matches!(clause, FunctionArgumentClause::OnOverflow(_)));
                if !order.is_empty() {
                    list.clauses.push(FunctionArgumentClause::OrderBy(order));
                }
                if list.args.len() == 1 {
                    list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(build::text(""))));
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// What a function of the clock stands for.
fn clock(name: &str, now: Timestamp) -> Option<Expr> {
    let instant = || casts::to_instant(build::number(now.micros()), false);
    match name {
        "now" | "current_timestamp" => Some(instant()),
        "localtimestamp" => Some(build::call(
            "arrow_cast",
            vec![build::number(now.micros()), build::text("Timestamp(Microsecond, None)")],
        )),
        "current_date" | "today" => Some(build::cast(build::text(now.day().to_string()), DataType::Date)),
        "current_timezone" => Some(build::text("UTC")),
        _ => None,
    }
}

/// `EXTRACT(day FROM x)` as the function of Trino's that it is.
pub(crate) fn rewrite_extract(expr: &mut Expr) {
    let Expr::Extract { field, expr: time, .. } = expr else { return };
    let name = match field {
        DateTimeField::Year | DateTimeField::Years => "year",
        DateTimeField::Quarter => "quarter",
        DateTimeField::Month | DateTimeField::Months => "month",
        DateTimeField::Week(None) | DateTimeField::Weeks | DateTimeField::IsoWeek => "week",
        DateTimeField::Day | DateTimeField::Days => "day",
        DateTimeField::DayOfWeek | DateTimeField::Dow | DateTimeField::Isodow => "day_of_week",
        DateTimeField::DayOfYear | DateTimeField::Doy => "day_of_year",
        DateTimeField::Hour | DateTimeField::Hours => "hour",
        DateTimeField::Minute | DateTimeField::Minutes => "minute",
        DateTimeField::Second | DateTimeField::Seconds => "second",
        DateTimeField::Custom(name) => match name.value.to_lowercase().as_str() {
            "day_of_week" => "day_of_week",
            "day_of_month" => "day",
            "day_of_year" => "day_of_year",
            "year_of_week" | "yow" => "year_of_week",
            _ => return,
        },
        _ => return,
    };
    *expr = build::call(name, vec![take(time)]);
}

fn rename(function: &mut Function, name: &str) {
    function.name = ObjectName::from(vec![Ident::new(name)]);
}

/// Takes a call's plain arguments.
fn args(function: &mut Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &mut function.args else { return Vec::new() };
    let args = list.args.drain(..).filter_map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    args.collect()
}

fn exactly<const N: usize>(function: &mut Function, takes: &str) -> Result<[Expr; N], DialectError> {
    let name = function.name.to_string();
    <[Expr; N]>::try_from(args(function)).map_err(|_| wrong(&name, takes))
}

fn wrong(name: &str, takes: &str) -> DialectError {
    DialectError::Arguments { name: name.to_lowercase(), reason: takes.to_owned() }
}

fn ascending(expr: Expr) -> OrderByExpr {
    OrderByExpr { expr, options: OrderByOptions::default(), with_fill: None }
}
