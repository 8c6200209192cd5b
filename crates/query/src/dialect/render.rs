//! `:name` parameters to literals, by tokens: everything else stays as it was written.

use std::collections::BTreeMap;

use super::error::{DialectError, Place};
use super::literal::Literal;
use crate::nearest;

/// Puts values in the place of `:name` parameters. Strings, quoted identifiers, comments and `::` casts are left alone.
///
/// # Errors
///
/// A parameter that has no value, a value that SQL cannot hold, a string or comment that is not closed.
pub fn render(sql: &str, values: &BTreeMap<String, Literal>) -> Result<String, DialectError> {
    let mut rendered = String::with_capacity(sql.len());
    for piece in pieces(sql)? {
        let Piece::Parameter { at, name } = piece else {
            rendered.push_str(piece.text());
            continue;
        };
        let Some(value) = values.get(name) else {
            return Err(DialectError::UnknownParameter {
                name: name.to_owned(),
                suggestion: nearest(name, values.keys().map(String::as_str)),
                place: Place::of_byte(sql, at),
            });
        };
        if !value.is_writable() {
            return Err(DialectError::Nul { name: name.to_owned() });
        }
        rendered.push_str(&value.to_string());
    }
    Ok(rendered)
}

/// The parameters of a statement, in the order of their first use.
///
/// # Errors
///
/// A string or comment that is not closed.
pub fn parameters(sql: &str) -> Result<Vec<String>, DialectError> {
    let mut names: Vec<String> = Vec::new();
    for piece in pieces(sql)? {
        if let Piece::Parameter { name, .. } = piece
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// A stretch of a statement's text.
enum Piece<'a> {
    Parameter { at: usize, name: &'a str },
    Verbatim(&'a str),
}

impl<'a> Piece<'a> {
    fn text(&self) -> &'a str {
        match self {
            Piece::Parameter { name, .. } => name,
            Piece::Verbatim(text) => text,
        }
    }
}

fn pieces(sql: &str) -> Result<Vec<Piece<'_>>, DialectError> {
    let bytes = sql.as_bytes();
    let mut pieces = Vec::new();
    let (mut at, mut verbatim) = (0, 0);
    while at < bytes.len() {
        let next = bytes.get(at + 1).copied();
        at = match bytes[at] {
            quote @ (b'\'' | b'"' | b'`') => end_of_quote(sql, at, quote)?,
            b'-' if next == Some(b'-') => sql[at..].find('\n').map_or(sql.len(), |length| at + length),
            b'/' if next == Some(b'*') => end_of_comment(sql, at)?,
            b':' if next == Some(b':') => at + 2,
            b':' if next.is_some_and(|next| next.is_ascii_alphabetic() || next == b'_') => {
                let rest = &sql[at + 1..];
                let length = rest.bytes().position(|byte| !is_name(byte)).unwrap_or(rest.len());
                pieces.push(Piece::Verbatim(&sql[verbatim..at]));
                pieces.push(Piece::Parameter { at, name: &rest[..length] });
                verbatim = at + 1 + length;
                verbatim
            }
            _ => at + 1,
        };
    }
    pieces.push(Piece::Verbatim(&sql[verbatim..]));
    Ok(pieces)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A doubled quote ends one string and begins the next, which comes to the same here.
fn end_of_quote(sql: &str, start: usize, quote: u8) -> Result<usize, DialectError> {
    match sql.as_bytes()[start + 1..].iter().position(|byte| *byte == quote) {
        Some(length) => Ok(start + length + 2),
        None => Err(not_closed(sql, start, "a quote")),
    }
}

fn end_of_comment(sql: &str, start: usize) -> Result<usize, DialectError> {
    // Comments nest, as the parser has it.
    let bytes = sql.as_bytes();
    let (mut depth, mut at) = (0usize, start);
    while let Some(pair) = bytes.get(at..at + 2) {
        match pair {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return Ok(at);
        }
    }
    Err(not_closed(sql, start, "a comment"))
}

fn not_closed(sql: &str, at: usize, what: &str) -> DialectError {
    DialectError::Syntax { place: Place::of_byte(sql, at), reason: format!("{what} is opened here and not closed") }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
    use proptest::prelude::*;

    use super::super::grammar::Athena;
    use super::super::literal::LiteralType;
    use super::*;

    fn values() -> BTreeMap<String, Literal> {
        BTreeMap::from([
            ("user_name".to_owned(), Literal::Text("o'brien".to_owned())),
            ("limit".to_owned(), Literal::Integer(10)),
            ("nobody".to_owned(), Literal::Null(LiteralType::Text)),
            ("names".to_owned(), Literal::List(vec!["a".to_owned(), "o'brien".to_owned()])),
            ("none".to_owned(), Literal::List(Vec::new())),
        ])
    }

    #[test]
    fn only_parameters_change() {
        let sql = "-- :user_name\nSELECT ':user_name', \":limit\", x::text /* :limit /* : */ */, 'it''s :limit'\n\
                   FROM t WHERE u = :user_name OR u = :nobody LIMIT :limit;";
        let expected = "-- :user_name\nSELECT ':user_name', \":limit\", x::text /* :limit /* : */ */, 'it''s :limit'\n\
                        FROM t WHERE u = 'o''brien' OR u = CAST(NULL AS varchar) LIMIT 10;";
        assert_eq!(render(sql, &values()).as_deref(), Ok(expected));
        assert_eq!(parameters(sql), Ok(vec!["user_name".into(), "nobody".into(), "limit".into()]));
    }

    #[test]
    fn a_list_stands_in_its_brackets() {
        let rendered = render("u IN (:names) OR u IN (:none)", &values());
        assert_eq!(rendered.as_deref(), Ok("u IN ('a', 'o''brien') OR u IN (CAST(NULL AS varchar))"));
    }

    #[test]
    fn an_unknown_parameter_is_named_with_its_place_and_the_nearest() {
        let error = render("SELECT 1\nWHERE u = :user_nam", &values()).expect_err("unknown");
        insta::assert_snapshot!(error, @r#"
        there is no parameter "user_nam"; did you mean user_name? (at line 2, column 11)
        2 | WHERE u = :user_nam
                      ^
        "#);
    }

    #[test]
    fn what_is_not_closed_is_an_error() {
        for sql in ["SELECT 'x :limit", "SELECT /* :limit", "SELECT \"x"] {
            assert!(render(sql, &values()).is_err(), "{sql}");
        }
    }

    #[test]
    fn nul_is_refused() {
        let values = BTreeMap::from([("x".to_owned(), Literal::Text("a\0b".to_owned()))]);
        assert_eq!(render(":x", &values), Err(DialectError::Nul { name: "x".to_owned() }));
        let values = BTreeMap::from([("x".to_owned(), Literal::List(vec!["a".to_owned(), "b\0".to_owned()]))]);
        assert_eq!(render(":x", &values), Err(DialectError::Nul { name: "x".to_owned() }));
    }

    proptest! {
        #[test]
        fn a_text_never_leaves_its_literal(value in "[^\\x00]{0,20}|['\\\\\"-;:/*\n]{0,20}") {
            let values = BTreeMap::from([("x".to_owned(), Literal::Text(value.clone()))]);
            let rendered = render(":x", &values).expect("no NUL");
            let tokens = Tokenizer::new(&Athena, &rendered).tokenize().expect("tokens");
            prop_assert_eq!(tokens, vec![Token::SingleQuotedString(value.clone())]);
            let values = BTreeMap::from([("x".to_owned(), Literal::List(vec![value.clone(), value.clone()]))]);
            let rendered = render(":x", &values).expect("no NUL");
            let mut tokens = Tokenizer::new(&Athena, &rendered).tokenize().expect("tokens");
            tokens.retain(|token| !matches!(token, Token::Comma | Token::Whitespace(_)));
            prop_assert_eq!(tokens, vec![Token::SingleQuotedString(value); 2]);
        }
    }
}
