//! What can be wrong with a statement, shown at its place.

use std::fmt;

use thiserror::Error;

/// Why a statement does not run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DialectError {
    /// The text is no SQL.
    #[error("syntax error at {place}: {reason}\n{}", place.excerpt)]
    Syntax {
        /// Where it stops being SQL.
        place: Box<Place>,
        /// What was expected there.
        reason: String,
    },
    /// The statement is no query.
    #[error("this is a window on the record: only queries are allowed, not {what}")]
    NotAQuery {
        /// What it is: `INSERT`.
        what: String,
    },
    /// More than one statement.
    #[error("one statement at a time: another begins at {place}\n{}", place.excerpt)]
    Several {
        /// Where the second begins.
        place: Box<Place>,
    },
    /// No statement at all.
    #[error("there is no statement")]
    Empty,
    /// The text is too long, or nested too deeply.
    #[error("the statement is too large: {reason}")]
    TooLarge {
        /// Which limit it exceeds.
        reason: String,
    },
    /// A table that is no table of ours: a file, a table function.
    #[error("{what} cannot be read from: {reason}")]
    Table {
        /// What was named.
        what: String,
        /// What to do instead.
        reason: String,
    },
    /// A function that does not exist.
    #[error("there is no function \"{name}\"{}", suggest(suggestion.as_deref()))]
    UnknownFunction {
        /// Its name.
        name: String,
        /// The nearest that exists.
        suggestion: Option<String>,
    },
    /// A part of Athena's SQL that is known and cannot be had.
    #[error("{what} is not supported here; {instead}")]
    Unsupported {
        /// The function or clause.
        what: String,
        /// What to write instead.
        instead: String,
    },
    /// A function with the wrong arguments.
    #[error("{name}: {reason}")]
    Arguments {
        /// The function.
        name: String,
        /// What it takes.
        reason: String,
    },
    /// A `:name` that no value was given for.
    #[error("there is no parameter \"{name}\"{} (at {place})\n{}", suggest(suggestion.as_deref()), place.excerpt)]
    UnknownParameter {
        /// Its name.
        name: String,
        /// The nearest that exists.
        suggestion: Option<String>,
        /// Where it stands.
        place: Box<Place>,
    },
    /// A value that cannot stand in SQL.
    #[error("the value of parameter \"{name}\" holds a NUL character")]
    Nul {
        /// The parameter.
        name: String,
    },
}

fn suggest(name: Option<&str>) -> String {
    name.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// A place in a statement's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line, counted from 1.
    pub line: u64,
    /// The character in the line, counted from 1.
    pub column: u64,
    /// The line and a caret under the place.
    pub excerpt: String,
}

/// How much of a long line an excerpt shows on each side of the place.
const AROUND: usize = 60;

impl Place {
    /// The place at a line and column, both counted from 1.
    pub(crate) fn new(text: &str, line: u64, column: u64) -> Box<Place> {
        let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        let source: Vec<char> = text.lines().nth(index).unwrap_or_default().chars().collect();
        let at = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX).min(source.len());
        let (from, to) = (at.saturating_sub(AROUND), (at + AROUND).min(source.len()));
        // What a terminal would obey is a space here; so is a tab, for the caret's sake.
        let shown: String =
            source[from..to].iter().map(|letter| if letter.is_control() { ' ' } else { *letter }).collect();
        let number = line.to_string();
        let caret = " ".repeat(number.len() + 3 + at - from);
        let excerpt = format!("{number} | {shown}\n{caret}^");
        Box::new(Place { line, column, excerpt })
    }

    /// The place after the last character.
    pub(crate) fn end(text: &str) -> Box<Place> {
        let trimmed = text.trim_end();
        let line = trimmed.lines().count().max(1);
        let column = trimmed.lines().next_back().unwrap_or_default().chars().count() + 1;
        Place::new(text, line as u64, column as u64)
    }

    /// The place of a byte of the text.
    pub(crate) fn of_byte(text: &str, at: usize) -> Box<Place> {
        let before = text.get(..at).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Place::new(text, line as u64, column as u64)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}
