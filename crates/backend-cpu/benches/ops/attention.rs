//! Attention on packed texts of equal length, 2,048 tokens in all, with the heads of MiniLM and of GPT-2.

use std::sync::Arc;

use finetone_backend::{AttentionShape, Backend, Dropout, Mask, Queries};
use finetone_backend_cpu::Precision;

use crate::case::{Amount, Case};
use crate::memory::Memory;

const TOKENS: usize = 2048;
const HEADS: usize = 12;
const LENGTHS: [usize; 6] = [16, 32, 64, 128, 512, 1024];

pub fn cases(memory: &Memory) -> Vec<Case> {
    let mut cases = Vec::new();
    for (head_size, mask) in [(32, Mask::Bidirectional), (64, Mask::Causal)] {
        for length in LENGTHS {
            for drop in [false, true] {
                for precision in [Precision::F32, Precision::Bf16] {
                    let texts = Texts::new(length, head_size, mask, drop);
                    cases.push(texts.clone().forward(memory.clone()).in_precision(precision));
                    cases.push(texts.backward(memory.clone()).in_precision(precision));
                }
            }
        }
    }
    cases
}

#[derive(Clone)]
struct Texts {
    length: usize,
    head_size: usize,
    mask: Mask,
    dropout: Option<Dropout>,
    starts: Arc<Vec<u32>>,
}

impl Texts {
    fn new(length: usize, head_size: usize, mask: Mask, drop: bool) -> Self {
        let starts = (0..=TOKENS / length).map(|s| (s * length) as u32).collect();
        let dropout = drop.then_some(Dropout { seed: 1, step: 1, site: 1, rate: 0.1 });
        Self { length, head_size, mask, dropout, starts: Arc::new(starts) }
    }

    fn shape(&self) -> AttentionShape<'_> {
        let Self { head_size, mask, ref starts, .. } = *self;
        let scale = 1.0 / (head_size as f64).sqrt();
        AttentionShape { starts, heads: HEADS, kv_heads: HEADS, head_size, mask, queries: Queries::All, scale }
    }

    fn title(&self) -> String {
        let mask = if self.mask == Mask::Causal { ", causal" } else { "" };
        let dropout = if self.dropout.is_some() { ", dropout" } else { "" };
        format!("texts of {}, {HEADS} x {}{mask}{dropout}", self.length, self.head_size)
    }

    /// Two products of each pair of tokens that see each other; a causal mask leaves half of the pairs.
    fn flops(&self) -> f64 {
        let share = if self.mask == Mask::Causal { 0.5 } else { 1.0 };
        share * 4.0 * (TOKENS * self.length * HEADS * self.head_size) as f64
    }

    fn forward(self, memory: Memory) -> Case {
        let (title, amount) = (self.title(), Amount::Flops(self.flops()));
        Case::new("attention forward", title, amount, move |cpu| {
            let (mut y, mut sums) = (memory.out(), memory.second());
            cpu.attention_forward(&mut y, &mut sums, &memory.x, self.dropout, self.shape());
        })
    }

    /// Five products where forward has two. What forward saved is made once, because backward reads it.
    fn backward(self, memory: Memory) -> Case {
        let (title, amount) = (self.title(), Amount::Flops(2.5 * self.flops()));
        let width = HEADS * self.head_size;
        let mut saved = None;
        Case::new("attention backward", title, amount, move |cpu| {
            let (y, sums) = saved.get_or_insert_with(|| {
                let (mut y, mut sums) = (cpu.zeros(TOKENS * width), cpu.zeros(TOKENS * HEADS));
                cpu.attention_forward(&mut y, &mut sums, &memory.x, self.dropout, self.shape());
                (y, sums)
            });
            let (mut dqkv, dy, qkv) = (memory.out(), &memory.dy, &memory.x);
            cpu.attention_backward(&mut dqkv, dy, (y, sums), qkv, self.dropout, self.shape());
        })
    }
}
