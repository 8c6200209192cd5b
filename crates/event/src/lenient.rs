//! JSON that is valid and still not to be had as a [`Value`]: half a surrogate pair in a string, a number beyond a
//! float's range. CloudTrail passes both on where a caller wrote them, and a caller must not hide behind them.

use serde_json::Value;

/// Parses JSON; what cannot be represented in it becomes U+FFFD or `null`. `None` only where the text is no JSON.
pub(crate) fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| serde_json::from_str(&representable(text)).ok())
}

/// The text with every lone surrogate and every infinite number replaced.
fn representable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(first) = rest.chars().next() {
        let (taken, replacement) = if in_string {
            escaped(rest)
        } else if first == '-' || first.is_ascii_digit() {
            number(rest)
        } else {
            (first.len_utf8(), None)
        };
        in_string ^= first == '"';
        let (token, after) = rest.split_at(taken);
        out.push_str(replacement.unwrap_or(token));
        rest = after;
    }
    out
}

/// The length of the first character of a string's inside, as it is escaped, and what to say instead.
fn escaped(rest: &str) -> (usize, Option<&'static str>) {
    let plain = rest.chars().next().map_or(0, char::len_utf8);
    if !rest.starts_with('\\') {
        return (plain, None);
    }
    match (unit(rest), rest.get(6..).and_then(unit)) {
        (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, None),
        (Some(0xd800..=0xdfff), _) => (6, Some("\\ufffd")),
        (Some(_), _) => (6, None),
        (None, _) => (1 + rest[1..].chars().next().map_or(0, char::len_utf8), None),
    }
}

/// The UTF-16 unit of an escape `\uXXXX`.
fn unit(rest: &str) -> Option<u16> {
    u16::from_str_radix(rest.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

fn number(rest: &str) -> (usize, Option<&'static str>) {
    let ends = |byte: u8| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let length = rest.bytes().position(ends).unwrap_or(rest.len());
    let infinite = rest[..length].parse::<f64>().is_ok_and(f64::is_infinite);
    (length, infinite.then_some("null"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn what_a_value_cannot_hold_is_replaced_and_the_rest_is_read() {
        let cases = [
            (r#"{"a":"\ud800","b":"x"}"#, json!({"a": "\u{fffd}", "b": "x"})),
            (r#"{"a":"\udc00\ud83d\ude00\ud83d"}"#, json!({"a": "\u{fffd}\u{1f600}\u{fffd}"})),
            (r#"{"a":1e999,"b":[-1E400,2.5e3]}"#, json!({"a": null, "b": [null, 2500.0]})),
            (r#"{"a":"\\ud800 \" 1e999","b":1e999}"#, json!({"a": "\\ud800 \" 1e999", "b": null})),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        assert_eq!(parse(r#"{"a":"\ud800""#), None);
        assert_eq!(parse(r#""\u12"#), None);
    }

    proptest! {
        /// JSON without either is left as it is, whatever its strings hold.
        #[test]
        fn the_rest_is_left_alone(texts in proptest::collection::vec("(\\PC|[\"\\\\\u{0}-\u{1f}]){0,12}", 0..5), number in any::<f64>()) {
            let text = json!({"texts": texts, "number": number}).to_string();
            prop_assert_eq!(representable(&text), text);
        }

        /// No text makes it panic.
        #[test]
        fn any_text_is_walked(text in "(\\PC|\\\\u|d8|[\"\\\\0-9eE+-]){0,40}") {
            let _ = parse(&text);
        }
    }
}
