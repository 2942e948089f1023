//! Sizes of files, functions, parameter lists and macros.
//!
//! Functions are measured on the syntax tree, from the line of their signature to the line of their last brace, tests
//! included; attributes and documentation do not count.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Violation;
use super::source::RustSource;

const RULE: &str = "size";
const LONGEST_FILE: usize = 600;
const LONGEST_FUNCTION: usize = 80;
const MOST_PARAMETERS: usize = 7;
const LONGEST_MACRO: usize = 20;
/// A function of at most this many lines is short.
pub const SHORT_FUNCTION: usize = 30;
const LEAST_SHARE_OF_SHORT: f64 = 0.9;
/// How many of the longest functions are named when too few are short.
const NAMED_OFFENDERS: usize = 10;

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    path: String,
    line: usize,
    name: String,
    lines: usize,
}

/// Every function of the file that has a body.
pub fn functions(source: &RustSource) -> Vec<Function> {
    Measurement::of(source).functions
}

/// Checks the length of the file, its macros and its parameter lists.
pub fn check_file(source: &RustSource) -> Vec<Violation> {
    let mut violations = Measurement::of(source).violations;
    let lines = source.lines.len();
    if lines > LONGEST_FILE {
        violations.push(Violation::new(
            &source.path,
            LONGEST_FILE + 1,
            RULE,
            format!("the file has {lines} lines, at most {LONGEST_FILE}; split it by topic"),
        ));
    }
    violations
}

/// Checks the functions of the whole project: none too long, nearly all short.
pub fn check_functions(functions: &[Function]) -> Vec<Violation> {
    let mut violations: Vec<_> = functions
        .iter()
        .filter(|function| function.lines > LONGEST_FUNCTION)
        .map(|function| function.violation(format!("at most {LONGEST_FUNCTION}; give its steps names of their own")))
        .collect();
    let share = share_of_short(functions);
    if share < LEAST_SHARE_OF_SHORT {
        let mut longest: Vec<_> = functions.iter().collect();
        longest.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.path.cmp(&b.path)));
        violations.extend(longest.iter().take(NAMED_OFFENDERS).map(|function| {
            function.violation(format!(
                "and only {:.1} % of all functions keep within {SHORT_FUNCTION}, at least {:.0} % must; shorten it",
                100.0 * share,
                100.0 * LEAST_SHARE_OF_SHORT
            ))
        }));
    }
    violations
}

/// The share of functions within [`SHORT_FUNCTION`] lines, 1 when there is none.
pub fn share_of_short(functions: &[Function]) -> f64 {
    if functions.is_empty() {
        return 1.0;
    }
    let short = functions.iter().filter(|function| function.lines <= SHORT_FUNCTION);
    short.count() as f64 / functions.len() as f64
}

impl Function {
    fn violation(&self, advice: String) -> Violation {
        let advice = format!("`{}` has {} lines, {advice}", self.name, self.lines);
        Violation::new(&self.path, self.line, RULE, advice)
    }
}

/// Walks the syntax tree once and keeps what is measured.
struct Measurement<'a> {
    path: &'a str,
    functions: Vec<Function>,
    violations: Vec<Violation>,
    /// The parameters of a method of a trait are the trait's choice, so they are counted there only.
    in_trait_implementation: bool,
}

impl<'a> Measurement<'a> {
    fn of(source: &'a RustSource) -> Self {
        let mut measurement =
            Self { path: &source.path, functions: Vec::new(), violations: Vec::new(), in_trait_implementation: false };
        measurement.visit_file(&source.tree);
        measurement
    }

    fn function(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let line = signature.span().start().line;
        self.functions.push(Function {
            path: self.path.to_owned(),
            line,
            name: signature.ident.to_string(),
            lines: body.span().end().line - line + 1,
        });
    }

    fn parameters(&mut self, signature: &syn::Signature) {
        let count = signature.inputs.len();
        if count > MOST_PARAMETERS && !self.in_trait_implementation {
            self.violations.push(Violation::new(
                self.path,
                signature.span().start().line,
                RULE,
                format!(
                    "`{}` has {count} parameters, at most {MOST_PARAMETERS}; gather those that belong together in a struct",
                    signature.ident
                ),
            ));
        }
    }
}

