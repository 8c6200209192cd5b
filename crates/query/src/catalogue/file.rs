//! A query's file: its head in comments, and the statement.

use std::path::{Path, PathBuf};

use event::Day;

use super::{built_in_list, several};
use crate::dialect::{self, Literal, LiteralType};

/// Why a query cannot be had or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// Nothing goes by that name.
    #[error("there is no {what} {name:?}{}", near.as_ref().map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
    Unknown {
        /// `query` or `parameter`.
        what: &'static str,
        /// As it was written.
        name: String,
        /// What was probably meant.
        near: Option<String>,
    },
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The head of a file is not as it should be.
    #[error("the query {name}: line {line}: {reason}")]
    Head {
        /// The query, or its file.
        name: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The statement cannot take its parameters.
    #[error("the query {name}: {reason}")]
    Statement {
        /// The query.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The query has no use for a parameter that was given.
    #[error("the query {query} takes no --{name}")]
    NotTaken {
        /// The query.
        query: String,
        /// The parameter.
        name: &'static str,
    },
    /// A parameter without a default was not given.
    #[error("the query {query} needs --set {name}=…: {meaning}")]
    Missing {
        /// The query.
        query: String,
        /// The parameter.
        name: String,
        /// What it is for.
        meaning: String,
    },
    /// A number was wanted.
    #[error("{name} is a whole number from 0 on, not {text:?}")]
    NoNumber {
        /// The parameter.
        name: String,
        /// What was given.
        text: String,
    },
    /// The window's ends are the wrong way round.
    #[error("the first day {from} does not lie before the last day {to}")]
    Window {
        /// The first day.
        from: Day,
        /// The last day.
        to: Day,
    },
}

/// A parameter that every query may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standard {
    /// The account the events were recorded for.
    Account,
    /// The region.
    Region,
    /// Who acted.
    User,
    /// How many rows at most.
    Limit,
}

impl Standard {
    /// All of them.
    pub const ALL: &'static [Standard] = &[Standard::Account, Standard::Region, Standard::User, Standard::Limit];

    /// As it is written in a query.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Standard::Account => "account",
            Standard::Region => "region",
            Standard::User => "user",
            Standard::Limit => "limit",
        }
    }
}

/// A parameter of a query's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: LiteralType,
    /// Its value where none is given; without one it has to be given.
    pub default: Option<Literal>,
    /// What it is for.
    pub meaning: String,
}

/// A question that is ready.
#[derive(Debug, Clone)]
pub struct Query {
    /// Its name, which is its file's.
    pub name: String,
    /// One line.
    pub title: String,
    /// The heading it is listed under.
    pub group: String,
    /// How many days back from today it looks.
    pub days: u32,
    /// How many rows it gives where no limit is given.
    pub limit: Option<i64>,
    /// Its own parameters.
    pub parameters: Vec<Parameter>,
    /// The columns that a person reads; all where there are none.
    pub shown: Vec<String>,
    /// What it answers, and what to look at.
    pub description: String,
    /// The statement, parameters in it.
    pub text: String,
    /// The user's own file; `None` for a built-in query.
    pub path: Option<PathBuf>,
    standard: Vec<Standard>,
}

