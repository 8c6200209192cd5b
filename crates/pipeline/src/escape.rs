//! A stranger's text, made harmless for the place where it is shown.
//!
//! Everything inside an event may have been chosen by whoever made the call: user names, session names, user agents,
//! even regions. The functions here change nothing in ordinary text and borrow it.

use std::borrow::Cow;
use std::fmt::Write;

/// The longest subject Amazon SNS takes, in characters.
pub const SUBJECT_MAX: usize = 100;

/// Whether a character moves a terminal's cursor, changes the order of what is read, or cannot be seen: controls
/// (C0, DEL, C1), line and paragraph separators, every format character of Unicode (bidirectional overrides,
/// zero-width characters, tags …) and the letters that are drawn as nothing.
fn is_hidden(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Zl, Zp
        | '\u{2028}' | '\u{2029}'
        // Cf, Unicode 16
        | '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}'
        | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e007f}'
        // Drawn as nothing: grapheme joiner, Hangul and Khmer fillers, Braille blank, variation selectors.
        | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2065}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{e0080}'..='\u{e0fff}')
}

/// Makes text fit for a terminal and for one line: what [is hidden](self) is written out, `\n`, `\t`, `\r` or
/// `\u{1b}`.
#[must_use]
pub fn terminal(text: &str) -> Cow<'_, str> {
    replace(text, is_hidden, |escaped, character| match character {
        '\n' => escaped.push_str("\\n"),
        '\t' => escaped.push_str("\\t"),
        '\r' => escaped.push_str("\\r"),
        _ => {
            let _ = write!(escaped, "\\u{{{:x}}}", u32::from(character));
        }
    })
}

/// Makes text fit for one line of a message: as [`terminal`], and no longer than `max` characters, the last of them
/// `…` where something was cut.
#[must_use]
pub fn single_line(text: &str, max: usize) -> Cow<'_, str> {
    // Escaping only lengthens, so what lies beyond `max` characters cannot be shown anyway.
    let (kept, cut) = match text.char_indices().nth(max) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    };
    let line = terminal(kept);
    if !cut && line.chars().count() <= max {
        return line;
    }
    let mut line: String = line.chars().take(max.saturating_sub(1)).collect();
    if max > 0 {
        line.push('…');
    }
    Cow::Owned(line)
}

/// Makes a JSON document fit for a terminal without changing its value: what [is hidden](self) and may stand
/// unescaped in a JSON string becomes `\uXXXX`.
///
/// Line breaks and tabs stay, since in a valid document they only stand between its tokens.
#[must_use]
pub fn json(document: &str) -> Cow<'_, str> {
    let in_a_string = |character| is_hidden(character) && !matches!(character, '\n' | '\r' | '\t');
    replace(document, in_a_string, |escaped, character| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    })
}

/// Makes text fit for a cell of a CSV file that a spreadsheet opens or a terminal shows: what [is hidden](self) is
/// written out as [`terminal`] does, and a cell that would be read as a formula gets a `'` in front, as OWASP advises
/// ("CSV Injection").
///
/// Formulas begin with `=`, `+`, `-`, `@` (or their full-width forms); blanks before them do not count. So `-5` becomes
/// `'-5`: use this for text, not for our own numbers. Quotes and separators are the CSV writer's business.
#[must_use]
pub fn csv_cell(text: &str) -> Cow<'_, str> {
    let shown = terminal(text);
    let first = shown.chars().find(|character| !character.is_whitespace());
    let is_formula = matches!(first, Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠'));
    if is_formula { Cow::Owned(format!("'{shown}")) } else { shown }
}

/// Makes a subject that every mail system and Amazon SNS take: printable ASCII, at most [`SUBJECT_MAX`] characters, no
/// line break. Other characters become `?`.
#[must_use]
pub fn subject(text: &str) -> String {
    let printable = |character: char| if matches!(character, ' '..='~') { character } else { '?' };
    let mut subject: String = text.trim().chars().take(SUBJECT_MAX + 1).map(printable).collect();
    if subject.len() > SUBJECT_MAX {
        subject.truncate(SUBJECT_MAX - 3);
        subject.truncate(subject.trim_end().len());
        subject.push_str("...");
    }
    subject
}

/// Whether text is printable ASCII, which most of it is: told without a look at each character.
fn is_printable_ascii(text: &str) -> bool {
    let printable = |bytes: &[u8]| bytes.iter().fold(true, |all, byte| all & (b' '..=b'~').contains(byte));
    text.as_bytes().chunks(64).all(printable)
}

