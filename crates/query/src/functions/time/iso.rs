//! ISO 8601: read whatever names a time, write it fast, and turn comparisons of what was written into comparisons of
//! the times.

use std::sync::{Arc, LazyLock};

use chrono::{NaiveDate, Timelike};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, StringViewBuilder, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF};
use event::{Day, Timestamp};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::super::call::{Call, shown};
use super::super::function::{self, Arg, Function};
use super::{Kind, MICROS_PER_DAY, MICROS_PER_SECOND, Times};

/// The function that reads a time.
const FROM_ISO8601: &str = "from_iso8601_timestamp";
/// The name of the function that the views write times with, in the classic tracker's form.
const ISO8601: &str = "iso8601";
/// The same in CloudTrail's own form, which is to the second.
const ISO8601_Z: &str = "iso8601_z";
/// An instant without its fraction of a second.
const WHOLE_SECOND: &str = "whole_second";
/// The same for days.
const ISO8601_DAY: &str = "iso8601_day";

pub(crate) fn functions() -> Vec<Function> {
    vec![
        Function::new(FROM_ISO8601, &[Arg::Text], function::instant, from_timestamp)
            .alias("from_iso8601_timestamp_nanos")
            .fallible()
            .simplified(unwrap_written),
        Function::new("from_iso8601_date", &[Arg::Text], function::date, from_date).fallible(),
        Function::new("to_iso8601", &[Arg::Time], function::text, to_iso8601),
        Function::new(ISO8601, &[Arg::Time], function::text, |call| write(call, Form::Offset)).inverted(invert_offset),
        Function::new(ISO8601_Z, &[Arg::Time], function::text, |call| write(call, Form::Z)).inverted(invert_z),
        whole_second(),
        Function::new(ISO8601_DAY, &[Arg::Time], function::text, |call| write(call, Form::Day)).inverted(invert_day),
    ]
}

/// Reads an instant; a time without an offset is UTC, as Athena's session is.
pub(crate) fn parse(text: &str) -> Option<i64> {
    if let Some(time) = Timestamp::parse_canonical(text) {
        return Some(time.micros());
    }
    let text = text.trim();
    // The longest time with a fraction and an offset is far shorter.
    if text.len() > 64 {
        return None;
    }
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(instant.as_microsecond());
    }
    if let Ok(civil) = text.parse::<DateTime>() {
        return Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond());
    }
    parse_date(text).map(|days| i64::from(days) * MICROS_PER_DAY)
}

/// Reads a day: also a month, a year, a week or a day of a year.
fn parse_date(text: &str) -> Option<i32> {
    let date = match text.len() {
        4 => NaiveDate::from_ymd_opt(text.parse().ok()?, 1, 1),
        7 if text.contains('W') => NaiveDate::parse_from_str(&format!("{text}1"), "%GW%V%u").ok(),
        7 => NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok(),
        8 if text.contains('W') => NaiveDate::parse_from_str(&format!("{text}-1"), "%G-W%V-%u").ok(),
        8 => NaiveDate::parse_from_str(text, "%Y-%j").ok(),
        _ if text.contains('W') => NaiveDate::parse_from_str(text, "%G-W%V-%u").ok(),
        _ => NaiveDate::parse_from_str(text, "%Y-%m-%d").ok(),
    };
    date.map(|date| super::days(date.into()))
}

fn from_timestamp(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.text(0)?;
    let mut column = TimestampMicrosecondBuilder::with_capacity(call.rows());
    for row in 0..call.rows() {
        let Some(text) = texts.get(row) else {
            column.append_null();
            continue;
        };
        match parse(text) {
            Some(micros) => column.append_value(micros),
            None => column.append_option(call.fail(format_args!("{} is no ISO 8601 time", shown(text)))?),
        }
    }
    Ok(Arc::new(column.finish().with_timezone("UTC")))
}

fn from_date(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.text(0)?;
    let read = |row| match texts.get(row) {
        None => Ok(None),
        Some(text) => match parse_date(text.trim()) {
            Some(days) => Ok(Some(days)),
            None => call.fail(format_args!("{} is no ISO 8601 date", shown(text))),
        },
    };
    Ok(Arc::new((0..call.rows()).map(read).collect::<Result<Date32Array>>()?))
}