/// A user's query without a `days` line looks back so far.
const DEFAULT_DAYS: u32 = 30;

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    ///
    /// [`CatalogueError::Head`] or [`CatalogueError::Statement`].
    pub fn parse(name: &str, text: &str) -> Result<Query, CatalogueError> {
        let mut query = Query {
            name: name.to_owned(),
            title: String::new(),
            group: "own".to_owned(),
            days: DEFAULT_DAYS,
            limit: None,
            parameters: Vec::new(),
            shown: Vec::new(),
            description: String::new(),
            text: String::new(),
            path: None,
            standard: Vec::new(),
        };
        let mut lines = text.lines().enumerate().peekable();
        let mut described = false;
        while let Some((place, line)) = lines.next_if(|(_, line)| line.starts_with("--") || line.trim().is_empty()) {
            let comment = line.trim_start_matches("--").trim();
            let failed = |reason: String| CatalogueError::Head { name: name.to_owned(), line: place + 1, reason };
            match comment.split_once(": ").filter(|_| !described) {
                Some((key, value)) => query.head(key.trim(), value.trim()).map_err(failed)?,
                None => {
                    described = true;
                    query.description.push_str(comment);
                    query.description.push('\n');
                }
            }
        }
        query.description = query.description.trim().to_owned();
        query.text = lines.map(|(_, line)| line).collect::<Vec<_>>().join("\n").trim().trim_end_matches(';').to_owned();
        let failed = |reason: String| CatalogueError::Statement { name: name.to_owned(), reason };
        if query.text.is_empty() {
            return Err(failed("it has no statement".to_owned()));
        }
        let used = dialect::parameters(&query.text).map_err(|error| failed(error.to_string()))?;
        query.standard =
            Standard::ALL.iter().copied().filter(|standard| used.iter().any(|name| name == standard.name())).collect();
        if query.title.is_empty() {
            query.title = query.description.lines().next().unwrap_or(name).to_owned();
        }
        let known = |name: &String| {
            matches!(name.as_str(), "from_date" | "to_date")
                || Standard::ALL.iter().any(|standard| standard.name() == name)
                || query.parameters.iter().any(|parameter| parameter.name == *name)
        };
        if let Some(unknown) = used.iter().find(|name| !known(name)) {
            return Err(failed(format!(":{unknown} is not declared; add a line `-- param: {unknown} text: …`")));
        }
        Ok(query)
    }

    /// Whether the statement uses a standard parameter.
    #[must_use]
    pub fn takes(&self, standard: Standard) -> bool {
        self.standard.contains(&standard)
    }

    fn head(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "title" => self.title = value.to_owned(),
            "group" => self.group = value.to_owned(),
            "days" => self.days = value.parse().map_err(|_| format!("{value:?} is no number of days"))?,
            "limit" => self.limit = Some(value.parse().map_err(|_| format!("{value:?} is no number of rows"))?),
            "shown" => self.shown = value.split(',').map(|column| column.trim().to_owned()).collect(),
            "param" => self.parameters.push(parameter(value)?),
            _ => {
                let known = ["title", "group", "days", "limit", "shown", "param"];
                let near = crate::error::nearest(key, known.into_iter());
                let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
                return Err(format!("unknown key {key:?}{hint} (text comes after a line that holds `--` alone)"));
            }
        }
        Ok(())
    }
}

/// `key text required: The access key's id.`, `history_days integer 90: …`, `tz text 'UTC': …`, `teams list 'a, b': …`;
/// `admin_policies list built-in: …` takes the list that this program knows by that name.
fn parameter(text: &str) -> Result<Parameter, String> {
    let wrong = || format!("{text:?} is no parameter: write `name text 'default': what it is for`");
    let (name, rest) = text.split_once(' ').ok_or_else(wrong)?;
    let (kind, rest) = rest.trim_start().split_once(' ').ok_or_else(wrong)?;
    let kind = match kind {
        "text" => LiteralType::Text,
        "integer" => LiteralType::Integer,
        "list" => LiteralType::List,
        other => return Err(format!("{other:?} is no type of parameters: they are text, integer or list")),
    };
    let rest = rest.trim_start();
    let (default, meaning) = match rest.strip_prefix('\'') {
        Some(rest) => {
            let (text, meaning) = quoted(rest).ok_or_else(wrong)?;
            let default = if kind == LiteralType::List { Literal::List(several(&text)) } else { Literal::Text(text) };
            (Some(default), meaning.trim_start().strip_prefix(':').ok_or_else(wrong)?)
        }
        None => {
            let (default, meaning) = rest.split_once(':').ok_or_else(wrong)?;
            let default = match default.trim() {
                "required" => None,
                "null" => Some(Literal::Null(kind)),
                "built-in" => {
                    let unknown = || format!("there is no built-in list {name:?}; there is \"admin_policies\"");
                    Some(Literal::List(built_in_list(name).ok_or_else(unknown)?))
                }
                number => Some(Literal::Integer(number.parse().map_err(|_| wrong())?)),
            };
            (default, meaning)
        }
    };
    let fits = matches!(
        (&default, kind),
        (None | Some(Literal::Null(_)), _)
            | (Some(Literal::Text(_)), LiteralType::Text)
            | (Some(Literal::List(_)), LiteralType::List)
            | (Some(Literal::Integer(_)), LiteralType::Integer)
    );
    let plain =
        !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !fits || !plain {
        return Err(wrong());
    }
    Ok(Parameter { name: name.to_owned(), kind, default, meaning: meaning.trim().to_owned() })
}

