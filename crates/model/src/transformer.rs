//! The transformer: embedding, blocks, final norm, head.

use finetone_backend::{Backend, Loss, Queries, Targets};

use crate::config::{ModelConfig, Placement};
use crate::gradients::Gradients;
use crate::layers::{Block, Declare, Embedding, EmbeddingSaved, Head, Norm, Stack};
use crate::packed_batch::PackedBatch;
use crate::params::{ParamTable, Parameters, Part};
use crate::workspace::{TrainingMemory, Workspace};

/// What keys the dropout masks of one forward pass of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropoutKey {
    /// Seed of the run.
    pub seed: u64,
    /// Number of this forward pass within the run.
    pub step: u64,
}

/// What every layer of one pass looks at: the machine, the weights, the batch, and whether values are dropped.
pub struct Pass<'a, B: Backend> {
    /// The machine.
    pub backend: &'a B,
    /// The table that says where gradients lie.
    pub table: &'a ParamTable,
    /// The weights.
    pub parameters: &'a Parameters<B>,
    /// The sequences.
    pub batch: &'a PackedBatch,
    /// Dropout while training; `None` gives the model's answer.
    pub dropout: Option<DropoutKey>,
    /// Whose hidden states are asked for: those of all tokens in most blocks, of one token a sequence in the last one
    /// where the head takes no other.
    pub asked: Queries,
}

/// The layers of a model. They hold ids of parameters; the weights themselves are in [`Parameters`].
#[derive(Debug, Clone)]
pub struct Transformer {
    embedding: Embedding,
    stack: Stack,
    final_norm: Option<Norm>,
    head: Head,
}

/// What enters the first block that runs.
pub(crate) enum Entrance<B: Backend> {
    /// The embedding's output.
    Embedding(EmbeddingSaved<B>),
    /// Hidden states of an earlier pass through the blocks before, which are not trained.
    States {
        /// `[N, D]`, or the rows that the head reads where no block runs.
        states: B::Buffer,
        /// Where they are put together.
        host: Vec<B::Real>,
    },
}

impl<B: Backend> Entrance<B> {
    pub fn output(&self) -> &B::Buffer {
        match self {
            Self::Embedding(saved) => saved.output(),
            Self::States { states, .. } => states,
        }
    }
}

/// A model on a backend: what it is, its layers, its table and its weights.
pub struct Model<B: Backend> {
    /// Sizes and choices.
    pub config: ModelConfig,
    /// The layers.
    pub transformer: Transformer,
    /// The parameters' names and shapes.
    pub table: ParamTable,
    /// The weights.
    pub parameters: Parameters<B>,
}

impl<B: Backend> Model<B> {
    /// A model with fresh weights.
    pub fn initialise(backend: &B, config: ModelConfig, seed: u64) -> Self {
        let (transformer, table) = Transformer::declare(&config);
        let parameters = Parameters::initialise(backend, &table, seed);
        Self { config, transformer, table, parameters }
    }

    /// Looks at the model through one pass over `batch`.
    pub fn pass<'a>(&'a self, backend: &'a B, batch: &'a PackedBatch, dropout: Option<DropoutKey>) -> Pass<'a, B> {
        Pass { backend, table: &self.table, parameters: &self.parameters, batch, dropout, asked: Queries::All }
    }
}

impl Transformer {
    /// The layers of this configuration, and the table of their parameters.
    pub fn declare(config: &ModelConfig) -> (Self, ParamTable) {
        let (mut table, mut sites) = (ParamTable::default(), 0);
        let embedding =
            Embedding::declare(&mut declare((&mut table, &mut sites), config, Part::Embedding, "embeddings."), config);
        let blocks = (0..config.num_hidden_layers)
            .map(|i| {
                let prefix = format!("blocks.{i}.");
                Block::declare(&mut declare((&mut table, &mut sites), config, Part::Block(i), &prefix), config, i)
            })
            .collect();
        let final_norm = (config.placement == Placement::Pre).then(|| {
            let mut at = declare((&mut table, &mut sites), config, Part::FinalNorm, "final_norm.");
            Norm::declare(&mut at, config)
        });
        let mut at = declare((&mut table, &mut sites), config, Part::Head, "head.");
        let head = Head::declare(&mut at, config, embedding.tokens());
        (Self { embedding, stack: Stack::new(blocks), final_norm, head }, table)
    }