fn unwrap_written(args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
    match args.as_slice() {
        [written] => Ok(match time_of(written, info.schema().as_ref())? {
            Some(time) => ExprSimplifyResult::Simplified(time),
            None => ExprSimplifyResult::Original(args),
        }),
        _ => Ok(ExprSimplifyResult::Original(args)),
    }
}

/// `from_iso8601_timestamp(iso8601(x))` is `x`; of what is written to the second, its second. `None` for what is not
/// written so.
fn time_of(written: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    let Expr::ScalarFunction(call) = written else { return Ok(None) };
    let [time] = call.args.as_slice() else { return Ok(None) };
    let to_the_second = match call.func.name() {
        ISO8601 => false,
        ISO8601_Z => true,
        _ => return Ok(None),
    };
    if !matches!(time.get_type(schema)?, DataType::Timestamp(_, Some(_))) {
        return Ok(None);
    }
    let time = time.clone().cast_to(&super::super::types::utc(), schema)?;
    Ok(Some(match to_the_second {
        true => Expr::ScalarFunction(ScalarFunction::new_udf(whole_second_udf(), vec![time])),
        false => time,
    }))
}

/// What a call would give that reads the column in which `written` stands: `None` for other calls and columns.
pub(crate) fn read_back(call: &ScalarFunction, written: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    match call.func.name() {
        FROM_ISO8601 => time_of(written, schema),
        _ => Ok(None),
    }
}

fn whole_second() -> Function {
    Function::new(WHOLE_SECOND, &[Arg::Time], function::instant, |call| {
        let times = Times::of(call, 0)?;
        let second = |micros: i64| micros - micros.rem_euclid(MICROS_PER_SECOND);
        let seconds = (0..call.rows()).map(|row| times.micros(row).map(second));
        Ok(Arc::new(seconds.collect::<TimestampMicrosecondArray>().with_timezone("UTC")))
    })
    .inverted(invert_second)
}

fn whole_second_udf() -> Arc<ScalarUDF> {
    static UDF: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(whole_second())));
    Arc::clone(&UDF)
}

/// The instants whose second is a time's: none, if the time is within a second.
fn invert_second(args: &[Expr], literal: &Expr, _: &SimplifyContext) -> Result<PreimageResult> {
    let ([time], Expr::Literal(ScalarValue::TimestampMicrosecond(Some(micros), zone), _)) = (args, literal) else {
        return Ok(PreimageResult::None);
    };
    let within = micros.rem_euclid(MICROS_PER_SECOND);
    let Some(upper) = (micros - within).checked_add(MICROS_PER_SECOND) else { return Ok(PreimageResult::None) };
    let lower = if within == 0 { *micros } else { upper };
    let value = |micros| ScalarValue::TimestampMicrosecond(Some(micros), zone.clone());
    let interval = Box::new(Interval::try_new(value(lower), value(upper))?);
    Ok(PreimageResult::Range { expr: time.clone(), interval })
}

/// Trino's form: a zone for instants, milliseconds always.
fn to_iso8601(call: &Call<'_>) -> Result<ArrayRef> {
    let times = Times::of(call, 0)?;
    let mut column = StringViewBuilder::with_capacity(call.rows());
    for row in 0..call.rows() {
        let text = times.micros(row).zip(times.civil(row)).map(|(micros, civil)| match times.kind() {
            Kind::Date => civil.format("%Y-%m-%d").to_string(),
            kind => {
                let digits = if civil.nanosecond() % 1_000_000 == 0 { 3 } else { 6 };
                let fraction = format!("{:06}", civil.nanosecond() / 1000);
                format!("{}.{}{}", civil.format("%Y-%m-%dT%H:%M:%S"), &fraction[..digits], offset(micros, kind))
            }
        });
        column.append_option(text);
    }
    Ok(Arc::new(column.finish()))
}

