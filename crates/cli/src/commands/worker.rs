//! `finetone worker`.

use std::io::Write;
use std::num::NonZeroU8;
use std::sync::Arc;

use finetone_serve::{EngineLimits, WorkplaceConfig, work};

use super::serve::{CpuWorkshop, Lease, Place};
use crate::device::DeviceArgs;
use crate::failure::Failure;
use crate::interrupt;

/// The end of the help.
pub const EXAMPLES: &str = "\
A worker needs the folder and the PostgreSQL database of its server: start it on the same machine, or where the same folder is \
mounted at the same path. Models that jobs begin with are looked for where the server has them.

Each job has one worker at a time. One that is stopped saves its job and gives it back; the job of one that was killed is given \
to another after `--lease` seconds. Both go on from the last checkpoint.

Examples:
  export FINETONE_DATABASE_URL=postgres://finetone:secret@db/finetone
  finetone serve --no-worker --data /srv/finetone --model minilm=/srv/models/minilm
  finetone worker --data /srv/finetone
  finetone worker --data /srv/finetone --jobs 2 --threads 8";

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// Jobs to train at a time; they share the threads
    #[arg(long, value_name = "N", default_value_t = NonZeroU8::MIN)]
    jobs: NonZeroU8,
    #[command(flatten)]
    lease: Lease,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Works off jobs until it is stopped.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = WorkplaceConfig {
        database: args.place.database()?,
        trainings: usize::from(args.jobs.get()),
        lease: args.lease.duration(),
        ..WorkplaceConfig::new(args.place.data.clone(), Vec::new())
    };
    let workshop = Arc::new(CpuWorkshop::open(args.device, EngineLimits::default().batch_tokens)?);
    let stop = interrupt::watch("saving the running jobs and stopping")?;
    // Whoever started it may have closed the output, which is no reason to stop.
    let tell = || drop(writeln!(anstream::stdout(), "working off the jobs of {} (Ctrl-C stops)", config.database));
    Ok(work(&config, workshop, stop, tell)?)
}
