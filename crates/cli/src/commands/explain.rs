//! `finetone explain`.

use std::io::{Read, Write};

use anstyle::{AnsiColor, Style};
use finetone_backend_cpu::{Cpu, Precision};
use finetone_classify::{Classifier, Explanation, TOKEN_BUDGET, TransformerClassifier};
use finetone_data::Example;
use finetone_evaluate::most_probable;
use finetone_generate::ChatNote;
use finetone_model::ATTRIBUTION_TOLERANCE;
use finetone_model::checkpoint::ModelFolder;
use serde_json::{Value, json};

use crate::device::DeviceArgs;
use crate::failure::Failure;
use crate::found::Found;
use crate::tables::{self, printable};

/// The end of the help.
pub const EXAMPLES: &str = "\
Explained is why the model preferred its answer to the next one. Words in green speak for the answer and words in red against \
it; below stand those that counted most, with what each added to the logarithm of the odds, and for a conversation the same for \
each turn. The numbers are integrated gradients against the same text with padding for every token, and add up within 1 %. Where \
the model keeps its training texts (`train --set neighbours=on`), the nearest three are shown as well.

Examples:
  finetone explain runs/reviews-1 'Arrived late, but I love it'
  finetone explain runs/calls-1 - < call.txt
  finetone explain runs/reviews-1 'Not bad at all' --json | jq '.[0].words'";

/// Words that are listed.
const LISTED: usize = 10;
/// A word with less than this share of the greatest contribution is not coloured.
const COLOURED: f64 = 0.15;
/// One with more is underlined.
const STRONG: f64 = 0.5;

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    /// A run, a folder with a Hugging Face classification model, or a Hugging Face id
    run: String,
    /// The texts to explain; `-` is one text from standard input
    #[arg(required = true, value_name = "TEXT")]
    texts: Vec<String>,
    /// Print a JSON list, an object for each text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Explains and tells.
pub fn run(args: &Args) -> Result<(), Failure> {
    let examples = args.texts.iter().map(|text| example(text)).collect::<Result<Vec<_>, _>>()?;
    let found = Found::new(&args.run)?;
    // With fewer bits the contributions would not add up within 1 %.
    let cpu = args.device.open(Precision::F32)?;
    let text = cpu.install(|| -> Result<String, Failure> {
        let mut classifier = open(&cpu, &found)?.showing_neighbours()?;
        if let Some(column) = classifier.columns().first() {
            return Err(Failure::new(
                format!("the model needs the column `{column}` with each text, which cannot be typed here"),
                "explain a model that reads texts alone".to_owned(),
            ));
        }
        let explained = examples.iter().map(|example| classifier.explain(example)).collect::<Result<Vec<_>, _>>()?;
        let labels = classifier.labels();
        if args.json {
            let all: Value = explained.iter().map(|found| object(found, labels)).collect();
            return Ok(format!("{all}\n"));
        }
        Ok(explained.iter().map(|found| page(found, labels)).collect::<Vec<_>>().join("\n"))
    })?;
    Ok(anstream::stdout().write_all(text.as_bytes())?)
}

/// Opens a model whose answers can be explained.
pub fn open(cpu: &Cpu, found: &Found) -> Result<TransformerClassifier<Cpu>, Failure> {
    if ChatNote::of(ModelFolder::open(&found.folder)?.config())?.is_some() {
        return Err(Failure::new(
            format!("{}: a language model, whose answers are not explained by words", found.folder.display()),
            "train a classifier, which any encoder is: `finetone train FILE --model tiny`".to_owned(),
        ));
    }
    Ok(TransformerClassifier::open(cpu.clone(), &found.folder, TOKEN_BUDGET)?)
}

fn example(text: &str) -> Result<Example, Failure> {
    let mut read = String::new();
    if text == "-" {
        std::io::stdin().read_to_string(&mut read)?;
    }
    let example = Example::from_text(if text == "-" { &read } else { text });
    if example.text.is_empty() {
        return Err(Failure::usage("an empty text cannot be explained", "give a text with at least one word"));
    }
    Ok(example)
}

