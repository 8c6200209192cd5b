//! What is put right before the parser sees it: event data store ids in the place of a table, and Trino's type names.

use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace, Word};

use super::error::{DialectError, Place};
use super::grammar::Athena;

/// The table that an event data store is.
const EVENT_DATA_STORE: &str = "cloudtrail";
/// How deep brackets nest, and how many types with types inside a statement names: the parser's own limit does not
/// count types.
const MAX_BRACKETS: usize = 200;
/// How many operators a statement may chain: each is a level of its tree, and a level of the stack.
const MAX_OPERATORS: usize = 1500;

/// Reads a statement's tokens.
pub(crate) fn read(sql: &str) -> Result<Vec<TokenWithSpan>, DialectError> {
    let tokens = tokenize(sql)?;
    let operators = tokens.iter().filter(|token| is_operator(&token.token)).count();
    if operators > MAX_OPERATORS {
        let reason = format!("{operators} operators in one statement, of at most {MAX_OPERATORS}");
        return Err(DialectError::TooLarge { reason });
    }
    let mut tokens = name_event_data_stores(tokens);
    bracket_types(&mut tokens);
    if brackets(&tokens) > MAX_BRACKETS {
        return Err(DialectError::TooLarge { reason: format!("brackets nest more than {MAX_BRACKETS} deep") });
    }
    Ok(tokens)
}

/// Refuses comments that Athena ends elsewhere: its comments do not nest, and a carriage return ends a line for it. What
/// stands in such a comment here could be the first word of the statement there.
pub(crate) fn check_comments(sql: &str) -> Result<(), DialectError> {
    let refuse = |what: &str| {
        let instead = "take the comment out".to_owned();
        Err(DialectError::Unsupported { what: what.to_owned(), instead })
    };
    for token in tokenize(sql)? {
        match token.token {
            Token::Whitespace(Whitespace::MultiLineComment(text)) if text.contains("/*") => {
                return refuse("a comment inside a comment");
            }
            Token::Whitespace(Whitespace::SingleLineComment { prefix, comment })
                if prefix != "--" || comment.trim_end_matches(['\r', '\n']).contains('\r') =>
            {
                return refuse("a comment that ends in the middle of a line");
            }
            _ => {}
        }
    }
    Ok(())
}

fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, DialectError> {
    let dialect: &dyn Dialect = &Athena;
    Tokenizer::new(dialect, sql).tokenize_with_location().map_err(|error| DialectError::Syntax {
        place: Place::new(sql, error.location.line, error.location.column),
        reason: error.message.to_lowercase().trim_end_matches([',', ' ']).to_owned(),
    })
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT
        ),
        Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::Mod | Token::StringConcat => true,
        Token::DoubleColon | Token::LBracket => true,
        _ => false,
    }
}

/// How deep brackets nest; a type's angle brackets count as if none closed.
fn brackets(tokens: &[TokenWithSpan]) -> usize {
    let (mut depth, mut deepest, mut types) = (0usize, 0, 0);
    let mut keyword = Keyword::NoKeyword;
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            Token::Lt if matches!(keyword, Keyword::ARRAY | Keyword::STRUCT | Keyword::MAP) => types += 1,
            _ => {}
        }
        deepest = deepest.max(depth);
        keyword = match &token.token {
            Token::Word(word) => word.keyword,
            _ => Keyword::NoKeyword,
        };
    }
    deepest.max(types)
}

/// Puts the table of event data stores where `FROM` names one by its id (`a1b2c3d4-5678-90ab-cdef-EXAMPLE11111`) or by
/// a placeholder of the documentation (`$EDS_ID`, `<event-data-store-id>`).
fn name_event_data_stores(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut named = Vec::with_capacity(tokens.len());
    let mut after_from = false;
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        if matches!(token.token, Token::Whitespace(_)) {
            named.push(token.clone());
            at += 1;
            continue;
        }
        if after_from {
            let length = tokens[at..].iter().take_while(|token| may_stand_in_id(&token.token)).count();
            let text: String = tokens[at..at + length].iter().map(|token| token.token.to_string()).collect();
            if is_event_data_store(&text) {
                let name = Token::make_word(EVENT_DATA_STORE, None);
                named.push(TokenWithSpan::new(name, token.span));
                at += length;
                after_from = false;
                continue;
            }
        }
        after_from =
            matches!(&token.token, Token::Word(Word { keyword: Keyword::FROM | Keyword::JOIN, quote_style: None, .. }));
        named.push(token.clone());
        at += 1;
    }
    named
}

