//! Patterns with `*` and `?`, as people write them for roles, principals and detections.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest pattern taken, in bytes: an ARN has at most 2048.
const MAX_BYTES: usize = 2048;

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is empty, or blank at an end: nothing in CloudTrail would match it.
    #[error("pattern {0:?} is empty or has blanks around it")]
    Blank(String),
    /// It is too long.
    #[error("pattern of {0} bytes is longer than {MAX_BYTES}")]
    TooLong(usize),
}

/// A pattern: `*` stands for any run of characters, `?` for one, everything else for itself in either ASCII case.
///
/// Matching takes time linear in the text, whatever the pattern: the text is a stranger's. The pattern is run as a
/// non-deterministic automaton whose set of states is a row of bits, moved one byte of text at a time.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    automaton: Option<Automaton>,
}

impl Pattern {
    /// Takes a pattern.
    ///
    /// # Errors
    /// [`PatternError`] if it is blank or too long.
    pub fn new(text: &str) -> Result<Pattern, PatternError> {
        if text.is_empty() || text.trim() != text {
            return Err(PatternError::Blank(text.to_owned()));
        }
        if text.len() > MAX_BYTES {
            return Err(PatternError::TooLong(text.len()));
        }
        // Without wildcards, as most patterns are, comparing is all there is to do.
        let automaton = text.contains(['*', '?']).then(|| Automaton::new(text));
        Ok(Pattern { text: text.to_owned(), automaton })
    }

    /// Whether the whole text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match &self.automaton {
            None => self.text.eq_ignore_ascii_case(text),
            Some(automaton) => automaton.matches(text),
        }
    }

    /// Whether the pattern matches every text.
    #[must_use]
    pub fn matches_everything(&self) -> bool {
        self.text.bytes().all(|byte| byte == b'*')
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// State *i* is "the first *i* elements are matched"; bit *i* of a row stands for state *i*.
#[derive(Clone)]
struct Automaton {
    words: usize,
    /// For each byte of text, `words` words: bit *i + 1* is set where element *i* takes that byte.
    step: Vec<u64>,
    /// States before which a `*` stands: any byte leaves them as they are.
    star: Vec<u64>,
    /// States reached by a `?`: the further bytes of its character leave them as they are.
    within: Vec<u64>,
    accept: usize,
}

impl Automaton {
    fn new(pattern: &str) -> Automaton {
        let accept = pattern.bytes().filter(|&byte| byte != b'*').count();
        let words = (accept + 1).div_ceil(64);
        let mut automaton =
            Automaton { words, step: vec![0; 256 * words], star: vec![0; words], within: vec![0; words], accept };
        let mut state = 0;
        for byte in pattern.bytes() {
            if byte == b'*' {
                set(&mut automaton.star, state);
                continue;
            }
            state += 1;
            let takes = |text: u8| match byte {
                b'?' => !is_continuation(text),
                _ => text.eq_ignore_ascii_case(&byte),
            };
            for text in (0..=u8::MAX).filter(|&text| takes(text)) {
                let row = usize::from(text) * words;
                set(&mut automaton.step[row..row + words], state);
            }
            if byte == b'?' {
                set(&mut automaton.within, state);
            }
        }
        automaton
    }

    fn matches(&self, text: &str) -> bool {
        let mut states = vec![0u64; self.words];
        set(&mut states, 0);
        for byte in text.bytes() {
            let row = usize::from(byte) * self.words;
            let within = if is_continuation(byte) { u64::MAX } else { 0 };
            let mut carry = 0;
            let mut alive = 0;
            for (word, state) in states.iter_mut().enumerate() {
                let moved = (*state << 1 | carry) & self.step[row + word];
                let stayed = *state & (self.star[word] | self.within[word] & within);
                carry = *state >> 63;
                *state = moved | stayed;
                alive |= *state;
            }
            if alive == 0 {
                return false;
            }
        }
        states[self.accept / 64] >> (self.accept % 64) & 1 == 1
    }
}

fn set(row: &mut [u64], bit: usize) {
    row[bit / 64] |= 1 << (bit % 64);
}

/// Whether a byte of UTF-8 goes on with a character that an earlier byte began.
fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Pattern, PatternError> {
        Pattern::new(text)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pattern, D::Error> {
        let text = String::deserialize(deserializer)?;
        Pattern::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The slow oracle: the definition, read aloud.
    fn defined(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => {
                defined(rest, text) || text.split_first().is_some_and(|(_, text)| defined(pattern, text))
            }
            (Some(('?', rest)), Some((_, text))) => defined(rest, text),
            (Some((one, rest)), Some((other, text))) => one.eq_ignore_ascii_case(other) && defined(rest, text),
            _ => false,
        }
    }

    #[test]
    fn matches_as_people_expect() {
        for (pattern, text, expected) in [
            ("terraform-*", "Terraform-Apply", true),
            ("terraform-*", "my-terraform-apply", false),
            ("*:role/*/deploy", "arn:aws:iam::111111111111:role/ci/Deploy", true),
            ("*", "", true),
            ("?", "é", true),
            ("?", "", false),
            ("d?ploy", "deploy", true),
            ("deploy", "DEPLOY", true),
            ("deploy", "deployer", false),
            ("**a**", "banana", true),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().matches(text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_hostile_text_takes_no_more_steps_than_bytes() {
        // A backtracking matcher needs some 10^19 steps here; this test would never end.
        let pattern = Pattern::new(&"*a".repeat(30)).unwrap();
        let text = format!("{}b", "a".repeat(200_000));
        assert!(!pattern.matches(&text));
    }

    #[test]
    fn refuses_what_could_not_match() {
        assert_eq!(Pattern::new(""), Err(PatternError::Blank(String::new())));
        assert_eq!(Pattern::new(" a"), Err(PatternError::Blank(" a".to_owned())));
        assert_eq!(Pattern::new(&"a".repeat(2049)), Err(PatternError::TooLong(2049)));
        assert!(Pattern::new("***").unwrap().matches_everything());
        assert!(!Pattern::new("*?").unwrap().matches_everything());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?é]{1,8}", text in "[abABé]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = defined(&chars(&pattern), &chars(&text));
            prop_assert_eq!(Pattern::new(&pattern).unwrap().matches(&text), expected);
        }

    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        /// Crosses the boundaries between words of bits.
        #[test]
        fn agrees_with_the_definition_on_long_patterns(head in "[ab]{0,140}", tail in "[a?]{1,60}", more in "[ab]{0,3}") {
            let pattern = format!("{head}*{tail}");
            let text = format!("{head}{more}{}", tail.replace('?', "é"));
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert!(defined(&chars(&pattern), &chars(&text)));
            prop_assert!(Pattern::new(&pattern).unwrap().matches(&text));
            let other = format!("{text}b");
            prop_assert_eq!(Pattern::new(&pattern).unwrap().matches(&other), defined(&chars(&pattern), &chars(&other)));
        }
    }
}
