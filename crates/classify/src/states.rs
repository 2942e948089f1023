//! Hidden states of texts, computed once behind the first blocks of a model, so that passes over the same texts need not
//! run these blocks again.

use std::ops::Range;
use std::sync::Arc;

use finetone_backend::{Backend, Real};
use finetone_data::batching::inference_batches;
use finetone_model::{Capacity, Model, ModelConfig, PackedBatch, Workspace};
use half::bf16;

use crate::Encoded;

/// How the numbers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// As they were computed.
    F32,
    /// Rounded, in half the memory: what matrix products of this precision would do to them anyway.
    Bf16,
}

impl Storage {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::Bf16 => size_of::<bf16>(),
        }
    }
}

/// What the first blocks of a model give for some texts.
#[derive(Debug, Clone, PartialEq)]
pub struct States {
    blocks: usize,
    width: usize,
    /// The rows of each text.
    places: Vec<Range<usize>>,
    /// They may be those of more texts; several selections read the same.
    values: Arc<Values>,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    F32(Vec<f32>),
    Bf16(Vec<bf16>),
}

impl Values {
    fn zeros(len: usize, storage: Storage) -> Self {
        match storage {
            Storage::F32 => Self::F32(vec![0.0; len]),
            Storage::Bf16 => Self::Bf16(vec![bf16::ZERO; len]),
        }
    }

    fn set<R: Real>(&mut self, range: Range<usize>, from: &[R]) {
        match self {
            Self::F32(values) => values[range].iter_mut().zip(from).for_each(|(v, x)| *v = Real::to_f64(*x) as f32),
            Self::Bf16(values) => {
                values[range].iter_mut().zip(from).for_each(|(v, x)| *v = bf16::from_f32(Real::to_f64(*x) as f32));
            }
        }
    }

    fn append<R: Real>(&self, range: Range<usize>, to: &mut Vec<R>) {
        match self {
            Self::F32(values) => to.extend(values[range].iter().map(|&v| R::from_f64(f64::from(v)))),
            Self::Bf16(values) => to.extend(values[range].iter().map(|&v| R::from_f64(f64::from(v.to_f32())))),
        }
    }
}

impl States {
    /// Runs the embedding and the first `blocks` blocks over all texts, about `token_budget` tokens at a time. Nothing is
    /// dropped.
    pub fn compute<B: Backend>(
        backend: &B,
        model: &Model<B>,
        texts: &Encoded<'_, impl AsRef<[u32]>>,
        (blocks, storage): (usize, Storage),
        token_budget: usize,
    ) -> Self {
        let (starts, width) = (starts(&model.config, texts, blocks), model.config.hidden_size);
        let mut values = Values::zeros(starts[texts.ids.len()] * width, storage);
        let groups = inference_batches(&texts.lengths(), token_budget);
        let (tokens, sequences) = texts.largest(&groups);
        let mut workspace = Workspace::for_first_blocks(backend, &model.config, (tokens, sequences), blocks);
        let (mut batch, mut host) = (PackedBatch::default(), Vec::new());
        for group in groups {
            texts.pack(&group, model.config.position_offset, &mut batch);
            model.transformer.run_blocks(&model.pass(backend, &batch, None), &mut workspace);
            let mut done = 0;
            for text in group {
                let rows = starts[text]..starts[text + 1];
                host.resize(rows.len() * width, B::Real::default());
                let place = done..done + host.len();
                done = place.end;
                backend.read(&mut host, workspace.states(), place);
                values.set(rows.start * width..rows.end * width, &host);
            }
        }
        let places = starts.windows(2).map(|ends| ends[0]..ends[1]).collect();
        Self { blocks, width, places, values: Arc::new(values) }
    }

    /// The states of some of the texts, in this order; the numbers are not copied.
    pub fn pick(&self, texts: &[usize]) -> Self {
        Self { places: texts.iter().map(|&text| self.places[text].clone()).collect(), ..self.clone() }
    }

    /// How many numbers there will be.
    pub fn numbers(config: &ModelConfig, texts: &Encoded<'_, impl AsRef<[u32]>>, blocks: usize) -> usize {
        starts(config, texts, blocks)[texts.ids.len()] * config.hidden_size
    }

    /// The block with which a pass on these states begins.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Appends the states of one text.
    pub(crate) fn append<R: Real>(&self, text: usize, to: &mut Vec<R>) {
        let rows = &self.places[text];
        self.values.append(rows.start * self.width..rows.end * self.width, to);
    }
}

/// Where the rows of each text begin, and where the last ends.
fn starts(config: &ModelConfig, texts: &Encoded<'_, impl AsRef<[u32]>>, from_block: usize) -> Vec<usize> {
    let sizes = texts.sizes().map(|(tokens, sequences)| Capacity { tokens, sequences, from_block });
    let ends = sizes.scan(0, |end, size| {
        *end += size.entering_rows(config);
        Some(*end)
    });
    std::iter::once(0).chain(ends).collect()
}
