//! What a client may ask: the text of a query cut into statements, and each of them recognised or refused.
//!
//! This list is the first of two walls; the second is the check of every plan in `planning`. What is not on the list
//! does not reach a planner at all.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::problem::Problem;
use super::words::{Places, Reader, Word};

/// A statement of a query's text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// Its own text.
    pub(super) sql: String,
    /// How many characters of the query's text stand before it.
    pub(super) before: usize,
    pub(super) verb: Verb,
}

impl Statement {
    /// Returns how its answer ends.
    pub(super) fn answer_tag(&self) -> Tag {
        let begins = |word: &str| self.sql.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        match () {
            () if begins("EXPLAIN") => Tag::Explain,
            () if begins("SHOW") => Tag::Show,
            () => Tag::Select,
        }
    }
}

/// How the answer to a query ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Select,
    Explain,
    Show,
}

impl Tag {
    /// Returns the tag for an answer of so many rows.
    pub(super) fn complete(self, rows: usize) -> String {
        match self {
            Tag::Select => format!("SELECT {rows}"),
            Tag::Explain => "EXPLAIN".to_owned(),
            Tag::Show => "SHOW".to_owned(),
        }
    }
}

/// What a statement is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verb {
    /// Goes to a planner.
    Query,
    Begin,
    Commit,
    Rollback,
    /// `SAVEPOINT` and `RELEASE`: nothing is written, so that nothing can be undone.
    Savepoint(&'static str),
    RollbackTo,
    Set {
        name: String,
        value: Option<String>,
        local: bool,
    },
    /// Accepted without any effect, and answered with this.
    Nothing(&'static str),
    Reset(String),
    ResetAll,
    Discard,
    Deallocate(Option<String>),
    Show(String),
    ShowAll,
    Declare {
        cursor: String,
        hold: bool,
        query: String,
        before: usize,
    },
    /// All rows where there is no count.
    Fetch {
        cursor: String,
        count: Option<usize>,
    },
    Move {
        cursor: String,
        count: Option<usize>,
    },
    Close(Option<String>),
}

/// What `SHOW` lists that is no setting: a planner knows.
const LISTS: &[&str] =
    &["TABLES", "COLUMNS", "SCHEMAS", "DATABASES", "CATALOGS", "FUNCTIONS", "VIEWS", "PARTITIONS", "CREATE", "STATS"];

/// First words of statements that change something, or might: refused by their name. Another word is a mistake.
const CHANGES: &[&str] = &[
    "ALTER",
    "ANALYZE",
    "CALL",
    "CHECKPOINT",
    "CLUSTER",
    "COMMENT",
    "COMMIT",
    "COPY",
    "CREATE",
    "DELETE",
    "DO",
    "DROP",
    "END",
    "EXECUTE",
    "GRANT",
    "IMPORT",
    "INSERT",
    "LISTEN",
    "LOAD",
    "LOCK",
    "MERGE",
    "MSCK",
    "NOTIFY",
    "OPTIMIZE",
    "PREPARE",
    "REASSIGN",
    "REFRESH",
    "REINDEX",
    "REPLACE",
    "REVOKE",
    "ROLLBACK",
    "SECURITY",
    "TRUNCATE",
    "UNLOAD",
    "UPDATE",
    "USE",
    "VACUUM",
];

/// Cuts a query's text into its statements.
pub(super) fn statements(text: &str) -> Result<Vec<Result<Statement, Problem>>, Problem> {
    let tokens = match Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location() {
        Ok(tokens) => tokens,
        Err(error) => {
            let mut places = Places::new(text);
            let position = places.find(error.location).1 + 1;
            return Err(Problem { position: Some(position), ..Problem::new("42601", error.message) });
        }
    };
    let mut places = Places::new(text);
    let mut statements = Vec::new();
    let mut words: Vec<Word> = Vec::new();
    for token in tokens {
        let (start, before) = places.find(token.span.start);
        match token.token {
            Token::Whitespace(_) | Token::EOF => {}
            Token::SemiColon => cut(&mut statements, &mut words, text, start),
            token => words.push(Word { token, start, before }),
        }
    }
    cut(&mut statements, &mut words, text, text.len());
    Ok(statements)
}

fn cut(statements: &mut Vec<Result<Statement, Problem>>, words: &mut Vec<Word>, text: &str, end: usize) {
    let words = std::mem::take(words);
    let Some(first) = words.first() else { return };
    let sql = text[first.start..end].trim_end().to_owned();
    let before = first.before;
    let statement = match recognise(&words, text, end) {
        Ok(verb) => Ok(Statement { sql, before, verb }),
        Err(problem) => Err(Problem { position: problem.position.or(Some(before + 1)), ..problem }),
    };
    statements.push(statement);
}

fn recognise(words: &[Word], text: &str, end: usize) -> Result<Verb, Problem> {
    if matches!(words.first().map(|word| &word.token), Some(Token::LParen)) {
        return Ok(Verb::Query);
    }
    let mut reader = Reader { words, at: 0 };
    let Some(first) = reader.peek() else { return Err(reader.syntax()) };
    reader.at = 1;
    let verb = match first.as_str() {
        "SELECT" | "WITH" | "VALUES" | "TABLE" => return Ok(Verb::Query),
        "EXPLAIN" => return explain(&mut reader),
        "DESCRIBE" | "DESC" => match reader.peek() {
            Some(word) if CHANGES.contains(&word.as_str()) => return Err(Problem::refused(&word)),
            _ => return Ok(Verb::Query),
        },
        "SHOW" => return show(&mut reader),
        // What stands behind them (an isolation level, AND CHAIN) changes nothing here.
        "BEGIN" => return Ok(Verb::Begin),
        "START" if reader.take(&["TRANSACTION"]) => return Ok(Verb::Begin),
        "COMMIT" | "END" if !reader.take(&["PREPARED"]) => return Ok(Verb::Commit),
        "ROLLBACK" | "ABORT" if !reader.take(&["PREPARED"]) => {
            reader.take(&["WORK", "TRANSACTION"]);
            return Ok(if reader.take(&["TO"]) { Verb::RollbackTo } else { Verb::Rollback });
        }
        "SAVEPOINT" => return Ok(Verb::Savepoint("SAVEPOINT")),
        "RELEASE" => return Ok(Verb::Savepoint("RELEASE")),
        "SET" => return set(&mut reader),
        "RESET" => reset(&mut reader)?,
        "DISCARD" => match reader.take(&["ALL"]) {
            true => Verb::Discard,
            false if reader.take(&["PLANS", "SEQUENCES", "TEMP", "TEMPORARY"]) => Verb::Nothing("DISCARD"),
            false => return Err(reader.syntax()),
        },
        "DEALLOCATE" => {
            reader.take(&["PREPARE"]);
            let name = if reader.take(&["ALL"]) { None } else { Some(reader.name()?) };
            Verb::Deallocate(name)
        }
        "UNLISTEN" => return Ok(Verb::Nothing("UNLISTEN")),
        "DECLARE" => return declare(&mut reader, text, end),
        "FETCH" | "MOVE" => fetch(&mut reader, &first)?,
        "CLOSE" => Verb::Close(if reader.take(&["ALL"]) { None } else { Some(reader.name()?) }),
        _ if CHANGES.contains(&first.as_str()) => return Err(Problem::refused(&first)),
        _ => {
            reader.at = 0;
            return Err(reader.syntax());
        }
    };
    reader.end()?;
    Ok(verb)
}

/// Lets `EXPLAIN` explain a query only: with `ANALYZE` it runs what it explains.
fn explain(reader: &mut Reader<'_>) -> Result<Verb, Problem> {
    loop {
        let is_list = matches!(reader.words.get(reader.at).map(|word| &word.token), Some(Token::LParen));
        if is_list {
            reader.at += 1;
            if reader.is_query() {
                return Ok(Verb::Query);
            }
            while let Some(word) = reader.words.get(reader.at) {
                reader.at += 1;
                if matches!(word.token, Token::RParen) {
                    break;
                }
            }
        } else if reader.take(&["FORMAT"]) {
            reader.at += 1;
        } else if !reader.take(&["ANALYZE", "VERBOSE"]) {
            break;
        }
    }
    match reader.peek() {
        _ if reader.is_query() => Ok(Verb::Query),
        Some(word) if CHANGES.contains(&word.as_str()) => Err(Problem::refused(&format!("EXPLAIN of {word}"))),
        _ => Err(reader.syntax()),
    }
}

fn show(reader: &mut Reader<'_>) -> Result<Verb, Problem> {
    if reader.peek().is_some_and(|word| LISTS.contains(&word.as_str())) {
        return Ok(Verb::Query);
    }
    let verb = if reader.take(&["ALL"]) {
        Verb::ShowAll
    } else if reader.take(&["TIME"]) && reader.take(&["ZONE"]) {
        Verb::Show("TimeZone".to_owned())
    } else if reader.take(&["TRANSACTION"]) && reader.take(&["ISOLATION"]) && reader.take(&["LEVEL"]) {
        Verb::Show("transaction_isolation".to_owned())
    } else if reader.take(&["SESSION"]) && reader.take(&["AUTHORIZATION"]) {
        Verb::Show("session_authorization".to_owned())
    } else {
        Verb::Show(reader.name()?)
    };
    reader.end()?;
    Ok(verb)
}

fn set(reader: &mut Reader<'_>) -> Result<Verb, Problem> {
    let local = reader.take(&["LOCAL"]);
    let session = !local && reader.take(&["SESSION"]);
    if session && reader.take(&["CHARACTERISTICS"]) || reader.take(&["TRANSACTION"]) {
        return Ok(Verb::Nothing("SET"));
    }
    if reader.take(&["ROLE", "AUTHORIZATION", "CONSTRAINTS"]) {
        return Err(Problem::refused("SET ROLE and the like"));
    }
    let name = if reader.take(&["TIME"]) {
        if !reader.take(&["ZONE"]) {
            return Err(reader.syntax());
        }
        let is_local = reader.take(&["LOCAL"]);
        if is_local && reader.is_done() {
            return Ok(Verb::Set { name: "timezone".to_owned(), value: None, local });
        }
        "timezone".to_owned()
    } else if reader.take(&["NAMES"]) {
        "client_encoding".to_owned()
    } else {
        let name = reader.name()?;
        let is_assigned = matches!(reader.words.get(reader.at).map(|word| &word.token), Some(Token::Eq));
        reader.at += usize::from(is_assigned);
        if !is_assigned && !reader.take(&["TO"]) {
            return Err(reader.syntax());
        }
        name
    };
    if reader.is_done() {
        return Err(reader.syntax());
    }
    let value = reader.value()?;
    Ok(Verb::Set { name, value, local })
}

fn reset(reader: &mut Reader<'_>) -> Result<Verb, Problem> {
    if reader.take(&["ALL"]) {
        return Ok(Verb::ResetAll);
    }
    if reader.take(&["ROLE"]) {
        return Ok(Verb::Nothing("RESET"));
    }
    if reader.take(&["TIME"]) && reader.take(&["ZONE"]) {
        return Ok(Verb::Reset("timezone".to_owned()));
    }
    if reader.take(&["SESSION"]) && reader.take(&["AUTHORIZATION"]) {
        return Ok(Verb::Nothing("RESET"));
    }
    Ok(Verb::Reset(reader.name()?))
}

fn declare(reader: &mut Reader<'_>, text: &str, end: usize) -> Result<Verb, Problem> {
    let cursor = reader.name()?;
    loop {
        if reader.take(&["BINARY", "ASENSITIVE", "INSENSITIVE"]) {
            continue;
        }
        if reader.take(&["NO"]) {
            if !reader.take(&["SCROLL"]) {
                return Err(reader.syntax());
            }
            continue;
        }
        if reader.take(&["SCROLL"]) {
            return Err(Problem::new("0A000", "cursors scroll forward only"));
        }
        break;
    }
    if !reader.take(&["CURSOR"]) {
        return Err(reader.syntax());
    }
    let hold = reader.take(&["WITH"]);
    if hold || reader.take(&["WITHOUT"]) {
        reader.take(&["HOLD"]);
    }
    if !reader.take(&["FOR"]) {
        return Err(reader.syntax());
    }
    let Some(first) = reader.words.get(reader.at) else { return Err(reader.syntax()) };
    if !reader.is_query() {
        return Err(Problem::refused("a cursor over anything else"));
    }
    let query = text[first.start..end].trim_end().to_owned();
    Ok(Verb::Declare { cursor, hold, query, before: first.before })
}

fn fetch(reader: &mut Reader<'_>, first: &str) -> Result<Verb, Problem> {
    const BACKWARD: &[&str] = &["PRIOR", "FIRST", "LAST", "ABSOLUTE", "RELATIVE", "BACKWARD"];
    if reader.take(BACKWARD) {
        return Err(Problem::new("0A000", "cursors scroll forward only"));
    }
    reader.take(&["NEXT", "FORWARD"]);
    let count = match reader.words.get(reader.at).map(|word| &word.token) {
        Some(Token::Number(number, _)) => {
            let Ok(count) = number.parse() else { return Err(reader.syntax()) };
            reader.at += 1;
            Some(count)
        }
        Some(Token::Minus) => return Err(Problem::new("0A000", "cursors scroll forward only")),
        // A cursor may be called "all" where nothing follows.
        _ if reader.words.len() > reader.at + 1 && reader.take(&["ALL"]) => None,
        _ => Some(1),
    };
    reader.take(&["FROM", "IN"]);
    let cursor = reader.name()?;
    Ok(match first {
        "MOVE" => Verb::Move { cursor, count },
        _ => Verb::Fetch { cursor, count },
    })
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
