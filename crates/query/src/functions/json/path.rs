//! Trino's JSON paths: `$.userIdentity.arn`, `$['a']`, `$.items[0]`, `$."a key"`.

use std::iter::Peekable;
use std::str::CharIndices;

/// One step down a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The member of an object. A key of digits also names an array's element, as Trino has it.
    Key(String),
    /// The element of an array, counted from 0.
    Index(usize),
}

/// Where in a document a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    steps: Vec<Step>,
}

impl Path {
    /// Parses a path. The error says what is wrong, without the path.
    pub(crate) fn parse(text: &str) -> Result<Path, &'static str> {
        let text = text.trim();
        // Trino takes `a.b` for `$.a.b`.
        let (mut rest, mut bare) = match text.strip_prefix('$') {
            Some(rest) => (rest.char_indices().peekable(), false),
            None if text.is_empty() => return Err("it is empty"),
            None => (text.char_indices().peekable(), !text.starts_with('[')),
        };
        let mut steps = Vec::new();
        while bare || rest.peek().is_some() {
            let step = match rest.peek() {
                _ if bare => Step::Key(bare_key(&mut rest)?),
                Some((_, '.')) => {
                    rest.next();
                    match rest.peek() {
                        Some((_, '"')) => Step::Key(quoted(&mut rest)?),
                        Some((_, '[')) => bracket(&mut rest)?,
                        Some((_, '*')) => return Err("wildcards name many values; unnest the array instead"),
                        Some((_, '.')) => return Err("`..` names many values; write the whole path"),
                        _ => Step::Key(bare_key(&mut rest)?),
                    }
                }
                Some((_, '[')) => bracket(&mut rest)?,
                _ => return Err("a step begins with `.` or `[`"),
            };
            bare = false;
            steps.push(step);
        }
        Ok(Path { steps })
    }

    /// The steps from the document's root.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

fn bare_key(rest: &mut Peekable<CharIndices<'_>>) -> Result<String, &'static str> {
    let mut key = String::new();
    while let Some((_, letter)) = rest.next_if(|(_, letter)| !matches!(letter, '.' | '[')) {
        if matches!(letter, ']' | '"' | '*') {
            return Err("a key with this character is written in quotes");
        }
        key.push(letter);
    }
    if key.is_empty() { Err("a key is missing after `.`") } else { Ok(key) }
}

fn quoted(rest: &mut Peekable<CharIndices<'_>>) -> Result<String, &'static str> {
    let Some((_, quote)) = rest.next() else { return Err("a quote is missing") };
    let mut key = String::new();
    while let Some((_, letter)) = rest.next() {
        match letter {
            '\\' => match rest.next() {
                Some((_, escaped)) => key.push(escaped),
                None => break,
            },
            letter if letter == quote => return Ok(key),
            letter => key.push(letter),
        }
    }
    Err("a quote is not closed")
}

fn bracket(rest: &mut Peekable<CharIndices<'_>>) -> Result<Step, &'static str> {
    rest.next();
    let step = match rest.peek() {
        Some((_, '"' | '\'')) => Step::Key(quoted(rest)?),
        Some((_, '*')) => return Err("wildcards name many values; unnest the array instead"),
        _ => {
            let mut inside = String::new();
            while let Some((_, letter)) = rest.next_if(|(_, letter)| *letter != ']') {
                inside.push(letter);
            }
            match inside.trim().parse() {
                Ok(index) => Step::Index(index),
                Err(_) if inside.trim().starts_with('-') => {
                    return Err("an index counts from the front: it is 0 or more");
                }
                Err(_) if inside.trim().is_empty() => return Err("brackets hold an index or a key in quotes"),
                Err(_) => Step::Key(inside),
            }
        }
    };
    match rest.next() {
        Some((_, ']')) => Ok(step),
        _ => Err("a bracket is not closed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_way_to_write_a_path() {
        let key = |key: &str| Step::Key(key.to_owned());
        for (text, steps) in [
            ("$", vec![]),
            ("$.a.b", vec![key("a"), key("b")]),
            ("a.b", vec![key("a"), key("b")]),
            ("$['a'][\"b\"]", vec![key("a"), key("b")]),
            ("$[0]", vec![Step::Index(0)]),
            ("$.a[1].b", vec![key("a"), Step::Index(1), key("b")]),
            ("$.\"a key\".b", vec![key("a key"), key("b")]),
            ("$.a-b:c", vec![key("a-b:c")]),
            ("$[a]", vec![key("a")]),
            ("$.0", vec![key("0")]),
        ] {
            assert_eq!(Path::parse(text).map(|path| path.steps), Ok(steps), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_path() {
        for text in ["", "$.", "$..a", "$a", "$[", "$[*]", "$.*", "$['a", "$[-1]", "$[]", "$.a]"] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }
}