impl<'ast> Visit<'ast> for Measurement<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        // A function inside a method is not a method: its parameters are its own.
        let outer = std::mem::replace(&mut self.in_trait_implementation, false);
        self.parameters(&item.sig);
        visit::visit_item_fn(self, item);
        self.in_trait_implementation = outer;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        self.parameters(&item.sig);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig, body);
        }
        self.parameters(&item.sig);
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let outer = std::mem::replace(&mut self.in_trait_implementation, item.trait_.is_some());
        visit::visit_item_impl(self, item);
        self.in_trait_implementation = outer;
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        if item.mac.path.is_ident("macro_rules") {
            let line = item.mac.path.span().start().line;
            let lines = item.mac.delimiter.span().close().end().line - line + 1;
            if lines > LONGEST_MACRO {
                let name = item.ident.as_ref().map(ToString::to_string).unwrap_or_default();
                self.violations.push(Violation::new(
                    self.path,
                    line,
                    RULE,
                    format!("the macro `{name}` has {lines} lines, at most {LONGEST_MACRO}; let it call functions"),
                ));
            }
        }
        visit::visit_item_macro(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> RustSource {
        RustSource::parse("crates/data/src/a.rs", text).expect("valid")
    }

    fn function_of(lines: usize) -> String {
        format!("/// Long.\n#[inline]\nfn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_is_measured_from_signature_to_brace() {
        let found = functions(&parse(&function_of(80)));
        assert_eq!((found[0].line, found[0].lines), (3, 80));
    }

    #[test]
    fn no_function_is_longer_than_the_limit() {
        let mut all = functions(&parse(&"fn f() {}\n".repeat(20)));
        all.extend(functions(&parse(&function_of(80))));
        assert!(check_functions(&all).is_empty());
        all.extend(functions(&parse(&function_of(81))));
        assert_eq!(check_functions(&all).len(), 1);
    }

    #[test]
    fn nine_in_ten_functions_are_short() {
        let mut all = functions(&parse(&"fn f() {}\n".repeat(9)));
        all.extend(functions(&parse(&function_of(31))));
        assert!(check_functions(&all).is_empty());
        all.extend(functions(&parse(&function_of(31))));
        let violations = check_functions(&all);
        assert_eq!(violations.len(), NAMED_OFFENDERS);
        assert!(violations[0].advice.contains("81.8 %"), "{}", violations[0].advice);
        assert!(check_functions(&[]).is_empty());
    }

    #[test]
    fn methods_defaults_and_nested_functions_are_functions() {
        let text = "impl A { fn a(&self) { fn b() {} } }\ntrait T { fn c() {} fn d(); }\nmod m { fn e() {} }";
        let names: Vec<_> = functions(&parse(text)).into_iter().map(|function| function.name).collect();
        assert_eq!(names, ["a", "b", "c", "e"]);
    }

    #[test]
    fn parameters_count_the_receiver_but_not_those_a_trait_prescribes() {
        let eight = "a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8";
        let inherent = format!("impl A {{ fn f(&self, {eight}) {{}} }}");
        let declared = format!("trait T {{ fn f(&self, {eight}); }}");
        let implemented = format!("impl T for A {{ fn f(&self, {eight}) {{}} }}");
        let seven = format!("fn f({eight}) {{}}");
        let violations = |text: &str| check_file(&parse(text)).len();
        assert_eq!(violations(&inherent), 1);
        assert_eq!(violations(&declared), 1);
        assert_eq!(violations(&implemented), 0);
        assert_eq!(violations(&seven), 0);
    }

    #[test]
    fn macros_are_short_wherever_they_stand() {
        let rows = "    () => {};\n".repeat(18);
        assert!(check_file(&parse(&format!("macro_rules! m {{\n{rows}}}\n"))).is_empty());
        let rows = "    () => {};\n".repeat(19);
        assert_eq!(check_file(&parse(&format!("macro_rules! m {{\n{rows}}}\n"))).len(), 1);
        assert_eq!(check_file(&parse(&format!("fn f() {{\nmacro_rules! m {{\n{rows}}}\n}}\n"))).len(), 1);
    }

    #[test]
    fn files_end_at_the_limit() {
        assert!(check_file(&parse(&"//\n".repeat(LONGEST_FILE))).is_empty());
        assert_eq!(check_file(&parse(&"//\n".repeat(LONGEST_FILE + 1))).len(), 1);
    }
}
