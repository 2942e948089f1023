//! A run that is killed at any moment and resumed ends with the same bytes as one that never was.

mod workbench;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use workbench::{BINARY, reviews};

const KILLS: usize = 20;
const TRAIN: &str = "train data.csv --model tiny --threads 1 --learning-rate 1e-3 --quiet \
                     --set max_steps=40 --set eval_every=2 --set batch_size=4 --epochs 100";

fn start(folder: &Path, line: &str) -> Child {
    let mut command = Command::new(BINARY);
    command.current_dir(folder).args(line.split_whitespace()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn finish(child: Child, line: &str) {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "`{line}`: {}", String::from_utf8_lossy(&output.stderr));
}

/// A sequence that looks random and is the same every time.
struct Sequence(u64);

impl Sequence {
    /// A number from 0 to 1.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Starts the run in `run`, or goes on with it.
fn next(folder: &Path, run: &str) -> (Child, String) {
    let line = match folder.join(run).join("run.toml").exists() {
        true => format!("train --resume {run} --threads 1 --quiet"),
        false => format!("{TRAIN} --out {run}"),
    };
    (start(folder, &line), line)
}

#[test]
fn twenty_kills_change_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("data.csv"), reviews(60)).unwrap();
    let weights = |run: &str| fs::read(folder.join(run).join("model/model.safetensors"));

    let began = Instant::now();
    let line = format!("{TRAIN} --out whole");
    finish(start(folder, &line), &line);
    let whole_run = began.elapsed();
    let expected = weights("whole").unwrap();

    let mut sequence = Sequence(7);
    let (mut kills, mut runs) = (0, 0);
    while kills < KILLS {
        runs += 1;
        let run = format!("killed-{runs}");
        // Each life is shorter than a whole run, some not even long enough to begin; the rest is left to live.
        while kills < KILLS && weights(&run).is_err() {
            let (mut child, _) = next(folder, &run);
            std::thread::sleep(whole_run.mul_f64(0.6 * sequence.share()).max(Duration::from_millis(1)));
            child.kill().unwrap();
            kills += usize::from(!child.wait().unwrap().success());
        }
        if !folder.join(&run).join("report.json").exists() {
            let (child, line) = next(folder, &run);
            finish(child, &line);
        }
        assert!(weights(&run).unwrap() == expected, "run {runs} ended with other weights after {kills} kills");
    }
}