/// An instant's offset as ISO 8601 writes it: `Z`, `+02:00`, nothing for a time without a zone.
pub(crate) fn offset(micros: i64, kind: Kind) -> String {
    match kind {
        Kind::Date | Kind::Civil => String::new(),
        Kind::Instant(_) => {
            let there = super::civil(micros, kind).map_or(micros, |civil| civil.and_utc().timestamp_micros());
            let minutes = (there - micros) / (60 * MICROS_PER_SECOND);
            match minutes {
                0 => "Z".to_owned(),
                _ => {
                    let sign = if minutes < 0 { '-' } else { '+' };
                    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
                }
            }
        }
    }
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `2025-08-10T18:26:07+00:00`.
    Offset,
    /// `2025-08-10T18:26:07Z`, without a fraction: `…07.5Z` would sort before `…07Z`.
    Z,
    /// `2025-08-10`.
    Day,
}

impl Form {
    /// Writes the time of a day behind the day.
    fn push(self, text: &mut String, of_day: i64) {
        if self == Form::Day {
            return;
        }
        text.push('T');
        match self {
            Form::Z => {
                push_clock(text, of_day - of_day % MICROS_PER_SECOND);
                text.push('Z');
            }
            _ => {
                push_clock(text, of_day);
                text.push_str("+00:00");
            }
        }
    }
}

fn push_clock(text: &mut String, of_day: i64) {
    let (seconds, micros) = (of_day / MICROS_PER_SECOND, of_day % MICROS_PER_SECOND);
    push_two(text, seconds / 3600);
    text.push(':');
    push_two(text, seconds / 60 % 60);
    text.push(':');
    push_two(text, seconds % 60);
    if micros != 0 {
        text.push('.');
        push_two(text, micros / 10_000);
        push_two(text, micros / 100 % 100);
        push_two(text, micros % 100);
    }
}

fn push_two(text: &mut String, number: i64) {
    // Two digits, so both fit.
    text.push(char::from(b'0' + (number / 10 % 10) as u8));
    text.push(char::from(b'0' + (number % 10) as u8));
}

/// Writes times in UTC. The day's text is kept: neighbours in the lake share it.
fn write(call: &Call<'_>, form: Form) -> Result<ArrayRef> {
    let column = call.column(0)?;
    let mut written = StringViewBuilder::with_capacity(call.rows());
    let mut writer = Writer::new(form);
    match column.data_type() {
        DataType::Date32 => {
            for days in column.as_primitive::<Date32Type>() {
                written.append_option(days.map(|days| writer.write(i64::from(days) * MICROS_PER_DAY)));
            }
        }
        _ => {
            for micros in column.as_primitive::<TimestampMicrosecondType>() {
                written.append_option(micros.map(|micros| writer.write(micros)));
            }
        }
    }
    Ok(Arc::new(written.finish()))
}

struct Writer {
    form: Form,
    text: String,
    /// The day whose text stands at the front of `text`, which ends at `prefix`.
    day: Option<i64>,
    prefix: usize,
}

impl Writer {
    fn new(form: Form) -> Writer {
        Writer { form, text: String::new(), day: None, prefix: 0 }
    }

    fn write(&mut self, micros: i64) -> &str {
        let day = micros.div_euclid(MICROS_PER_DAY);
        if self.day != Some(day) {
            self.day = Some(day);
            self.text = i32::try_from(day).map_or_else(|_| String::new(), |day| Day::from_days(day).to_string());
            self.prefix = self.text.len();
        }
        self.text.truncate(self.prefix);
        self.form.push(&mut self.text, micros.rem_euclid(MICROS_PER_DAY));
        &self.text
    }
}

fn invert_offset(args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
    invert(args, literal, info, Form::Offset)
}

fn invert_z(args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
    invert(args, literal, info, Form::Z)
}

fn invert_day(args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
    invert(args, literal, info, Form::Day)
}

