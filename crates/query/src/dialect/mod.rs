//! A statement as its author wrote it for Athena, and the same statement as DataFusion runs it.
//!
//! [`render`] puts values in the place of `:name` parameters. [`prepare`] reads a statement (`tokens`, `grammar`),
//! refuses what is no query (`allow`) and turns Athena's SQL into DataFusion's (`rewrite`). What the two engines call
//! the same but mean differently is left to `functions`.

mod allow;
mod build;
mod error;
mod grammar;
mod literal;
mod render;
mod rewrite;
mod tokens;

#[cfg(test)]
mod tests;

use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;
use event::Timestamp;

pub use error::{DialectError, Place};
pub use literal::{Literal, LiteralType};
pub use render::{parameters, render};

use grammar::Athena;

/// The longest statement that is read.
const MAX_BYTES: usize = 1 << 20;
/// How deep parentheses and subqueries may nest.
const MAX_DEPTH: usize = 60;

/// A statement that may run: it reads, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    statement: Statement,
    functions: Vec<String>,
}

impl Prepared {
    /// The statement as DataFusion plans it.
    #[must_use]
    pub fn into_statement(self) -> DataFusionStatement {
        DataFusionStatement::Statement(Box::new(self.statement))
    }

    /// The statement.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Whether it explains how a query would run instead of running it.
    #[must_use]
    pub fn is_explain(&self) -> bool {
        matches!(self.statement, Statement::Explain { .. })
    }

    /// Looks up the functions it calls.
    ///
    /// # Errors
    ///
    /// A function that the session does not have.
    pub fn check_functions(&self, context: &SessionContext) -> Result<(), DialectError> {
        let state = context.state_ref();
        let state = state.read();
        let exists = |name: &str| {
            state.scalar_functions().contains_key(name)
                || state.aggregate_functions().contains_key(name)
                || state.window_functions().contains_key(name)
                || state.higher_order_functions().contains_key(name)
        };
        let Some(name) = self.functions.iter().find(|name| !exists(name)) else { return Ok(()) };
        let known = [
            state.scalar_functions().keys().collect::<Vec<_>>(),
            state.aggregate_functions().keys().collect(),
            state.window_functions().keys().collect(),
            state.higher_order_functions().keys().collect(),
        ];
        let known = known.iter().flatten().map(|name| name.as_str()).chain(rewrite::ONLY_REWRITTEN);
        // The forms that only `try(…)` calls are no names to suggest.
        let known = known.filter(|name| !name.starts_with(crate::functions::TRY_PREFIX));
        Err(DialectError::UnknownFunction { name: name.clone(), suggestion: crate::nearest(name, known) })
    }
}

/// Reads one statement of Athena's SQL: checks that it is a query, and makes of it what DataFusion runs.
///
/// `now` is what `now()`, `current_timestamp` and `current_date` stand for.
///
/// # Errors
///
/// What is no SQL, no query, more than one statement, too large, or not to be had here.
pub fn prepare(sql: &str, now: Timestamp) -> Result<Prepared, DialectError> {
    if sql.len() > MAX_BYTES {
        return Err(DialectError::TooLarge { reason: format!("{} bytes, of at most {MAX_BYTES}", sql.len()) });
    }
    let mut statement = parse(sql)?;
    allow::check(&statement)?;
    let functions = rewrite::rewrite(&mut statement, now)?;
    Ok(Prepared { statement, functions })
}

/// Reads one statement that another engine is to run as it is written: checks that it is a query, and returns its text
/// without the semicolon at its end.
///
/// The other engine reads the text itself, so both have to see the same words in it: what one takes for a comment must be
/// one for the other.
///
/// # Errors
///
/// What is no SQL, no query, more than one statement, too large, or read differently by Athena.
pub fn for_athena(sql: &str) -> Result<&str, DialectError> {
    if sql.len() > MAX_BYTES {
        return Err(DialectError::TooLarge { reason: format!("{} bytes, of at most {MAX_BYTES}", sql.len()) });
    }
    tokens::check_comments(sql)?;
    allow::check(&parse(sql)?)?;
    Ok(sql.trim().trim_end_matches(|letter: char| letter == ';' || letter.is_whitespace()))
}

pub(crate) fn parse(sql: &str) -> Result<Statement, DialectError> {
    let tokens = tokens::read(sql)?;
    let mut parser = Parser::new(&Athena).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
    while parser.consume_token(&Token::SemiColon) {}
    if parser.peek_token_ref().token == Token::EOF {
        return Err(DialectError::Empty);
    }
    // What begins no query is named before the parser trips over its details.
    if let Token::Word(word) = &parser.peek_token_ref().token
        && let Some(what) = allow::forbidden_verb(&word.value)
    {
        return Err(DialectError::NotAQuery { what });
    }
    let statement = parser.parse_statement().map_err(|error| syntax(sql, error))?;
    let end = parser.peek_token();
    if end.token != Token::EOF && end.token != Token::SemiColon {
        let place = Place::new(sql, end.span.start.line, end.span.start.column);
        let reason = format!("expected the end of the statement, found {}", end.token);
        return Err(DialectError::Syntax { place, reason });
    }
    while parser.consume_token(&Token::SemiColon) {}
    let next = parser.peek_token();
    if next.token != Token::EOF {
        return Err(DialectError::Several { place: Place::new(sql, next.span.start.line, next.span.start.column) });
    }
    Ok(statement)
}

fn syntax(sql: &str, error: ParserError) -> DialectError {
    let message = match error {
        ParserError::RecursionLimitExceeded => {
            return DialectError::TooLarge { reason: format!("nested more than {MAX_DEPTH} deep") };
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
    };
    // The parser writes the place behind its message alone.
    let placed = message.rsplit_once(" at Line: ").and_then(|(reason, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((reason.to_owned(), line.trim().parse::<u64>().ok()?, column.trim().parse::<u64>().ok()?))
    });
    match placed {
        Some((reason, line, column)) => {
            DialectError::Syntax { place: Place::new(sql, line, column), reason: lower_first(&reason) }
        }
        None => DialectError::Syntax { place: Place::end(sql), reason: lower_first(&message) },
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