fn page(found: &Explanation, labels: &[String]) -> String {
    let named = |class: usize| format!("{} ({})", labels[class], tables::number(found.probabilities[class].into()));
    let (of_text, of_silence) = found.log_odds;
    let mut page = format!(
        "{} rather than {}: log-odds {of_text:+.2}, of which {of_silence:+.2} without any word\n\n{}\n\n",
        named(found.class),
        named(found.against),
        coloured(found)
    );
    let mut words: Vec<_> = found.words.iter().collect();
    words.sort_by(|a, b| b.contribution.abs().total_cmp(&a.contribution.abs()));
    let rows = words
        .iter()
        .take(LISTED)
        .map(|word| vec![printable(&found.text[word.place.clone()]), signed(word.contribution)]);
    page += &tables::plain(&["word", "adds"], rows);
    if found.gap > ATTRIBUTION_TOLERANCE {
        page += &format!("note: these numbers add up only within {:.1} %\n", 100.0 * found.gap);
    }
    if !found.turns.is_empty() {
        let strongest = found.turns.iter().map(|turn| turn.contribution).fold(f64::NEG_INFINITY, f64::max);
        let rows = found.turns.iter().map(|turn| {
            let speaker = turn.speaker.unwrap_or("before the first turn");
            let decided = if turn.contribution == strongest { "decided" } else { "" };
            vec![speaker.to_owned(), turn.turn.to_string(), signed(turn.contribution), decided.to_owned()]
        });
        page += &format!("\n{}", tables::plain(&["turn of", "number", "adds", ""], rows));
    }
    let answered = most_probable(&found.probabilities);
    if answered != found.class {
        page += &format!(
            "note: the answer is {}: neighbours or the rule for decisions have the last word\n",
            named(answered)
        );
    }
    if !found.neighbours.is_empty() {
        page += &format!("\nnearest of the training texts:\n{}", tables::neighbours(&found.neighbours, labels));
    }
    page
}

/// The words that were read with their colours; what was left out of a long text is not shown.
fn coloured(found: &Explanation) -> String {
    let most = found.words.iter().map(|word| word.contribution.abs()).fold(0.0, f64::max);
    let (mut text, mut end) = (String::new(), None);
    for word in &found.words {
        text += &match end {
            None => String::new(),
            Some(end) => gap(&found.text[end..word.place.start]),
        };
        end = Some(word.place.end);
        let style = style(word.contribution, most);
        text += &format!("{style}{}{style:#}", printable(&found.text[word.place.clone()]));
    }
    text
}

/// The white space between two words, or a sign that words between them were not read.
fn gap(between: &str) -> String {
    if between.trim().is_empty() { between.replace('\r', "") } else { " … ".to_owned() }
}

fn style(contribution: f64, most: f64) -> Style {
    let share = if most == 0.0 { 0.0 } else { contribution.abs() / most };
    if share < COLOURED {
        return Style::new();
    }
    let colour = if contribution > 0.0 { AnsiColor::Green } else { AnsiColor::Red };
    let style = Style::new().fg_color(Some(colour.into()));
    if share > STRONG { style.bold().underline() } else { style }
}

fn signed(value: f64) -> String {
    format!("{value:+.3}")
}

fn object(found: &Explanation, labels: &[String]) -> Value {
    let word = |word: &finetone_classify::Word| json!({ "word": &found.text[word.place.clone()], "start": word.place.start, "adds": word.contribution });
    let turn = |turn: &finetone_classify::Decisive| json!({ "turn": turn.turn, "speaker": turn.speaker, "adds": turn.contribution });
    json!({
        "label": labels[found.class],
        "against": labels[found.against],
        "probabilities": labels.iter().zip(&found.probabilities).map(|(label, p)| (label.clone(), json!(p))).collect::<serde_json::Map<_, _>>(),
        "log_odds": found.log_odds.0,
        "log_odds_without_words": found.log_odds.1,
        "gap": found.gap,
        "text": found.text,
        "words": found.words.iter().map(word).collect::<Vec<_>>(),
        "turns": found.turns.iter().map(turn).collect::<Vec<_>>(),
        "neighbours": found.neighbours.iter().map(|near| near.json(labels)).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strong_words_have_strong_colours_and_weak_ones_none() {
        assert_eq!(style(0.1, 1.0), Style::new());
        assert_eq!(style(-0.3, 1.0).get_fg_color(), Some(AnsiColor::Red.into()));
        assert!(style(0.9, 1.0).get_effects().contains(anstyle::Effects::BOLD));
        assert_eq!(style(0.0, 0.0), Style::new());
    }

    #[test]
    fn signs_that_a_terminal_obeys_are_not_passed_on() {
        assert_eq!(printable("a\u{1b}[31mb"), "a\u{fffd}[31mb");
        assert_eq!((gap("\r\n").as_str(), gap(" left out ").as_str()), ("\n", " … "));
    }
}
