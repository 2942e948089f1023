//! What must not be there: unsafe code outside the backends, unfinished code, threads in the model, vague module names.
//!
//! The rules look at tokens, not at the syntax tree, so that the inside of macros is seen and comments and strings are
//! not.

use super::Violation;
use super::source::{RustSource, Token};

const RULE: &str = "absence";

/// Files outside the backends that may hold unsafe code: prefix of the path, how many times, why.
const UNSAFE_EXCEPTIONS: &[(&str, usize, &str)] =
    &[("crates/model/src/checkpoint", 1, "the memory map of a checkpoint")];
/// The one file that may hold assembly.
const ASSEMBLY: &str = "crates/backend-cpu/src/gemm/amx.rs";
const UNFINISHED: &[&str] = &["todo", "unimplemented", "dbg"];
const VAGUE: &[&str] = &["common", "helper", "helpers", "manager", "util", "utils"];
const INSTRUCTION_SETS: &[&str] = &["target_feature", "is_x86_feature_detected", "is_aarch64_feature_detected"];

/// Checks the absences that concern this file.
pub fn check(source: &RustSource) -> Vec<Violation> {
    let tokens = source.tokens();
    let mut violations = unsafe_code(source, &tokens);
    violations.extend(unfinished(source, &tokens));
    violations.extend(assembly(source, &tokens));
    violations.extend(vague_names(source, &tokens));
    violations.extend(knowledge(source));
    violations
}

fn violation(source: &RustSource, line: usize, advice: impl Into<String>) -> Violation {
    Violation::new(&source.path, line, RULE, advice)
}

fn unsafe_code(source: &RustSource, tokens: &[Token]) -> Vec<Violation> {
    let allowed = unsafe_allowance(source, tokens);
    let mut violations = Vec::new();
    let mut seen = 0;
    for (index, token) in tokens.iter().enumerate().filter(|(_, token)| token.text == "unsafe") {
        seen += 1;
        if seen > allowed {
            violations.push(violation(
                source,
                token.line,
                "`unsafe` belongs in `crates/backend-*`; use a safe form or a library",
            ));
            continue;
        }
        // A block or an implementation makes a claim; an `unsafe fn` only states one, in its documentation.
        let claims = matches!(text_at(tokens, index + 1), "{" | "impl");
        if claims && !has_safety_comment(&source.lines, token.line) {
            violations.push(violation(
                source,
                token.line,
                "write a `// SAFETY:` comment above that says why this is sound",
            ));
        }
    }
    violations
}

/// How often the file may say `unsafe`.
fn unsafe_allowance(source: &RustSource, tokens: &[Token]) -> usize {
    if source.path.starts_with("crates/backend-") {
        return usize::MAX;
    }
    let expected = tokens
        .windows(3)
        .any(|window| window[0].text == "expect" && window[1].text == "(" && window[2].text == "unsafe_code");
    UNSAFE_EXCEPTIONS
        .iter()
        .find(|(prefix, ..)| source.path.starts_with(prefix))
        .filter(|_| expected)
        .map_or(0, |&(_, times, _)| times)
}

/// Looks for `SAFETY:` on the line itself before the keyword, or in the comments and attributes above the statement it
/// stands in. A line that ends a statement, a block or the arm of a match ends the search.
fn has_safety_comment(lines: &[String], line: usize) -> bool {
    let Some((last, above)) = lines.get(..line).and_then(<[String]>::split_last) else {
        return false;
    };
    let before_keyword = last.split("unsafe").next().unwrap_or_default();
    if before_keyword.contains("SAFETY:") {
        return true;
    }
    for text in above.iter().rev().map(|text| text.trim()) {
        if ["//", "/*", "*", "#["].iter().any(|start| text.starts_with(start)) {
            if text.contains("SAFETY:") {
                return true;
            }
            continue;
        }
        if text.is_empty() || text.ends_with([';', '{', '}']) || text.ends_with("},") {
            return false;
        }
    }
    false
}

fn unfinished(source: &RustSource, tokens: &[Token]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let next = text_at(tokens, index + 1);
        if UNFINISHED.contains(&token.text.as_str()) && next == "!" && text_at(tokens, index + 2) != "=" {
            violations.push(violation(source, token.line, format!("finish or remove `{}!`", token.text)));
        }
        if token.text == "#" && next == "[" && attribute_ignores(&tokens[index + 2..]) {
            violations.push(violation(
                source,
                token.line,
                "a test marked `ignore` is never run; make it run or remove it",
            ));
        }
    }
    violations
}

