//! IAM's wildcards: `*` for any text (also none), `?` for any one character.

/// Does `pattern` match the whole of `text`?
///
/// Takes at most `pattern.len() + text.len()²` steps: only the last `*` seen is ever tried again, so that no pattern can
/// make it blow up.
pub fn matches(pattern: &str, text: &str) -> bool {
    matches_bytes(pattern.as_bytes(), text.as_bytes(), |a, b| a == b)
}

/// The same without regard to ASCII case, as action names and condition keys are compared.
pub fn matches_ignore_case(pattern: &str, text: &str) -> bool {
    matches_bytes(pattern.as_bytes(), text.as_bytes(), |a, b| a.eq_ignore_ascii_case(&b))
}

/// Works on bytes: `?` stands for one byte, which is one character in every text that is matched here. A text may hold
/// bytes that no UTF-8 pattern can name: only a wildcard matches those.
pub(super) fn matches_bytes(pattern: &[u8], text: &[u8], same: impl Fn(u8, u8) -> bool) -> bool {
    let (mut at_pattern, mut at_text) = (0, 0);
    // Where to go on after a mismatch: just behind the last `*`, with that star taking in one byte more.
    let mut retry: Option<(usize, usize)> = None;

    while at_text < text.len() {
        match pattern.get(at_pattern) {
            Some(b'*') => {
                at_pattern += 1;
                retry = Some((at_pattern, at_text));
            }
            Some(&wanted) if wanted == b'?' || same(wanted, text[at_text]) => {
                at_pattern += 1;
                at_text += 1;
            }
            _ => {
                let Some((behind_star, taken)) = retry else { return false };
                at_pattern = behind_star;
                at_text = taken + 1;
                retry = Some((behind_star, at_text));
            }
        }
    }
    pattern[at_pattern..].iter().all(|&byte| byte == b'*')
}

/// Has this pattern a wildcard?
pub(super) fn has_wildcard(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    /// The textbook definition, exponential and obviously right: the oracle of this module and of the evaluators.
    pub(crate) fn matches_slowly(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some((b'*', rest)), None) => matches_slowly(rest, text),
            (Some((b'*', rest)), Some((_, tail))) => matches_slowly(rest, text) || matches_slowly(pattern, tail),
            (Some((b'?', rest)), Some((_, tail))) => matches_slowly(rest, tail),
            (Some((wanted, rest)), Some((found, tail))) => wanted == found && matches_slowly(rest, tail),
            (Some(_), None) => false,
        }
    }

    #[test]
    fn wildcards_and_case() {
        for pattern in
            ["*", "**", "iam:*", "IAM:*", "i?m:*", "iam:Create*", "*:createuser", "iam:**User", "*:*", "???:*"]
        {
            assert!(matches_ignore_case(pattern, "iam:CreateUser"), "{pattern}");
        }
        for pattern in ["", "iam", "iam:", "iam:?", "sts:*", "iam:CreateUser?", "?iam:*", "iam:Create*Users"] {
            assert!(!matches_ignore_case(pattern, "iam:CreateUser"), "{pattern}");
        }
        assert!(!matches("IAM:*", "iam:CreateUser"), "case counts where it is asked for");
        assert!(matches("", ""));
        assert!(matches("***", ""));
    }

    #[test]
    fn hostile_patterns_take_no_time() {
        let text = "a".repeat(2_000);
        let hostile = format!("{}b", "a*".repeat(2_000));
        let stars = format!("{}b", "*".repeat(1_000_000));
        let questions = format!("*{}b", "?".repeat(900));
        let start = Instant::now();
        for pattern in [&hostile, &stars, &questions] {
            assert!(!matches(pattern, &text));
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }

    proptest! {
        /// The matcher agrees with the textbook definition.
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,9}", text in "[ab]{0,9}") {
            prop_assert_eq!(matches(&pattern, &text), matches_slowly(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
