//! One run of a contender: its time from outside, its memory, its output.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::contender::{Contender, Finished, Sample};

/// How often the memory of a process is looked at. The kernel keeps the peak, so only the last moments can be missed.
const LOOK: Duration = Duration::from_millis(10);
/// How long a busy process runs before the clock starts.
const HEAD_START: Duration = Duration::from_millis(500);
/// Lines of a failed program's complaints that are shown.
const SHOWN_LINES: usize = 8;

/// Runs a contender in `folder` and reads what it left.
pub fn measure(contender: &Contender, round: usize, folder: &Path, python: &Path) -> Result<Vec<Sample>> {
    let _busy = contender.beside_a_busy_process.then(|| BusyProcess::start(python)).transpose()?;
    if let Some(leftover) = contender.leftover(round).filter(|folder| folder.exists()) {
        std::fs::remove_dir_all(&leftover).with_context(|| format!("cannot remove {}", leftover.display()))?;
    }
    let mut command = Command::new(&contender.program);
    command.args(contender.arguments_in(round)).current_dir(folder);
    let finished = run(&mut command)?;
    eprintln!("  {} (round {}): {:.1} s", contender.name, round + 1, finished.seconds);
    contender.read(&finished, round)
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Result<Finished> {
    let line = format!("{command:?}");
    let start = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.with_context(|| format!("cannot start {line}"))?;
    let (id, ended) = (child.id(), AtomicBool::new(false));
    let (output, seconds, peak_bytes) = std::thread::scope(|scope| {
        let memory = scope.spawn(|| peak_memory(id, &ended));
        let output = child.wait_with_output();
        let seconds = start.elapsed().as_secs_f64();
        ended.store(true, Ordering::Relaxed);
        (output, seconds, memory.join().unwrap_or_default())
    });
    let output = output.with_context(|| format!("cannot wait for {line}"))?;
    if !output.status.success() {
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines: Vec<&str> = complaints.lines().collect();
        let last = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
        bail!("{line} failed: {}\n{last}", output.status);
    }
    Ok(Finished { stdout: String::from_utf8_lossy(&output.stdout).into_owned(), seconds, peak_bytes })
}

/// The most resident memory of a process that was seen until it ended.
fn peak_memory(id: u32, ended: &AtomicBool) -> Option<f64> {
    let path = format!("/proc/{id}/status");
    let mut peak = None;
    while !ended.load(Ordering::Relaxed) {
        let status = std::fs::read_to_string(&path).unwrap_or_default();
        peak = high_water_mark(&status).or(peak);
        std::thread::sleep(LOOK);
    }
    peak
}

/// The line `VmHWM:  1234 kB`, in bytes.
fn high_water_mark(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? * 1024.0)
}

/// A process that keeps one core busy until it is dropped.
struct BusyProcess(Child);

impl BusyProcess {
    fn start(python: &Path) -> Result<Self> {
        let child = Command::new(python).args(["-c", "while True: pass"]).spawn().context("cannot start Python")?;
        std::thread::sleep(HEAD_START);
        Ok(Self(child))
    }
}

impl Drop for BusyProcess {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is not there afterwards.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_linux() {
        assert_eq!(high_water_mark("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"), Some(2048.0 * 1024.0));
        assert_eq!(high_water_mark("Name:\tx\n"), None);
    }

    #[test]
    fn output_and_failure_of_a_process_are_told() {
        let cargo = || Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let finished = run(cargo().arg("--version")).expect("cargo tells its version");
        assert!(finished.stdout.starts_with("cargo "), "{}", finished.stdout);
        assert!(finished.seconds > 0.0);
        let error = run(cargo().arg("no-such-command")).expect_err("there is no such command");
        assert!(error.to_string().contains("no-such-command"), "{error}");
    }
}
