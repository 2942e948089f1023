//! Ctrl-C: the first time politely, the second time at once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;

/// The exit code of a command that the user stopped.
const CODE: i32 = 130;

/// Ends the process at Ctrl-C, without leaving a temporary folder behind.
pub fn remove_and_end(folder: &Path) -> Result<(), Failure> {
    let folder = folder.to_owned();
    listen(move || {
        // What cannot be removed is the system's to remove.
        drop(std::fs::remove_dir_all(&folder));
        std::process::exit(CODE);
    })
}

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
    listen(handler)?;
    Ok(stop)
}

fn listen(handler: impl FnMut() + Send + 'static) -> Result<(), Failure> {
    ctrlc::set_handler(handler).map_err(|error| Failure::new(format!("Ctrl-C cannot be listened for: {error}"), None))
}
