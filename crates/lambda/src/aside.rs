//! What is read and not stored: in the function's log, whole, in as many lines as it takes.

use std::io;

use pipeline::aside::{Aside, Rejection, VariantCopy};
use pipeline::escape;

/// The most characters of a record in one line: a line of a log takes 256 KB, of which one character, escaped, may take ten.
const LINE: usize = 20_000;

pub(crate) struct LogAside;

impl Aside for LogAside {
    fn rejected(&self, rejection: &Rejection<'_>) -> io::Result<bool> {
        let Rejection { source_object, number, reason, text } = *rejection;
        for (part, text) in lines(text) {
            tracing::warn!(source_object, number, reason, part, %text, "a record was rejected");
        }
        Ok(true)
    }

    fn variant(&self, variant: &VariantCopy<'_>) -> io::Result<bool> {
        let VariantCopy { event_id, source_object, record } = *variant;
        for (part, record) in lines(record) {
            tracing::warn!(event_id, source_object, part, %record, "another copy of an event says something else");
        }
        Ok(true)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A stranger's text, line by line, each with its number.
fn lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut rest = text;
    let mut part = 0;
    std::iter::from_fn(move || {
        if rest.is_empty() && part > 0 {
            return None;
        }
        let end = rest.char_indices().nth(LINE).map_or(rest.len(), |(at, _)| at);
        let (line, behind) = rest.split_at(end);
        (rest, part) = (behind, part + 1);
        Some((part, escape::terminal(line).into_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_record_is_logged_whole() {
        let text = format!("{}é\u{1b}[31m", "x".repeat(LINE - 1));
        let logged: Vec<(usize, String)> = lines(&text).collect();
        assert_eq!(logged.iter().map(|(part, _)| *part).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(logged[0].1, format!("{}é", "x".repeat(LINE - 1)));
        assert!(!logged[1].1.contains('\u{1b}') && logged[1].1.contains("[31m"), "{:?}", logged[1]);
        assert_eq!(lines("").collect::<Vec<_>>(), [(1, String::new())]);
    }
}