/// What times are written as a text: from the first that is written no less to the first that is written greater.
///
/// What is written orders as the times do, so any comparison with any text is one with these two times, also where no
/// time is written so.
fn invert(args: &[Expr], literal: &Expr, info: &SimplifyContext, form: Form) -> Result<PreimageResult> {
    let [time] = args else { return Ok(PreimageResult::None) };
    let Expr::Literal(literal, _) = literal else { return Ok(PreimageResult::None) };
    let Some(Some(text)) = literal.try_as_str() else { return Ok(PreimageResult::None) };
    let data_type = info.get_data_type(time)?;
    let (lower, upper) = match &data_type {
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == "UTC" => {
            let range = (Timestamp::MIN.micros(), Timestamp::MAX.micros());
            let (lower, upper) = bounds(text, range, |micros| micros, form);
            let value = |micros| ScalarValue::TimestampMicrosecond(Some(micros), Some(Arc::clone(zone)));
            (value(lower), value(upper))
        }
        DataType::Date32 => {
            let day = |time: Timestamp| i64::from(time.day().days());
            let range = (day(Timestamp::MIN), day(Timestamp::MAX));
            let (lower, upper) = bounds(text, range, |days| days * MICROS_PER_DAY, form);
            let value = |days: i64| ScalarValue::Date32(i32::try_from(days).ok());
            (value(lower), value(upper))
        }
        _ => return Ok(PreimageResult::None),
    };
    Ok(PreimageResult::Range { expr: time.clone(), interval: Box::new(Interval::try_new(lower, upper)?) })
}

/// The first numbers of a range whose times are written no less than, and greater than, a text.
fn bounds(text: &str, range: (i64, i64), micros: impl Fn(i64) -> i64, form: Form) -> (i64, i64) {
    let mut writer = Writer::new(form);
    let mut first = |holds: &dyn Fn(&str) -> bool| {
        let (mut low, mut high) = (range.0, range.1 + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if holds(writer.write(micros(middle))) { high = middle } else { low = middle + 1 }
        }
        low
    };
    (first(&|written| written >= text), first(&|written| written > text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(micros: i64, form: Form) -> String {
        Writer::new(form).write(micros).to_owned()
    }

    #[test]
    fn a_time_is_written_as_the_classic_tracker_does() {
        let time = Timestamp::parse("2025-08-10T18:26:07Z").expect("a time").micros();
        assert_eq!(written(time, Form::Offset), "2025-08-10T18:26:07+00:00");
        assert_eq!(written(time + 1500, Form::Offset), "2025-08-10T18:26:07.001500+00:00");
        assert_eq!(written(time, Form::Z), "2025-08-10T18:26:07Z");
        assert_eq!(written(time, Form::Day), "2025-08-10");
    }

    fn time() -> impl Strategy<Value = i64> {
        let range = Timestamp::MIN.micros()..=Timestamp::MAX.micros();
        prop_oneof![range.clone(), range.prop_map(|micros| micros - micros % MICROS_PER_SECOND)]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_orders_alike(left in time(), right in time(), near in 0i64..2_000_000) {
            for right in [right, left + near] {
                let (left_text, right_text) = (written(left, Form::Offset), written(right, Form::Offset));
                prop_assert_eq!(left.cmp(&right), left_text.cmp(&right_text));
            }
            prop_assert_eq!(parse(&written(left, Form::Offset)), Some(left));
            prop_assert_eq!(parse(&written(left, Form::Z)), Some(left - left % MICROS_PER_SECOND));
        }

        #[test]
        fn a_comparison_of_texts_is_one_of_times(
            time in time(),
            near in 0i64..2_000_000,
            form in prop_oneof![Just(Form::Offset), Just(Form::Z), Just(Form::Day)],
            cut in 0usize..40,
            junk in "[0-9:T+.-]{0,3}",
        ) {
            let mut text = written(time, form);
            text.truncate(cut);
            text.push_str(&junk);
            let range = (Timestamp::MIN.micros(), Timestamp::MAX.micros());
            let (lower, upper) = bounds(&text, range, |micros| micros, form);
            for other in [time, time.saturating_add(near).min(range.1), lower.min(range.1), upper.min(range.1)] {
                let other_text = written(other, form);
                prop_assert_eq!(other_text.as_str() >= text.as_str(), other >= lower);
                prop_assert_eq!(other_text.as_str() > text.as_str(), other >= upper);
            }
        }
    }
}
