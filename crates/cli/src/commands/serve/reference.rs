//! The rows that answers of a model are held against.

use std::path::Path;

use finetone_backend_cpu::Cpu;
use finetone_classify::{Embedder, TOKEN_BUDGET};
use finetone_train::{LiveReference, TrainError, Watch};

/// The file that marks a run as finished.
const REPORT: &str = "report.json";

/// Those of the run that has the model folder, if one does. They are kept where `finetone monitor` keeps them; for a model on the
/// way, which judges them in another way, in a folder of their own beside.
pub fn of_folder(cpu: &Cpu, folder: &Path) -> Result<Option<LiveReference>, TrainError> {
    let is_run = |above: &&Path| above.join("run.toml").is_file() && above.join(REPORT).is_file();
    let Some(run) = folder.ancestors().skip(1).take(2).find(is_run) else { return Ok(None) };
    let monitor = run.join("monitor");
    let kept = match folder.strip_prefix(run) {
        Ok(within) if within != Path::new("model") => monitor.join(within),
        _ => monitor,
    };
    cpu.install(|| {
        let mut classifier = finetone_classify::open(cpu.clone(), folder, TOKEN_BUDGET)?;
        let embedder = Embedder::open(cpu.clone(), folder, TOKEN_BUDGET)?;
        let mut watch = Watch { run, classifier: classifier.as_mut(), embedder: &embedder };
        LiveReference::of_run(&mut watch, &kept).map(Some)
    })
}
