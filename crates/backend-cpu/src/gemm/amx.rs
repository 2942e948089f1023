//! The tiles of AMX: the one file with assembly, because the intrinsics are not stable in Rust.

/// Whether the machine has the tiles for bf16 and eight-bit products, and the system lets this process use them.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(crate) fn is_available() -> bool {
    use std::sync::OnceLock;
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| processor_has_tiles() && system_allows_tiles())
}

/// Whether the machine has the tiles for bf16 and eight-bit products, and the system lets this process use them.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub(crate) fn is_available() -> bool {
    false
}

/// `CPUID.7.0:EDX`: AMX-BF16 is bit 22, AMX-TILE bit 24, AMX-INT8 bit 25.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn processor_has_tiles() -> bool {
    let tiles = (1 << 22) | (1 << 24) | (1 << 25);
    // Leaf 7 exists on every processor that has AVX2, which is asked first.
    is_x86_feature_detected!("avx2") && std::arch::x86_64::__cpuid_count(7, 0).edx & tiles == tiles
}

/// Asks Linux for the state of the tiles (`arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA)`), which it grants to a process
/// once and for all its threads. <https://docs.kernel.org/arch/x86/xstate.html>
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn system_allows_tiles() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XTILEDATA: u64 = 18;
    let result: i64;
    // SAFETY: the call takes two numbers and touches no memory of ours; the kernel changes rcx and r11.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

use super::kernel::{Start, Strip, store};
use super::left::{TILE, TILE_WORDS};
use super::panel::WIDTH;
use crate::{Isa, Precision};

use super::TILED_ROWS as ROWS;

const _: () = assert!(ROWS == 2 * TILE, "a square has two tiles of rows");

/// This thread's tiles, each of sixteen rows of 64 bytes, until it is dropped.
pub(super) struct Configured(());

impl Configured {
    /// Configures the tiles of this thread, which has them: [`Isa::Amx`] is in use.
    pub(super) fn new() -> Self {
        #[cfg(test)]
        if !is_available() {
            return Self(());
        }
        /// Palette 1, then sixteen widths in bytes from byte 16 on, and sixteen numbers of rows from byte 48 on.
        #[repr(align(64))]
        struct Palette([u8; 64]);
        let mut palette = Palette([0; 64]);
        palette.0[0] = 1;
        for tile in 0..8 {
            palette.0[16 + 2 * tile] = 64;
            palette.0[48 + tile] = TILE as u8;
        }
        #[cfg(target_arch = "x86_64")] // SAFETY: the processor has tiles, and the palette is a valid one of 64 bytes.
        unsafe {
            std::arch::asm!("ldtilecfg [{}]", in(reg) palette.0.as_ptr(), options(nostack, readonly));
        }
        Self(())
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        #[cfg(test)]
        if !is_available() {
            return;
        }
        #[cfg(target_arch = "x86_64")] // SAFETY: the tiles were configured on this thread.
        unsafe {
            std::arch::asm!("tilerelease", options(nostack, nomem));
        }
    }
}

/// Two tiles of left rows and two of right columns, and the four tiles of their sums.
#[derive(Clone, Copy)]
struct Square {
    /// The sums, `[ROWS, WIDTH]`, which are added to.
    sums: *mut f32,
    /// The tiles of the upper and the lower rows, one after the other.
    left: [*const f32; 2],
    /// `TILE · steps` rows of [`WIDTH`] words.
    panel: *const f32,
    /// Tiles in a sum.
    steps: usize,
}

/// What multiplies tiles: the instructions, or in tests on a machine without them what they are specified to do.
fn multiplier() -> unsafe fn(Precision, Square) {
    #[cfg(test)]
    if !is_available() {
        return tests::model;
    }
    multiply_tiles
}

/// Computes a strip, whose left words lie in tiles, `strip.a.1[0]` words from sixteen rows to the next sixteen.
///
/// # Safety
/// As for [`super::kernel::strip`]; the tiles are configured, and the words of `a` and the panel reach to whole tiles.
pub(super) unsafe fn strip(isa: Isa, precision: Precision, at: Strip<'_>, start: Start<'_>) {
    let multiply = multiplier();
    let group = at.a.1[0];
    for first in (0..at.m).step_by(ROWS) {
        let rows = ROWS.min(at.m - first);
        let mut sums = [0.0_f32; ROWS * WIDTH];
        if precision == Precision::Int8 {
            for row in sums.chunks_exact_mut(WIDTH) {
                row.iter_mut().zip(at.scales.begin).for_each(|(sum, &begin)| *sum = f32::from_bits(begin as u32));
            }
        }
        // SAFETY: the caller grants the rows and their words; where there are at most sixteen rows, the second tile of
        // rows is the first once more, and what comes of it is not looked at.
        unsafe {
            let upper = at.a.0.add(first / TILE * group);
            let lower = if rows > TILE { upper.add(group) } else { upper };
            let steps = at.k.div_ceil(TILE);
            multiply(precision, Square { sums: sums.as_mut_ptr(), left: [upper, lower], panel: at.panel, steps });
            let c = (at.c.0.add(first * at.c.1), at.c.1);
            let mut scales = at.scales;
            scales.rows = scales.rows.wrapping_add(first);
            // What lies in `sums` begins where the strip's sums do already.
            let strip = Strip { m: rows, c, scales, ..at };
            store(isa, precision, strip, start, sums.as_ptr());
        }
    }
}

