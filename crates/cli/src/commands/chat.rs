//! `finetone chat`.

mod ask;
mod private;
mod shown;

use std::io::{BufRead, IsTerminal, Write};

use serde_json::{Value, json};

use crate::api::{Client, KEY_VARIABLE};
use crate::device::DeviceArgs;
use crate::failure::Failure;
use ask::{Answer, Asker};
use private::PrivateServer;

/// The end of the help.
pub const EXAMPLES: &str = "\
Every line that is typed, or read from standard input, is a question of its own, or with `--history` the next one of a chat. A \
model that was taught labels answers with one of them and shows how probable each is; a model that writes shows what it writes \
as it comes.

Examples:
  finetone chat runs/reviews-1
  echo 'The parcel came late' | finetone chat runs/mood-1 --system 'Answer with one word.' --repeat 10
  finetone chat runs/mood-1 --against Qwen/Qwen2.5-0.5B-Instruct --temperature 0
  finetone chat runs/assistant-1 --history
  finetone chat ft:minilm:personal:mood:8PjmcwDH --url http://127.0.0.1:8000 < questions.txt";

/// What was typed.
#[derive(clap::Args)]
pub struct Args {
    /// A run, a model folder, or a Hugging Face id; with `--url` a name at that server
    model: String,
    /// Another model, whose answers are shown beside
    #[arg(long, value_name = "MODEL")]
    against: Option<String>,
    /// What the models are told to do
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// With each question, tell the model the questions and answers before it
    #[arg(long, conflicts_with_all = ["against", "repeat"])]
    history: bool,
    /// How much chance there is in an answer: 0 gives the most probable one always, 2 is the most
    #[arg(long, value_name = "T", default_value_t = 1.0)]
    temperature: f64,
    /// Ask so many times and count the answers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=128))]
    repeat: u8,
    /// The most tokens of an answer [default: as many as the server allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,
    /// What chance depends on; the same gives the same answers [default: another one each time]
    #[arg(long, value_name = "SEED")]
    seed: Option<u32>,
    /// A running server to ask, instead of opening the models here
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The environment variable that holds the server's key, where it asks for one
    #[arg(long, value_name = "NAME", default_value = KEY_VARIABLE, requires = "url")]
    key_env: String,
    /// Print a line of JSON for each question
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Asks and shows.
pub fn run(args: &Args) -> Result<(), Failure> {
    if !(0.0..=2.0).contains(&args.temperature) {
        return Err(Failure::usage(format!("`--temperature {}` is out of range", args.temperature), "give 0 to 2"));
    }
    let models: Vec<String> = [Some(&args.model), args.against.as_ref()].into_iter().flatten().cloned().collect();
    let Some(url) = &args.url else {
        let server = PrivateServer::start(&models, args.device)?;
        let names = server.names().to_vec();
        return talk(args, &server.client(), &models, &names);
    };
    talk(args, &Client::with_key_of(url, &args.key_env), &models, &models)
}

/// Reads questions and shows the answers; `names` are those that the server has for the models.
fn talk(args: &Args, client: &Client, models: &[String], names: &[String]) -> Result<(), Failure> {
    let input = std::io::stdin();
    let is_typed = input.is_terminal();
    let mut lines = input.lock().lines();
    let mut said: Vec<Value> = args.system.iter().map(|said| message("system", said)).collect();
    loop {
        if is_typed {
            anstream::eprint!("> ");
        }
        let Some(line) = lines.next() else { break };
        let line =
            line.map_err(|error| Failure::new(format!("standard input: {error}"), "give text in UTF-8".to_owned()))?;
        if line.trim().is_empty() {
            continue;
        }
        let asked = said.len();
        said.push(message("user", &line));
        let answer = answer(&Asker { client, args, messages: &said }, models, names)?;
        if args.history {
            said.push(message("assistant", &answer));
        } else {
            said.truncate(asked);
        }
    }
    if is_typed {
        anstream::eprintln!();
    }
    Ok(())
}

fn message(role: &str, content: &str) -> Value {
    json!({"role": role, "content": content})
}

/// Shows what the models say; returns the first answer of the first.
fn answer(asker: &Asker<'_>, models: &[String], names: &[String]) -> Result<String, Failure> {
    let (args, mut out) = (asker.args, anstream::stdout());
    if !args.json && names.len() == 1 && args.repeat == 1 {
        let answer = asker.stream(&names[0], |text| Ok(write!(out, "{text}").and_then(|()| out.flush())?))?;
        out.write_all(shown::behind(&answer).as_bytes())?;
        return Ok(answer.text);
    }
    let answers = names.iter().map(|name| asker.whole(name)).collect::<Result<Vec<Vec<Answer>>, Failure>>()?;
    let page = if args.json {
        let all = models.iter().zip(&answers).map(|(model, answers)| json!({"model": model, "answers": answers}));
        format!("{}\n", json!({"question": asker.question(), "models": all.collect::<Vec<_>>()}))
    } else {
        shown::beside(models, &answers)
    };
    out.write_all(page.as_bytes())?;
    Ok(answers.into_iter().flatten().next().unwrap_or_default().text)
}
