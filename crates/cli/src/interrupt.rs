//! Ctrl-C: the first time politely, the second time at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;

/// The exit code of a command that the user stopped.
const CODE: i32 = 130;

/// Becomes true at the first Ctrl-C (or termination signal), and tells `message`; the second one ends the process.
pub fn watch(message: &'static str) -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    let handler = move || {
        if asked.swap(true, Ordering::SeqCst) {
            std::process::exit(CODE);
        }
        anstream::eprintln!("{message} (once more: stop at once)");
    };
    ctrlc::set_handler(handler)
        .map_err(|error| Failure::new(format!("Ctrl-C cannot be listened for: {error}"), None))?;
    Ok(stop)
}
