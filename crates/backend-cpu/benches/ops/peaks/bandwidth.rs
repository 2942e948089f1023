//! Copying and reading in half of the second-level cache, half of the last, and memory that no cache holds.

use std::hint::black_box;

use finetone_backend_cpu::Isa;

use super::best_seconds;

/// Bytes that no cache holds.
const LARGE: usize = 256 << 20;
/// A sample goes through at least this many bytes a thread.
const TRAFFIC: usize = 32 << 20;

/// A level of the memory and what it does, in GB/s; a copied byte counts twice.
pub struct Level {
    pub title: String,
    /// Bytes that fit, all threads together.
    pub holds: f64,
    pub copy_one: f64,
    pub copy_all: f64,
    pub read_one: f64,
    pub read_all: f64,
}

/// The levels from the fastest to the largest. Second-level caches belong to a core, the last level to all of them.
pub fn levels(isa: Isa, threads: usize) -> Vec<Level> {
    let (second, last) = (cache_bytes(2).unwrap_or(1 << 20), cache_bytes(3).unwrap_or(16 << 20));
    let level = |title: &str, bytes_of_one: usize, bytes_of_all: usize, holds: usize| Level {
        title: format!("{title} ({})", sized(bytes_of_all)),
        holds: holds as f64,
        copy_one: copy_rate(1, bytes_of_one),
        copy_all: copy_rate(threads, bytes_of_all),
        read_one: read_rate(isa, 1, bytes_of_one),
        read_all: read_rate(isa, threads, bytes_of_all),
    };
    vec![
        level("half of the L2 caches", second / 2, threads * second / 2, threads * second),
        level("half of the last cache", last / 2, last / 2, last),
        level("memory", LARGE, LARGE, usize::MAX),
    ]
}

fn sized(bytes: usize) -> String {
    if bytes < 1 << 20 { format!("{} KiB", bytes >> 10) } else { format!("{} MiB", bytes >> 20) }
}

/// The size of a cache of the first core, as Linux tells it.
fn cache_bytes(level: usize) -> Option<usize> {
    let text = std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{level}/size")).ok()?;
    let (number, unit) = text.trim().split_at(text.trim().len().checked_sub(1)?);
    let factor = match unit {
        "K" => 1 << 10,
        "M" => 1 << 20,
        _ => return None,
    };
    Some(number.parse::<usize>().ok()? * factor)
}

/// Bytes a second, read and written, of threads that copy one half of their share of `bytes` to the other.
fn copy_rate(threads: usize, bytes: usize) -> f64 {
    let numbers = bytes / 4 / threads / 2;
    let repeat = (TRAFFIC / 8 / numbers).max(1);
    let seconds = best_seconds(
        threads,
        || (vec![1.0_f32; numbers], vec![0.0_f32; numbers]),
        |(from, to)| {
            for _ in 0..repeat {
                to.copy_from_slice(black_box(from));
                black_box(&mut *to);
            }
        },
    );
    (8 * threads * numbers * repeat) as f64 / seconds / 1e9
}

/// Bytes a second of threads that sum up their share of `bytes`.
fn read_rate(isa: Isa, threads: usize, bytes: usize) -> f64 {
    let numbers = bytes / 4 / threads;
    let repeat = (TRAFFIC / 4 / numbers).max(1);
    let sum = summation(isa);
    let seconds = best_seconds(
        threads,
        || vec![1.0_f32; numbers],
        |values| {
            for _ in 0..repeat {
                black_box(sum(black_box(values)));
            }
        },
    );
    (4 * threads * numbers * repeat) as f64 / seconds / 1e9
}

/// The sum of many numbers in lanes enough for any register.
#[inline(always)]
fn sum_in_lanes(values: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 128];
    for chunk in values.chunks_exact(lanes.len()) {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum()
}

#[cfg(target_arch = "x86_64")]
fn summation(isa: Isa) -> fn(&[f32]) -> f32 {
    #[target_feature(enable = "avx2")]
    fn in_256_bits(values: &[f32]) -> f32 {
        sum_in_lanes(values)
    }
    #[target_feature(enable = "avx512f")]
    fn in_512_bits(values: &[f32]) -> f32 {
        sum_in_lanes(values)
    }
    match isa {
        Isa::Scalar => sum_in_lanes,
        // SAFETY: the instruction set in use was detected, and has these features.
        Isa::Avx2 => |values| unsafe { in_256_bits(values) },
        // SAFETY: as above.
        Isa::Avx512 | Isa::Avx512Bf16 | Isa::Amx => |values| unsafe { in_512_bits(values) },
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn summation(_isa: Isa) -> fn(&[f32]) -> f32 {
    sum_in_lanes
}
