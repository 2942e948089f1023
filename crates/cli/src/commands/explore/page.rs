//! What was found in a file, as a page.

use finetone_data::explore::{ClassPortrait, ColumnPortrait, ColumnValues, Exploration, Lengths};
use finetone_evaluate::{Cell, Chart, Page, PageSection, PageTable};

use super::told::{mean_of, measured, percent, sentence, strength, telling};

/// The page.
pub fn page(found: &Exploration) -> Page {
    let file = found.file.file_name().unwrap_or_default().to_string_lossy();
    let most = found.classes.iter().max_by_key(|class| class.rows);
    let headline = match most {
        Some(class) => format!(
            "{} rows in {} classes; the most frequent, “{}”, has {}",
            found.rows,
            found.classes.len(),
            class.label,
            percent(class.rows, found.rows)
        ),
        None => format!("{} rows", found.rows),
    };
    let mut remarks = vec![format!("Texts from the column “{}”.", found.text_column)];
    if found.conversations > 0 {
        remarks.push(format!("{} are conversations.", found.conversations));
    }
    let mut sections = vec![balance(found), lengths(found), manner(found), terms(found), copies(found)];
    if !found.columns.is_empty() {
        sections.push(columns(found));
    }
    Page { title: format!("What is in {file}"), headline, remarks, notices: found.notices.clone(), sections }
}

fn table(title: &str, header: &[&str], rows: Vec<Vec<Cell>>) -> PageTable {
    PageTable { title: title.to_owned(), header: header.iter().map(|name| (*name).to_owned()).collect(), rows }
}

fn balance(found: &Exploration) -> PageSection {
    let row = |class: &ClassPortrait| {
        let share = class.rows as f64 / found.rows.max(1) as f64;
        let share_of_rows = Cell::number(percent(class.rows, found.rows));
        vec![Cell::text(&class.label), Cell::number(class.rows), share_of_rows, Cell::bar(share)]
    };
    PageSection {
        title: "Balance".into(),
        tables: vec![table("", &["Class", "Rows", "Share", ""], found.classes.iter().map(row).collect())],
        ..PageSection::default()
    }
}

fn lengths(found: &Exploration) -> PageSection {
    let mut tables = vec![lengths_table("Words", found, |class| Some(&class.words))];
    let meaning = match found.token_limit {
        Some(limit) => {
            tables.push(lengths_table("Tokens", found, |class| class.tokens.as_ref()));
            let cut: usize = found.classes.iter().map(|class| class.truncated).sum();
            tables.push(truncated(found));
            format!("{} of the texts are longer than {limit} tokens and will be cut.", percent(cut, found.rows))
        }
        None => "Words by white space; with `--model` also tokens, and how many texts its limit cuts.".into(),
    };
    let chart = |class: &ClassPortrait| Chart {
        title: class.label.clone(),
        x: "words".into(),
        y: "share of texts".into(),
        points: class.words.bins.iter().map(|bin| (bin.middle, bin.share)).collect(),
        meaning: format!("Mean {:.0} words.", class.words.mean),
        ..Chart::default()
    };
    let charts = found.classes.iter().map(chart).collect();
    PageSection { title: "Lengths".into(), meaning, tables, charts, ..PageSection::default() }
}

fn lengths_table(title: &str, found: &Exploration, of: impl Fn(&ClassPortrait) -> Option<&Lengths>) -> PageTable {
    let longest = found.classes.iter().filter_map(&of).map(|lengths| lengths.quantiles[6]).max();
    let scale = |length: usize| length as f64 / longest.unwrap_or(1).max(1) as f64;
    let rows = found.classes.iter().filter_map(|class| {
        let quantiles = of(class)?.quantiles;
        let [_, tenth, _, median, _, nine_tenths, _] = quantiles;
        let mut row = vec![Cell::text(&class.label)];
        row.extend(quantiles.map(Cell::number));
        row.push(Cell::range(scale(tenth), scale(median), scale(nine_tenths)));
        Some(row)
    });
    let header = ["Class", "Least", "10 %", "25 %", "Median", "75 %", "90 %", "Most", "10 % to 90 %"];
    table(title, &header, rows.collect())
}

fn truncated(found: &Exploration) -> PageTable {
    let row = |class: &ClassPortrait| {
        let share = class.truncated as f64 / class.rows.max(1) as f64;
        let cut = Cell::number(percent(class.truncated, class.rows));
        vec![Cell::text(&class.label), Cell::number(class.truncated), cut, Cell::bar(share)]
    };
    table("Cut", &["Class", "Texts", "Share", ""], found.classes.iter().map(row).collect())
}