fn replace(text: &str, hits: impl Fn(char) -> bool, mut write: impl FnMut(&mut String, char)) -> Cow<'_, str> {
    if is_printable_ascii(text) {
        return Cow::Borrowed(text);
    }
    let Some(first) = text.find(&hits) else { return Cow::Borrowed(text) };
    let (clean, rest) = text.split_at(first);
    let mut escaped = String::with_capacity(text.len() + 16);
    escaped.push_str(clean);
    for character in rest.chars() {
        if hits(character) {
            write(&mut escaped, character);
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_terminal_sees_escapes_and_not_their_effect() {
        for (text, shown) in [
            ("plain text, naïve 漢字 🦀", "plain text, naïve 漢字 🦀"),
            ("\u{1b}[2J\u{1b}]0;owned\u{7}", "\\u{1b}[2J\\u{1b}]0;owned\\u{7}"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("alice\u{202e}gpj.exe", "alice\\u{202e}gpj.exe"),
            ("ad\u{200b}min\u{feff}", "ad\\u{200b}min\\u{feff}"),
            ("tag\u{e0041}", "tag\\u{e0041}"),
            (r"CORP\alice", r"CORP\alice"),
        ] {
            assert_eq!(terminal(text), shown);
        }
        assert!(matches!(terminal("nothing to do"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_line_is_cut_where_it_is_too_long() {
        assert_eq!(single_line("abcdef", 6), "abcdef");
        assert_eq!(single_line("abcdefg", 6), "abcde…");
        assert_eq!(single_line("a\nb", 4), "a\\nb");
        assert_eq!(single_line("a\nbc", 4), "a\\n…");
    }

    #[test]
    fn a_cell_is_never_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "  =cmd|'/c calc'!A1", "＝1"] {
            assert_eq!(csv_cell(formula), format!("'{formula}"));
        }
        for (hidden, cell) in [
            ("\t=1", "\\t=1"),
            ("\r=1", "\\r=1"),
            ("\n=1", "\\n=1"),
            ("\u{200b}=1", "\\u{200b}=1"),
            ("a\u{1b}[2J", "a\\u{1b}[2J"),
        ] {
            assert_eq!(csv_cell(hidden), cell);
        }
        for text in ["", "a=1", "10.0.0.1", "alice@example.com", "'quoted", "  "] {
            assert!(matches!(csv_cell(text), Cow::Borrowed(_)), "{text:?}");
        }
    }

    #[test]
    fn a_subject_fits_sns() {
        assert_eq!(subject("[CRITICAL] IAM Alert: Root Account Login"), "[CRITICAL] IAM Alert: Root Account Login");
        assert_eq!(subject("a\r\nBcc: b@example.com é"), "a??Bcc: b@example.com ?");
        let exact = "x".repeat(100);
        assert_eq!(subject(&exact), exact);
        assert_eq!(subject(&"x".repeat(101)), format!("{}...", "x".repeat(97)));
    }

    proptest! {
        #[test]
        fn no_hidden_character_survives(text in any::<String>(), max in 0usize..40) {
            prop_assert!(!terminal(&text).contains(is_hidden));
            prop_assert!(!terminal(&text).contains(char::is_control));
            let line = single_line(&text, max);
            prop_assert!(!line.contains(is_hidden));
            prop_assert!(line.chars().count() <= max);
            let subject = subject(&text);
            prop_assert!(subject.len() <= SUBJECT_MAX && subject.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }

        #[test]
        fn what_can_be_seen_stays_as_it_is(text in "[ -~äß漢🦀]{0,40}") {
            prop_assert_eq!(terminal(&text), text.as_str());
        }

        #[test]
        fn a_json_document_keeps_its_value(text in any::<String>(), key in "\\PC*") {
            let value = serde_json::json!({ key: [text] });
            for document in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let escaped = json(&document);
                prop_assert!(!escaped.contains(|character| is_hidden(character) && character != '\n'));
                prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), &value);
            }
        }

        #[test]
        fn a_cell_begins_with_nothing_a_spreadsheet_runs(text in "[=+@\t\r\n -]{0,4}.{0,4}") {
            let cell = csv_cell(&text);
            prop_assert!(!cell.starts_with(['=', '+', '-', '@']));
            prop_assert!(!cell.contains(is_hidden));
            prop_assert!(cell.ends_with(&*terminal(&text)));
        }
    }
}
