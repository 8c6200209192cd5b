//! Time as CloudTrail writes it, and the rhythm of the organisation's week.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Seconds of one delivery window: CloudTrail delivers about every five minutes.
pub(crate) const WINDOW: i64 = 300;
/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;

/// The civil time in UTC of a time in seconds since 1970.
pub(crate) fn civil(seconds: i64) -> DateTime {
    let timestamp = Timestamp::from_second(seconds).expect("generated times lie within jiff's range");
    Offset::UTC.to_datetime(timestamp)
}

/// Appends a time as `2026-07-01T00:08:20Z`.
pub(crate) fn push_iso(seconds: i64, out: &mut String) {
    let at = civil(seconds);
    push_date(at, '-', out);
    out.push('T');
    push_two(at.hour(), out);
    out.push(':');
    push_two(at.minute(), out);
    out.push(':');
    push_two(at.second(), out);
    out.push('Z');
}

/// A time as `2026-07-01T00:08:20Z`.
pub(crate) fn iso(seconds: i64) -> String {
    let mut out = String::with_capacity(20);
    push_iso(seconds, &mut out);
    out
}

/// Appends a date as `2026-07-01`, with any separator.
pub(crate) fn push_date(at: DateTime, separator: char, out: &mut String) {
    push_two((at.year() / 100) as i8, out);
    push_two((at.year() % 100) as i8, out);
    out.push(separator);
    push_two(at.month(), out);
    out.push(separator);
    push_two(at.day(), out);
}

/// Appends a time as the delivery time stands in a trail file's name: `20260701T0005Z`.
pub(crate) fn push_compact(at: DateTime, out: &mut String) {
    push_two((at.year() / 100) as i8, out);
    push_two((at.year() % 100) as i8, out);
    push_two(at.month(), out);
    push_two(at.day(), out);
    out.push('T');
    push_two(at.hour(), out);
    push_two(at.minute(), out);
    out.push('Z');
}

/// Appends a time as the responses of IAM and STS show it in a record: `Jul 1, 2026, 12:08:19 PM`.
pub(crate) fn push_american(seconds: i64, out: &mut String) {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let at = civil(seconds);
    let hour = at.hour();
    out.push_str(MONTHS[at.month() as usize - 1]);
    out.push(' ');
    out.push_str(&at.day().to_string());
    out.push_str(", ");
    out.push_str(&at.year().to_string());
    out.push_str(", ");
    out.push_str(&(if hour % 12 == 0 { 12 } else { hour % 12 }).to_string());
    out.push(':');
    push_two(at.minute(), out);
    out.push(':');
    push_two(at.second(), out);
    out.push_str(if hour < 12 { " AM" } else { " PM" });
}

/// A time as the responses of IAM and STS show it in a record: `Jul 1, 2026, 12:08:19 PM`.
pub(crate) fn american(seconds: i64) -> String {
    let mut out = String::with_capacity(24);
    push_american(seconds, &mut out);
    out
}

fn push_two(number: i8, out: &mut String) {
    out.push(char::from(b'0' + (number / 10) as u8));
    out.push(char::from(b'0' + (number % 10) as u8));
}

/// True within the working hours of a weekday at a fixed offset from UTC (no daylight saving: the rhythm needs none).
pub(crate) fn at_work(seconds: i64, utc_offset_hours: i64) -> bool {
    let local = seconds + utc_offset_hours * 3600;
    // 1970-01-01 was a Thursday.
    let weekday = (local.div_euclid(DAY) + 3).rem_euclid(7);
    let hour = local.rem_euclid(DAY) / 3600;
    weekday < 5 && (8..18).contains(&hour)
}

/// How busy the organisation is at a time: machines run always, and the offices of Berlin, New York and Sydney add to it.
pub(crate) fn activity(seconds: i64) -> f64 {
    let offices = [(1, 5.0), (-5, 3.0), (10, 1.0)];
    let people: f64 = offices.iter().filter(|(offset, _)| at_work(seconds, *offset)).map(|(_, weight)| weight).sum();
    2.0 + people
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_cloudtrail_writes_them() {
        let noon = 1_782_907_699; // 2026-07-01T12:08:19Z
        assert_eq!(iso(noon), "2026-07-01T12:08:19Z");
        assert_eq!(american(noon), "Jul 1, 2026, 12:08:19 PM");
        assert_eq!(american(noon - 12 * 3600), "Jul 1, 2026, 12:08:19 AM");
        let mut name = String::new();
        push_compact(civil(noon), &mut name);
        assert_eq!(name, "20260701T1208Z");
    }

    #[test]
    fn weekends_and_nights_are_quiet() {
        let wednesday_noon = 1_782_907_699;
        assert!(at_work(wednesday_noon, 0));
        assert!(!at_work(wednesday_noon + 3 * DAY, 0), "Saturday");
        assert!(!at_work(wednesday_noon - 8 * 3600, 0), "four in the morning");
        assert!(activity(wednesday_noon) > activity(wednesday_noon + 3 * DAY));
    }
}
