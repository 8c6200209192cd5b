//! Finds one value in a JSON text without building the rest: what lies beside the path is stepped over.
//!
//! What is stepped over is checked for closed quotes and brackets alone, as it streams past.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::path::Step;

/// How much of a string is read byte by byte before it is searched.
const SHORT: usize = 24;

/// A value in a document, as it is written there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raw<'a>(&'a str);

/// A cursor over a JSON text.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// The value at the end of the steps, if the document has one there and reads as JSON up to it.
pub(crate) fn find<'a>(text: &'a str, steps: &[Step]) -> Option<Raw<'a>> {
    let mut cursor = Cursor { text, at: 0 };
    cursor.spaces();
    for step in steps {
        match (cursor.peek()?, step) {
            (b'{', Step::Key(key)) => cursor.enter_member(key)?,
            (b'[', Step::Index(index)) => cursor.enter_element(*index)?,
            (b'[', Step::Key(key)) => cursor.enter_element(key.parse().ok()?)?,
            _ => return None,
        }
    }
    let start = cursor.at;
    cursor.skip_value()?;
    // Only at the root is it known what follows; a path ends at the value.
    if steps.is_empty() {
        let end = cursor.at;
        cursor.spaces();
        return (cursor.at == text.len()).then(|| text.get(start..end).map(Raw))?;
    }
    text.get(start..cursor.at).map(Raw)
}

impl<'a> Raw<'a> {
    /// The value as it is written.
    pub(crate) fn text(self) -> &'a str {
        self.0
    }

    /// A string without its quotes, a number or a truth value as written; nothing for the rest.
    pub(crate) fn scalar(self) -> Option<Cow<'a, str>> {
        let text = self.0;
        match text.as_bytes().first()? {
            b'"' => unquoted(text),
            b't' | b'f' => matches!(text, "true" | "false").then_some(Cow::Borrowed(text)),
            b'-' | b'0'..=b'9' => is_number(text).then_some(Cow::Borrowed(text)),
            _ => None,
        }
    }

    /// The value without spaces, its strings escaped no more than they must be; nothing where it is no JSON.
    pub(crate) fn compact(self) -> Option<Cow<'a, str>> {
        let text = self.0;
        if !needs_compacting(text) {
            return Some(Cow::Borrowed(text));
        }
        let mut compact = String::with_capacity(text.len());
        let mut cursor = Cursor { text, at: 0 };
        loop {
            cursor.spaces();
            let start = cursor.at;
            match cursor.peek() {
                None => return Some(Cow::Owned(compact)),
                Some(b'"') => {
                    cursor.skip_string()?;
                    let string = text.get(start..cursor.at)?;
                    match unquoted(string)? {
                        Cow::Borrowed(_) => compact.push_str(string),
                        Cow::Owned(value) => compact.push_str(&serde_json::to_string(&value).ok()?),
                    }
                }
                Some(b'{' | b'}' | b'[' | b']' | b',' | b':') => {
                    cursor.at += 1;
                    compact.push_str(text.get(start..cursor.at)?);
                }
                Some(_) => {
                    cursor.skip_word()?;
                    compact.push_str(text.get(start..cursor.at)?);
                }
            }
        }
    }

    /// The elements of an array, or nothing where it is none.
    pub(crate) fn elements(self) -> Option<Vec<Raw<'a>>> {
        let mut cursor = Cursor { text: self.0, at: 0 };
        let mut elements = Vec::new();
        if !cursor.open(b'[', b']')? {
            return Some(elements);
        }
        loop {
            elements.push(cursor.value()?);
            if !cursor.next(b']')? {
                return Some(elements);
            }
        }
    }

    /// The members of an object, keys unquoted, or nothing where it is none.
    pub(crate) fn members(self) -> Option<Vec<(Cow<'a, str>, Raw<'a>)>> {
        let mut cursor = Cursor { text: self.0, at: 0 };
        let mut members = Vec::new();
        if !cursor.open(b'{', b'}')? {
            return Some(members);
        }
        loop {
            let key = unquoted(cursor.key()?)?;
            members.push((key, cursor.value()?));
            if !cursor.next(b'}')? {
                return Some(members);
            }
        }
    }
}

