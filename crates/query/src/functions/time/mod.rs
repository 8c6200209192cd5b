//! Times: reading and writing ISO 8601 (`iso`), patterns (`pattern`), fields, and arithmetic in months (`arithmetic`).

mod arithmetic;
mod fields;
mod iso;
mod pattern;
mod zones;

use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDateTime, Offset, TimeZone};
use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{Array, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::common::Result;

use super::call::Call;
use super::function::Function;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

pub(crate) use iso::read_back;

/// The functions of time.
pub(crate) fn functions() -> Vec<Function> {
    [iso::functions(), pattern::functions(), fields::functions(), arithmetic::functions(), zones::functions()]
        .into_iter()
        .flatten()
        .collect()
}

/// What a column of times counts, and where its clock hangs.
pub(crate) struct Times {
    micros: Int64Array,
    kind: Kind,
}

/// The three types of time.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A day.
    Date,
    /// A time without a zone.
    Civil,
    /// An instant, shown in a zone; none is UTC.
    Instant(Option<Tz>),
}

impl Times {
    /// The times of an argument.
    pub(crate) fn of(call: &Call<'_>, index: usize) -> Result<Times> {
        let column = call.column(index)?;
        let kind = match column.data_type() {
            DataType::Date32 => Kind::Date,
            DataType::Timestamp(_, Some(zone)) => Kind::Instant(zone_of(zone)),
            _ => Kind::Civil,
        };
        let micros = match column.data_type() {
            DataType::Date32 => cast(&column, &DataType::Timestamp(TimeUnit::Microsecond, None))?,
            _ => column,
        };
        let micros = cast(&micros, &DataType::Int64)?.as_primitive::<Int64Type>().clone();
        Ok(Times { micros, kind })
    }

    /// The times of an argument of any unit.
    pub(crate) fn of_any(call: &Call<'_>, index: usize) -> Result<Times> {
        let column = call.column(index)?;
        let (unit, kind) = match column.data_type() {
            DataType::Timestamp(_, zone) => {
                let kind = zone.as_ref().map_or(Kind::Civil, |zone| Kind::Instant(zone_of(zone)));
                (DataType::Timestamp(TimeUnit::Microsecond, zone.clone()), kind)
            }
            _ => (DataType::Timestamp(TimeUnit::Microsecond, None), Kind::Date),
        };
        let micros = cast(&cast(&column, &unit)?, &DataType::Int64)?;
        Ok(Times { micros: micros.as_primitive::<Int64Type>().clone(), kind })
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Microseconds since the epoch, in UTC.
    pub(crate) fn micros(&self, row: usize) -> Option<i64> {
        self.micros.is_valid(row).then(|| self.micros.value(row))
    }

    /// What the clock on the wall shows.
    pub(crate) fn civil(&self, row: usize) -> Option<NaiveDateTime> {
        civil(self.micros(row)?, self.kind)
    }
}

/// What the clock on the wall shows at an instant.
pub(crate) fn civil(micros: i64, kind: Kind) -> Option<NaiveDateTime> {
    let utc = DateTime::from_timestamp_micros(micros)?.naive_utc();
    Some(match kind {
        Kind::Instant(Some(zone)) => utc + zone.offset_from_utc_datetime(&utc).fix(),
        _ => utc,
    })
}

/// The instant at which the clock on the wall shows a time: the first where it shows it twice, the time after the gap
/// where it never does.
pub(crate) fn instant(civil: NaiveDateTime, kind: Kind) -> i64 {
    let offset = match kind {
        Kind::Instant(Some(zone)) => match zone.offset_from_local_datetime(&civil).earliest() {
            Some(offset) => i64::from(offset.fix().local_minus_utc()),
            None => i64::from(zone.offset_from_utc_datetime(&civil).fix().local_minus_utc()),
        },
        _ => 0,
    };
    civil.and_utc().timestamp_micros() - offset * MICROS_PER_SECOND
}

/// The name of an instant's zone as Trino prints it: `UTC`, or the offset.
pub(crate) fn offset_name(micros: i64, kind: Kind) -> String {
    match (iso::offset(micros, kind).as_str(), kind) {
        (_, Kind::Instant(Some(zone))) => zone.to_string(),
        ("Z" | "", _) => "UTC".to_owned(),
        (offset, _) => offset.to_owned(),
    }
}

/// Days since the epoch.
pub(crate) fn days(civil: NaiveDateTime) -> i32 {
    const EPOCH: i32 = 719_163;
    civil.date().num_days_from_ce() - EPOCH
}

/// A zone by its name; UTC needs no conversion.
fn zone_of(name: &str) -> Option<Tz> {
    let is_utc = matches!(name, "UTC" | "Z" | "+00:00" | "Etc/UTC" | "GMT");
    if is_utc { None } else { Tz::from_str(name).ok() }
}
