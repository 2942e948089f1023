//! What the workshops of tests do not do: `never!(train)` and its like are methods of a `Workshop` that a test has no use for.

pub use std::path::Path;

pub use finetone_classify::{ClassifyError, Explanation};
pub use finetone_train::events::Listener;
pub use finetone_train::{Control, LiveReference, Outcome, RunConfig, TrainError};

macro_rules! never {
    (train) => {
        fn train(
            &self,
            _: &RunConfig,
            _: &Path,
            _: &Control,
            _: &mut (dyn Listener + Send),
        ) -> Result<Outcome<()>, TrainError> {
            unreachable!("nothing is trained here")
        }
    };
    (explain) => {
        fn explain(&self, _: &Path, _: &str) -> Result<Explanation, ClassifyError> {
            unreachable!("nothing is explained here")
        }
    };
    (reference) => {
        fn reference(&self, _: &Path) -> Result<Option<LiveReference>, TrainError> {
            Ok(None)
        }
    };
}
