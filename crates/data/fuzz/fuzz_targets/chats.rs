//! Any bytes checked as chats: refused, faulty or sound, never a panic.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use finetone_data::chat::{TokenRule, validate_stream};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let stream = Box::new(Cursor::new(bytes.to_vec()));
    let _ = validate_stream(Path::new("fuzz"), stream, &TokenRule::default());
});
