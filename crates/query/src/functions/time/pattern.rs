//! Times by pattern: MySQL's specifiers (`%Y-%m-%d`) and the common letters of Joda (`yyyy-MM-dd`).

use std::fmt::Write as _;
use std::sync::Arc;

use chrono::format::{Parsed, StrftimeItems, parse};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use datafusion::arrow::array::{ArrayRef, StringViewBuilder, TimestampMicrosecondBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;

use super::super::call::{Call, shown};
use super::super::function::{self, Arg, Function};
use super::{MICROS_PER_SECOND, Times, iso};

pub(crate) fn functions() -> Vec<Function> {
    vec![
        Function::new("date_parse", &[Arg::Text, Arg::Text], function::timestamp, |call| read(call, mysql)).fallible(),
        Function::new("date_format", &[Arg::Time, Arg::Text], function::text, |call| write(call, mysql)),
        Function::new("parse_datetime", &[Arg::Text, Arg::Text], function::instant, |call| read(call, joda)).fallible(),
        Function::new("format_datetime", &[Arg::Time, Arg::Text], function::text, |call| write(call, joda)),
    ]
}

/// A pattern in chrono's specifiers, or what of it cannot be had.
type Translate = fn(&str) -> std::result::Result<String, String>;

/// A character that stands for itself.
fn literal(translated: &mut String, letter: char) {
    if letter == '%' {
        translated.push('%');
    }
    translated.push(letter);
}

fn mysql(pattern: &str) -> std::result::Result<String, String> {
    let mut translated = String::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            literal(&mut translated, letter);
            continue;
        }
        let specifier = match letters.next() {
            Some('a') => "%a",
            Some('b') => "%b",
            Some('c') => "%-m",
            Some('d') => "%d",
            Some('e') => "%-d",
            Some('f') => "%6f",
            Some('H') => "%H",
            Some('h' | 'I') => "%I",
            Some('i') => "%M",
            Some('j') => "%j",
            Some('k') => "%-H",
            Some('l') => "%-I",
            Some('M') => "%B",
            Some('m') => "%m",
            Some('p') => "%p",
            Some('r') => "%I:%M:%S %p",
            Some('S' | 's') => "%S",
            Some('T') => "%H:%M:%S",
            Some('v') => "%V",
            Some('W') => "%A",
            Some('x') => "%G",
            Some('Y') => "%Y",
            Some('y') => "%y",
            Some('%') => "%%",
            Some(other @ ('D' | 'U' | 'u' | 'V' | 'w' | 'X')) => return Err(format!("%{other} is not supported")),
            Some(other) => {
                literal(&mut translated, other);
                continue;
            }
            None => return Err("the pattern ends in %".to_owned()),
        };
        translated.push_str(specifier);
    }
    Ok(translated)
}

fn joda(pattern: &str) -> std::result::Result<String, String> {
    let mut translated = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        if letter == '\'' {
            let quoted = &rest[1..];
            let Some(end) = quoted.find('\'') else { return Err("a quote is not closed".to_owned()) };
            // Two quotes are one.
            let text = if end == 0 { "'" } else { &quoted[..end] };
            text.chars().for_each(|letter| literal(&mut translated, letter));
            rest = &quoted[end + 1..];
            continue;
        }
        let count = rest.chars().take_while(|other| *other == letter).count();
        rest = &rest[count * letter.len_utf8()..];
        let specifier = match (letter, count) {
            ('y' | 'Y', 2) => "%y",
            ('y' | 'Y', _) => "%Y",
            ('x', _) => "%G",
            ('M', 1) => "%-m",
            ('M', 2) => "%m",
            ('M', 3) => "%b",
            ('M', _) => "%B",
            ('d', 1) => "%-d",
            ('d', _) => "%d",
            ('D', _) => "%j",
            ('w', _) => "%V",
            ('e', _) => "%u",
            ('E', 1..=3) => "%a",
            ('E', _) => "%A",
            ('a', _) => "%p",
            ('H', 1) => "%-H",
            ('H', _) => "%H",
            ('h', 1) => "%-I",
            ('h', _) => "%I",
            ('m', 1) => "%-M",
            ('m', _) => "%M",
            ('s', 1) => "%-S",
            ('s', _) => "%S",
            ('S', 1..=3) => "%3f",
            ('S', _) => "%6f",
            ('Z', 1) => "%z",
            ('Z', 2) => "%:z",
            ('Z' | 'z', _) => "%Z",
            (letter, _) if letter.is_ascii_alphabetic() => return Err(format!("the letter {letter} is not supported")),
            (letter, count) => {
                (0..count).for_each(|_| literal(&mut translated, letter));
                continue;
            }
        };
        translated.push_str(specifier);
    }
    Ok(translated)
}

