//! Listeners to training events.
