//! `cargo xtask check`: the test command of the project.
//!
//! The steps run in the order in which they are cheapest to fail, each under a header line, and cargo's own lines pass
//! through. The first failure ends the run with that step's exit code.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

/// What `cargo xtask check` accepts.
#[derive(Args)]
pub struct Options {
    /// Skip the documentation and the integration tests.
    #[arg(long)]
    pub fast: bool,
}

/// One step that is a cargo command; tidy, which runs in this process, comes after all of them.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    arguments: &'static [&'static str],
    environment: Option<(&'static str, &'static str)>,
}

const FORMAT: Step = Step { arguments: &["fmt", "--all", "--check"], environment: None };
const LINTS: Step =
    Step { arguments: &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], environment: None };
const TESTS: Step = Step { arguments: &["test", "--workspace"], environment: None };
const UNIT_TESTS: Step = Step { arguments: &["test", "--workspace", "--lib", "--bins"], environment: None };
const DOCUMENTATION: Step =
    Step { arguments: &["doc", "--workspace", "--no-deps"], environment: Some(("RUSTDOCFLAGS", "-D warnings")) };

/// Runs the steps and then tidy; the exit code is that of the first step that fails.
pub fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    let started = Instant::now();
    for step in steps(options) {
        println!("== {}", step.title());
        let step_started = Instant::now();
        let code = exit_code(&mut step.command(root))?;
        if code != 0 {
            println!("== failed with exit code {code} after {}: {}", seconds(step_started.elapsed()), step.title());
            return Ok(ExitCode::from(code));
        }
        println!("== done in {}\n", seconds(step_started.elapsed()));
    }
    println!("== cargo xtask tidy");
    let code = crate::tidy::run(root)?;
    println!("== all steps together took {}", seconds(started.elapsed()));
    Ok(code)
}

fn steps(options: &Options) -> Vec<Step> {
    if options.fast { vec![FORMAT, LINTS, UNIT_TESTS] } else { vec![FORMAT, LINTS, TESTS, DOCUMENTATION] }
}

impl Step {
    /// The command as a person would type it.
    fn title(&self) -> String {
        let command = format!("cargo {}", self.arguments.join(" "));
        match self.environment {
            Some((name, value)) => format!("{name}=\"{value}\" {command}"),
            None => command,
        }
    }

    /// The command, ready to start in `root`.
    fn command(&self, root: &Path) -> Command {
        let mut command = cargo(root);
        command.args(self.arguments);
        if let Some((name, value)) = self.environment {
            command.env(name, value);
        }
        command
    }
}

/// Cargo, ready to start in `root`.
pub fn cargo(root: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root);
    // The package variables that `cargo run` set for this process would make cargo believe that the environment of every
    // build script has changed.
    command.env_remove("CARGO_MANIFEST_DIR");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs the command to its end and gives its exit code; a command ended by a signal counts as 1.
pub fn exit_code(command: &mut Command) -> Result<u8> {
    let status = command.status().context("could not start cargo")?;
    if status.success() {
        return Ok(0);
    }
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn fast_leaves_out_documentation_and_integration_tests() {
        let fast = steps(&Options { fast: true });
        assert!(!fast.contains(&DOCUMENTATION));
        assert!(!fast.contains(&TESTS));
        assert!(fast.contains(&UNIT_TESTS));
    }

    #[test]
    fn titles_can_be_pasted_into_a_shell() {
        assert_eq!(DOCUMENTATION.title(), "RUSTDOCFLAGS=\"-D warnings\" cargo doc --workspace --no-deps");
    }

    #[test]
    fn a_failing_step_gives_its_exit_code() {
        let unknown = Step { arguments: &["no-such-command"], environment: None };
        let mut command = unknown.command(Path::new("."));
        let code = exit_code(command.stderr(Stdio::null())).expect("cargo can be started");
        assert_ne!(code, 0);
    }
}
