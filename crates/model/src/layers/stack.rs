//! `hᵢ₊₁ = blockᵢ(hᵢ)`, from the embedding `h₀` to the last block's output
//!
//! Backward needs every block's input and what the block saved. With [`Memory::Low`] all blocks save to one place, and
//! backward runs a block forward once more before it goes back through it (<https://arxiv.org/abs/1604.06174>).

use finetone_backend::Backend;

use super::{Block, BlockSaved, BlockScratch};
use crate::params::{Gradients, Part};
use crate::transformer::Pass;
use crate::workspace::{Memory, Plan};

/// The blocks, one after the other.
#[derive(Debug, Clone)]
pub struct Stack {
    blocks: Vec<Block>,
}

/// What lies between the blocks, and what they keep.
pub struct StackSaved<B: Backend> {
    /// `[N, D]` each: one for each block in training, two that take turns in prediction.
    outputs: Vec<B::Buffer>,
    /// One for each block, or one for all.
    blocks: Vec<BlockSaved<B>>,
    /// Which output is the last block's.
    last: usize,
}

impl<B: Backend> StackSaved<B> {
    pub(crate) fn new(plan: &Plan<'_, B>) -> Self {
        let layers = plan.config.num_hidden_layers;
        let (outputs, sets) = match (plan.training, plan.memory) {
            (true, Memory::Normal) => (layers, layers),
            (true, Memory::Low) => (layers, 1),
            (false, _) => (layers.min(2), 1),
        };
        Self {
            outputs: (0..outputs).map(|_| plan.zeros(plan.tokens * plan.config.hidden_size)).collect(),
            blocks: (0..sets).map(|_| BlockSaved::new(plan)).collect(),
            last: (layers - 1) % outputs,
        }
    }

    /// The last block's output `[N, D]`.
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
        let (y, saved, x) = saved.around(i, embedded);
        self.blocks[i].forward(pass, y, saved, scratch, x);
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
            let (_, saved, x) = saved.around(i, embedded);
            self.blocks[i].backward(pass, dx, grads, scratch, dy, (saved, x));
            std::mem::swap(&mut dx, &mut dy);
        }
        (dy, dx)
    }
}
