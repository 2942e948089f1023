//! A model of a case on a backend, with everything that training needs.

use finetone_backend::{AdamW, Backend, Real};
use finetone_model::checkpoint::{HeadImport, ModelFolder, NamedTensor, to_hugging_face};
use finetone_model::{DropoutKey, Gradients, Memory, Model, Moments, PackedBatch, Workspace};

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
        let model = load(backend, case.name);
        let batch = pack(&model, &case.sequences);
        let workspace = Workspace::for_training(backend, &model.config, (batch.tokens(), batch.sequences()), memory);
        let gradients = Gradients::new(backend, &model.table);
        let moments = Gradients::moments(backend, &model.table);
        Self { backend, case, model, batch, workspace, gradients, moments, steps: 0, dropout: None }
    }

    /// Hidden states of all tokens, and logits, of the whole batch.
    pub fn forward(&self) -> (Vec<f64>, Vec<f64>) {
        let Self { backend, model, batch, .. } = self;
        let size = (batch.tokens(), batch.sequences());
        forward(*backend, model, batch, &mut Workspace::for_hidden_states(*backend, &model.config, size))
    }

    /// The logits where only what the head reads is computed: in the workspace for training and in one for prediction.
    pub fn logits(&mut self) -> [Vec<f64>; 2] {
        let Self { backend, model, batch, workspace, .. } = self;
        let (tokens, sequences) = (batch.tokens(), batch.sequences());
        let mut prediction = Workspace::for_inference(*backend, &model.config, (tokens, sequences));
        [workspace, &mut prediction].map(|workspace| {
            model.transformer.forward(&model.pass(*backend, batch, None), workspace);
            read(*backend, workspace.logits(), sequences * model.config.head.logits())
        })
    }

    /// The mean loss; the gradients are left in their buffer.
    pub fn forward_backward(&mut self) -> f64 {
        let Self { backend, case, model, batch, workspace, gradients, dropout, .. } = self;
        let (labels, loss) = (case.labels(), case.loss());
        let pass = model.pass(*backend, batch, *dropout);
        model.transformer.forward(&pass, workspace);
        let mut losses = vec![B::Real::default(); batch.sequences()];
        model.transformer.loss(&pass, workspace, &mut losses, labels.targets(), &loss);
        model.transformer.backward(&pass, gradients, workspace);
        losses.into_iter().map(Real::to_f64).sum::<f64>() / loss.normaliser
    }

    /// One step of AdamW on the gradients of the last [`Run::forward_backward`].
    pub fn step(&mut self) {
        self.steps += 1;
        let Self { backend, model, gradients, moments, steps, .. } = self;
        for (id, spec) in model.table.iter() {
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
            let span = table.span(id).expect("every parameter is trained");
            let values = read(self.backend, &self.gradients.buffer, span.start + span.len);
            values[span.start..].iter().map(|&value| value as f32).collect()
        })
    }

    /// The weights under Hugging Face's names.
    pub fn weights(&self) -> Vec<NamedTensor> {
        weights(self.backend, &self.model)
    }
}

pub fn weights<B: Backend>(backend: &B, model: &Model<B>) -> Vec<NamedTensor> {
    to_hugging_face(&model.config, &model.table, |id| model.parameters.values(backend, &model.table, id))
}

/// The finished classifier of a golden folder.
pub fn load<B: Backend>(backend: &B, name: &str) -> Model<B> {
    let folder = ModelFolder::open(&folder(name)).unwrap();
    let (model, report) = folder.load(backend, folder.config().clone(), HeadImport::Required).unwrap();
    assert_eq!((report.fresh, report.unused), (vec![], vec![]), "{name}");
    model
}

pub fn pack<B: Backend>(model: &Model<B>, sequences: &[Vec<u32>]) -> PackedBatch {
    PackedBatch::pack(sequences.iter().map(Vec::as_slice), model.config.position_offset)
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
    let logits = read(backend, workspace.logits(), batch.sequences() * model.config.head.logits());
    (hidden, logits)
}

/// The first `len` values of a buffer.
pub fn read<B: Backend>(backend: &B, buffer: &B::Buffer, len: usize) -> Vec<f64> {
    let mut values = vec![B::Real::default(); len];
    backend.read(&mut values, buffer, 0..len);
    values.into_iter().map(Real::to_f64).collect()
}
