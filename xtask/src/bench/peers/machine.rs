//! What the numbers were measured on: without it they say nothing.

use std::path::Path;
use std::process::Command;

/// Flags of the processor that decide what it can do in a cycle, as Linux writes them.
const TELLING_FLAGS: [&str; 8] =
    ["avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8"];

/// Machine, commit and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The processor's name and its cores.
    pub processor: String,
    /// What it can do.
    pub instructions: String,
    /// The commit, and whether something was changed since.
    pub commit: String,
    /// Date and time, UTC.
    pub date: String,
}

impl Machine {
    /// This machine and the checkout at `root`.
    pub fn of(root: &Path) -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let model = field(&cpuinfo, "model name").unwrap_or(std::env::consts::ARCH);
        let changed = output(Command::new("git").args(["status", "--porcelain"]).current_dir(root));
        let commit = output(Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(root));
        Self {
            processor: format!("{model}, {cores} cores"),
            instructions: telling_flags(&cpuinfo),
            commit: format!("{commit}{}", if changed.is_empty() { "" } else { " with changes" }),
            date: output(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"])),
        }
    }
}

fn telling_flags(cpuinfo: &str) -> String {
    let flags: Vec<&str> = field(cpuinfo, "flags").unwrap_or_default().split(' ').collect();
    TELLING_FLAGS.into_iter().filter(|flag| flags.contains(flag)).collect::<Vec<_>>().join(", ")
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// What a command says, or `unknown` where it cannot be run: the bench should not fail for want of a date.
fn output(command: &mut Command) -> String {
    match command.output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_read_from_linux() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu avx2 avx512f_not amx_tile\n";
        assert_eq!(field(text, "model name"), Some("Some CPU @ 2 GHz"));
        assert_eq!(telling_flags(text), "avx2, amx_tile");
        assert_eq!(telling_flags(""), "");
    }
}
