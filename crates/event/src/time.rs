//! Times as CloudTrail writes them: UTC, to the second, kept as microseconds.

use std::fmt;

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// An instant in microseconds since 1970-01-01T00:00:00Z, between the years 2000 and 2100.
///
/// The bounds keep a stranger's `9999-12-31` from opening partitions for days that cannot have been logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 2000-01-01T00:00:00Z.
    pub const MIN: Timestamp = Timestamp(946_684_800 * MICROS_PER_SECOND);
    /// The last microsecond before 2100-01-01T00:00:00Z.
    pub const MAX: Timestamp = Timestamp(4_102_444_800 * MICROS_PER_SECOND - 1);

    /// Takes microseconds since the epoch, if they lie within the bounds.
    #[must_use]
    pub fn from_micros(micros: i64) -> Option<Timestamp> {
        (Self::MIN.0..=Self::MAX.0).contains(&micros).then_some(Timestamp(micros))
    }

    /// Takes seconds since the epoch, as LookupEvents gives them.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Option<Timestamp> {
        Self::from_micros(seconds.checked_mul(MICROS_PER_SECOND)?)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// The instant without its fraction of a second, as people read it.
    #[must_use]
    pub fn whole_second(self) -> Timestamp {
        Timestamp(self.0 - self.0.rem_euclid(MICROS_PER_SECOND))
    }

    /// The UTC day.
    #[must_use]
    pub fn day(self) -> Day {
        // In bounds, so the quotient fits.
        Day(self.0.div_euclid(MICROS_PER_SECOND * SECONDS_PER_DAY) as i32)
    }

    /// Parses ISO 8601: CloudTrail's `2021-07-29T23:53:26Z` at once, anything else that names an instant by jiff.
    ///
    /// A time without an offset is UTC, as Athena prints it (`2021-07-29 23:53:26.000`, also with ` UTC` behind).
    #[must_use]
    pub fn parse(text: &str) -> Option<Timestamp> {
        Self::parse_canonical(text).or_else(|| Self::parse_other(text))
    }

    /// Parses exactly `YYYY-MM-DDTHH:MM:SSZ`, the form that [`fmt::Display`] writes back for whole seconds.
    #[must_use]
    pub fn parse_canonical(text: &str) -> Option<Timestamp> {
        let bytes: &[u8; 20] = text.as_bytes().try_into().ok()?;
        if bytes[4] != b'-' || bytes[7] != b'-' || bytes[10] != b'T' || bytes[13] != b':' || bytes[16] != b':' {
            return None;
        }
        if bytes[19] != b'Z' {
            return None;
        }
        let number = |from: usize, to: usize| {
            bytes[from..to]
                .iter()
                .try_fold(0i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let days = Day::from_civil(year, month, day)?.0;
        let seconds = i64::from(days) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
        Self::from_seconds(seconds)
    }

    fn parse_other(text: &str) -> Option<Timestamp> {
        // An RFC 3339 time with a fraction and a zone name is far shorter.
        if text.len() > 64 {
            return None;
        }
        let text = text.trim();
        let text = text.strip_suffix(" UTC").unwrap_or(text);
        let instant = match text.parse::<jiff::Timestamp>() {
            Ok(instant) => instant,
            Err(_) => text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp(),
        };
        Self::from_micros(instant.as_microsecond())
    }
}

impl fmt::Display for Timestamp {
    /// Writes `2021-07-29T23:53:26Z`, with a fraction only where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(MICROS_PER_SECOND);
        let micros = self.0.rem_euclid(MICROS_PER_SECOND);
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{}T{hour:02}:{minute:02}:{second:02}", self.day())?;
        if micros != 0 {
            let fraction = format!("{micros:06}");
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

/// As text, for what we store ourselves.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&text).ok_or_else(|| serde::de::Error::custom("no time between 2000 and 2100"))
    }
}

/// A UTC day, as days since 1970-01-01: the lake's partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

impl Day {
    /// Takes days since 1970-01-01.
    #[must_use]
    pub fn from_days(days: i32) -> Day {
        Day(days)
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub fn days(self) -> i32 {
        self.0
    }

    /// The first instant of the day, if it lies within [`Timestamp`]'s bounds.
    #[must_use]
    pub fn start(self) -> Option<Timestamp> {
        Timestamp::from_seconds(i64::from(self.0) * SECONDS_PER_DAY)
    }

    /// Parses `2021-07-29`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Day> {
        // jiff also takes the date out of a time; a day is ten characters.
        let date = text.parse::<Date>().ok().filter(|_| text.len() == 10)?;
        Self::from_civil(date.year().into(), date.month().into(), date.day().into())
    }

    fn from_civil(year: i64, month: i64, day: i64) -> Option<Day> {
        let date = Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()?;
        let seconds = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?.as_second();
        i32::try_from(seconds.div_euclid(SECONDS_PER_DAY)).ok().map(Day)
    }
}

impl fmt::Display for Day {
    /// Writes `2021-07-29`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Days to civil date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
        let shifted = i64::from(self.0) + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_every_form_that_exports_write() {
        let expected = Timestamp::parse_canonical("2021-07-29T23:53:26Z").expect("canonical");
        for text in [
            "2021-07-29T23:53:26Z",
            "2021-07-29T23:53:26.000Z",
            "2021-07-30T01:53:26+02:00",
            "2021-07-29 23:53:26.000",
            "2021-07-29 23:53:26 UTC",
            "2021-07-29T23:53:26",
        ] {
            assert_eq!(Timestamp::parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_time_is_no_day() {
        assert!(Day::parse("2026-01-15").is_some());
        assert_eq!(Day::parse("2026-01-15T10:00:00Z"), None);
    }

    #[test]
    fn refuses_what_is_no_time_and_what_no_log_can_hold() {
        for text in [
            "",
            "yesterday",
            "2021-02-30T00:00:00Z",
            "9999-12-31T00:00:00Z",
            "1999-12-31T23:59:59Z",
            "2021-07-29T24:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn display_and_parse_are_inverse(micros in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let time = Timestamp::from_micros(micros).expect("in bounds");
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
            prop_assert_eq!(Day::parse(&time.day().to_string()), Some(time.day()));
        }

        #[test]
        fn the_quick_parser_agrees_with_jiff(seconds in 946_684_800i64..4_102_444_800) {
            let text = jiff::Timestamp::from_second(seconds).expect("in bounds").to_string();
            prop_assert_eq!(Timestamp::parse_canonical(&text), Timestamp::from_seconds(seconds));
        }
    }
}
