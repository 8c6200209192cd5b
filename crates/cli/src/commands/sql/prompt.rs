//! The prompt: statements over several lines, history, completion, and a few commands that begin with a backslash.

use std::borrow::Cow;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Context, Editor, Helper};

use crate::args::{AnswerArgs, AnswerFormat, Format};
use crate::ask::{self, Asker, Manner};
use crate::exit::Exit;
use crate::output::Rows;
use crate::session::Session;

const HELP: &str = "\
End a statement with ; (it may take several lines). Tab completes tables, columns and functions.
  \\d            tables and views        \\d NAME      the columns of one
  \\df [TEXT]    functions               \\format NAME table, json, jsonl, csv
  \\timing       time, rows and bytes on or off
  \\?            this                    \\q           leave (ctrl-D too)";

/// Words that a statement is made of.
const KEYWORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "DESC",
    "ASC",
    "DISTINCT",
    "AND",
    "OR",
    "NOT",
    "IN",
    "LIKE",
    "BETWEEN",
    "IS NULL",
    "IS NOT NULL",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "JOIN",
    "LEFT JOIN",
    "WITH",
    "UNION ALL",
    "CAST",
    "AS",
    "INTERVAL",
    "EXPLAIN",
    "COUNT(*)",
];

pub(crate) fn run(
    session: &mut Session,
    asker: &Asker,
    conversation: &query::Session,
    arguments: &AnswerArgs,
) -> anyhow::Result<Exit> {
    let mut words = Words::default();
    for table in conversation.tables() {
        let columns = asker.runtime().block_on(conversation.columns(&table))?;
        words.columns.extend(columns.into_iter().map(|column| column.name));
        words.tables.push(table);
    }
    words.columns.sort();
    words.columns.dedup();
    words.functions = conversation.functions();
    let config = Config::builder().max_history_size(1_000)?.auto_add_history(true).build();
    let mut editor: Editor<Words, FileHistory> = Editor::with_config(config)?;
    editor.set_helper(Some(words));
    let history = session.home.join("sql_history");
    // There is none the first time.
    let _ = editor.load_history(&history);
    let mut arguments = arguments.clone();
    if !session.global.quiet {
        crate::complain(&format!(
            "trailhound {}; {} tables. \\? for help, \\q to leave.",
            env!("CARGO_PKG_VERSION"),
            conversation.tables().len()
        ));
    }
    loop {
        let line = match editor.readline("trailhound> ") {
            Ok(line) => line,
            // Ctrl-C takes back what was written; ctrl-D leaves.
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        };
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if session.home.is_dir() && editor.append_history(&history).is_err() {
            tracing::debug!("the history could not be written");
        }
        if let Some(command) = line.strip_prefix('\\') {
            match backslash(session, asker, conversation, &mut arguments, command) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => crate::complain(&format!("error: {}", crate::chain(&error))),
            }
            continue;
        }
        asker.forget_stop();
        let manner = Manner { arguments: &arguments, shown: &[] };
        match ask::answer(session, asker, conversation, line.trim_end_matches(';'), &manner) {
            Ok(Exit::Interrupted) => crate::complain("stopped"),
            Ok(_) => {}
            Err(error) => crate::complain(&format!("error: {}", crate::chain(&error))),
        }
    }
    Ok(Exit::Done)
}