fn manner(found: &Exploration) -> PageSection {
    let row = |name: &&'static str| {
        let mean = |class: &ClassPortrait| class.measured.iter().find(|(known, _)| known == name).map(|found| found.1);
        let means: Vec<Option<f64>> = found.classes.iter().map(mean).collect();
        let most = means.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
        let cell = |mean: &Option<f64>| match mean {
            Some(mean) => Cell::number(mean_of(name, *mean)).shaded(mean / most),
            None => Cell::number("–"),
        };
        std::iter::once(Cell::text(name.replace('_', " "))).chain(means.iter().map(cell)).collect()
    };
    let header: Vec<&str> =
        ["Mean of a text"].into_iter().chain(found.classes.iter().map(|class| class.label.as_str())).collect();
    PageSection {
        title: "Manner".into(),
        meaning: "Question and exclamation marks of a text, and the share of capitals among its letters; turns and the two sides \
                  over the conversations alone. The shade follows the greatest of a row."
            .into(),
        tables: vec![table("", &header, measured(found).iter().map(row).collect())],
        ..PageSection::default()
    }
}

fn terms(found: &Exploration) -> PageSection {
    let of_class = |class: &ClassPortrait| {
        let most = class.terms.first().map_or(1.0, |term| term.score);
        let rows = class.terms.iter().map(|term| {
            let score = Cell::number(format!("{:.1}", term.score));
            let (here, there) = (Cell::number(term.count), Cell::number(term.others));
            vec![Cell::text(&term.text), here, there, score, Cell::bar(term.score / most)]
        });
        table(&class.label, &["Words", "In the class", "Elsewhere", "Score", ""], rows.collect())
    };
    PageSection {
        title: "Words that mark a class".into(),
        meaning: "How much oftener a word, or two in a row, occurs in a class than in the others: the log-odds ratio with a prior \
                  from the whole file (Monroe, Colaresi and Quinn 2008), in standard deviations. Among so many words some reach 2 \
                  by chance."
            .into(),
        tables: found.classes.iter().filter(|class| !class.terms.is_empty()).map(of_class).collect(),
        ..PageSection::default()
    }
}

fn copies(found: &Exploration) -> PageSection {
    let rows = found.copies.named.iter().map(|copy| {
        let label = if copy.contradicts { "another" } else { "the same" };
        let (line, of_line) = (Cell::text(format!("line {}", copy.line)), Cell::text(format!("line {}", copy.of_line)));
        vec![line, of_line, Cell::number(format!("{:.0} %", 100.0 * copy.common)), Cell::text(label)]
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    let tables =
        if rows.is_empty() { vec![] } else { vec![table("", &["Row", "Repeats", "In common", "Label"], rows)] };
    PageSection {
        title: "Copies".into(),
        meaning: format!(
            "In all {}. Near copies share four fifths of their runs of three words or more (estimated). Those with \
             different labels teach a model two things at once; decide on one label.",
            sentence(&found.copies)
        ),
        tables,
        ..PageSection::default()
    }
}

fn columns(found: &Exploration) -> PageSection {
    let row = |column: &ColumnPortrait| {
        let holds = match &column.values {
            ColumnValues::Numbers(_) => "numbers",
            ColumnValues::Categories(_) => "words",
            ColumnValues::TooMany => "more than 1,000 different words",
        };
        let bar = column.strength.map_or(Cell::text(""), Cell::bar);
        vec![
            Cell::text(&column.name),
            Cell::number(strength(column)),
            bar,
            Cell::text(holds),
            Cell::number(column.missing),
        ]
    };
    let header = ["Column", "Strength", "", "Holds", "Empty"];
    let mut tables = vec![table("", &header, found.columns.iter().map(row).collect())];
    tables.extend(found.columns.iter().filter_map(|column| values(column, found)));
    let mut meaning = "How much each goes with the class, from 0 to 1: Cramér's V for words, the correlation ratio for numbers, \
                       both corrected for chance. A column that gives the class away may not be known when the model is used."
        .to_owned();
    if let Some(warning) = telling(found) {
        meaning += " ";
        meaning += &warning;
    }
    PageSection { title: "Other columns".into(), meaning, tables, ..PageSection::default() }
}

fn values(column: &ColumnPortrait, found: &Exploration) -> Option<PageTable> {
    let classes = || found.classes.iter().map(|class| class.label.as_str());
    match &column.values {
        ColumnValues::Numbers(of_classes) => {
            let rows = of_classes.iter().map(|number| {
                let interval = number.interval.map_or("–".to_owned(), |(low, high)| format!("{low:.3} to {high:.3}"));
                let mean = Cell::number(format!("{:.3}", number.mean));
                vec![Cell::text(&number.label), Cell::number(number.rows), mean, Cell::number(interval)]
            });
            Some(table(&column.name, &["Class", "Rows", "Mean", "95 % interval"], rows.collect()))
        }
        ColumnValues::Categories(categories) => {
            let rows = categories.iter().map(|category| {
                let all: usize = category.rows.iter().sum();
                let share = |rows: &usize| *rows as f64 / all.max(1) as f64;
                let cell = |rows: &usize| Cell::number(format!("{:.0} %", 100.0 * share(rows))).shaded(share(rows));
                let named = [Cell::text(&category.value), Cell::number(all)];
                named.into_iter().chain(category.rows.iter().map(cell)).collect()
            });
            let header: Vec<&str> = ["Value", "Rows"].into_iter().chain(classes()).collect();
            Some(table(&column.name, &header, rows.collect()))
        }
        ColumnValues::TooMany => None,
    }
}
