//! A Rust file, parsed once and looked at by several rules.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

use super::Violation;

/// A parsed Rust file.
pub struct RustSource {
    /// Relative to the workspace root.
    pub path: String,
    /// The lines of the text, without their ends.
    pub lines: Vec<String>,
    /// The syntax tree, with the positions of its tokens.
    pub tree: syn::File,
}

impl RustSource {
    /// Parses `text`; what does not parse is itself a violation.
    pub fn parse(path: &str, text: &str) -> Result<Self, Violation> {
        match syn::parse_file(text) {
            Ok(tree) => Ok(Self { path: path.to_owned(), lines: text.lines().map(str::to_owned).collect(), tree }),
            Err(error) => Err(Violation::new(
                path,
                error.span().start().line,
                "syntax",
                format!("could not be parsed ({error}); `cargo check` says more"),
            )),
        }
    }

    /// Every token of the file in reading order.
    pub fn tokens(&self) -> Vec<Token> {
        flatten(self.tree.to_token_stream())
    }

    /// Every token outside items marked `#[cfg(test)]`.
    pub fn tokens_outside_tests(&self) -> Vec<Token> {
        let mut items = self.tree.items.clone();
        remove_tests(&mut items);
        let mut stream = TokenStream::new();
        for item in items {
            item.to_tokens(&mut stream);
        }
        flatten(stream)
    }
}

/// A token with its line; brackets are tokens of their own, so that rules can look at neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The text: an identifier, a literal, a bracket, or punctuation with `::` kept together.
    pub text: String,
    /// The line, counted from one.
    pub line: usize,
}

fn flatten(stream: TokenStream) -> Vec<Token> {
    let mut tokens = Vec::new();
    append(stream, &mut tokens);
    tokens
}

fn append(stream: TokenStream, tokens: &mut Vec<Token>) {
    // Two joined colons become one token: `std :: thread` is then three tokens whatever the layout.
    let mut half_of_path_separator = false;
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                let end = group.span_close().end().line;
                tokens.push(token(open, line));
                append(group.stream(), tokens);
                tokens.push(token(close, end));
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => {
                if half_of_path_separator {
                    half_of_path_separator = false;
                } else if punct.spacing() == Spacing::Joint {
                    tokens.push(token("::", line));
                    half_of_path_separator = true;
                } else {
                    tokens.push(token(":", line));
                }
            }
            other => tokens.push(token(&other.to_string(), line)),
        }
    }
}

fn token(text: &str, line: usize) -> Token {
    Token { text: text.to_owned(), line }
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

fn remove_tests(items: &mut Vec<syn::Item>) {
    items.retain(|item| !is_test_only(item));
    for item in items {
        if let syn::Item::Mod(syn::ItemMod { content: Some((_, inner)), .. }) = item {
            remove_tests(inner);
        }
    }
}

fn is_test_only(item: &syn::Item) -> bool {
    let attributes = match item {
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(tokens: &[Token]) -> Vec<&str> {
        tokens.iter().map(|token| token.text.as_str()).collect()
    }

    #[test]
    fn path_separators_are_one_token() {
        let source = RustSource::parse("a.rs", "use std::fs;\n").expect("valid");
        assert_eq!(texts(&source.tokens()), ["use", "std", "::", "fs", ";"]);
        let source = RustSource::parse("a.rs", "const A: u8 = 1;").expect("valid");
        assert!(texts(&source.tokens()).contains(&":"));
    }

    #[test]
    fn tests_can_be_left_out_at_any_depth() {
        let text = "mod a { fn kept() {} #[cfg(test)] mod tests { fn dropped() {} } }";
        let source = RustSource::parse("a.rs", text).expect("valid");
        let tokens = source.tokens_outside_tests();
        assert!(texts(&tokens).contains(&"kept"));
        assert!(!texts(&tokens).contains(&"dropped"));
    }

    #[test]
    fn tokens_know_their_lines() {
        let source = RustSource::parse("a.rs", "\n\nfn f() {\n    g();\n}\n").expect("valid");
        let tokens = source.tokens();
        let line = |text: &str| tokens.iter().find(|token| token.text == text).map(|token| token.line);
        assert_eq!((line("fn"), line("g"), line("}")), (Some(3), Some(4), Some(5)));
    }

    #[test]
    fn what_does_not_parse_is_a_violation_with_a_line() {
        let violation = RustSource::parse("a.rs", "fn ok() {}\nfn ( {}\n").err().expect("invalid");
        assert_eq!((violation.line, violation.rule), (2, "syntax"));
    }
}
