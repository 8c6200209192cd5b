//! The words of a statement, read from left to right.

use datafusion::sql::sqlparser::tokenizer::{Location, Token};

use super::problem::Problem;

/// A token that means something, with its place in bytes and in characters.
pub(super) struct Word {
    pub(super) token: Token,
    pub(super) start: usize,
    pub(super) before: usize,
}

/// Turns lines and columns into bytes and characters; asked in the order of the text.
pub(super) struct Places<'text> {
    text: &'text str,
    byte: usize,
    characters: usize,
    line: u64,
    column: u64,
}

impl<'text> Places<'text> {
    pub(super) fn new(text: &'text str) -> Places<'text> {
        Places { text, byte: 0, characters: 0, line: 1, column: 1 }
    }

    pub(super) fn find(&mut self, place: Location) -> (usize, usize) {
        let mut rest = self.text[self.byte..].chars();
        while (self.line, self.column) < (place.line, place.column) {
            let Some(character) = rest.next() else { break };
            self.byte += character.len_utf8();
            self.characters += 1;
            if character == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        (self.byte, self.characters)
    }
}

/// Reads the words of a statement from left to right.
pub(super) struct Reader<'words> {
    pub(super) words: &'words [Word],
    pub(super) at: usize,
}

impl Reader<'_> {
    /// Returns the next word in capitals; nothing where it is quoted or no word.
    pub(super) fn peek(&self) -> Option<String> {
        match &self.words.get(self.at)?.token {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
            _ => None,
        }
    }

    /// Takes the next word where it is one of these.
    pub(super) fn take(&mut self, words: &[&str]) -> bool {
        let taken = self.peek().is_some_and(|next| words.contains(&next.as_str()));
        self.at += usize::from(taken);
        taken
    }

    /// Returns whether a query begins here.
    pub(super) fn is_query(&self) -> bool {
        match self.words.get(self.at).map(|word| &word.token) {
            Some(Token::LParen) => true,
            _ => self.peek().is_some_and(|word| matches!(word.as_str(), "SELECT" | "WITH" | "VALUES" | "TABLE")),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.at >= self.words.len()
    }

    /// Takes a name: as it is where it is quoted, else in lower case; with its dots.
    pub(super) fn name(&mut self) -> Result<String, Problem> {
        let mut name = String::new();
        loop {
            match self.words.get(self.at).map(|word| &word.token) {
                Some(Token::Word(word)) if word.quote_style.is_some() => name.push_str(&word.value),
                Some(Token::Word(word)) => name.push_str(&word.value.to_lowercase()),
                _ => return Err(self.syntax()),
            }
            self.at += 1;
            if !matches!(self.words.get(self.at).map(|word| &word.token), Some(Token::Period)) {
                return Ok(name);
            }
            name.push('.');
            self.at += 1;
        }
    }

    /// Takes the rest as the value of a setting; nothing for `DEFAULT`.
    pub(super) fn value(&mut self) -> Result<Option<String>, Problem> {
        let mut value = String::new();
        let mut is_default = false;
        while let Some(word) = self.words.get(self.at) {
            match &word.token {
                Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default") => {
                    is_default = true;
                }
                Token::Word(word) => value.push_str(&word.value),
                Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => value.push_str(text),
                Token::Number(number, _) => value.push_str(number),
                Token::Minus => value.push('-'),
                Token::Plus => {}
                Token::Comma => value.push_str(", "),
                _ => return Err(self.syntax()),
            }
            self.at += 1;
        }
        Ok((!is_default).then_some(value))
    }

    pub(super) fn end(&self) -> Result<(), Problem> {
        if self.is_done() { Ok(()) } else { Err(self.syntax()) }
    }

    pub(super) fn syntax(&self) -> Problem {
        let Some(word) = self.words.get(self.at) else {
            return Problem::new("42601", "syntax error at end of input");
        };
        let message = format!("syntax error at or near \"{}\"", word.token);
        Problem { position: Some(word.before + 1), ..Problem::new("42601", message) }
    }
}
