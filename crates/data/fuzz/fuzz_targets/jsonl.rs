//! Any bytes read as JSON lines: refused or read, never a panic.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use finetone_data::{Format, OpenOptions, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let options = OpenOptions { format: Some(Format::Jsonl), max_record_bytes: 4096, ..OpenOptions::default() };
    let stream = Box::new(Cursor::new(bytes.to_vec()));
    let Ok(reader) = Reader::from_stream(Path::new("fuzz"), stream, &options) else { return };
    for row in reader.flatten() {
        let made = row.source().chat_columns().into_iter().flatten();
        for column in (0..row.source().header.len()).chain(made) {
            let _ = row.text(column);
        }
    }
});
