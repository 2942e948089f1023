//! Listeners to training events.
//!
//! [`Terminal`] shows a run to the person who waits for it; [`JsonLines`] keeps every event in the run folder for programs
//! and for later. A listener never fails a run: what it cannot do it says once on standard error.

mod json_lines;
mod terminal;

pub use json_lines::{EVENTS_FILE, JsonLines};
pub use terminal::{Terminal, duration, grouped, parameters};
