//! Features as words before a text.

use super::bare;

/// A part of a template: words, or the name of a feature between braces.
enum Part<'t> {
    Words(&'t str),
    Name(&'t str),
    /// A brace that never closes.
    Open,
}

fn parts(template: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        let (part, next) = match rest.strip_prefix('{') {
            _ if rest.is_empty() => return None,
            Some(inside) => match inside.split_once('}') {
                Some((name, next)) => (Part::Name(name), next),
                None => (Part::Open, ""),
            },
            None => {
                let (words, next) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
                (Part::Words(words), next)
            }
        };
        rest = next;
        Some(part)
    })
}

/// Name and value of each feature in a row: `customer words {customer_words}, stars {stars}. `
pub fn default_template<'n>(names: impl IntoIterator<Item = &'n String>) -> String {
    let one = |name: &String| format!("{} {{{name}}}", bare(name).replace('_', " "));
    names.into_iter().map(one).collect::<Vec<_>>().join(", ") + ". "
}

/// Says what is wrong with a template for features of these names.
///
/// # Errors
/// The first brace without an end, or the first name between braces that is no feature.
pub fn check_template(template: &str, names: &[String]) -> Result<(), String> {
    for part in parts(template) {
        match part {
            Part::Open => return Err("a `{` in it is never closed".to_owned()),
            Part::Name(name) if !names.iter().any(|known| known == name) => {
                return Err(format!("`{{{name}}}` in it is not among `features`"));
            }
            Part::Words(_) | Part::Name(_) => {}
        }
    }
    Ok(())
}

/// The template with values in place of names.
pub(super) fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let words = |part| match part {
        Part::Words(words) => words.to_owned(),
        Part::Name(name) => value(name).unwrap_or_default(),
        Part::Open => String::new(),
    };
    parts(template).map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["customer_words", "column:words", "Stars"].map(str::to_owned).to_vec()
    }

    #[test]
    fn values_take_the_place_of_names() {
        let value = |name: &str| Some(format!("<{name}>"));
        assert_eq!(fill("a {b} c} {d}{e", value), "a <b> c} <d>");
        assert_eq!(
            fill(&default_template(&names()), value),
            "customer words <customer_words>, words <column:words>, Stars <Stars>. "
        );
    }

    #[test]
    fn a_wrong_template_is_told() {
        assert_eq!(check_template(&default_template(&names()), &names()), Ok(()));
        assert_eq!(check_template("no names", &[]), Ok(()));
        assert_eq!(check_template("{stars}", &names()).unwrap_err(), "`{stars}` in it is not among `features`");
        assert!(check_template("a {Stars", &names()).unwrap_err().contains("never closed"));
    }
}