/// Bytes from a row of a panel or of the sums to the next, and from a row of a left tile to the next.
const PANEL_ROW: usize = WIDTH * size_of::<f32>();
const TILE_ROW: usize = TILE * size_of::<f32>();

/// `sums += left · panel` for the four tiles of a square. What the tiles hold lasts from one piece of assembly to the
/// next: the compiler knows of no tiles.
///
/// # Safety
/// The pointers are valid for the square's sizes, and this thread's tiles are configured.
#[cfg(target_arch = "x86_64")]
unsafe fn multiply_tiles(precision: Precision, square: Square) {
    /// Multiplies the tiles of one step of the sums, by the instruction of this name.
    macro_rules! step {
        ($multiply:literal, $upper:expr, $lower:expr, $panel:expr) => {
            std::arch::asm!(
                "tileloadd tmm4, [{upper} + {line}]",
                "tileloadd tmm6, [{panel} + {row}]",
                "tileloadd tmm5, [{lower} + {line}]",
                "tileloadd tmm7, [{panel} + {row} + 64]",
                concat!($multiply, " tmm0, tmm4, tmm6"),
                concat!($multiply, " tmm2, tmm5, tmm6"),
                concat!($multiply, " tmm1, tmm4, tmm7"),
                concat!($multiply, " tmm3, tmm5, tmm7"),
                upper = in(reg) $upper, lower = in(reg) $lower, panel = in(reg) $panel,
                line = in(reg) TILE_ROW, row = in(reg) PANEL_ROW,
                options(nostack, readonly),
            )
        };
    }
    // SAFETY: the caller grants all places and the tiles.
    unsafe {
        load_sums(square.sums);
        for step in 0..square.steps {
            let [upper, lower] = square.left.map(|tiles| tiles.add(step * TILE_WORDS));
            let panel = square.panel.add(step * TILE * WIDTH);
            match precision {
                Precision::Int8 => step!("tdpbusd", upper, lower, panel),
                _ => step!("tdpbf16ps", upper, lower, panel),
            }
        }
        store_sums(square.sums);
    }
}

/// Reads four tiles of sums.
///
/// # Safety
/// As for [`multiply_tiles`].
#[cfg(target_arch = "x86_64")]
unsafe fn load_sums(sums: *const f32) {
    // SAFETY: as the caller grants.
    unsafe {
        std::arch::asm!(
            "tileloadd tmm0, [{upper} + {row}]",
            "tileloadd tmm1, [{upper} + {row} + 64]",
            "tileloadd tmm2, [{lower} + {row}]",
            "tileloadd tmm3, [{lower} + {row} + 64]",
            upper = in(reg) sums, lower = in(reg) sums.add(TILE * WIDTH), row = in(reg) PANEL_ROW,
            options(nostack, readonly),
        );
    }
}

/// Writes four tiles of sums.
///
/// # Safety
/// As for [`multiply_tiles`].
#[cfg(target_arch = "x86_64")]
unsafe fn store_sums(sums: *mut f32) {
    // SAFETY: as the caller grants.
    unsafe {
        std::arch::asm!(
            "tilestored [{upper} + {row}], tmm0",
            "tilestored [{upper} + {row} + 64], tmm1",
            "tilestored [{lower} + {row}], tmm2",
            "tilestored [{lower} + {row} + 64], tmm3",
            upper = in(reg) sums, lower = in(reg) sums.add(TILE * WIDTH), row = in(reg) PANEL_ROW,
            options(nostack),
        );
    }
}

/// There are no tiles here, so nothing asks for them.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn multiply_tiles(_: Precision, _: Square) {
    unreachable!("tiles are available on x86-64 alone")
}

#[cfg(test)]
mod tests {
    use super::super::Left;
    use super::super::left::Chunk;
    use super::*;

    /// What the instructions do, one number at a time.
    pub(super) unsafe fn model(precision: Precision, square: Square) {
        // SAFETY: as for `multiply_tiles`.
        unsafe {
            for (row, column) in (0..ROWS).flat_map(|row| (0..WIDTH).map(move |column| (row, column))) {
                let sum = square.sums.add(row * WIDTH + column);
                for word in 0..square.steps * TILE {
                    let place = word / TILE * TILE_WORDS + row % TILE * TILE + word % TILE;
                    let left = (*square.left[row / TILE].add(place)).to_bits();
                    let right = (*square.panel.add(word * WIDTH + column)).to_bits();
                    if precision == Precision::Int8 {
                        let products = left.to_le_bytes().into_iter().zip(right.to_le_bytes());
                        let four: i32 = products.map(|(a, b)| i32::from(a) * i32::from(b as i8)).sum();
                        *sum = f32::from_bits(((*sum).to_bits() as i32 + four) as u32);
                    } else {
                        let half =
                            |word: u32, high: bool| f32::from_bits(if high { word & 0xFFFF_0000 } else { word << 16 });
                        *sum += half(left, false) * half(right, false) + half(left, true) * half(right, true);
                    }
                }
            }
        }
    }

