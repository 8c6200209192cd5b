//! Rust sources as tokens, without what only tests compile.

use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One identifier, punctuation character or bracket. Literals and comments carry no code and are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// The code of one file that is built into the product.
#[derive(Debug, Default)]
pub(crate) struct Shipped {
    pub(crate) tokens: Vec<Token>,
    /// Modules in files of their own that only tests compile: `#[cfg(test)] mod fixtures;`.
    pub(crate) test_modules: Vec<String>,
}

/// Takes a source apart and drops every item under `#[cfg(test)]` or `#[test]`, and what failpoints do.
///
/// # Errors
/// The lexer's message, if the text is not Rust.
pub(crate) fn shipped(source: &str) -> Result<Shipped, String> {
    let stream = TokenStream::from_str(source).map_err(|error| error.to_string())?;
    let mut shipped = Shipped::default();
    collect(stream, &mut shipped);
    Ok(shipped)
}

fn collect(stream: TokenStream, shipped: &mut Shipped) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    let mut position = 0;
    while let Some(tree) = trees.get(position) {
        if let Some(after) = test_attribute(&trees, position) {
            position = skip_item(&trees, after, shipped);
            continue;
        }
        push(tree, shipped);
        position += if starts_failpoint(&trees, position) { 3 } else { 1 };
    }
}

/// What a failpoint does is compiled out of everything but tests: `fail_point!(…)` counts as its name alone.
fn starts_failpoint(trees: &[TokenTree], position: usize) -> bool {
    matches!(
        trees.get(position..position + 3),
        Some([TokenTree::Ident(name), TokenTree::Punct(mark), TokenTree::Group(_)])
            if name == "fail_point" && mark.as_char() == '!'
    )
}

fn push(tree: &TokenTree, shipped: &mut Shipped) {
    let line = tree.span().start().line;
    match tree {
        TokenTree::Ident(name) => shipped.tokens.push(Token { text: name.to_string(), line }),
        TokenTree::Punct(mark) => shipped.tokens.push(Token { text: mark.to_string(), line }),
        TokenTree::Literal(_) => {}
        TokenTree::Group(group) => {
            let (open, close) = match group.delimiter() {
                Delimiter::Parenthesis => ("(", ")"),
                Delimiter::Brace => ("{", "}"),
                Delimiter::Bracket => ("[", "]"),
                Delimiter::None => ("", ""),
            };
            shipped.tokens.push(Token { text: open.to_owned(), line });
            collect(group.stream(), shipped);
            let line = group.span_close().start().line;
            shipped.tokens.push(Token { text: close.to_owned(), line });
        }
    }
}

/// If an attribute that restricts an item to tests starts here: the position behind it.
fn test_attribute(trees: &[TokenTree], position: usize) -> Option<usize> {
    let body = attribute(trees, position)?;
    let text: String = body.to_string().split_whitespace().collect();
    let only_tests = text == "test" || text == "cfg(test)" || text.starts_with("cfg(all(test,");
    only_tests.then_some(position + 2)
}

/// The inside of the outer attribute `#[…]` that starts here.
fn attribute(trees: &[TokenTree], position: usize) -> Option<TokenStream> {
    match (trees.get(position)?, trees.get(position + 1)?) {
        (TokenTree::Punct(mark), TokenTree::Group(group))
            if mark.as_char() == '#' && group.delimiter() == Delimiter::Bracket =>
        {
            Some(group.stream())
        }
        _ => None,
    }
}

/// Passes over one item: up to its `;` or its braces, whichever comes first.
fn skip_item(trees: &[TokenTree], start: usize, shipped: &mut Shipped) -> usize {
    let mut position = start;
    while attribute(trees, position).is_some() {
        position += 2;
    }
    let item_start = position;
    while let Some(tree) = trees.get(position) {
        position += 1;
        match tree {
            TokenTree::Punct(mark) if matches!(mark.as_char(), ';' | ',') => break,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                // `use a::{b, c};` goes on to its semicolon.
                let is_use = trees[item_start..position]
                    .iter()
                    .any(|tree| matches!(tree, TokenTree::Ident(name) if name == "use"));
                if !is_use {
                    return position;
                }
            }
            _ => {}
        }
    }
    let item = &trees[item_start..position];
    if let [.., TokenTree::Ident(keyword), TokenTree::Ident(name), TokenTree::Punct(_)] = item
        && keyword == "mod"
    {
        shipped.test_modules.push(name.to_string());
    }
    position
}

#[cfg(test)]
mod tests {
    use super::shipped;

    fn texts(source: &str) -> String {
        let tokens = shipped(source).expect("valid Rust").tokens;
        tokens.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_literals_and_test_items_are_left_out() {
        let source = r##"
            // println!("a")
            /* println!("b") */
            fn kept() { let text = "println!(1)"; let raw = r#"exit"#; }
            #[cfg(test)]
            #[expect(dead_code, reason = "x")]
            pub(crate) mod tests { fn gone() { println!("c") } }
            #[cfg(test)]
            use std::{fs, env};
            #[test]
            fn also_gone() -> [u8; 2] { [1, 2] }
            #[cfg(not(test))]
            fn shipped_only() { fail::fail_point!("here", |_| abort()); }
        "##;
        assert_eq!(
            texts(source),
            "fn kept ( ) { let text = ; let raw = ; } # [ cfg ( not ( test ) ) ] fn shipped_only ( ) { fail : : fail_point ; }"
        );
    }

    #[test]
    fn test_modules_in_their_own_files_are_named() {
        let shipped = shipped("#[cfg(test)]\nmod fixtures;\nmod real;").expect("valid Rust");
        assert_eq!(shipped.test_modules, ["fixtures"]);
        assert_eq!(shipped.tokens[0].line, 3);
    }

    #[test]
    fn text_that_is_not_rust_is_an_error() {
        assert!(shipped("fn broken( {").is_err());
    }
}
