//! The fields of a time, as the clock on the wall shows them.

use std::sync::Arc;

use chrono::{Datelike, NaiveDateTime, Timelike};
use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::common::Result;

use super::super::call::Call;
use super::super::function::{self, Arg, Body, Function};
use super::Times;

pub(crate) fn functions() -> Vec<Function> {
    let field = |name: &str, body: Body| Function::new(name, &[Arg::Time], function::int, body);
    vec![
        field("year", |call| fields(call, |time| i64::from(time.year()))),
        field("quarter", |call| fields(call, |time| i64::from(time.month0() / 3 + 1))),
        field("month", |call| fields(call, |time| i64::from(time.month()))),
        field("week", |call| fields(call, |time| i64::from(time.iso_week().week()))).alias("week_of_year"),
        field("year_of_week", |call| fields(call, |time| i64::from(time.iso_week().year()))).alias("yow"),
        field("day", |call| fields(call, |time| i64::from(time.day()))).alias("day_of_month"),
        field("day_of_week", |call| fields(call, |time| i64::from(time.weekday().number_from_monday()))).alias("dow"),
        field("day_of_year", |call| fields(call, |time| i64::from(time.ordinal()))).alias("doy"),
        field("hour", |call| fields(call, |time| i64::from(time.hour()))),
        field("minute", |call| fields(call, |time| i64::from(time.minute()))),
        field("second", |call| fields(call, |time| i64::from(time.second()))),
        field("millisecond", |call| fields(call, |time| i64::from(time.nanosecond() / 1_000_000))),
    ]
}

fn fields(call: &Call<'_>, field: fn(NaiveDateTime) -> i64) -> Result<ArrayRef> {
    let times = Times::of(call, 0)?;
    Ok(Arc::new((0..call.rows()).map(|row| times.civil(row).map(field)).collect::<Int64Array>()))
}