    /// Whole numbers, which bf16 holds exactly.
    fn whole(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 37 + seed * 11) % 13) as f32 - 6.0).collect()
    }

    #[test]
    fn strips_in_tiles_agree_with_plain_sums() {
        let _configured = Configured::new();
        for (m, n, k) in [(1, 1, 1), (16, 32, 32), (17, 31, 70), (33, 32, 64), (96, 5, 400), (50, 32, 33)] {
            for columns in [false, true] {
                let (a, b, bias) = (whole(m * k, 1), whole(n * k, 2), [0.5; WIDTH]);
                let turned: Vec<f32> = (0..m * k).map(|i| a[i % m * k + i / m]).collect();
                let panels = super::super::Panels::new(Isa::Scalar, Precision::Bf16, &b, k);
                let count = k.div_ceil(2);
                let mut left = vec![f32::NAN; m.div_ceil(TILE) * count.div_ceil(TILE) * TILE_WORDS];
                let a_form = if columns { Left::Columns(&turned, None) } else { Left::Rows(&a) };
                let (rows, words) = ((0, m), (0, count));
                let chunk =
                    Chunk { isa: Isa::Scalar, precision: Precision::Bf16, a: a_form, whole: (m, k), rows, words };
                chunk.tiles(&mut left, &[], &mut []);
                let mut c = vec![7.0; m * n];
                let a_place = (left.as_ptr(), [count.div_ceil(TILE) * TILE_WORDS; 3]);
                let (panel, scales) = (panels.view().panel(0, 0), super::super::kernel::Scales::NONE);
                let at = Strip {
                    m,
                    group: TILE,
                    n,
                    k: count,
                    c: (c.as_mut_ptr(), n),
                    reads: std::ptr::null(),
                    a: a_place,
                    panel,
                    scales,
                };
                // SAFETY: all sizes are those of the memory above.
                unsafe { strip(Isa::Scalar, Precision::Bf16, at, Start::Bias(&bias)) };
                for (i, &c) in c.iter().enumerate() {
                    let sum: f32 = (0..k).map(|p| a[i / n * k + p] * b[i % n * k + p]).sum();
                    assert_eq!(c, sum + 0.5, "{m} {n} {k}: row {}, column {}", i / n, i % n);
                }
            }
        }
    }

    #[test]
    fn eight_bits_in_tiles_agree_with_the_vector_kernels() {
        let Some(isa) = Isa::available().into_iter().find(|&isa| isa >= Isa::Avx512Bf16) else {
            println!("skipped: this machine has no instructions for eight bits");
            return;
        };
        let _configured = Configured::new();
        let (m, n, k) = (37, 32, 90);
        let (a, b) = (whole(m * k, 1), whole(n * k, 2));
        let panels = super::super::Panels::new(isa, Precision::Int8, &b, k);
        let (mut scales, mut reciprocals) = ([0.0; 96], [0.0; 96]);
        super::super::row_scales(isa, (&mut scales[..m], &mut reciprocals), Left::Rows(&a), k, 0);
        let (columns, begin) = panels.view().scales(0, 0).unwrap();
        let scales = super::super::kernel::Scales { rows: scales.as_ptr(), columns, begin };
        let count = words_of(k);
        let (rows, words) = ((0, m), (0, count));
        let chunk = Chunk { isa, precision: Precision::Int8, a: Left::Rows(&a), whole: (m, k), rows, words };
        let (mut tiles, mut streams) = (vec![0.0; 3 * 2 * TILE_WORDS], vec![0.0; m * count]);
        chunk.tiles(&mut tiles, &reciprocals, &mut []);
        let panel = panels.view().panel(0, 0);
        let (mut by_tiles, mut by_vectors) = (vec![0.0; m * n], vec![0.0; m * n]);
        let stream = chunk.streams(&mut streams, &reciprocals, &mut []);
        // SAFETY: all sizes are those of the memory above.
        unsafe {
            let tile = (tiles.as_ptr(), [count.div_ceil(TILE) * TILE_WORDS; 3]);
            let at = Strip {
                m,
                group: Chunk::group(chunk.a, m),
                n,
                k: count,
                c: (by_tiles.as_mut_ptr(), n),
                reads: std::ptr::null(),
                a: tile,
                panel,
                scales,
            };
            strip(isa, Precision::Int8, at, Start::Nothing);
            let at = Strip { c: (by_vectors.as_mut_ptr(), n), a: stream, ..at };
            super::super::strip(isa, Precision::Int8, at, Start::Nothing);
        }
        assert_eq!(by_tiles, by_vectors);
    }

    fn words_of(k: usize) -> usize {
        super::super::panel::words(Precision::Int8, k)
    }
}