/// Whether the attribute whose inside begins here is `ignore`, or `cfg_attr(…, ignore)`.
fn attribute_ignores(inside: &[Token]) -> bool {
    match text_at(inside, 0) {
        "ignore" => true,
        "cfg_attr" => inside.iter().take_while(|token| token.text != "]").any(|token| token.text == "ignore"),
        _ => false,
    }
}

fn assembly(source: &RustSource, tokens: &[Token]) -> Vec<Violation> {
    if source.path == ASSEMBLY {
        return Vec::new();
    }
    let calls = tokens
        .windows(2)
        .filter(|pair| matches!(pair[0].text.as_str(), "asm" | "global_asm" | "naked_asm") && pair[1].text == "!");
    calls.map(|pair| violation(source, pair[0].line, format!("assembly belongs in `{ASSEMBLY}` alone"))).collect()
}

fn vague_names(source: &RustSource, tokens: &[Token]) -> Vec<Violation> {
    let advice = |name: &str| format!("`{name}` says nothing; name the module after its topic");
    let named_file = source
        .path
        .split('/')
        .map(|part| part.strip_suffix(".rs").unwrap_or(part))
        .find(|part| VAGUE.contains(part))
        .map(|part| violation(source, 1, advice(part)));
    let declared = tokens
        .windows(2)
        .filter(|pair| pair[0].text == "mod" && VAGUE.contains(&pair[1].text.as_str()))
        .map(|pair| violation(source, pair[1].line, advice(&pair[1].text)));
    named_file.into_iter().chain(declared).collect()
}

/// What a crate must not know: threads and files in `model`, instruction sets in `train` and `serve`.
fn knowledge(source: &RustSource) -> Vec<Violation> {
    let mut violations = Vec::new();
    let path = source.path.as_str();
    if path.starts_with("crates/model/src/") {
        let tokens = source.tokens_outside_tests();
        for line in uses_of_std(&tokens, "thread").chain(lines_of(&tokens, &["rayon"])) {
            violations.push(violation(source, line, "`model` knows no threads; leave them to the backend"));
        }
        if !path.starts_with("crates/model/src/checkpoint") {
            for line in uses_of_std(&tokens, "fs") {
                violations.push(violation(source, line, "only the checkpoint module of `model` touches files"));
            }
        }
    }
    if path.starts_with("crates/train/") || path.starts_with("crates/serve/") {
        let tokens = source.tokens();
        for line in lines_of(&tokens, INSTRUCTION_SETS) {
            violations.push(violation(source, line, "instruction sets are known in `backend-cpu` alone"));
        }
    }
    violations
}

fn lines_of<'a>(tokens: &'a [Token], names: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
    tokens.iter().filter(|token| names.contains(&token.text.as_str())).map(|token| token.line)
}

/// The lines that name `std::<module>`, written out or inside `std::{…}`.
fn uses_of_std<'a>(tokens: &'a [Token], module: &'a str) -> impl Iterator<Item = usize> + 'a {
    let starts =
        (0..tokens.len()).filter(|&index| text_at(tokens, index) == "std" && text_at(tokens, index + 1) == "::");
    starts.filter_map(move |index| {
        let rest = &tokens[index + 2..];
        match text_at(rest, 0) {
            "{" => named_in_group(&rest[1..], module),
            text => (text == module).then(|| rest[0].line),
        }
    })
}

/// The line of `module` when it is named directly in the braces whose inside begins at `tokens`.
fn named_in_group(tokens: &[Token], module: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at_start = true;
    for token in tokens {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" if depth == 0 => return None,
            "}" => depth -= 1,
            text if text == module && depth == 0 && at_start => return Some(token.line),
            _ => {}
        }
        at_start = depth == 0 && token.text == ",";
    }
    None
}

/// The text of the token at `index`, empty beyond the end.
fn text_at(tokens: &[Token], index: usize) -> &str {
    tokens.get(index).map_or("", |token| token.text.as_str())
}

#[cfg(test)]
#[path = "absences_tests.rs"]
mod tests;
