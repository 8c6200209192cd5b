//! What goes wrong, as a client is told: a class, a message and perhaps a place.

use std::io;

use datafusion::error::DataFusionError;
use pgwire::error::{ErrorInfo, PgWireError};

use super::asker::AskError;

/// The longest message sent, in characters.
const MESSAGE: usize = 4096;

/// An error for the client.
#[derive(Debug)]
pub(super) struct Problem {
    /// Whether the connection ends with it.
    pub(super) fatal: bool,
    pub(super) sqlstate: String,
    pub(super) message: String,
    pub(super) hint: Option<&'static str>,
    /// In characters of the query's text, counted from one.
    pub(super) position: Option<usize>,
}

impl Problem {
    pub(super) fn new(sqlstate: &str, message: impl Into<String>) -> Problem {
        Problem { fatal: false, sqlstate: sqlstate.to_owned(), message: message.into(), hint: None, position: None }
    }

    pub(super) fn fatal(sqlstate: &str, message: impl Into<String>) -> Problem {
        Problem { fatal: true, ..Problem::new(sqlstate, message) }
    }

    /// What is refused because it is no query.
    pub(super) fn refused(what: &str) -> Problem {
        Problem {
            hint: Some("this server reads; SELECT, WITH, VALUES, EXPLAIN, SHOW and DESCRIBE are what it knows"),
            ..Problem::new("42501", format!("only queries are allowed here, not {what}"))
        }
    }

    /// Moves the position by what stands before the statement, in characters.
    pub(super) fn after(mut self, characters: usize) -> Problem {
        self.position = self.position.map(|position| position + characters);
        self
    }

    /// Returns the fields of the message, with nothing in them that could end a field or steer a terminal.
    pub(super) fn fields(&self) -> Vec<(u8, String)> {
        let severity = if self.fatal { "FATAL" } else { "ERROR" };
        let mut fields = vec![
            (b'S', severity.to_owned()),
            (b'V', severity.to_owned()),
            (b'C', self.sqlstate.chars().filter(char::is_ascii_alphanumeric).take(5).collect()),
            (b'M', printable(&self.message)),
        ];
        if let Some(hint) = self.hint {
            fields.push((b'H', hint.to_owned()));
        }
        if let Some(position) = self.position {
            fields.push((b'P', position.to_string()));
        }
        fields
    }
}

/// Escapes control characters but line breaks and tabs, and cuts what is too long.
fn printable(text: &str) -> String {
    let mut printed = String::with_capacity(text.len().min(MESSAGE));
    for (count, character) in text.chars().enumerate() {
        if count == MESSAGE {
            printed.push('…');
            break;
        }
        if character.is_control() && !matches!(character, '\n' | '\t') {
            printed.extend(character.escape_unicode());
        } else {
            printed.push(character);
        }
    }
    printed
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Problem {
        Problem { position: error.position, ..Problem::new(&error.sqlstate, error.message) }
    }
}

impl From<DataFusionError> for Problem {
    fn from(error: DataFusionError) -> Problem {
        Problem::from(AskError::from(error))
    }
}

impl From<PgWireError> for Problem {
    fn from(error: PgWireError) -> Problem {
        let info = ErrorInfo::from(error);
        Problem::new(&info.code, info.message)
    }
}

/// Why a request was not served to its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client is told, and asks again.
    Problem(Problem),
    /// There is nobody to tell.
    Gone,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure::Problem(problem)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        tracing::debug!(%error, "a client of the door went away");
        Failure::Gone
    }
}

#[cfg(test)]
mod tests {
    use super::Problem;

    #[test]
    fn a_message_cannot_end_its_field_or_steer_a_terminal() {
        let problem = Problem::new("42\u{0}601", "no column \"a\u{0}C00000\u{1b}[2J\"\nhere");
        let fields = problem.fields();
        assert!(fields.iter().all(|(_, text)| !text.contains(['\0', '\u{1b}'])), "{fields:?}");
        assert!(fields.contains(&(b'C', "42601".to_owned())), "{fields:?}");
    }

    #[test]
    fn a_long_message_is_cut() {
        let problem = Problem::new("XX000", "x".repeat(1 << 20));
        assert!(problem.fields().iter().all(|(_, text)| text.len() < 5000));
    }
}
