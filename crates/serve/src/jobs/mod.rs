//! From a request to a model: files are validated, jobs wait for their turn, one is trained at a time.
//!
//! The database alone knows where a job is. [`validate_next`] and [`train_next`] claim there what waits, again and again
//! ([`work_off`]), in as many processes as share it, and are rung when there may be something new; whoever pauses or cancels a
//! job writes that down first, and then the training is stopped: at once in the same process, with the next renewal of its claim in another.

mod claimed;
mod fault;
mod integrations;
mod material;
mod recorder;
pub mod request;
mod results;
mod tally;
mod training;
mod validation;
mod work;

pub use results::run_folder;
pub use tally::Tally;
pub use training::{remove_folder, train_next};
pub use validation::validate_next;
pub use work::{Work, work_off};