/// Does what a command says; false where it ends the prompt.
fn backslash(
    session: &mut Session,
    asker: &Asker,
    conversation: &query::Session,
    arguments: &mut AnswerArgs,
    command: &str,
) -> anyhow::Result<bool> {
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim().trim_end_matches(';');
    match name {
        "q" | "quit" => return Ok(false),
        "?" | "h" | "help" => {
            for line in HELP.lines() {
                session.out.line(line)?;
            }
        }
        "d" | "dt" | "dv" if rest.is_empty() => {
            let mut rows = Rows::new(&["table", "columns"]);
            for table in conversation.tables() {
                let columns = asker.runtime().block_on(conversation.columns(&table))?.len();
                rows.push(vec![table.into(), columns.into()]);
            }
            rows.write(Format::Table, 2, &mut session.out)?;
        }
        "d" => {
            let mut rows = Rows::new(&["column", "type"]);
            for column in asker.runtime().block_on(conversation.columns(rest))? {
                rows.push(vec![column.name.into(), column.kind.into()]);
            }
            rows.write(Format::Table, 2, &mut session.out)?;
        }
        "df" => {
            let functions = conversation.functions();
            let wanted = functions.iter().filter(|function| function.contains(&rest.to_lowercase()));
            let text = wanted.map(String::as_str).collect::<Vec<_>>().join(" ");
            for line in crate::commands::detections::wrapped(&text, 100) {
                session.out.line(&line)?;
            }
        }
        "timing" => {
            session.global.quiet = !session.global.quiet;
            crate::complain(if session.global.quiet { "timing is off" } else { "timing is on" });
        }
        "format" => {
            use clap::ValueEnum;
            match AnswerFormat::from_str(rest, true) {
                Ok(AnswerFormat::Parquet) | Err(_) => anyhow::bail!("\\format takes table, json, jsonl or csv"),
                Ok(format) => arguments.format = format,
            }
        }
        _ => anyhow::bail!("there is no command \\{name}; \\? shows all"),
    }
    session.out.flush()?;
    Ok(true)
}

/// What can be completed.
#[derive(Default)]
struct Words {
    tables: Vec<String>,
    columns: Vec<String>,
    functions: Vec<String>,
}

impl Words {
    /// Words that begin as the text does, in the case of the user's.
    fn like<'w>(&'w self, start: &'w str, after_from: bool) -> impl Iterator<Item = Pair> + 'w {
        let pair = |text: &str, shown: &str| Pair { display: shown.to_owned(), replacement: text.to_owned() };
        let begins = move |word: &str| word.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
        let lower = start.chars().any(char::is_lowercase) || start.is_empty();
        let tables = self.tables.iter().filter(move |word| begins(word)).map(move |word| pair(word, word));
        let columns = self.columns.iter().filter(move |word| begins(word)).map(move |word| pair(word, word));
        let functions =
            self.functions.iter().filter(move |word| begins(word)).map(move |word| pair(&format!("{word}("), word));
        let keywords = KEYWORDS.iter().filter(move |word| begins(word)).map(move |word| {
            let word = if lower { Cow::Owned(word.to_lowercase()) } else { Cow::Borrowed(*word) };
            pair(&word, &word)
        });
        let others = columns.chain(functions).chain(keywords).filter(move |_| !after_from);
        tables.chain(others)
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(&self, line: &str, place: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..place).unwrap_or(line);
        let start = before
            .rfind(|letter| !is_word(letter))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let word = &before[start..];
        let previous = before[..start].split_whitespace().next_back().unwrap_or_default();
        let after_from = ["from", "join", "\\d"].iter().any(|keyword| previous.eq_ignore_ascii_case(keyword));
        if word.is_empty() && !after_from {
            return Ok((place, Vec::new()));
        }
        Ok((start, self.like(word, after_from).take(200).collect()))
    }
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input().trim();
        let whole = text.is_empty() || text.starts_with('\\') || text.ends_with(';');
        Ok(if whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}

impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(line: &str) -> Vec<String> {
        let words = Words {
            tables: vec!["events".to_owned(), "iam_events".to_owned()],
            columns: vec!["event_name".to_owned()],
            functions: vec!["element_at".to_owned()],
        };
        let history = FileHistory::new();
        let found = words.complete(line, line.len(), &Context::new(&history)).expect("candidates");
        found.1.into_iter().map(|pair| pair.replacement).collect()
    }

    #[test]
    fn tables_follow_from_and_everything_else_comes_elsewhere() {
        assert_eq!(completed("SELECT * FROM e"), ["events"]);
        assert_eq!(completed("select * from "), ["events", "iam_events"]);
        assert_eq!(completed("SELECT E"), ["events", "event_name", "element_at(", "ELSE", "END", "EXPLAIN"]);
        assert_eq!(completed("SELECT count(*) wher"), ["where"]);
        assert_eq!(completed("SELECT "), Vec::<String>::new());
        assert_eq!(completed("SELECT 'ü"), Vec::<String>::new());
    }
}
