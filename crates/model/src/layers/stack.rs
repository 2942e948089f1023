//! `hᵢ₊₁ = blockᵢ(hᵢ)`, from the embedding `h₀` to the last block's output, or a part of that: the first blocks, whose
//! output is kept, or those behind them, which begin with what was kept
//!
//! Backward needs every block's input and what the block saved. With [`Memory::Low`] all blocks save to one place, and
//! backward runs a block forward once more before it goes back through it (<https://arxiv.org/abs/1604.06174>).

use std::ops::Range;

use finetone_backend::{Backend, Queries};

use super::{Block, BlockSaved, BlockScratch};
use crate::gradients::Gradients;
use crate::params::Part;
use crate::transformer::Pass;
use crate::workspace::{Memory, Plan};

/// The blocks, one after the other.
#[derive(Debug, Clone)]
pub struct Stack {
    blocks: Vec<Block>,
}

/// What lies between the blocks, and what they keep.
pub struct StackSaved<B: Backend> {
    /// `[N, D]` each, of the last block only the rows asked for: one for each block in training, two that take turns in
    /// prediction.
    outputs: Vec<B::Buffer>,
    /// One for each block, or one for all.
    blocks: Vec<BlockSaved<B>>,
    /// The blocks that run.
    range: Range<usize>,
    /// Whose hidden states the last of them is asked for.
    asked: Queries,
}

impl<B: Backend> StackSaved<B> {
    pub(crate) fn new(plan: &Plan<'_, B>) -> Self {
        let layers = plan.blocks.len();
        let (outputs, sets) = match (plan.training, plan.memory) {
            (true, Memory::Normal) => (layers, layers),
            (true, Memory::Low) => (layers, layers.min(1)),
            (false, _) => (layers.min(2), layers.min(1)),
        };
        // What the last block alone writes has room for the rows asked for.
        let rows = |i, of| if of == layers && i + 1 == layers { plan.asked_rows() } else { plan.tokens };
        Self {
            outputs: (0..outputs).map(|i| plan.zeros(rows(i, outputs) * plan.config.hidden_size)).collect(),
            blocks: (0..sets).map(|i| BlockSaved::new(plan, rows(i, sets))).collect(),
            range: plan.blocks.clone(),
            asked: plan.asked,
        }
    }

    /// The first block that runs.
    pub fn first(&self) -> usize {
        self.range.start
    }

    /// Whose hidden states the last block gives.
    pub fn asked(&self) -> Queries {
        self.asked
    }

    /// The output of the last block that runs, the rows asked for; none where none runs.
    pub fn output(&self) -> Option<&B::Buffer> {
        let last = self.range.len().checked_sub(1)?;
        Some(&self.outputs[last % self.outputs.len()])
    }

    /// Block `i`'s output, its memory, and its input, which is `entering` for the first that runs.
    fn around<'a>(
        &'a mut self,
        i: usize,
        entering: &'a B::Buffer,
    ) -> (&'a mut B::Buffer, &'a mut BlockSaved<B>, &'a B::Buffer) {
        let (outputs, sets, i) = (self.outputs.len(), self.blocks.len(), i - self.range.start);
        let saved = &mut self.blocks[i % sets];
        if i == 0 {
            return (&mut self.outputs[0], saved, entering);
        }
        let places = [i % outputs, (i - 1) % outputs];
        let [y, x] = self.outputs.get_disjoint_mut(places).expect("neighbours have different places");
        (y, saved, x)
    }

    /// The last block is asked for what the head reads, the others for what the block above them reads: everything.
    fn pass_through<'a>(&self, i: usize, pass: &Pass<'a, B>) -> Pass<'a, B> {
        pass.asking(if i + 1 == self.range.end { self.asked } else { Queries::All })
    }
}

impl Stack {
    pub(crate) fn new(blocks: Vec<Block>) -> Self {
        Self { blocks }
    }

    /// Writes the last block's output, `saved.output()`, from what enters the first: the embedding's, or states that were
    /// kept.
    pub fn forward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        saved: &mut StackSaved<B>,
        scratch: &mut BlockScratch<B>,
        entering: &B::Buffer,
    ) {
        for i in saved.range.clone() {
            self.block_forward(pass, i, saved, scratch, entering);
        }
    }

    fn block_forward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        i: usize,
        saved: &mut StackSaved<B>,
        scratch: &mut BlockScratch<B>,
        entering: &B::Buffer,
    ) {
        let pass = saved.pass_through(i, pass);
        let (y, saved, x) = saved.around(i, entering);
        self.blocks[i].forward(&pass, y, saved, scratch, x);
    }

    /// Goes back as far as something is trained, from the gradient `dy` of the last block's output. Of the two buffers,
    /// which swap from block to block, the first returned holds the gradient that was reached.
    pub fn backward<'a, B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        (mut dx, mut dy): (&'a mut B::Buffer, &'a mut B::Buffer),
        grads: &mut Gradients<B>,
        scratch: &mut BlockScratch<B>,
        (saved, entering): (&mut StackSaved<B>, &B::Buffer),
    ) -> (&'a mut B::Buffer, &'a mut B::Buffer) {
        let trained = |i| pass.table.lowest_trainable().is_some_and(|lowest| lowest <= Part::Block(i));
        let range = saved.range.clone();
        for i in range.clone().rev().take_while(|&i| trained(i)) {
            // What the last block saved is there in any case.
            if i + 1 < range.end && saved.blocks.len() == 1 {
                self.block_forward(pass, i, saved, scratch, entering);
            }
            let pass = saved.pass_through(i, pass);
            let (_, saved, x) = saved.around(i, entering);
            self.blocks[i].backward(&pass, dx, grads, scratch, dy, (saved, x));
            std::mem::swap(&mut dx, &mut dy);
        }
        (dy, dx)
    }
}
