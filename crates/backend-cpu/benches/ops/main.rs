//! Speed of every operation at the shapes of MiniLM and GPT-2, beside what this machine can do at most.
//!
//! ```text
//! cargo bench -p finetone-backend-cpu                          everything, about two minutes
//! cargo bench -p finetone-backend-cpu -- linear 1024 bf16      the rows whose text has all of these words
//! cargo bench -p finetone-backend-cpu -- --markdown ops.md     the tables as a Markdown file too
//! ```
//!
//! Each round times every case once on one thread and once on all; the rounds repeat and a row shows medians, so that a
//! neighbour who comes and goes disturbs all rows alike. The peaks are measured in the same process right before.

mod arguments;
mod attention;
mod case;
mod elements;
mod linear;
mod memory;
mod numbers;
mod optimiser;
mod peaks;
mod table;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use arguments::Arguments;
use case::{Case, Machines, Timed};
use finetone_backend::Backend;
use memory::Memory;
use peaks::Peaks;
use table::Table;

/// Rounds are added up to this many while time is left.
const MOST_ROUNDS: usize = 7;
/// A median of fewer is not worth its name.
const FEWEST_ROUNDS: usize = 3;
/// No further round is begun after this.
const TIME: Duration = Duration::from_secs(110);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let machines = Machines::new()?;
    let mut cases = every_case(&machines);
    cases.retain(|case| arguments.wants(&case.title()));
    if cases.is_empty() {
        return Err("no row has all of these words; without words every row is measured".into());
    }
    let isa = machines.all[0].isa();
    println!("{}", machines.all[0].name());
    let peaks = Peaks::measure(isa, machines.threads());
    let timed = measure(cases, &machines);
    let tables = [peaks.table(), rows(&timed, &peaks, machines.threads())];
    for table in &tables {
        println!("\n{}", table.aligned());
    }
    if let Some(path) = &arguments.markdown {
        let text: Vec<String> = tables.iter().map(Table::markdown).collect();
        std::fs::write(path, text.join("\n")).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}

/// All cases, in the order of the table.
fn every_case(machines: &Machines) -> Vec<Case> {
    let memory = Memory::new(&machines.all[0]);
    let mut cases = linear::cases(machines, &memory);
    cases.extend(linear::fused_cases(machines, &memory));
    cases.extend(attention::cases(&memory));
    cases.extend(elements::cases(machines, &memory));
    cases.extend(optimiser::cases(machines, &memory));
    cases
}

/// Times all cases in turn, again and again.
fn measure(cases: Vec<Case>, machines: &Machines) -> Vec<Timed> {
    let started = Instant::now();
    let mut timed: Vec<Timed> = cases.into_iter().map(|case| Timed::warm(case, machines)).collect();
    for round in 0..MOST_ROUNDS {
        if round >= FEWEST_ROUNDS && started.elapsed() > TIME {
            break;
        }
        for case in &mut timed {
            case.sample(machines);
        }
    }
    timed
}

fn rows(timed: &[Timed], peaks: &Peaks, threads: usize) -> Table {
    let scaling = format!("1 thread / {threads}");
    let mut table = Table::new(&[
        "operation",
        "shape",
        "precision",
        "ms",
        "rate",
        "of peak",
        if threads > 1 { &scaling } else { "" },
    ]);
    for case in timed {
        table.push(case.row(peaks));
    }
    table
}