    /// Runs a batch; the logits are in [`Workspace::logits`]. Where the workspace begins behind some blocks, their hidden
    /// states were given by [`Workspace::give_states`].
    ///
    /// # Panics
    /// When the batch is larger than the workspace was planned for.
    pub fn forward<B: Backend>(&self, pass: &Pass<'_, B>, workspace: &mut Workspace<B>) {
        self.run_blocks(pass, workspace);
        let Workspace { entrance, stack, final_norm, head, .. } = workspace;
        let (last, pass) = (stack.output().unwrap_or(entrance.output()), &pass.asking(stack.asked()));
        let hidden = match (&self.final_norm, final_norm) {
            (Some(norm), Some((normed, stats))) => {
                norm.forward(pass, normed, stats, last, pass.rows());
                &*normed
            }
            _ => last,
        };
        self.head.forward(pass, head, hidden);
    }

    /// Runs the blocks of the workspace and nothing behind them; what they give is in [`Workspace::states`].
    ///
    /// # Panics
    /// When the batch is larger than the workspace was planned for.
    pub fn run_blocks<B: Backend>(&self, pass: &Pass<'_, B>, workspace: &mut Workspace<B>) {
        let (tokens, sequences) = (pass.batch.tokens(), pass.batch.sequences());
        let tokens = pass.batch.past + tokens;
        assert!(tokens <= workspace.max_tokens, "{tokens} tokens in a workspace for {}", workspace.max_tokens);
        assert!(sequences <= workspace.max_sequences, "{sequences} sequences for {}", workspace.max_sequences);
        let answers = pass.batch.answers();
        assert!(answers <= workspace.max_sequences, "{answers} answers of a workspace for {}", workspace.max_sequences);
        let Workspace { entrance, stack, scratch, .. } = workspace;
        if let Entrance::Embedding(embedding) = entrance {
            self.embedding.forward(pass, embedding);
        }
        self.stack.forward(pass, stack, scratch, entrance.output());
    }

    /// The loss of each text of the last forward, into `losses[T]`, or of each token that was asked about, `losses[A]` (not
    /// divided by the normaliser); keeps the gradient of the logits for [`Transformer::backward`].
    ///
    /// # Panics
    /// When the workspace is one for inference.
    pub fn loss<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        workspace: &mut Workspace<B>,
        losses: &mut [B::Real],
        targets: Targets<'_>,
        loss: &Loss,
    ) {
        let memory = workspace.training.as_mut().expect("the loss needs a workspace for training");
        let logits = &workspace.head.logits;
        pass.backend.cross_entropy(&mut memory.losses, &mut memory.dlogits, logits, targets, loss);
        pass.backend.read(losses, &memory.losses, 0..pass.batch.answers());
    }

    /// Accumulates the gradients of the last loss, down to the lowest part that is trained.
    ///
    /// # Panics
    /// When the workspace is one for inference, or begins behind a part that is trained.
    pub fn backward<B: Backend>(&self, pass: &Pass<'_, B>, grads: &mut Gradients<B>, workspace: &mut Workspace<B>) {
        let Workspace { entrance, stack, scratch, final_norm, head, training, .. } = workspace;
        let memory = training.as_mut().expect("backward needs a workspace for training");
        let TrainingMemory { dlogits, head: head_scratch, gradients: [dy, dx], .. } = memory;
        let (last, asking) = (stack.output().unwrap_or(entrance.output()), &pass.asking(stack.asked()));
        match (&self.final_norm, final_norm) {
            (Some(norm), Some((normed, stats))) => {
                self.head.backward(asking, dx, grads, head_scratch, dlogits, (head, normed));
                norm.backward(asking, dy, grads, dx, (last, stats), asking.rows());
            }
            _ => self.head.backward(asking, dy, grads, head_scratch, dlogits, (head, last)),
        }
        let (dx, spare) = self.stack.backward(pass, (dx, dy), grads, scratch, (stack, entrance.output()));
        match (entrance, pass.table.lowest_trainable()) {
            (Entrance::Embedding(embedding), Some(Part::Embedding)) => {
                self.embedding.backward(pass, grads, spare, dx, embedding);
            }
            (Entrance::States { .. }, Some(lowest)) => {
                let first = Part::Block(stack.first());
                assert!(first <= lowest, "{lowest:?} is trained, and the workspace begins with {first:?}");
            }
            _ => {}
        }
    }
}

fn declare<'a>(
    (table, sites): (&'a mut ParamTable, &'a mut u32),
    config: &'a ModelConfig,
    part: Part,
    prefix: &str,
) -> Declare<'a> {
    Declare { table, sites, lora: config.lora.as_ref(), part, prefix: prefix.to_owned() }
}
