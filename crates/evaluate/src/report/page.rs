//! A page of tables and charts about anything, in the manner of the report.
//!
//! The caller says what stands in which table; this file knows how it looks. Everything that came from a user is escaped.

use askama::Template;

use super::chart::{Axes, Line, Look, Scale, line_chart};
use super::html::{Figure, Range};
use super::parallel::ParallelAxes;
use crate::EvaluateError;

/// A page without models: what was found, in tables and charts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The headline, such as the name of the file.
    pub title: String,
    /// What was found, in one sentence.
    pub headline: String,
    /// What else to know first.
    pub remarks: Vec<String>,
    /// What the reader should know before trusting the numbers.
    pub notices: Vec<String>,
    /// The parts, in order.
    pub sections: Vec<PageSection>,
}

/// One part of a page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PageSection {
    /// What it is about.
    pub title: String,
    /// How to read it.
    pub meaning: String,
    /// Its tables.
    pub tables: Vec<PageTable>,
    /// Its charts, below the tables.
    pub charts: Vec<Chart>,
    /// Its pictures of many quantities at once, as wide as the page.
    pub parallel: Vec<ParallelAxes>,
}

/// A table whose first column names the rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PageTable {
    /// What it is about; may be empty.
    pub title: String,
    /// Names of the columns.
    pub header: Vec<String>,
    /// The rows, each with a cell for every column.
    pub rows: Vec<Vec<Cell>>,
}

/// One cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    text: String,
    number: bool,
    /// Low end, high end and mark of a small bar, from 0 to 1.
    bar: Option<[f64; 3]>,
    /// How dark the cell is, from 0 to 1.
    shade: Option<f64>,
}

impl Cell {
    /// Words.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), number: false, bar: None, shade: None }
    }

    /// A number as it is to be read.
    pub fn number(number: impl ToString) -> Self {
        Self { number: true, ..Self::text(number.to_string()) }
    }

    /// A bar from 0 to `share`, which is at most 1.
    pub fn bar(share: f64) -> Self {
        Self { bar: Some([0.0, share, share]), ..Self::text("") }
    }

    /// A bar from `low` to `high` with a mark, all between 0 and 1.
    pub fn range(low: f64, mark: f64, high: f64) -> Self {
        Self { bar: Some([low, high, mark]), ..Self::text("") }
    }

    /// Darkens the cell by a share from 0 to 1.
    pub fn shaded(self, share: f64) -> Self {
        Self { shade: Some(share), ..self }
    }

    fn range_of_bar(&self) -> Option<Range> {
        let percent = |share: f64| (1_000.0 * share.clamp(0.0, 1.0)).round() / 10.0;
        let [low, high, mark] = self.bar?;
        Some(Range { low: percent(low), width: percent(high) - percent(low), value: percent(mark) })
    }
}

/// A line over numbers from 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// What stands along the horizontal axis.
    pub x: String,
    /// What stands along the vertical axis.
    pub y: String,
    /// The line.
    pub points: Vec<(f64, f64)>,
    /// Whether each of the points has a mark, because they are few.
    pub marked: bool,
    /// Whether the vertical axis runs from 0 to 1, whatever the points.
    pub shares: bool,
    /// A line to hold it against; may be empty.
    pub dashed: Vec<(f64, f64)>,
    /// How to read it.
    pub meaning: String,
}

impl Chart {
    fn figure(&self) -> Option<Figure> {
        let scale = if self.shares { Scale::Shares } else { Scale::Free };
        let axes = Axes { description: &self.title, x: &self.x, y: &self.y, scale };
        let look = if self.marked { Look::Marked } else { Look::Solid };
        let lines = vec![Line::new(self.dashed.clone(), Look::Dashed), Line::new(self.points.clone(), look)];
        let svg = line_chart(&axes, lines)?;
        Some(Figure { title: self.title.clone(), svg, meaning: self.meaning.clone() })
    }
}

#[derive(Template)]
#[template(path = "sections.html")]
struct View<'a> {
    page: &'a Page,
}

impl Page {
    /// One self-contained HTML page.
    ///
    /// # Errors
    /// [`EvaluateError::Render`] if the template fails, which no content should bring about.
    pub fn to_html(&self) -> Result<String, EvaluateError> {
        let html = View { page: self }.render();
        html.map(|page| page + "\n").map_err(|error| EvaluateError::Render(error.to_string()))
    }
}

impl PageSection {
    fn figures(&self) -> Vec<Figure> {
        self.charts.iter().filter_map(Chart::figure).collect()
    }
}
