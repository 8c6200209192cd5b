//! Adding to times and counting between them, in units from milliseconds to years.

use std::sync::Arc;

use chrono::{Months, NaiveDateTime};
use datafusion::arrow::array::{ArrayRef, Date32Array, Int64Array, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::ReturnFieldArgs;

use super::super::call::{Call, shown};
use super::super::function::{self, Arg, Function};
use super::{Kind, MICROS_PER_DAY, MICROS_PER_SECOND, Times, civil, days, instant};

pub(crate) fn functions() -> Vec<Function> {
    vec![
        Function::new("date_add", &[Arg::Text, Arg::Int, Arg::Time], as_third, date_add),
        Function::new("date_diff", &[Arg::Text, Arg::Time, Arg::Time], function::int, date_diff),
    ]
}

fn as_third(args: &ReturnFieldArgs<'_>) -> Result<DataType> {
    match args.arg_fields.get(2) {
        Some(field) => Ok(field.data_type().clone()),
        None => plan_err!("date_add takes a unit, a number and a time"),
    }
}

/// A unit: so many microseconds, or so many months.
#[derive(Clone, Copy)]
enum Unit {
    Micros(i64),
    Months(i64),
}

fn unit(call: &Call<'_>, name: &str) -> Result<Unit> {
    let unit = match name.to_lowercase().as_str() {
        "millisecond" => Unit::Micros(1000),
        "second" => Unit::Micros(MICROS_PER_SECOND),
        "minute" => Unit::Micros(60 * MICROS_PER_SECOND),
        "hour" => Unit::Micros(3600 * MICROS_PER_SECOND),
        "day" => Unit::Micros(MICROS_PER_DAY),
        "week" => Unit::Micros(7 * MICROS_PER_DAY),
        "month" => Unit::Months(1),
        "quarter" => Unit::Months(3),
        "year" => Unit::Months(12),
        _ => {
            let units = "millisecond, second, minute, hour, day, week, month, quarter, year";
            return Err(call.error(format_args!("{} is no unit; the units are {units}", shown(name))));
        }
    };
    Ok(unit)
}

/// A time so many months later: its last day where that month has fewer.
fn add_months(time: NaiveDateTime, months: i64) -> Option<NaiveDateTime> {
    let count = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    if months < 0 { time.checked_sub_months(count) } else { time.checked_add_months(count) }
}

/// A time some units later. Days, weeks and months are those of the calendar in the time's zone.
fn add(micros: i64, kind: Kind, unit: Unit, count: i64) -> Option<i64> {
    match unit {
        Unit::Micros(length) if length < MICROS_PER_DAY => micros.checked_add(length.checked_mul(count)?),
        Unit::Micros(length) => {
            let there = civil(micros, kind)?.and_utc().timestamp_micros().checked_add(length.checked_mul(count)?)?;
            Some(instant(civil(there, Kind::Civil)?, kind))
        }
        Unit::Months(length) => Some(instant(add_months(civil(micros, kind)?, length.checked_mul(count)?)?, kind)),
    }
}

fn date_add(call: &Call<'_>) -> Result<ArrayRef> {
    let units = call.text(0)?;
    let counts = call.ints(1)?;
    let times = Times::of(call, 2)?;
    let mut added = Vec::with_capacity(call.rows());
    for (row, count) in counts.iter().enumerate() {
        let (Some(name), Some(count), Some(micros)) = (units.get(row), count, times.micros(row)) else {
            added.push(None);
            continue;
        };
        let sum = add(micros, times.kind(), unit(call, name)?, count);
        added.push(Some(sum.ok_or_else(|| call.error(format_args!("{count} {name} lead beyond the calendar")))?));
    }
    Ok(match call.gives() {
        DataType::Date32 => {
            let day = |micros: Option<i64>| micros.and_then(|micros| civil(micros, Kind::Date)).map(days);
            Arc::new(added.into_iter().map(day).collect::<Date32Array>())
        }
        DataType::Timestamp(_, zone) => {
            Arc::new(added.into_iter().collect::<TimestampMicrosecondArray>().with_timezone_opt(zone.clone()))
        }
        _ => return Err(call.error("takes a time")),
    })
}

/// Whole units from one time to another, towards zero.
fn difference(from: NaiveDateTime, to: NaiveDateTime, unit: Unit) -> i64 {
    match unit {
        Unit::Micros(length) => (to - from).num_microseconds().unwrap_or(i64::MAX) / length,
        Unit::Months(length) => {
            use chrono::Datelike;
            let months = |time: NaiveDateTime| i64::from(time.year()) * 12 + i64::from(time.month0());
            let mut count = months(to) - months(from);
            // The last month counts only if it is whole.
            let reached = add_months(from, count).unwrap_or(to);
            if count > 0 && reached > to {
                count -= 1;
            } else if count < 0 && reached < to {
                count += 1;
            }
            count / length
        }
    }
}

fn date_diff(call: &Call<'_>) -> Result<ArrayRef> {
    let units = call.text(0)?;
    let (from, to) = (Times::of(call, 1)?, Times::of(call, 2)?);
    let mut differences = Vec::with_capacity(call.rows());
    for row in 0..call.rows() {
        let Some(name) = units.get(row) else {
            differences.push(None);
            continue;
        };
        let unit = unit(call, name)?;
        let between = match unit {
            // Of what is shorter than a day the instants count, of what is longer the calendar.
            Unit::Micros(length) if length < MICROS_PER_DAY => {
                from.micros(row).zip(to.micros(row)).map(|(from, to)| to.saturating_sub(from) / length)
            }
            _ => from.civil(row).zip(to.civil(row)).map(|(from, to)| difference(from, to, unit)),
        };
        differences.push(between);
    }
    Ok(Arc::new(differences.into_iter().collect::<Int64Array>()))
}
