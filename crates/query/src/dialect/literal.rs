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
        !matches!(self, Literal::Text(text) if text.contains('\0'))
    }
}

impl fmt::Display for Literal {
    /// Writes it as Athena and DataFusion both read it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Null(kind) => write!(f, "CAST(NULL AS {})", kind.name()),
            Literal::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Literal::Integer(number) if *number < 0 => write!(f, "({number})"),
            Literal::Integer(number) => write!(f, "{number}"),
            Literal::Boolean(truth) => write!(f, "{truth}"),
            Literal::Date(day) => write!(f, "DATE '{day}'"),
            Literal::Timestamp(time) => write!(f, "from_iso8601_timestamp('{time}')"),
        }
    }
}

impl LiteralType {
    fn name(self) -> &'static str {
        match self {
            LiteralType::Text => "varchar",
            LiteralType::Integer => "bigint",
            LiteralType::Boolean => "boolean",
            LiteralType::Date => "date",
            LiteralType::Timestamp => "timestamp",
        }
    }
}
