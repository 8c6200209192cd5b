//! Instants in other zones, and from and to seconds.

use std::str::FromStr;
use std::sync::Arc;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{ArrayRef, Date32Array, Float64Array, TimestampMicrosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::ReturnFieldArgs;

use super::super::call::{Call, shown};
use super::super::function::{self, Arg, Function};
use super::{Kind, MICROS_PER_SECOND, Times, days, instant};

pub(crate) fn functions() -> Vec<Function> {
    vec![
        Function::new("at_timezone", &[Arg::Time, Arg::Text], zoned, at_timezone),
        Function::new("with_timezone", &[Arg::Time, Arg::Text], zoned, with_timezone),
        Function::new("from_unixtime", &[Arg::Number, Arg::Text], from_unixtime_type, from_unixtime).optional(1),
        Function::new("to_unixtime", &[Arg::Time], function::double, to_unixtime),
        Function::new("date", &[Arg::Time], function::date, date),
    ]
}

/// An instant in the zone that the second argument names, the same in every row.
fn zoned(args: &ReturnFieldArgs<'_>) -> Result<DataType> {
    let Some(Some(Some(Some(zone)))) = args.scalar_arguments.get(1).map(|zone| zone.map(|zone| zone.try_as_str()))
    else {
        return plan_err!("the time zone is a text in quotes: 'Europe/Berlin'");
    };
    match Tz::from_str(zone) {
        Ok(_) => Ok(DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()))),
        Err(_) => plan_err!("there is no time zone {}", shown(zone)),
    }
}

fn from_unixtime_type(args: &ReturnFieldArgs<'_>) -> Result<DataType> {
    if args.arg_fields.len() > 1 { zoned(args) } else { function::instant(args) }
}

fn kind_of(data_type: &DataType) -> Kind {
    match data_type {
        DataType::Timestamp(_, Some(zone)) => Kind::Instant(super::zone_of(zone)),
        DataType::Date32 => Kind::Date,
        _ => Kind::Civil,
    }
}

fn at_timezone(call: &Call<'_>) -> Result<ArrayRef> {
    let times = Times::of(call, 0)?;
    let micros = (0..call.rows()).map(|row| times.micros(row)).collect::<TimestampMicrosecondArray>();
    finish(call, micros)
}

fn with_timezone(call: &Call<'_>) -> Result<ArrayRef> {
    let times = Times::of(call, 0)?;
    let kind = kind_of(call.gives());
    let micros = (0..call.rows()).map(|row| times.civil(row).map(|civil| instant(civil, kind)));
    finish(call, micros.collect())
}

fn finish(call: &Call<'_>, micros: TimestampMicrosecondArray) -> Result<ArrayRef> {
    let DataType::Timestamp(_, Some(zone)) = call.gives() else {
        return Err(call.error("a zone is missing"));
    };
    Ok(Arc::new(micros.with_timezone(Arc::clone(zone))))
}

fn from_unixtime(call: &Call<'_>) -> Result<ArrayRef> {
    let seconds = call.numbers(0)?;
    // Trino rounds to milliseconds.
    let micros = seconds.iter().map(|seconds| seconds.map(|seconds| (seconds * 1000.0).round() as i64 * 1000));
    finish(call, micros.collect())
}

fn to_unixtime(call: &Call<'_>) -> Result<ArrayRef> {
    let times = Times::of(call, 0)?;
    let seconds = (0..call.rows()).map(|row| times.micros(row).map(|micros| micros as f64 / MICROS_PER_SECOND as f64));
    Ok(Arc::new(seconds.collect::<Float64Array>()))
}

fn date(call: &Call<'_>) -> Result<ArrayRef> {
    let column = call.column(0)?;
    if column.data_type() == &DataType::Date32 {
        return Ok(cast(&column, &DataType::Date32)?);
    }
    let times = Times::of(call, 0)?;
    Ok(Arc::new((0..call.rows()).map(|row| times.civil(row).map(days)).collect::<Date32Array>()))
}