fn may_stand_in_id(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.quote_style.is_none(),
        Token::Number(_, _) | Token::Minus | Token::Placeholder(_) | Token::Lt | Token::Gt => true,
        Token::LBrace | Token::RBrace => true,
        _ => false,
    }
}

/// Whether a text is the id of an event data store, or what the documentation writes in its place.
pub(crate) fn is_event_data_store(text: &str) -> bool {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let groups: Vec<&str> = text.split('-').collect();
    let is_id = groups.len() == GROUPS.len()
        && groups
            .iter()
            .zip(GROUPS)
            .all(|(group, length)| group.len() == length && group.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if is_id {
        return true;
    }
    let name: String = text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    matches!(
        name.as_str(),
        "edsid" | "eventdatastoreid" | "eventdatastore" | "myeventdatastoreid" | "youreventdatastoreid" | "eds"
    )
}

/// Writes the types of casts as the parser knows them: `array(varchar)` as `array<varchar>`, `row(a varchar)` as
/// `struct<a varchar>`.
fn bracket_types(tokens: &mut [TokenWithSpan]) {
    // For each open parenthesis: whether it is a cast's, and the token that closes it if not `)`.
    let mut open: Vec<(bool, Option<Token>)> = Vec::new();
    let (mut before_previous, mut in_type) = (Keyword::NoKeyword, 0usize);
    let mut previous: Option<usize> = None;
    for at in 0..tokens.len() {
        let keyword = match &tokens[at].token {
            Token::Whitespace(_) => continue,
            Token::Word(word) if word.quote_style.is_none() => word.keyword,
            _ => Keyword::NoKeyword,
        };
        match &tokens[at].token {
            Token::LParen => {
                let is_cast = matches!(before_previous, Keyword::CAST | Keyword::TRY_CAST);
                let close = match (in_type > 0, before_previous) {
                    (true, Keyword::ARRAY) => Some(Token::Gt),
                    (true, Keyword::ROW) => {
                        if let Some(word) = previous {
                            tokens[word].token = Token::make_keyword("STRUCT");
                        }
                        Some(Token::Gt)
                    }
                    _ => None,
                };
                if close.is_some() {
                    tokens[at].token = Token::Lt;
                }
                open.push((is_cast, close));
                if in_type > 0 {
                    in_type += 1;
                }
            }
            Token::RParen => {
                in_type = in_type.saturating_sub(1);
                if let Some((_, Some(close))) = open.pop() {
                    tokens[at].token = close;
                }
            }
            Token::Word(_)
                if keyword == Keyword::AS && in_type == 0 && open.last().is_some_and(|(is_cast, _)| *is_cast) =>
            {
                in_type = 1;
            }
            _ => {}
        }
        before_previous = keyword;
        previous = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(sql: &str) -> String {
        read(sql).expect("tokens").iter().map(|token| token.token.to_string()).collect()
    }

    #[test]
    fn ids_and_placeholders_become_the_table() {
        for id in [
            "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111",
            "12345678-1e34-0000-9999-000000000000",
            "0e123456-7890-4f00-8e10-1234567890ab",
            "$EDS_ID",
            "<event-data-store-id>",
            "<event_data_store_ID>",
            "event_data_store_ID",
            "eds-ID",
        ] {
            assert_eq!(written(&format!("SELECT a-b FROM {id} WHERE x")), "SELECT a-b FROM cloudtrail WHERE x", "{id}");
        }
        assert_eq!(written("SELECT a FROM b-c"), "SELECT a FROM b-c");
        assert_eq!(written("SELECT a FROM events"), "SELECT a FROM events");
    }

    #[test]
    fn types_are_bracketed_in_casts_alone() {
        assert_eq!(
            written("SELECT CAST(f(array(x)) AS array(map(varchar(3), array(json)))), row(1)"),
            "SELECT CAST(f(array(x)) AS array<map(varchar(3), array<json>)>), row(1)"
        );
        assert_eq!(
            written("TRY_CAST(x AS ROW(a varchar, b ARRAY(bigint)))"),
            "TRY_CAST(x AS STRUCT<a varchar, b ARRAY<bigint>>)"
        );
    }
}
