//! How much memory a run will need, and how much there is.

use finetone_model::{Capacity, Memory, ModelConfig, ParamId, ParamTable, Transformer, workspace_values};

use crate::error::TrainError;
use crate::run_config::RunConfig;
use crate::trainer::measured_tokens;

const MIB: usize = 1 << 20;

/// What the program, the tokenizer, the threads and some thousands of texts take: measured, as all the rest is not.
const PROGRAM: usize = 96 * MIB;

/// An estimate in bytes: the weights, the packed copies of those that matrix products read and nothing trains, and beside
/// them either gradients, two moments and the activations of the largest batches in training and in measuring, or, after the
/// last step, the model as it is exported. Values have four bytes.
pub fn estimate(config: &ModelConfig, table: &ParamTable, batches: &Batches) -> usize {
    let largest = table.iter().map(|(_, spec)| spec.shape.len()).max().unwrap_or(0);
    let measuring = workspace_values(config, batches.measuring, None);
    let training = 3 * table.gradient_len() + workspace_values(config, batches.training, Some(batches.memory));
    let export = table.numbers() + 2 * largest;
    let frozen: usize = multiplied(table).filter(|&(id, _)| table.span(id).is_none()).map(|(_, values)| values).sum();
    // What is trained is packed for one product at a time.
    let packed = frozen + multiplied(table).map(|(_, values)| values).max().unwrap_or(0);
    PROGRAM + batches.kept + 4 * (table.numbers() + packed + (training + measuring).max(export))
}

/// An estimate in bytes for a model beside that, which reads batches of this size and learns nothing.
pub fn of_reading(config: &ModelConfig, table: &ParamTable, batch: Capacity) -> usize {
    let packed: usize = multiplied(table).map(|(_, values)| values).sum();
    4 * (table.numbers() + packed + workspace_values(config, batch, None))
}

/// The weights that matrix products read, with the number of their values.
fn multiplied(table: &ParamTable) -> impl Iterator<Item = (ParamId, usize)> {
    let multiplied = table.iter().filter(|(_, spec)| spec.decay && !spec.looked_up);
    multiplied.map(|(id, spec)| (id, spec.shape.len()))
}

/// An estimate in bytes for a training of all layers that has not been set up: of a model, on texts of which the longest has
/// `longest` tokens, with these settings.
pub fn memory_needed(config: &ModelConfig, longest: usize, settings: &RunConfig) -> usize {
    let (_, table) = Transformer::declare(config);
    let (longest, texts) = (longest.max(1), settings.step_size());
    let tokens = longest.saturating_mul(texts).min(settings.token_budget).max(longest);
    let measured = measured_tokens(settings).max(longest);
    let batches = Batches {
        training: (tokens, texts.min(tokens)).into(),
        measuring: (measured, measured).into(),
        memory: settings.memory.into(),
        kept: 0,
    };
    estimate(config, &table, &batches)
}

/// The largest batches of a run.
pub struct Batches {
    /// Of a forward and backward pass.
    pub training: Capacity,
    /// Of a forward pass on texts that are held out.
    pub measuring: Capacity,
    /// What training keeps between forward and backward.
    pub memory: Memory,
    /// Bytes of hidden states that are kept for the whole run.
    pub kept: usize,
}

/// Compares the estimate with the memory that the system says is free.
///
/// # Errors
/// [`TrainError::Memory`] when it does not fit.
pub fn check(needed: usize) -> Result<(), TrainError> {
    match available() {
        Some(free) if needed > free => {
            Err(TrainError::Memory { needed_mib: needed.div_ceil(MIB), available_mib: free / MIB })
        }
        _ => Ok(()),
    }
}

/// Bytes that can be allocated without swapping, within the limits of the control group; `None` where the system does not
/// tell.
pub fn available() -> Option<usize> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let free = line.trim().strip_suffix(" kB")?.parse::<usize>().ok()? * 1024;
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<usize>().ok();
    let limit = number("/sys/fs/cgroup/memory.max");
    let used = number("/sys/fs/cgroup/memory.current").unwrap_or(0);
    Some(limit.map_or(free, |limit| free.min(limit.saturating_sub(used))))
}

/// For a notice: `1234 MiB`.
pub fn mib(bytes: usize) -> String {
    format!("{} MiB", bytes.div_ceil(MIB))
}
