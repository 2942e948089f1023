//! Run file to trained run: the loop, schedules, parameter groups, checkpoints.
//!
//! [`RunFile`] is what was written, [`RunConfig`] what is used; [`train`] goes from files to a finished run folder and tells
//! its listeners what happens by [`TrainEvent`]s; [`resume`] goes on with a run that was stopped, with the same bits.

mod behaviour;
mod cache;
mod calibrate;
mod chats;
mod choices;
mod compare;
mod decide;
mod earlier;
mod epochs;
pub mod error;
pub mod events;
mod evidence;
mod examiner;
mod fit;
mod fold_bench;
mod folds;
mod groups;
mod label_errors;
mod ladder;
mod masked;
mod material;
mod measure;
mod memory;
mod monitor;
mod neighbours;
mod objective;
mod reasons;
mod report;
mod run;
mod run_config;
mod run_file;
mod schedule;
mod seeds;
mod sets;
mod settle;
mod setup;
mod shelf;
mod store;
mod study;
mod task;
mod tensor_file;
mod tracking;
mod trainer;
mod trial;

pub use behaviour::{BehaviourKind, BehaviourResult, BehaviourTests};
pub use choices::{
    CacheUse, Calibrate, ClassWeights, Decision, MemoryUse, NeighbourUse, OutputKind, SamplingRule, Schedule,
    SplitRule, Task, TrainingPrecision, Truncation, WeightRule,
};
pub use compare::{Contestant, compare_on_file};
pub use error::TrainError;
pub use events::{Listener, Listeners, TrainEvent, Unheard};
pub use fold_bench::{FoldBench, JudgedFold};
pub use label_errors::CheckedLabels;
pub use measure::evaluate_file;
pub use memory::memory_needed;
pub use monitor::{
    FEWEST_ANSWERS, Live, LiveAnswer, LiveReference, LiveWindows, MonitorOptions, Observed, Record, ReferenceFacts,
    Watch, live_worth_labelling, monitor,
};
pub use run::{Outcome, Summary, Surroundings, is_finished, resume, resume_point, saved_config, train};
pub use run_config::RunConfig;
pub use run_file::RunFile;
pub use study::{CandidateConfig, StudyConfig, Written as WrittenCandidate, parse_candidates, read_candidates, study};
pub use task::{with_task, writes_answers};
pub use tracking::{Tracker, Tracking};
pub use trainer::Control;
