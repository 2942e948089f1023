//! Listeners to training events.
//!
//! [`Terminal`] shows a run to the person who waits for it; [`JsonLines`] keeps every event in the run folder for programs
//! and for later; [`Trackers`] give the numbers to TensorBoard, MLflow and Weights & Biases, each on a thread of its own. A
//! listener never fails or delays a run: what it cannot do it says once on standard error.

mod background;
mod error;
mod json_lines;
mod mlflow;
mod numbers;
mod tensorboard;
mod terminal;
mod trackers;
mod wandb;

pub use error::TrackError;
pub use json_lines::{EVENTS_FILE, JsonLines};
pub use numbers::Numbers;
pub use terminal::{Terminal, duration, grouped, parameters};
pub use trackers::{Place, Trackers};
