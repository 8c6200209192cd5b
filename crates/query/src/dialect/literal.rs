//! Values as SQL writes them: the one place that quotes.

use std::fmt;

use event::{Day, Timestamp};

/// A value that takes a parameter's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// No value, of a type.
    Null(LiteralType),
    /// Text.
    Text(String),
    /// Several texts, for `IN (…)`.
    List(Vec<String>),
    /// A whole number.
    Integer(i64),
    /// A truth value.
    Boolean(bool),
    /// A UTC day.
    Date(Day),
    /// An instant.
    Timestamp(Timestamp),
}

/// The type of a [`Literal::Null`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiteralType {
    /// Text.
    Text,
    /// Several texts.
    List,
    /// A whole number.
    Integer,
    /// A truth value.
    Boolean,
    /// A day.
    Date,
    /// An instant.
    Timestamp,
}

impl Literal {
    /// Whether SQL can hold it: text without NUL.
    pub(crate) fn is_writable(&self) -> bool {
        match self {
            Literal::Text(text) => !text.contains('\0'),
            Literal::List(texts) => !texts.iter().any(|text| text.contains('\0')),
            _ => true,
        }
    }
}

impl fmt::Display for Literal {
    /// Writes it as Athena and DataFusion both read it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Null(kind) => write!(f, "CAST(NULL AS {})", kind.name()),
            Literal::Text(text) => write!(f, "{}", quoted(text)),
            // `IN ()` is no SQL, and nothing is in a list of NULL.
            Literal::List(texts) if texts.is_empty() => write!(f, "{}", Literal::Null(LiteralType::List)),
            Literal::List(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                write!(f, "{}", texts.join(", "))
            }
            Literal::Integer(number) if *number < 0 => write!(f, "({number})"),
            Literal::Integer(number) => write!(f, "{number}"),
            Literal::Boolean(truth) => write!(f, "{truth}"),
            Literal::Date(day) => write!(f, "DATE '{day}'"),
            Literal::Timestamp(time) => write!(f, "from_iso8601_timestamp('{time}')"),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl LiteralType {
    fn name(self) -> &'static str {
        match self {
            LiteralType::Text | LiteralType::List => "varchar",
            LiteralType::Integer => "bigint",
            LiteralType::Boolean => "boolean",
            LiteralType::Date => "date",
            LiteralType::Timestamp => "timestamp",
        }
    }
}
