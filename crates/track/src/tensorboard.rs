//! Event files of TensorBoard: each event a protobuf message in a frame of TFRecord with two masked CRC32C.
//!
//! Formats: [TFRecord](https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details),
//! [event.proto](https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto). Values are 32-bit
//! floats there: TensorBoard's scalars have no others.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use prost::Message;

use crate::background::{End, Run, Sink};
use crate::error::TrackError;
use crate::numbers::{Numbers, seconds};

/// The folder in the run folder.
const FOLDER: &str = "tensorboard";
/// The first event of every file.
const VERSION: &str = "brain.Event:2";

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<SummaryValue>,
}

#[derive(Clone, PartialEq, Message)]
struct SummaryValue {
    #[prost(string, tag = "1")]
    tag: String,
    // A scalar of 0 must be there, so it is optional.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Says that a session begins: what earlier files have from this step on does not count.
#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

const SESSION_STARTS: i32 = 1;

/// Writes event files.
#[derive(Default)]
pub struct Tensorboard {
    open: Option<(PathBuf, BufWriter<File>)>,
    /// The step up to which an earlier file has everything.
    before: u64,
}

impl Tensorboard {
    fn write(&mut self, events: &[Event]) -> Result<(), TrackError> {
        let Some((path, out)) = &mut self.open else { return Ok(()) };
        let written = events.iter().try_for_each(|event| write_record(out, &event.encode_to_vec()));
        written.and_then(|()| out.flush()).map_err(TrackError::file(path))
    }
}

impl Sink for Tensorboard {
    fn begin(&mut self, run: &Run) -> Result<(), TrackError> {
        let folder = run.folder.join(FOLDER);
        if run.resumed_from == 0 {
            // The files of a run that begins anew are of no use, and their curves would stand among the new ones.
            fs::remove_dir_all(&folder).or_else(missing_is_fine).map_err(TrackError::file(&folder))?;
        }
        fs::create_dir_all(&folder).map_err(TrackError::file(&folder))?;
        // TensorBoard reads the files of a folder in the order of their names.
        let seconds = seconds(run.began);
        let name = format!("events.out.tfevents.{:010}.finetone.{}", seconds as u64, run.resumed_from);
        let path = folder.join(name);
        let file = File::create(&path).map_err(TrackError::file(&path))?;
        (self.open, self.before) = (Some((path, BufWriter::new(file))), run.resumed_from);
        let version = Event { wall_time: seconds, file_version: Some(VERSION.into()), ..Event::default() };
        let starts = Event {
            wall_time: seconds,
            step: run.resumed_from as i64 + 1,
            session_log: Some(SessionLog { status: SESSION_STARTS }),
            ..Event::default()
        };
        if run.resumed_from > 0 { self.write(&[version, starts]) } else { self.write(&[version]) }
    }

    fn log(&mut self, numbers: &[Arc<Numbers>]) -> Result<(), TrackError> {
        let fresh = numbers.iter().filter(|numbers| numbers.step > self.before);
        let events: Vec<Event> = fresh.map(|numbers| event(numbers)).collect();
        self.write(&events)
    }

    fn end(&mut self, _end: End, _time: SystemTime) -> Result<(), TrackError> {
        self.write(&[])
    }

    fn place(&self) -> Option<String> {
        Some(self.open.as_ref()?.0.parent()?.display().to_string())
    }
}

fn missing_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn event(numbers: &Numbers) -> Event {
    let value = |(name, value): &(String, f64)| SummaryValue { tag: name.clone(), simple_value: Some(*value as f32) };
    let summary = Summary { value: numbers.values.iter().map(value).collect() };
    let (wall_time, step) = (seconds(numbers.time), numbers.step as i64);
    Event { wall_time, step, summary: Some(summary), ..Event::default() }
}

/// A frame: length, its checksum, the data, their checksum.
fn write_record(out: &mut impl Write, data: &[u8]) -> io::Result<()> {
    let length = (data.len() as u64).to_le_bytes();
    out.write_all(&length)?;
    out.write_all(&masked(crc32c::crc32c(&length)).to_le_bytes())?;
    out.write_all(data)?;
    out.write_all(&masked(crc32c::crc32c(data)).to_le_bytes())
}

/// Checksums of data that hold checksums are weak; TFRecord's are therefore rotated and moved.
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_what_the_format_says() {
        let mut out = Vec::new();
        write_record(&mut out, b"abc").unwrap();
        assert_eq!((out.len(), &out[..8], &out[12..15]), (8 + 4 + 3 + 4, &3_u64.to_le_bytes()[..], &b"abc"[..]));
        // CRC32C of `123456789` is the check value of its catalogue.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(masked(0xe306_9283), 0x2507_c60d_u32.wrapping_add(0xa282_ead8));
    }

    #[test]
    fn a_zero_is_a_value() {
        let numbers = Numbers { step: 0, time: SystemTime::UNIX_EPOCH, values: vec![("a".into(), 0.0)] };
        let bytes = event(&numbers).encode_to_vec();
        // Field 5 of 10 bytes: field 1 of 8 bytes: the tag `a`, and a float.
        assert!(bytes.ends_with(&[0x2a, 10, 0x0a, 8, 0x0a, 1, b'a', 0x15, 0, 0, 0, 0]), "{bytes:x?}");
    }
}
