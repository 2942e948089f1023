//! A pass that begins with hidden states of an earlier one has the bits of a whole pass.

use finetone_backend::{Backend, Loss, Targets};
use finetone_backend_cpu::{Cpu, CpuOptions};
use finetone_model::families::{Sizes, from_scratch};
use finetone_model::{Capacity, Family, Gradients, HeadPooling, Memory, Model, PackedBatch, Part, Workspace};

const LAYERS: usize = 3;
const SEQUENCES: [&[u32]; 3] = [&[3, 4, 5, 6], &[7, 8], &[9, 3, 10, 11, 12, 13]];

fn model(cpu: &Cpu, family: Family, pooling: HeadPooling) -> Model<Cpu> {
    let (vocab_size, hidden_size, heads, intermediate_size) = (20, 24, 3, 40);
    let sizes =
        Sizes { vocab_size, hidden_size, layers: LAYERS, heads, intermediate_size, max_tokens: 16, pad_token_id: 0 };
    let mut config = from_scratch(family, &sizes).unwrap();
    config.head.labels = ["bad", "good"].map(str::to_owned).to_vec();
    config.set_pooling(pooling);
    Model::initialise(cpu, config, 7)
}

/// Losses and gradients as bits.
fn bits(
    cpu: &Cpu,
    (model, batch): (&Model<Cpu>, &PackedBatch),
    workspace: &mut Workspace<Cpu>,
) -> (Vec<u32>, Vec<u32>) {
    let loss = Loss { classes: 2, smoothing: 0.0, class_weights: None, focal_gamma: 0.0, normaliser: 3.0 };
    let (pass, mut losses) = (model.pass(cpu, batch, None), [0.0; 3]);
    let mut gradients = Gradients::new(cpu, &model.table);
    model.transformer.forward(&pass, workspace);
    model.transformer.loss(&pass, workspace, &mut losses, Targets::Classes(&[0, 1, 1]), &loss);
    model.transformer.backward(&pass, &mut gradients, workspace);
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    (bits(&losses), bits(&gradients.buffer))
}

#[test]
fn a_pass_behind_some_blocks_has_the_bits_of_a_whole_one() {
    let cpu = Cpu::new(CpuOptions { threads: Some(2), ..CpuOptions::default() }).unwrap();
    let poolings = [HeadPooling::First, HeadPooling::Last, HeadPooling::Mean, HeadPooling::Attention { last: 2 }];
    for (family, pooling) in [Family::Bert, Family::Gpt2].into_iter().flat_map(|f| poolings.map(|p| (f, p))) {
        let mut model = model(&cpu, family, pooling);
        let batch = PackedBatch::pack(SEQUENCES, model.config.position_offset);
        let (tokens, sequences) = (batch.tokens(), batch.sequences());
        for from_block in 1..=LAYERS {
            model.table.set_trainable(|spec| spec.part >= Part::Block(from_block));
            let mut first = Workspace::for_first_blocks(&cpu, &model.config, (tokens, sequences), from_block);
            model.transformer.run_blocks(&model.pass(&cpu, &batch, None), &mut first);
            let capacity = Capacity { tokens, sequences, from_block };
            let mut states = vec![0.0; capacity.entering_rows(&model.config) * model.config.hidden_size];
            let all = 0..states.len();
            cpu.read(&mut states, first.states(), all);
            for memory in [Memory::Normal, Memory::Low] {
                let mut whole = Workspace::for_training(&cpu, &model.config, (tokens, sequences), memory);
                let mut rest = Workspace::for_training(&cpu, &model.config, capacity, memory);
                rest.give_states(&cpu, |values| values.extend(&states));
                let [whole, rest] = [&mut whole, &mut rest].map(|workspace| bits(&cpu, (&model, &batch), workspace));
                assert!(whole.1.iter().any(|&bits| bits != 0));
                assert!(whole == rest, "{family:?}, {pooling:?}, from block {from_block}, {memory:?}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "Block(0) is trained, and the workspace begins with Block(1)")]
fn what_is_trained_cannot_be_left_out() {
    let cpu = Cpu::new(CpuOptions { threads: Some(1), ..CpuOptions::default() }).unwrap();
    let mut model = model(&cpu, Family::Bert, HeadPooling::First);
    model.table.set_trainable(|spec| spec.part >= Part::Block(0));
    let batch = PackedBatch::pack(SEQUENCES, 0);
    let capacity = Capacity { tokens: batch.tokens(), sequences: batch.sequences(), from_block: 1 };
    bits(&cpu, (&model, &batch), &mut Workspace::for_training(&cpu, &model.config, capacity, Memory::Normal));
}
