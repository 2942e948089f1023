//! The readers over thousands of damaged files: they may refuse, and never panic, hang or swallow memory.
//!
//! The corpus is kept in `tests/corpus`; the damage follows from a seed, so that a failure names its iteration.

use std::io::Cursor;
use std::path::Path;

use finetone_data::split::random::Random;
use finetone_data::{DataError, Format, OpenOptions, Reader};

use crate::Scratch;

const ROUNDS: usize = 1500;
const LIMIT: usize = 4096;

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            (path.file_name().expect("a name").to_string_lossy().into_owned(), std::fs::read(&path).expect("bytes"))
        })
        .collect();
    files.sort();
    assert!(files.len() >= 8, "the corpus is incomplete");
    files
}

/// Changes a few bytes: flips, insertions of telling bytes, cuts, copies.
pub fn damage(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    const TELLING: &[u8] = b"\"',;\t|\n\r\\{}[]:\0\xFF\xFE\xEF\xBB\xBF\xD8e9.-";
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(6) {
        if bytes.is_empty() {
            return bytes;
        }
        let at = random.below(bytes.len());
        match random.below(5) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes.insert(at, TELLING[random.below(TELLING.len())]),
            2 => bytes.truncate(at),
            3 => {
                let end = at + random.below(bytes.len() - at).min(64);
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => bytes[at] = TELLING[random.below(TELLING.len())],
        }
    }
    bytes
}

/// Reads all that can be read, looking at every cell; returns the number of rows and faults.
fn drain(reader: Result<Reader, DataError>, bytes: usize) -> usize {
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(fault) => {
            assert!(!fault.to_string().is_empty());
            let _ = fault.hint();
            return 0;
        }
    };
    let mut outcomes = 0;
    while let Some(next) = reader.next_row() {
        outcomes += 1;
        assert!(outcomes <= bytes + 1, "more rows than bytes");
        if let Ok(row) = next {
            assert!(row.line >= 1);
            let made = row.source().chat_columns().into_iter().flatten();
            for column in (0..row.source().header.len()).chain(made) {
                let length = row.text(column).map(|text| text.len()).unwrap_or(0);
                assert!(length <= 4 * LIMIT + (256 << 10), "a cell of {length} bytes");
                let _ = row.list(column);
            }
        }
    }
    outcomes
}

#[test]
fn damaged_text_is_read_or_refused() {
    let mut random = Random::new(2024);
    let mut outcomes = 0;
    for (name, content) in corpus() {
        for round in 0..ROUNDS {
            let bytes = damage(&mut random, &content);
            let format = [None, Some(Format::Csv), Some(Format::Tsv), Some(Format::Jsonl)][round % 4];
            let options = OpenOptions { format, max_record_bytes: LIMIT, ..OpenOptions::default() };
            let length = bytes.len();
            let reader = Reader::from_stream(Path::new(&name), Box::new(Cursor::new(bytes)), &options);
            outcomes += drain(reader, length);
        }
    }
    assert!(outcomes > ROUNDS, "hardly anything was read: {outcomes}");
}

#[test]
fn damaged_parquet_is_read_or_refused() {
    let scratch = Scratch::new();
    let (from, sound) = (scratch.file("a.csv", "id,text\n1,one\n2,two\n3,three\n"), scratch.path("a.parquet"));
    let mut reader = Reader::open(&from, &OpenOptions::default()).expect("a sound file");
    let mut writer = finetone_data::Writer::create(&sound, &reader, &[]).expect("a writer");
    reader.try_for_each(|row| writer.write(&row?, &[])).expect("sound rows");
    writer.finish().expect("written");
    let content = std::fs::read(&sound).expect("bytes");
    let mut random = Random::new(7);
    for _ in 0..400 {
        let bytes = damage(&mut random, &content);
        let path = scratch.file("b.parquet", &bytes);
        drain(Reader::open(&path, &OpenOptions::default()), 1 << 20);
    }
    for length in 0..content.len() {
        let path = scratch.file("c.parquet", &content[..length]);
        assert!(
            Reader::open(&path, &OpenOptions::default()).is_err(),
            "{length} bytes of a Parquet file were accepted"
        );
    }
}
