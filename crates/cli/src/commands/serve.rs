//! `finetone serve`.

mod key;
mod limits;
mod place;
mod record;
mod reference;
mod workshop;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use finetone_serve::{BaseModel, LEASE, ServeConfig, TlsFiles, WorkplaceConfig, serve};

use crate::device::DeviceArgs;
use crate::failure::Failure;
use crate::interrupt;
use limits::LimitArgs;
pub use place::Place;
use record::RecordArgs;
pub use workshop::CpuWorkshop;

/// The end of the help.
pub const EXAMPLES: &str = "\
Programs written for OpenAI's API need another base URL and nothing else: `OPENAI_BASE_URL=http://127.0.0.1:8000/v1`. A model's \
NAME is what they call it; names such as `gpt-3.5-turbo` mean the first model unless `--alias` says otherwise.

DIR keeps files, jobs and models. A server that was stopped or killed goes on with its jobs from their last checkpoints when it \
is started again.

With `--database`, several servers and workers (`finetone worker`) can share DIR, on one machine or on a file system that all of them have at the same path; files and checkpoints lie in DIR, everything else in the database.

Requests from this machine need no key until one is made; an address that others can reach always asks for one.

Whoever listens on this machine alone answers requests to `localhost` and to names given by `--allow-host`: a page of another \
site that has its name lead here learns nothing.

With `--record`, a server keeps what its classifiers were asked and answered, and shows on its page \"Traffic\" how the texts \
change and how sure and how right the model is. `hashed` keeps no text: only when it came, how many words it had, and a hash by a \
key in DIR/record.key, which tells equal texts from others to whoever has that key. `texts` keeps the texts, which everybody with \
a key of the server can then read. Both keep class and confidence. All of it is forgotten after `--record-days`, and with its model.

Examples:
  finetone serve --model minilm=models/minilm
  finetone serve --port 8080 --data /srv/finetone --model bert=bert-base-uncased --alias gpt-4o-mini=bert
  finetone serve key create laptop --data /srv/finetone
  finetone serve --host 0.0.0.0 --data /srv/finetone --model minilm=models/minilm --tls-cert cert.pem --tls-key key.pem";

/// Where everything is kept unless said.
const USUAL_FOLDER: &str = "finetone-data";
/// The base unless one is given: a built-in that starts untrained.
const USUAL_BASE: &str = "tiny";

/// What was typed.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    server: ServerArgs,
}

/// What can be done beside serving.
#[derive(Subcommand)]
enum Command {
    /// Make, list and revoke keys
    #[command(subcommand, after_help = key::EXAMPLES)]
    Key(key::Command),
}

/// How to serve.
#[derive(clap::Args)]
struct ServerArgs {
    /// The port to listen at; 0 is a free one
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    port: u16,
    /// The address to listen at; another than that of this machine alone needs keys
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    #[command(flatten)]
    place: Place,
    /// A model to fine-tune: a folder, a run, a built-in name or one of the Hugging Face Hub; may be repeated [default: the
    /// built-in `tiny`, from scratch]
    #[arg(long = "model", value_name = "NAME=MODEL")]
    models: Vec<String>,
    /// Another name of a model; may be repeated
    #[arg(long = "alias", value_name = "ALIAS=NAME")]
    aliases: Vec<String>,
    /// Ask for no keys, wherever the server listens
    #[arg(long)]
    without_keys: bool,
    /// The certificate to speak TLS with, as a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, as a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A name by which requests may call this server beside those of this machine, such as that of a proxy; may be repeated
    #[arg(long = "allow-host", value_name = "NAME")]
    names: Vec<String>,
    /// Train nothing: workers do
    #[arg(long)]
    no_worker: bool,
    #[command(flatten)]
    lease: Lease,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

/// How long a claim holds.
#[derive(clap::Args)]
pub struct Lease {
    /// How long a job stays with a worker that says nothing, before another one goes on with it
    #[arg(long, value_name = "SECONDS", default_value_t = LEASE.as_secs(), value_parser = clap::value_parser!(u64).range(3..=86_400))]
    lease: u64,
}

impl Lease {
    /// As a length of time.
    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.lease)
    }
}

/// Serves, or does something about keys.
pub fn run(args: &Args) -> Result<(), Failure> {
    match &args.command {
        Some(Command::Key(command)) => command.run(),
        None => run_server(&args.server),
    }
}

fn run_server(args: &ServerArgs) -> Result<(), Failure> {
    let (certificate, key) = (args.tls_cert.clone(), args.tls_key.clone());
    let config = ServeConfig {
        address: SocketAddr::new(args.host, args.port),
        workplace: WorkplaceConfig {
            database: args.place.database()?,
            aliases: args.aliases.iter().map(|alias| pair(alias, "ALIAS=NAME")).collect::<Result<_, _>>()?,
            trainings: usize::from(!args.no_worker),
            lease: args.lease.duration(),
            ..WorkplaceConfig::new(args.place.data.clone(), models(&args.models)?)
        },
        names: args.names.clone(),
        tls: certificate.zip(key).map(|(certificate, key)| TlsFiles { certificate, key }),
        without_keys: args.without_keys,
        record: args.record.config(),
        limits: args.limits.limits(),
    };
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let workshop = Arc::new(CpuWorkshop::open(args.device, config.limits.engine.batch_tokens)?);
    let stop = interrupt::watch("saving the running job and stopping")?;
    serve(config, workshop, stop, |address| tell(scheme, address))?;
    Ok(())
}

/// The base models that were named, with whole paths.
fn models(given: &[String]) -> Result<Vec<BaseModel>, Failure> {
    if given.is_empty() {
        anstream::eprintln!(
            "note: no `--model`: jobs begin with the built-in `{USUAL_BASE}`, which has read nothing yet"
        );
        return Ok(vec![BaseModel { name: USUAL_BASE.into(), source: USUAL_BASE.into() }]);
    }
    let model = |text: &String| {
        let (name, source) = pair(text, "NAME=MODEL")?;
        let path = Path::new(&source);
        let source = match path.exists() {
            true => std::path::absolute(path).map_err(|error| Failure::io(path, &error))?,
            false => path.to_owned(),
        };
        Ok(BaseModel { name, source })
    };
    given.iter().map(model).collect()
}

fn pair(text: &str, form: &str) -> Result<(String, String), Failure> {
    match text.split_once('=') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() => Ok((left.to_owned(), right.to_owned())),
        _ => Err(Failure::usage(
            format!("`{text}` is not of the form `{form}`"),
            "for example `--model minilm=models/minilm`",
        )),
    }
}

/// Says where the server is, once it is there. Whoever started it may have closed the output, which is no reason to stop.
fn tell(scheme: &str, address: SocketAddr) {
    let _ = writeln!(anstream::stdout(), "serving at {scheme}://{address}/v1 (Ctrl-C stops)");
}
