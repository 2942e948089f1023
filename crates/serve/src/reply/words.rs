//! The words that an instruction offers as answers: `Positive, Negative or Neutral`.

/// The longest list of words that a text offers, in its order; empty where it offers none.
///
/// A list is words with commas, slashes, bars, `or` or `and` between them, each perhaps in quotes or between stars; after `or`
/// comes the last one, unless there is another `or`. Of lists of the same length the last one counts, because what is to be
/// answered usually stands at the end.
pub fn offered(text: &str) -> Vec<String> {
    let mut best = Vec::new();
    for list in lists(text) {
        let list = distinct(list);
        if list.len() >= best.len().max(2) {
            best = list;
        }
    }
    best
}

/// Every list of words of a text, those of one word included.
fn lists(text: &str) -> Vec<Vec<String>> {
    let mut lists: Vec<Vec<String>> = Vec::new();
    // Whether something joins the next word to the list, and whether there was an `or`: between the two, and before the last.
    let (mut joint, mut or, mut last) = (false, false, false);
    for token in tokens(text) {
        match token {
            Token::Joint => joint = true,
            Token::Or => (joint, or) = (true, true),
            Token::End => (joint, or, last) = (false, false, false),
            Token::Word(word) => {
                match lists.last_mut() {
                    Some(list) if joint && (!last || or) => {
                        list.push(word);
                        last |= or;
                    }
                    _ => {
                        lists.push(vec![word]);
                        last = false;
                    }
                }
                (joint, or) = (false, false);
            }
        }
    }
    lists
}

/// The words of a list, each once. Where several are capitalised, the others were no part of it: `in one word, Yes or No`.
fn distinct(list: Vec<String>) -> Vec<String> {
    let capitalised = |word: &String| word.starts_with(char::is_uppercase);
    let only_capitalised = list.iter().filter(|word| capitalised(word)).count() > 1;
    let mut distinct = Vec::new();
    for word in list {
        if (!only_capitalised || capitalised(&word)) && !distinct.contains(&word) {
            distinct.push(word);
        }
    }
    distinct
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    /// Something that stands between two words of a list.
    Joint,
    /// A word that does.
    Or,
    /// Something that ends a list.
    End,
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_alphanumeric() || "-_'".contains(c) {
            word.push(c);
            continue;
        }
        let found = std::mem::take(&mut word);
        let found = found.trim_matches(['\'', '-', '_']);
        match found.to_lowercase().as_str() {
            "" => {}
            "or" | "and" => tokens.push(Token::Or),
            _ => tokens.push(Token::Word(found.to_owned())),
        }
        match c {
            ',' | '/' | '|' => tokens.push(Token::Joint),
            '.' | '!' | '?' | ';' | ':' | '(' | ')' | '\n' => tokens.push(Token::End),
            _ => {}
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_found_as_people_write_them() {
        let three = ["Positive", "Negative", "Neutral"];
        for text in [
            "Classify the sentiment as Positive, Negative or Neutral.",
            "Answer with one word: Positive, Negative, or Neutral",
            "You judge texts. Say \"Positive\", \"Negative\", or \"Neutral\", nothing else.",
            "Reply **Positive** / **Negative** / **Neutral**!",
            "Choose (Positive|Negative|Neutral) for each text",
            "Be kind and fair. The answer is 'Positive', 'Negative' and 'Neutral'.",
            "Is it Positive or Negative or Neutral?",
        ] {
            assert_eq!(offered(text), three, "{text}");
        }
        assert_eq!(offered("Say yes or no"), ["yes", "no"]);
        assert_eq!(offered("In one word, Positive or Negative"), ["Positive", "Negative"]);
        assert_eq!(offered("Positive, negative or neutral, please"), ["Positive", "negative", "neutral"]);
        assert_eq!(offered("Rate it: 1, 2, 3, 4, 5"), ["1", "2", "3", "4", "5"]);
    }

    #[test]
    fn what_is_no_list_offers_nothing() {
        for text in
            ["", "You are an assistant that judges sentiment.", "One word only", ", or and /", "yes, yes or yes"]
        {
            assert!(offered(text).is_empty(), "{text}: {:?}", offered(text));
        }
    }
}
