//! The gradients, and where among all these zeros there is one.
//!
//! A batch looks up a few hundred of an embedding's thousands of rows. Only these get a gradient, so only these are
//! summed in the norm and cleared, and only rows that ever had one have moments. The rest of both is never written, and
//! so never becomes memory.

use finetone_backend::{AdamW, Backend, Real, Span};

use crate::params::{ParamId, ParamTable, Parameters};

/// The two moments of AdamW, laid out like the gradients.
pub type Moments<B> = (<B as Backend>::Buffer, <B as Backend>::Buffer);

/// Gradients of all trained parameters in one contiguous buffer, laid out by the table. They start as zeros, backward adds
/// to them, and the optimiser's step clears them.
pub struct Gradients<B: Backend> {
    /// The numbers, `table.gradient_len()` of them.
    pub buffer: B::Buffer,
    /// Where the parameters lie that have gradients everywhere, neighbours joined.
    everywhere: Vec<Span>,
    /// The trained tables of which rows are looked up.
    tables: Vec<Rows>,
    /// Where there are gradients in this step.
    spans: Vec<Span>,
}

/// Which rows of a table have a gradient, and which have moments.
struct Rows {
    id: ParamId,
    span: Span,
    width: usize,
    /// What is known of each row.
    marks: Vec<Mark>,
    /// The rows with a gradient, in the order in which they were met until they are needed ascending.
    in_step: Vec<u32>,
    /// The rows with moments other than zero, or about to get them, ascending; stale if `has_new`.
    ever: Vec<u32>,
    has_new: bool,
}

/// What is known of a row.
#[derive(Clone, Copy, Default)]
struct Mark {
    in_step: bool,
    ever: bool,
}

impl Rows {
    fn new(id: ParamId, span: Span, rows: usize) -> Self {
        let marks = vec![Mark::default(); rows];
        // Room for every row from the start: a step allocates nothing.
        let (in_step, ever) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        Self { id, span, width: span.len / rows, marks, in_step, ever, has_new: false }
    }

    fn mark_ever(&mut self, row: usize) {
        self.has_new |= !self.marks[row].ever;
        self.marks[row].ever = true;
    }

    fn mark_in_step(&mut self, row: u32) {
        self.mark_ever(row as usize);
        let mark = &mut self.marks[row as usize];
        if !std::mem::replace(&mut mark.in_step, true) {
            self.in_step.push(row);
        }
    }

    /// Where row `row` lies in the buffer.
    fn span_of(&self, row: usize) -> Span {
        Span { start: self.span.start + row * self.width, len: self.width }
    }

    /// The rows with moments, now that the gradients of this step become part of them.
    fn end_step(&mut self) -> &[u32] {
        for row in self.in_step.drain(..) {
            self.marks[row as usize].in_step = false;
        }
        if std::mem::take(&mut self.has_new) {
            self.ever.clear();
            self.ever.extend((0..self.marks.len() as u32).filter(|&row| self.marks[row as usize].ever));
        }
        &self.ever
    }
}

impl<B: Backend> Gradients<B> {
    /// Zeros for every trained parameter.
    pub fn new(backend: &B, table: &ParamTable) -> Self {
        let (mut everywhere, mut tables, mut pieces) = (Vec::new(), Vec::new(), 0);
        for (id, spec) in table.iter() {
            let Some(span) = table.span(id) else { continue };
            if spec.looked_up {
                tables.push(Rows::new(id, span, spec.shape.rows));
                pieces += spec.shape.rows;
            } else {
                push_joined(&mut everywhere, span);
            }
        }
        let spans = Vec::with_capacity(everywhere.len() + pieces);
        Self { buffer: backend.zeros(table.gradient_len()), everywhere, tables, spans }
    }

    /// Zero moments for every trained parameter.
    pub fn moments(backend: &B, table: &ParamTable) -> Moments<B> {
        (backend.zeros(table.gradient_len()), backend.zeros(table.gradient_len()))
    }

    /// Learns from moments that did not start as zeros in this run which rows have any.
    pub fn resume(&mut self, backend: &B, moments: &Moments<B>) {
        for rows in &mut self.tables {
            let mut values = vec![B::Real::default(); rows.width];
            for row in 0..rows.marks.len() {
                let has_any = [&moments.0, &moments.1].into_iter().any(|moment| {
                    backend.read(&mut values, moment, rows.span_of(row).range());
                    values.iter().any(|value| value.to_f64() != 0.0)
                });
                if has_any {
                    rows.mark_ever(row);
                }
            }
        }
    }

    /// Notes that backward added to the gradients of these rows of a table.
    pub(crate) fn looked_up(&mut self, id: ParamId, ids: &[u32]) {
        if let Some(rows) = self.tables.iter_mut().find(|rows| rows.id == id) {
            ids.iter().for_each(|&row| rows.mark_in_step(row));
        }
    }

