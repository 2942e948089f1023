//! A model of a case on a backend, with everything that training needs.

use std::ops::Range;

use finetone_backend::{AdamW, Backend, Real};
use finetone_model::checkpoint::{HeadImport, ModelFolder, NamedTensor, to_hugging_face};
use finetone_model::{DropoutKey, Gradients, Memory, Model, ModelConfig, Moments, PackedBatch, ParamId, Workspace};

use crate::case::{Case, folder};

/// The settings with which the golden curves were made; matrices decay, everything else does not.
const RATE: f64 = 5e-3;
const WEIGHT_DECAY: f64 = 0.01;

pub struct Run<'a, B: Backend> {
    backend: &'a B,
    case: &'a Case,
    pub model: Model<B>,
    batch: PackedBatch,
    workspace: Workspace<B>,
    gradients: Gradients<B>,
    moments: Moments<B>,
    steps: u64,
    /// Whether and how [`Run::forward_backward`] drops values.
    pub dropout: Option<DropoutKey>,
}

impl<'a, B: Backend> Run<'a, B> {
    pub fn new(backend: &'a B, case: &'a Case) -> Self {
        Self::with_memory(backend, case, Memory::Normal)
    }

    pub fn with_memory(backend: &'a B, case: &'a Case, memory: Memory) -> Self {
        Self::of(backend, case, load(backend, case.name), memory)
    }

    pub fn of(backend: &'a B, case: &'a Case, model: Model<B>, memory: Memory) -> Self {
        let batch = pack(&model, case, 0..case.sequences.len());
        let workspace = Workspace::for_training(backend, &model.config, size(&batch), memory);
        let gradients = Gradients::new(backend, &model.table);
        let moments = Gradients::moments(backend, &model.table);
        Self { backend, case, model, batch, workspace, gradients, moments, steps: 0, dropout: None }
    }

    /// Hidden states of all tokens, and logits, of the whole batch.
    pub fn forward(&self) -> (Vec<f64>, Vec<f64>) {
        let Self { backend, model, batch, .. } = self;
        forward(*backend, model, batch, &mut Workspace::for_hidden_states(*backend, &model.config, size(batch)))
    }

    /// The logits where only what the head reads is computed: in the workspace for training and in one for prediction.
    pub fn logits(&mut self) -> [Vec<f64>; 2] {
        let Self { backend, model, batch, workspace, .. } = self;
        let mut prediction = Workspace::for_inference(*backend, &model.config, size(batch));
        [workspace, &mut prediction].map(|workspace| {
            model.transformer.forward(&model.pass(*backend, batch, None), workspace);
            read(*backend, workspace.logits(), batch.answers() * model.config.logits())
        })
    }

    /// The mean loss; the gradients are left in their buffer.
    pub fn forward_backward(&mut self) -> f64 {
        let Self { backend, case, model, batch, workspace, gradients, dropout, .. } = self;
        let (labels, loss) = (case.labels(), case.loss());
        let pass = model.pass(*backend, batch, *dropout);
        model.transformer.forward(&pass, workspace);
        let mut losses = vec![B::Real::default(); batch.answers()];
        model.transformer.loss(&pass, workspace, &mut losses, labels.targets(), &loss);
        model.transformer.backward(&pass, gradients, workspace);
        losses.into_iter().map(Real::to_f64).sum::<f64>() / loss.normaliser
    }

    /// One step of AdamW on the gradients of the last [`Run::forward_backward`].
    pub fn step(&mut self) {
        self.steps += 1;
        let Self { backend, model, gradients, moments, steps, .. } = self;
        for (id, spec) in model.table.iter().filter(|(_, spec)| spec.trainable) {
            let update = AdamW {
                rate: RATE,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: if spec.decay { WEIGHT_DECAY } else { 0.0 },
                step: *steps,
                gradient_scale: 1.0,
            };
            gradients.adamw(backend, (&model.table, &mut model.parameters), id, moments, &update);
        }
    }

    /// The gradients under Hugging Face's names.
    pub fn gradients(&self) -> Vec<NamedTensor> {
        let table = &self.model.table;
        to_hugging_face(&self.model.config, table, |id| {
            self.gradient(id).expect("every parameter is trained").into_iter().map(|value| value as f32).collect()
        })
    }

    /// The gradient of one parameter; none where it is frozen.
    pub fn gradient(&self, id: ParamId) -> Option<Vec<f64>> {
        let span = self.model.table.span(id)?;
        Some(read(self.backend, &self.gradients.buffer, span.start + span.len).split_off(span.start))
    }

    /// The weights under Hugging Face's names.
    pub fn weights(&self) -> Vec<NamedTensor> {
        weights(self.backend, &self.model)
    }
}

pub fn weights<B: Backend>(backend: &B, model: &Model<B>) -> Vec<NamedTensor> {
    to_hugging_face(&model.config, &model.table, |id| model.parameters.values(backend, &model.table, id))
}

/// The configuration of a golden folder: a classifier, or a language model where its name says so.
pub fn config(folder: &ModelFolder, name: &str) -> ModelConfig {
    let mut config = folder.config().clone();
    if name.ends_with("-language") {
        config.set_language_head().unwrap();
    }
    config
}

/// The finished model of a golden folder.
pub fn load<B: Backend>(backend: &B, name: &str) -> Model<B> {
    let folder = ModelFolder::open(&folder(name)).unwrap();
    let (model, report) = folder.load(backend, config(&folder, name), HeadImport::Required).unwrap();
    assert_eq!((report.fresh, report.unused), (vec![], vec![]), "{name}");
    model
}

/// Some sequences of a case, with what is asked about them.
pub fn pack<B: Backend>(model: &Model<B>, case: &Case, sequences: Range<usize>) -> PackedBatch {
    let ids = case.sequences[sequences.clone()].iter().map(Vec::as_slice);
    let mut batch = PackedBatch::pack(ids, model.config.position_offset);
    if case.writes() {
        batch.ask(case.asked(sequences));
    }
    batch
}

/// What a workspace for this batch must have room for.
pub fn size(batch: &PackedBatch) -> (usize, usize) {
    (batch.tokens(), batch.sequences().max(batch.answers()))
}

/// Hidden states and logits of a batch.
pub fn forward<B: Backend>(
    backend: &B,
    model: &Model<B>,
    batch: &PackedBatch,
    workspace: &mut Workspace<B>,
) -> (Vec<f64>, Vec<f64>) {
    model.transformer.forward(&model.pass(backend, batch, None), workspace);
    backend.synchronize().unwrap();
    let hidden = read(backend, workspace.hidden(), batch.tokens() * model.config.hidden_size);
    let logits = read(backend, workspace.logits(), batch.answers() * model.config.logits());
    (hidden, logits)
}

/// The first `len` values of a buffer.
pub fn read<B: Backend>(backend: &B, buffer: &B::Buffer, len: usize) -> Vec<f64> {
    let mut values = vec![B::Real::default(); len];
    backend.read(&mut values, buffer, 0..len);
    values.into_iter().map(Real::to_f64).collect()
}
