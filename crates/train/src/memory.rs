//! How much memory a run will need, and how much there is.

use finetone_model::{Memory, ModelConfig, ParamTable, workspace_values};

use crate::error::TrainError;

const MIB: usize = 1 << 20;

/// An estimate in bytes: weights and their packed copies, gradients and two moments, the activations of the largest batch in
/// training and in evaluation, and what a checkpoint copies. Values have four bytes.
pub fn estimate(config: &ModelConfig, table: &ParamTable, batch: (usize, usize), memory: Memory) -> usize {
    let model = 2 * table.numbers() + 3 * table.gradient_len();
    let checkpoint = table.numbers() + 2 * table.gradient_len();
    let batches = workspace_values(config, batch, Some(memory)) + workspace_values(config, batch, None);
    4 * (model + checkpoint + batches)
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
