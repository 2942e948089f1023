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
