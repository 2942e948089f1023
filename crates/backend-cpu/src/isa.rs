//! The instruction set, detected once at run time.

use crate::CpuError;

/// Name of the environment variable that chooses the instruction set.
pub(crate) const VARIABLE: &str = "FINETONE_ISA";

/// An instruction set that the kernels of this crate are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What every processor of the architecture has (on aarch64 that includes NEON).
    Scalar,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL.
    Avx512,
    /// That with its products of bf16 pairs and of eight-bit quadruples (`avx512_bf16`, `avx512_vnni`).
    Avx512Bf16,
    /// That with the tiles of AMX for bf16 and for eight bits.
    Amx,
}

impl Isa {
    /// All of them, the simplest first.
    pub const ALL: [Isa; 5] = [Isa::Scalar, Isa::Avx2, Isa::Avx512, Isa::Avx512Bf16, Isa::Amx];

    /// The name that `FINETONE_ISA` takes.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Avx512Bf16 => "avx512-bf16",
            Isa::Amx => "amx",
        }
    }

    /// Whether this machine has it.
    #[cfg(target_arch = "x86_64")]
    pub fn is_available(self) -> bool {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = avx2
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        let bf16 = avx512 && is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512vnni");
        match self {
            Isa::Scalar => true,
            Isa::Avx2 => avx2,
            Isa::Avx512 => avx512,
            Isa::Avx512Bf16 => bf16,
            // Tests have a model of the tiles.
            Isa::Amx => bf16 && (cfg!(test) || crate::gemm::amx::is_available()),
        }
    }

    /// Whether this machine has it.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn is_available(self) -> bool {
        self == Isa::Scalar
    }

    /// Those that this machine has, the simplest first.
    pub fn available() -> Vec<Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// The one that a [`crate::Cpu`] would use: that of the caller, else of the environment variable `FINETONE_ISA`, else
    /// the best that is there.
    ///
    /// # Errors
    /// An instruction set that is unknown or not there.
    pub fn chosen(asked: Option<Isa>) -> Result<Isa, CpuError> {
        let environment = std::env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned());
        Self::choose(asked, environment.as_deref())
    }

    /// The choice of the caller, else of the environment, else the best that is there.
    fn choose(asked: Option<Isa>, environment: Option<&str>) -> Result<Isa, CpuError> {
        let refuse =
            |name: &str| CpuError::UnavailableIsa { name: name.to_owned(), available: names(&Isa::available()) };
        if let Some(isa) = asked {
            return if isa.is_available() { Ok(isa) } else { Err(refuse(isa.name())) };
        }
        match environment.filter(|name| !name.is_empty()) {
            Some(name) => Isa::available().into_iter().find(|isa| isa.name() == name).ok_or_else(|| refuse(name)),
            None => Ok(Isa::available().pop().unwrap_or(Isa::Scalar)),
        }
    }
}

/// Names between backticks, for an error message.
fn names(all: &[Isa]) -> String {
    all.iter().map(|isa| format!("`{}`", isa.name())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_chooses_and_the_caller_overrules_it() {
        assert_eq!(Isa::choose(None, Some("scalar")).unwrap(), Isa::Scalar);
        assert_eq!(Isa::choose(None, None).unwrap(), *Isa::available().last().unwrap());
        assert_eq!(Isa::choose(Some(Isa::Scalar), Some("nonsense")).unwrap(), Isa::Scalar);
    }

    #[test]
    fn an_unknown_name_lists_what_is_there() {
        let error = Isa::choose(None, Some("mmx")).unwrap_err();
        assert_eq!(error.to_string(), "the instruction set `mmx` is not available on this machine");
        assert!(error.hint().unwrap().contains("`scalar`"), "{:?}", error.hint());
    }
}
