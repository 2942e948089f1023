//! Hyperparameters found by cross-validation, in a study that can be resumed and shared.
//!
//! A [`Space`] says what is searched; a [`Worker`] claims trials in a [`Store`], has a [`Judge`] train them in folds of the
//! training file, and writes down what it found; [`search`] does so until time or trials are used up, [`confirm()`] judges the
//! winner on fresh folds, and [`Found`] tells: as a table, a page and a recipe.

mod confirm;
mod error;
mod importance;
mod judge;
mod outcome;
mod page;
mod propose;
mod pulse;
mod rungs;
mod search;
mod space;
mod store;

pub use confirm::{Confirmation, Confirmed, FreshFolds, best, confirm};
pub use error::SearchError;
pub use importance::importance;
pub use judge::{Judge, Trainings};
pub use outcome::{Found, told};
pub use propose::{Known, Method, propose};
pub use rungs::{Rung, Standing, promotion, rungs};
pub use search::{End, Plan, SearchEvent, Worker, search};
pub use space::{Assignment, Dimension, Space, Values, shown};
pub use store::{Fold, Store, Task, Trial};