    /// Euclidean norm of all gradients.
    pub fn norm(&mut self, backend: &B) -> f64 {
        let Self { buffer, everywhere, tables, spans } = self;
        spans.clone_from(everywhere);
        for rows in tables {
            rows.in_step.sort_unstable();
            for &row in &rows.in_step {
                push_joined(spans, rows.span_of(row as usize));
            }
        }
        backend.global_norm(buffer, spans)
    }

    /// One step of AdamW on a trained parameter; its gradient is zero afterwards.
    ///
    /// # Panics
    /// When the parameter is frozen.
    pub fn adamw(
        &mut self,
        backend: &B,
        (table, parameters): (&ParamTable, &mut Parameters<B>),
        id: ParamId,
        moments: &mut Moments<B>,
        update: &AdamW,
    ) {
        let span = table.span(id).expect("only trained parameters take steps");
        let rows = self.tables.iter_mut().find(|rows| rows.id == id).map(Rows::end_step);
        let moments = (&mut moments.0, &mut moments.1);
        backend.adamw(parameters.get_mut(id), moments, &mut self.buffer, span, rows, update);
    }
}

/// Adds a span to those before it, as part of the last one where it follows without a gap.
fn push_joined(spans: &mut Vec<Span>, span: Span) {
    match spans.last_mut() {
        Some(last) if last.range().end == span.start => last.len += span.len,
        _ => spans.push(span),
    }
}

#[cfg(test)]
mod tests {
    use finetone_backend::Reference;

    use super::*;
    use crate::config::Family;
    use crate::families::{Sizes, from_scratch};
    use crate::transformer::Model;

    type Exact = Reference<f64>;

    fn model() -> Model<Exact> {
        let (vocab_size, hidden_size, layers, heads) = (50, 4, 1, 2);
        let sizes =
            Sizes { vocab_size, hidden_size, layers, heads, intermediate_size: 6, max_tokens: 9, pad_token_id: 0 };
        Model::initialise(&Reference::new(), from_scratch(Family::Bert, &sizes).unwrap(), 1)
    }

    /// Gradients of one in the first number of these rows of the table of tokens.
    fn look_up(gradients: &mut Gradients<Exact>, rows: &[u32]) {
        let (id, start, width) = (gradients.tables[0].id, gradients.tables[0].span.start, gradients.tables[0].width);
        gradients.looked_up(id, rows);
        rows.iter().for_each(|&row| gradients.buffer[start + row as usize * width] = 1.0);
    }

    fn step(model: &mut Model<Exact>, gradients: &mut Gradients<Exact>, moments: &mut Moments<Exact>, step: u64) {
        let (rate, beta1, beta2, epsilon, weight_decay) = (1e-2, 0.9, 0.999, 1e-8, 0.0);
        let update = AdamW { rate, beta1, beta2, epsilon, weight_decay, step, gradient_scale: 1.0 };
        let ids: Vec<ParamId> = model.table.iter().map(|(id, _)| id).collect();
        for id in ids {
            gradients.adamw(&Reference::new(), (&model.table, &mut model.parameters), id, moments, &update);
        }
    }

    #[test]
    fn the_norm_is_that_of_the_rows_of_this_step_and_moments_stay() {
        let (backend, mut model) = (Reference::new(), model());
        let mut gradients = Gradients::new(&backend, &model.table);
        let mut moments = Gradients::moments(&backend, &model.table);
        look_up(&mut gradients, &[7, 3, 7, 8, 40]);
        assert_eq!(gradients.norm(&backend), 2.0);
        step(&mut model, &mut gradients, &mut moments, 1);
        assert!(gradients.buffer.iter().all(|&g| g == 0.0));
        assert_eq!(gradients.norm(&backend), 0.0);
        look_up(&mut gradients, &[9]);
        assert_eq!(gradients.norm(&backend), 1.0);
        step(&mut model, &mut gradients, &mut moments, 2);
        assert_eq!(gradients.tables[0].ever, [3, 7, 8, 9, 40]);

        let mut resumed = Gradients::new(&backend, &model.table);
        resumed.resume(&backend, &moments);
        assert_eq!(resumed.tables[0].end_step(), [3, 7, 8, 9, 40]);
    }

    #[test]
    fn neighbours_are_one_span() {
        let (backend, model) = (Reference::new(), model());
        let mut gradients = Gradients::<Exact>::new(&backend, &model.table);
        look_up(&mut gradients, &[5, 4, 6]);
        gradients.norm(&backend);
        // All that follows the tables lies in one piece.
        assert_eq!((gradients.spans.len(), gradients.spans[1].len), (2, 3 * gradients.tables[0].width));
    }
}