/// The text up to the quote that ends it, doubled quotes taken as one, and what comes after.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut inner = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((place, character)) = characters.next() {
        if character != '\'' {
            inner.push(character);
        } else if characters.next_if(|&(_, next)| next == '\'').is_some() {
            inner.push('\'');
        } else {
            return Some((inner, &text[place + 1..]));
        }
    }
    None
}

/// The queries of a folder, by name.
pub(super) fn read_folder(folder: &Path) -> Vec<Result<Query, CatalogueError>> {
    let unreadable = |path: &Path, source| CatalogueError::Unreadable { path: path.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => return vec![Err(unreadable(folder, error))],
    };
    let mut paths = Vec::new();
    let mut found = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) if entry.path().extension().is_some_and(|extension| extension == "sql") => {
                paths.push(entry.path());
            }
            Ok(_) => {}
            Err(error) => found.push(Err(unreadable(folder, error))),
        }
    }
    paths.sort();
    found.extend(paths.into_iter().map(|path| {
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_").to_lowercase();
        let plain = !name.is_empty() && name.chars().all(|letter| letter == '_' || letter.is_alphanumeric());
        if !plain {
            let reason = "the file's name is not made of letters, digits and _".to_owned();
            return Err(CatalogueError::Head { name: path.display().to_string(), line: 1, reason });
        }
        let mut query = Query::parse(&name, &text)?;
        query.path = Some(path);
        Ok(query)
    }));
    found
}

#[cfg(test)]
mod tests {
    use event::policy::ADMIN_POLICIES;

    use super::*;

    #[test]
    fn a_head_says_what_a_query_is_and_takes() {
        let text = "-- title: T: with a colon\n-- group: hunt\n-- days: 7\n-- limit: 20\n\
            -- param: tz text 'it''s: UTC': The zone.\n-- param: key text required: The key.\n\
            -- param: start integer 6: From.\n-- param: who text null: Who.\n-- param: teams list 'a, b': Whose.\n\
            -- param: admin_policies list built-in: Policies.\n-- shown: a, b\n--\n\
            -- Words: many.\n-- More.\nSELECT :tz, :key, :start, :who, :teams -- :not\nFROM events WHERE x = ':y' LIMIT :limit;\n";
        let query = Query::parse("q", text).expect("a query");
        assert_eq!(
            (query.title.as_str(), query.group.as_str(), query.days, query.limit),
            ("T: with a colon", "hunt", 7, Some(20))
        );
        assert_eq!(query.shown, ["a", "b"]);
        assert_eq!(query.description, "Words: many.\nMore.");
        assert!(query.text.starts_with("SELECT :tz") && query.text.ends_with("LIMIT :limit"), "{}", query.text);
        assert!(query.takes(Standard::Limit) && !query.takes(Standard::User));
        let defaults: Vec<_> = query.parameters.iter().map(|parameter| parameter.default.clone()).collect();
        assert_eq!(
            defaults,
            [
                Some(Literal::Text("it's: UTC".to_owned())),
                None,
                Some(Literal::Integer(6)),
                Some(Literal::Null(LiteralType::Text)),
                Some(Literal::List(vec!["a".to_owned(), "b".to_owned()])),
                Some(Literal::List(ADMIN_POLICIES.iter().map(|policy| policy.to_lowercase()).collect())),
            ]
        );
        assert_eq!(query.parameters[0].meaning, "The zone.");
    }

    #[test]
    fn mistakes_in_a_head_are_told_with_their_line() {
        let problem = |text: &str| Query::parse("q", text).expect_err("a mistake").to_string();
        assert_eq!(
            problem("-- titel: x\nSELECT 1"),
            "the query q: line 1: unknown key \"titel\"; did you mean \"title\"? (text comes after a line that holds `--` alone)"
        );
        assert!(problem("-- title: x\n-- days: many\nSELECT 1").contains("line 2: \"many\" is no number of days"));
        assert!(problem("-- param: x integer 'a': b\nSELECT :x").contains("is no parameter"));
        assert!(problem("-- param: X text null: b\nSELECT 1").contains("is no parameter"));
        assert!(problem("-- param: x list 7: b\nSELECT :x").contains("is no parameter"));
        assert!(problem("-- param: x text built-in: b\nSELECT :x").contains("there is no built-in list \"x\""));
        assert!(problem("-- param: admin_policies text built-in: b\nSELECT 1").contains("is no parameter"));
        assert!(problem("-- title: x").contains("it has no statement"));
        assert!(problem("-- title: x\nSELECT :nobody").contains(":nobody is not declared"));
    }
}