fn write(call: &Call<'_>, translate: Translate) -> Result<ArrayRef> {
    let times = Times::of(call, 0)?;
    let patterns = call.text(1)?;
    let mut column = StringViewBuilder::with_capacity(call.rows());
    let mut translated: Option<(&str, String)> = None;
    let mut text = String::new();
    for row in 0..call.rows() {
        let (Some(micros), Some(civil), Some(pattern)) = (times.micros(row), times.civil(row), patterns.get(row))
        else {
            column.append_null();
            continue;
        };
        if translated.as_ref().is_none_or(|(known, _)| *known != pattern) {
            let new = translate(pattern).map_err(|reason| call.error(format_args!("{}: {reason}", shown(pattern))))?;
            translated = Some((pattern, new));
        }
        let Some((_, pattern)) = &translated else { continue };
        text.clear();
        let offset = iso::offset(micros, times.kind());
        let zone = if offset.is_empty() || offset == "Z" { "UTC" } else { &offset };
        let numeric = if zone == "UTC" { "+00:00" } else { &offset };
        let pattern = pattern.replace("%:z", numeric).replace("%z", &numeric.replace(':', "")).replace("%Z", zone);
        if write!(text, "{}", civil.format(&pattern)).is_err() {
            return Err(call.error("the pattern cannot be written"));
        }
        column.append_value(&text);
    }
    Ok(Arc::new(column.finish()))
}

fn read(call: &Call<'_>, translate: Translate) -> Result<ArrayRef> {
    let (texts, patterns) = (call.text(0)?, call.text(1)?);
    let mut column = TimestampMicrosecondBuilder::with_capacity(call.rows());
    let mut translated: Option<(&str, String)> = None;
    for row in 0..call.rows() {
        let (Some(text), Some(pattern)) = (texts.get(row), patterns.get(row)) else {
            column.append_null();
            continue;
        };
        if translated.as_ref().is_none_or(|(known, _)| *known != pattern) {
            let new = translate(pattern).map_err(|reason| call.error(format_args!("{}: {reason}", shown(pattern))))?;
            translated = Some((pattern, new));
        }
        let Some((_, specifiers)) = &translated else { continue };
        match read_one(text, specifiers) {
            Some(micros) => column.append_value(micros),
            None => {
                let reason = format_args!("{} does not fit {}", shown(text), shown(pattern)).to_string();
                column.append_option(call.fail(reason)?);
            }
        }
    }
    let column = column.finish();
    Ok(match call.gives() {
        DataType::Timestamp(_, zone) => Arc::new(column.with_timezone_opt(zone.clone())),
        _ => Arc::new(column),
    })
}

/// Reads a time; what the pattern does not name is the first of its kind (1970, January, midnight).
fn read_one(text: &str, specifiers: &str) -> Option<i64> {
    let mut parsed = Parsed::new();
    // Both take fractions of any length.
    let specifiers = specifiers.replace("%6f", "%f").replace("%3f", "%f");
    let fraction = specifiers.contains("%f");
    let (text, micros) = if fraction { split_fraction(text)? } else { (text.to_owned(), 0) };
    let specifiers =
        if fraction { specifiers.replace(".%f", "").replace(",%f", "").replace("%f", "") } else { specifiers };
    // A zone's name says no offset to chrono; the only one that data names is UTC.
    let (text, specifiers) = match specifiers.strip_suffix("%Z") {
        Some(before) => {
            let text = text.trim_end_matches("UTC").trim_end_matches("GMT").trim_end_matches('Z');
            (text.trim_end().to_owned(), before.trim_end().to_owned())
        }
        None => (text, specifiers),
    };
    parse(&mut parsed, &text, StrftimeItems::new(&specifiers)).ok()?;
    let offset = parsed.offset().map_or(0, i64::from);
    let date = match parsed.to_naive_date() {
        Ok(date) => date,
        Err(_) => {
            let year =
                parsed.year().or(parsed.year_mod_100().map(|year| if year < 70 { 2000 + year } else { 1900 + year }));
            NaiveDate::from_ymd_opt(year.unwrap_or(1970), parsed.month().unwrap_or(1), parsed.day().unwrap_or(1))?
        }
    };
    let time = match parsed.to_naive_time() {
        Ok(time) => time,
        Err(_) => {
            let hour = parsed.hour_div_12().unwrap_or(0) * 12 + parsed.hour_mod_12().unwrap_or(0);
            NaiveTime::from_hms_opt(hour, parsed.minute().unwrap_or(0), parsed.second().unwrap_or(0))?
        }
    };
    let civil = NaiveDateTime::new(date, time);
    Some(civil.and_utc().timestamp_micros() + micros - offset * MICROS_PER_SECOND)
}

/// Takes the digits behind the last point out of a text: chrono reads them only behind a second.
fn split_fraction(text: &str) -> Option<(String, i64)> {
    let point = text.rfind(['.', ','])?;
    let digits: String = text[point + 1..].chars().take_while(char::is_ascii_digit).collect();
    if digits.is_empty() {
        return None;
    }
    let micros = format!("{digits:0<6}").get(..6)?.parse().ok()?;
    Some((format!("{}{}", &text[..point], &text[point + 1 + digits.len()..]), micros))
}
