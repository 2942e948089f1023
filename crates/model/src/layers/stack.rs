//! `hᵢ₊₁ = blockᵢ(hᵢ)`, from the embedding `h₀` to the last block's output
//!
//! Backward needs every block's input and what the block saved. With [`Memory::Low`] all blocks save to one place, and
//! backward runs a block forward once more before it goes back through it (<https://arxiv.org/abs/1604.06174>).

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
    /// Which output is the last block's.
    last: usize,
    /// Whose hidden states the last block is asked for.
    asked: Queries,
}

impl<B: Backend> StackSaved<B> {
    pub(crate) fn new(plan: &Plan<'_, B>) -> Self {
        let layers = plan.config.num_hidden_layers;
        let (outputs, sets) = match (plan.training, plan.memory) {
            (true, Memory::Normal) => (layers, layers),
            (true, Memory::Low) => (layers, 1),
            (false, _) => (layers.min(2), 1),
        };
        // What the last block alone writes has room for the rows asked for.
        let rows = |i, of| if of == layers && i + 1 == layers { plan.asked_rows() } else { plan.tokens };
        Self {
            outputs: (0..outputs).map(|i| plan.zeros(rows(i, outputs) * plan.config.hidden_size)).collect(),
            blocks: (0..sets).map(|i| BlockSaved::new(plan, rows(i, sets))).collect(),
            last: (layers - 1) % outputs,
            asked: plan.asked,
        }
    }

    /// Whose hidden states the last block gives.
    pub fn asked(&self) -> Queries {
        self.asked
    }

    /// The last block's output, the rows asked for.
    pub fn output(&self) -> &B::Buffer {
        &self.outputs[self.last]
    }

    /// Block `i`'s output, its memory, and its input, which is `embedded` for the first.
    fn around<'a>(
        &'a mut self,
        i: usize,
        embedded: &'a B::Buffer,
    ) -> (&'a mut B::Buffer, &'a mut BlockSaved<B>, &'a B::Buffer) {
        let (outputs, sets) = (self.outputs.len(), self.blocks.len());
        let saved = &mut self.blocks[i % sets];
        if i == 0 {
            return (&mut self.outputs[0], saved, embedded);
        }
        let places = [i % outputs, (i - 1) % outputs];
        let [y, x] = self.outputs.get_disjoint_mut(places).expect("neighbours have different places");
        (y, saved, x)
    }
}

impl Stack {
    pub(crate) fn new(blocks: Vec<Block>) -> Self {
        Self { blocks }
    }

    /// Writes the last block's output, `saved.output()`, from the embedding's.
    pub fn forward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        saved: &mut StackSaved<B>,
        scratch: &mut BlockScratch<B>,
        embedded: &B::Buffer,
    ) {
        for i in 0..self.blocks.len() {
            self.block_forward(pass, i, saved, scratch, embedded);
        }
    }

    fn block_forward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        i: usize,
        saved: &mut StackSaved<B>,
        scratch: &mut BlockScratch<B>,
        embedded: &B::Buffer,
    ) {
        let pass = self.pass_through(i, pass, saved.asked);
        let (y, saved, x) = saved.around(i, embedded);
        self.blocks[i].forward(&pass, y, saved, scratch, x);
    }

    /// The last block is asked for what the head reads, the others for what the block above them reads: everything.
    fn pass_through<'a, B: Backend>(&self, i: usize, pass: &Pass<'a, B>, asked: Queries) -> Pass<'a, B> {
        pass.asking(if i + 1 == self.blocks.len() { asked } else { Queries::All })
    }

    /// Goes back as far as something is trained, from the gradient `dy` of the last block's output. Of the two buffers,
    /// which swap from block to block, the first returned holds the gradient that was reached.
    pub fn backward<'a, B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        (mut dx, mut dy): (&'a mut B::Buffer, &'a mut B::Buffer),
        grads: &mut Gradients<B>,
        scratch: &mut BlockScratch<B>,
        (saved, embedded): (&mut StackSaved<B>, &B::Buffer),
    ) -> (&'a mut B::Buffer, &'a mut B::Buffer) {
        let trained = |i| pass.table.lowest_trainable().is_some_and(|lowest| lowest <= Part::Block(i));
        let last = self.blocks.len() - 1;
        for i in (0..=last).rev().take_while(|&i| trained(i)) {
            // What the last block saved is there in any case.
            if i < last && saved.blocks.len() == 1 {
                self.block_forward(pass, i, saved, scratch, embedded);
            }
            let pass = self.pass_through(i, pass, saved.asked);
            let (_, saved, x) = saved.around(i, embedded);
            self.blocks[i].backward(&pass, dx, grads, scratch, dy, (saved, x));
            std::mem::swap(&mut dx, &mut dy);
        }
        (dy, dx)
    }
}
