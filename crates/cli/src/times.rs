//! Times as people write them: dates, times, and so long before (or after) now.

use event::{Day, Timestamp};

use crate::args::Window;
use crate::exit::usage;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// A window of time, its end not included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Between {
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
}

impl Between {
    pub(crate) fn of(window: &Window, now: Timestamp) -> anyhow::Result<Between> {
        let read = |flag, text: &Option<String>| text.as_deref().map(|text| instant(flag, text, now)).transpose();
        let between = Between { from: read("--from", &window.from)?, to: read("--to", &window.to)? };
        match (between.from, between.to) {
            (Some(from), Some(to)) if from >= to => Err(usage(format!("--from {from} does not lie before --to {to}"))),
            _ => Ok(between),
        }
    }
}

/// Reads a date (its first instant), a time, or `-7d` and `+30d` from now.
pub(crate) fn instant(flag: &str, text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let read = || -> Option<Timestamp> {
        if text == "now" {
            return Some(now);
        }
        if let Some(age) = text.strip_prefix('-').filter(|_| text.len() < 16) {
            return Timestamp::from_micros(now.micros().checked_sub(span(age)?)?);
        }
        if let Some(ahead) = text.strip_prefix('+') {
            return Timestamp::from_micros(now.micros().checked_add(span(ahead)?)?);
        }
        Day::parse(text).and_then(Day::start).or_else(|| Timestamp::parse(text))
    };
    read().ok_or_else(|| {
        usage(format!(
            "{flag} {text:?} is no time: write 2026-01-31, 2026-01-31T12:00:00Z, or so long ago as -7d, -24h, -90m"
        ))
    })
}

/// Reads an age such as `3y`, `18mo`, `12w`, `400d`, `24h`, `90m`, in microseconds. A year has 365 days, a month 30.
pub(crate) fn age(flag: &str, text: &str) -> anyhow::Result<i64> {
    span(text).ok_or_else(|| usage(format!("{flag} {text:?} is no age: write 3y, 18mo, 12w, 400d, 24h or 90m")))
}

fn span(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: i64 = text.get(..digits)?.parse().ok()?;
    let unit = match text.get(digits..)? {
        "s" => SECOND,
        "m" | "min" => 60 * SECOND,
        "h" => 3600 * SECOND,
        "d" => DAY,
        "w" => 7 * DAY,
        "mo" => 30 * DAY,
        "y" => 365 * DAY,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    #[test]
    fn every_form_the_help_names_is_read() {
        let now = at("2026-01-31T12:00:00Z");
        for (text, expected) in [
            ("now", "2026-01-31T12:00:00Z"),
            ("2026-01-15", "2026-01-15T00:00:00Z"),
            ("2026-01-15T10:00:00Z", "2026-01-15T10:00:00Z"),
            ("2026-01-15T10:00:00+02:00", "2026-01-15T08:00:00Z"),
            ("-7d", "2026-01-24T12:00:00Z"),
            ("-24h", "2026-01-30T12:00:00Z"),
            ("-90m", "2026-01-31T10:30:00Z"),
            ("-2w", "2026-01-17T12:00:00Z"),
            ("+30d", "2026-03-02T12:00:00Z"),
        ] {
            assert_eq!(instant("--from", text, now).expect(text), at(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_the_users_mistake() {
        for text in ["", "-", "-7", "-7x", "tomorrow", "2026-02-30", "-99999999999999999999d", "+9999y"] {
            let error = instant("--from", text, at("2026-01-31T12:00:00Z")).expect_err(text);
            assert!(error.downcast_ref::<crate::exit::Usage>().is_some(), "{text}: {error}");
        }
    }

    #[test]
    fn a_window_that_ends_before_it_begins_is_refused() {
        let window = Window { from: Some("-1d".to_owned()), to: Some("-2d".to_owned()) };
        assert!(Between::of(&window, at("2026-01-31T12:00:00Z")).is_err());
    }
}
