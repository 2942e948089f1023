//! Times a model folder on the texts of a file.
//!
//! ```text
//! cargo run --release -p finetone-classify --example infer -- \
//!     MODEL_DIR TEXTS.csv [--precision f32|bf16|int8] [--max-length 256] [--threads N] [--token-budget N]
//! ```
//!
//! A head that the folder lacks starts fresh. Prints one JSON line. `texts_per_s`, `tokens_per_s` and
//! `single_text_median_s` are of the engine, on token ids; `tokenize_s` is what the tokenizer took for all texts, on all
//! threads; `with_tokenizer` has the same from text to probabilities.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use finetone_backend::Backend;
use finetone_backend_cpu::{Cpu, CpuOptions, Precision};
use finetone_classify::{
    Classifier, Encoded, Forward, TOKEN_BUDGET, TextLimit, TransformerClassifier, probabilities, with_text_limit,
};
use finetone_data::reader::OpenOptions;
use finetone_data::tokenizer::{Encoding, Keep, Tokenizer};
use finetone_data::{Example, Reader, Role, columns};
use finetone_model::checkpoint::{HeadImport, ModelFolder};
use serde_json::{Value, json};

/// The command serves its texts by the same allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often the single text is judged, and the whole file.
const SINGLES: usize = 101;
const ROUNDS: usize = 3;

type Fault = Box<dyn Error + Send + Sync>;

/// What was typed.
struct Args {
    folder: PathBuf,
    texts: PathBuf,
    precision: Precision,
    limit: TextLimit,
    threads: Option<usize>,
    token_budget: usize,
}

impl Args {
    fn read() -> Result<Self, Fault> {
        let (mut places, mut precision, mut max_tokens) = (Vec::new(), Precision::F32, 256);
        let (mut threads, mut token_budget) = (None, TOKEN_BUDGET);
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
            match word.as_str() {
                "--precision" => precision = known(&value()?)?,
                "--max-length" => max_tokens = value()?.parse()?,
                "--threads" => threads = Some(value()?.parse()?),
                "--token-budget" => token_budget = value()?.parse()?,
                _ => places.push(PathBuf::from(word)),
            }
        }
        let [folder, texts] = <[PathBuf; 2]>::try_from(places).map_err(|_| "give `MODEL_DIR TEXTS.csv`")?;
        let limit = TextLimit { max_tokens, keep: Keep::Head };
        Ok(Self { folder, texts, precision, limit, threads, token_budget })
    }
}

fn known(precision: &str) -> Result<Precision, Fault> {
    let all = [Precision::F32, Precision::Bf16, Precision::Int8];
    all.into_iter().find(|known| known.name() == precision).ok_or_else(|| "known: `f32`, `bf16`, `int8`".into())
}

fn read_texts(file: &Path) -> Result<Vec<String>, Fault> {
    let mut reader = Reader::open(file, &OpenOptions::default())?;
    let column = columns::find(reader.source(), Role::Text, None)?;
    let mut texts = Vec::new();
    while let Some(row) = reader.next_row() {
        let text = row?.text(column)?.trim().to_owned();
        texts.extend(Some(text).filter(|text| !text.is_empty()));
    }
    if texts.is_empty() { Err("there are no texts in the file".into()) } else { Ok(texts) }
}

fn open(cpu: &Cpu, args: &Args) -> Result<TransformerClassifier<Cpu>, Fault> {
    let source = ModelFolder::open(&args.folder)?;
    let mut config = source.config().clone();
    with_text_limit(&mut config, args.limit);
    let (model, _) = source.load(cpu, config, HeadImport::FreshWhereMissing(0))?;
    let tokenizer = Tokenizer::from_folder(&args.folder)?;
    Ok(TransformerClassifier::new(cpu.clone(), model, tokenizer, args.token_budget)?)
}

/// Seconds of each call after a first one that warms up, in ascending order.
fn times(calls: usize, mut work: impl FnMut()) -> Vec<f64> {
    work();
    let mut times: Vec<f64> = (0..calls)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

fn median(calls: usize, work: impl FnMut()) -> f64 {
    times(calls, work)[calls / 2]
}

fn measure(cpu: &Cpu, args: &Args) -> Result<Value, Fault> {
    let texts = read_texts(&args.texts)?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut classifier = open(cpu, args)?;
    let limit = classifier.limit();
    let encode = || classifier.tokenizer().encode_batch(&texts, &limit);
    let tokenize_s = median(ROUNDS, || drop(encode()));
    let ids: Vec<Vec<u32>> = encode().into_iter().map(|Encoding { ids, .. }| ids).collect();
    let mut middle: Vec<usize> = (0..ids.len()).collect();
    middle.sort_by_key(|&i| ids[i].len());
    let middle = middle[ids.len() / 2];
    let model = classifier.model();
    let mut forward = Forward::new(cpu, model, args.token_budget, limit.max_tokens);
    let encoded = |ids| Encoded { ids, limit, features: &[], states: None };
    let all_s = median(ROUNDS, || drop(probabilities(cpu, model, &mut forward, &encoded(&ids))));
    let single_s = median(SINGLES, || drop(probabilities(cpu, model, &mut forward, &encoded(&ids[middle..=middle]))));
    let mut fault = None;
    let examples: Vec<Example> = texts.iter().map(|text| Example::from_text(text)).collect();
    let mut classify = |examples: &[Example]| fault = classifier.classify(examples).err();
    let whole_s = median(ROUNDS, || classify(&examples));
    let whole_single_s = median(SINGLES, || classify(&examples[middle..=middle]));
    if let Some(fault) = fault {
        return Err(fault.into());
    }
    let tokens: usize = ids.iter().map(Vec::len).sum();
    Ok(json!({
        "peer": format!("finetone {}", args.precision.name()),
        "backend": cpu.name(),
        "texts_per_s": ids.len() as f64 / all_s,
        "tokens_per_s": tokens as f64 / all_s,
        "single_text_median_s": single_s,
        "single_text_tokens": ids[middle].len(),
        "tokenize_s": tokenize_s,
        "with_tokenizer": { "texts_per_s": ids.len() as f64 / whole_s, "single_text_median_s": whole_single_s },
        "token_budget": args.token_budget,
    }))
}

fn main() -> Result<(), Fault> {
    let args = Args::read()?;
    let cpu = Cpu::new(CpuOptions { threads: args.threads, precision: args.precision, ..CpuOptions::default() })?;
    println!("{}", cpu.install(|| measure(&cpu, &args))?);
    Ok(())
}