impl<'a> Cursor<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn spaces(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Steps into a collection; tells whether anything is in it.
    fn open(&mut self, open: u8, close: u8) -> Option<bool> {
        self.spaces();
        self.expect(open)?;
        self.spaces();
        Some(self.peek()? != close)
    }

    /// Steps over a comma, or out of the collection: then there is no next.
    fn next(&mut self, close: u8) -> Option<bool> {
        self.spaces();
        match self.peek()? {
            b',' => {
                self.at += 1;
                self.spaces();
                Some(true)
            }
            byte if byte == close => Some(false),
            _ => None,
        }
    }

    /// Reads a key and its colon: the key with its quotes.
    fn key(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.skip_string()?;
        let key = self.text.get(start..self.at)?;
        self.spaces();
        self.expect(b':')?;
        self.spaces();
        Some(key)
    }

    fn value(&mut self) -> Option<Raw<'a>> {
        let start = self.at;
        self.skip_value()?;
        self.text.get(start..self.at).map(Raw)
    }

    /// Steps to the value of the first member with this key.
    fn enter_member(&mut self, wanted: &str) -> Option<()> {
        if !self.open(b'{', b'}')? {
            return None;
        }
        loop {
            let key = self.key()?;
            let inner = key.get(1..key.len() - 1)?;
            // An escaped key is longer than what it says, so only a key that is no shorter can be the wanted one.
            let found = inner == wanted
                || (inner.len() > wanted.len()
                    && inner.contains('\\')
                    && unquoted(key).is_some_and(|key| key == wanted));
            if found {
                return Some(());
            }
            self.skip_value()?;
            if !self.next(b'}')? {
                return None;
            }
        }
    }

    fn enter_element(&mut self, wanted: usize) -> Option<()> {
        if !self.open(b'[', b']')? {
            return None;
        }
        for _ in 0..wanted {
            self.skip_value()?;
            if !self.next(b']')? {
                return None;
            }
        }
        Some(())
    }

    fn skip_value(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.skip_string(),
            b'{' | b'[' => self.skip_nested(),
            _ => self.skip_word(),
        }
    }

    /// Steps over a string, quotes and all.
    #[inline]
    fn skip_string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        let bytes = self.text.as_bytes();
        // Most strings are short, and those that are not short of escapes are full of them: a call of memchr pays only
        // where neither comes soon.
        let mut soon = self.at + SHORT;
        loop {
            match bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                // Whatever is escaped is no end; of `\u0041` the digits are as harmless as any letter.
                b'\\' => {
                    self.at += 2;
                    soon = self.at + SHORT;
                }
                _ if self.at >= soon => self.at += memchr2(b'"', b'\\', &bytes[self.at..])?,
                _ => self.at += 1,
            }
        }
    }

    /// Steps over an object or an array by its brackets, however deep.
    fn skip_nested(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        let mut depth = 0usize;
        loop {
            match bytes.get(self.at)? {
                b'"' => {
                    self.skip_string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Steps over a number, a truth value or null.
    fn skip_word(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-' | b'.') = self.peek() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

/// A string as JSON writes it, without quotes and escapes.
fn unquoted(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.get(1..text.len().checked_sub(1)?)?;
    if memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(text).ok().map(Cow::Owned)
}

/// Whether there are spaces outside strings or escapes inside.
fn needs_compacting(text: &str) -> bool {
    let mut inside = false;
    for byte in text.bytes() {
        match byte {
            b'\\' => return true,
            b'"' => inside = !inside,
            b' ' | b'\n' | b'\r' | b'\t' if !inside => return true,
            _ => {}
        }
    }
    false
}

/// Whether a word is a number as JSON writes them.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let mut rest = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with('0')) {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let length = digits(exponent);
        if length == 0 {
            return false;
        }
        rest = &exponent[length..];
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::super::path::Path;
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn scalar(document: &str, path: &str) -> Option<String> {
        let path = Path::parse(path).expect("a path");
        find(document, path.steps())?.scalar().map(Cow::into_owned)
    }

    #[test]
    fn what_is_no_json_up_to_the_value_has_none() {
        for document in ["", "{", "{\"a\"", "{\"a\":", "{\"a\":\"x", "{\"b\":[,\"a\":1}", "{\"b\" 1,\"a\":1}", "nope"] {
            assert_eq!(scalar(document, "$.a"), None, "{document}");
        }
        assert_eq!(scalar("1 2", "$"), None);
        assert_eq!(scalar("{\"a\":01}", "$.a"), None);
        assert_eq!(scalar("{\"a\":nul}", "$.a"), None);
    }

    #[test]
    fn the_first_of_two_equal_keys_counts() {
        assert_eq!(scalar(r#"{"a":1,"a":2}"#, "$.a").as_deref(), Some("1"));
    }

    #[test]
    fn nesting_costs_no_stack() {
        let document = format!("{{\"deep\":{}{},\"a\":1}}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(scalar(&document, "$.a").as_deref(), Some("1"));
    }

    #[test]
    fn compact_text_keeps_what_strings_say() {
        let raw = Raw(r#" { "a" : [ 1 , "x y" , "\u0041\/\n" ] } "#);
        assert_eq!(raw.compact().as_deref(), Some(r#"{"a":[1,"x y","A/\n"]}"#));
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,6}|[\"\\\\/\\n]{1,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-c]|[\"\\\\ ]", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => "[a-c]|[\"\\\\ ]".prop_map(Step::Key),
            1 => (0usize..4).prop_map(Step::Index),
        ]
    }

    proptest! {
        #[test]
        fn finds_what_a_whole_parse_finds(
            document in document(),
            steps in prop::collection::vec(step(), 0..4),
            pretty in any::<bool>(),
        ) {
            let text = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
            let text = text.expect("a value is JSON");
            let expected = steps.iter().try_fold(&document, |value, step| match step {
                Step::Key(key) => value.as_object()?.get(key),
                Step::Index(index) => value.as_array()?.get(*index),
            });
            let found = find(&text, &steps);
            prop_assert_eq!(found.is_some(), expected.is_some());
            if let (Some(found), Some(expected)) = (found, expected) {
                let compact = found.compact().expect("valid");
                prop_assert_eq!(compact.as_ref(), serde_json::to_string(expected).expect("a value is JSON"));
                let scalar = match expected {
                    Value::String(text) => Some(text.clone()),
                    Value::Number(number) => Some(number.to_string()),
                    Value::Bool(truth) => Some(truth.to_string()),
                    Value::Null | Value::Array(_) | Value::Object(_) => None,
                };
                prop_assert_eq!(found.scalar().map(Cow::into_owned), scalar);
            }
        }
    }
}
