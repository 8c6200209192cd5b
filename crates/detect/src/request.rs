//! Reading a request's parameters, which are a stranger's: left out, cut, hidden or of another shape than documented.
//!
//! **Invariant:** what cannot be read is told apart from what is not there to be found. A dangerous call whose content
//! is unreadable fires and says so; padding a request until CloudTrail cuts it must not hide it.

use event::Event;
use serde_json::Value;

use crate::text::clip;

/// What CloudTrail writes in place of what it will not show.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// One parameter, as far as the record tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Read<T> {
    /// This is what was asked.
    Known(T),
    /// The parameters can be read, and this one is not among them.
    Absent,
    /// The record does not show it.
    Unreadable,
}

impl<T> Read<T> {
    /// The value, where it is known.
    pub(crate) fn known(self) -> Option<T> {
        match self {
            Read::Known(value) => Some(value),
            Read::Absent | Read::Unreadable => None,
        }
    }
}

/// Whether the request's parameters are to be read at all.
pub(crate) fn readable(event: &Event<'_>) -> bool {
    event.request().as_object().is_some_and(|parameters| parameters.get("omitted") != Some(&Value::Bool(true)))
}

/// A parameter of any type, by its name or, with dots, its path.
pub(crate) fn value<'e>(event: &'e Event<'_>, path: &str) -> Read<&'e Value> {
    if !readable(event) {
        return Read::Unreadable;
    }
    let mut value = event.request();
    for name in path.split('.') {
        match value.get(name) {
            None | Some(Value::Null) => return Read::Absent,
            Some(inner) => value = inner,
        }
    }
    let cut = value.get("omitted") == Some(&Value::Bool(true));
    if cut || value.as_str() == Some(HIDDEN) { Read::Unreadable } else { Read::Known(value) }
}

/// A parameter that must be a string.
pub(crate) fn text<'e>(event: &'e Event<'_>, path: &str) -> Read<&'e str> {
    match value(event, path) {
        Read::Known(Value::String(text)) => Read::Known(text),
        Read::Known(_) | Read::Unreadable => Read::Unreadable,
        Read::Absent => Read::Absent,
    }
}

/// The first of several string parameters that is there.
pub(crate) fn first_text<'e>(event: &'e Event<'_>, paths: &[&str]) -> Option<&'e str> {
    paths.iter().find_map(|path| text(event, path).known())
}

/// A parameter that must be a boolean; `"true"` and `"false"` count.
pub(crate) fn flag(event: &Event<'_>, path: &str) -> Option<bool> {
    as_flag(value(event, path).known()?)
}

/// The boolean that a value holds; `"true"` and `"false"` count.
pub(crate) fn as_flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A parameter that must be a whole number; `"14"` counts.
pub(crate) fn number(event: &Event<'_>, path: &str) -> Option<i64> {
    match value(event, path).known()? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// What was acted upon, as an object of a sentence: `the IAM user bob`, or `an IAM user` where the record does not tell.
pub(crate) fn named(event: &Event<'_>, kind: &str, paths: &[&str]) -> String {
    match first_text(event, paths).filter(|name| !name.is_empty()) {
        Some(name) => format!("the {kind} {}", clip(name)),
        None => {
            let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'M']);
            format!("{} {kind}", if vowel { "an" } else { "a" })
        }
    }
}

/// Whether a part of the record (`additionalEventData`, …) was cut by CloudTrail.
pub(crate) fn omitted(part: &Value) -> bool {
    part.get("omitted") == Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use testkit::event;

    #[test]
    fn what_is_cut_hidden_or_of_another_type_is_unreadable_and_not_absent() {
        let read = |request: Value| {
            let event = event("AttachUserPolicy").request(request).to_event();
            match text(&event, "policyArn") {
                Read::Known(text) => text.to_owned(),
                Read::Absent => "absent".to_owned(),
                Read::Unreadable => "unreadable".to_owned(),
            }
        };
        assert_eq!(read(json!({"policyArn": "a"})), "a");
        assert_eq!(read(json!({"policyArn": ""})), "");
        assert_eq!(read(json!({"userName": "a"})), "absent");
        assert_eq!(read(json!({"policyArn": null})), "absent");
        assert_eq!(read(Value::Null), "unreadable");
        assert_eq!(read(json!("text")), "unreadable");
        assert_eq!(read(json!({"omitted": true, "originalSize": 123_456})), "unreadable");
        assert_eq!(read(json!({"policyArn": {"omitted": true}})), "unreadable");
        assert_eq!(read(json!({"policyArn": 7})), "unreadable");
        assert_eq!(read(json!({"policyArn": HIDDEN})), "unreadable");
    }
}
