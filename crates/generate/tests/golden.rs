//! What the tiny language models write is what transformers writes, with its cache and without, and has the same bits here
//! whether a sequence is read at once or continued token by token.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use finetone_backend::{Backend, Real, Reference};
use finetone_backend_cpu::{Cpu, CpuOptions, Precision};
use finetone_generate::{Choices, Finish, GenerateError, Generator, Penalties, Request, Sampling, Written};
use finetone_model::Model;
use finetone_model::checkpoint::{HeadImport, ModelFolder};
use safetensors::SafeTensors;

const MODELS: [&str; 5] = ["gpt2-language", "llama-language", "mistral-language", "qwen2-language", "qwen3-language"];
const WRITTEN: usize = 32;
/// Lengths of the prompts, where the model has room for that.
const PROMPTS: [usize; 2] = [5, 1];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

fn load<B: Backend>(backend: &B, name: &str) -> Model<B> {
    let opened = ModelFolder::open(&folder(name)).unwrap();
    let mut config = opened.config().clone();
    config.set_language_head().unwrap();
    opened.load(backend, config, HeadImport::Required).unwrap().0
}

/// The longest text of a case, and what transformers wrote after its first tokens.
struct Case {
    longest: Vec<u32>,
    greedy: Vec<u32>,
    logarithms: Vec<f64>,
}

impl Case {
    fn read(name: &str) -> Self {
        let bytes = std::fs::read(folder(name).join("golden.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let whole = |name: &str| -> Vec<u32> {
            let bytes = file.tensor(name).unwrap().data();
            bytes.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes) as u32).collect()
        };
        let (ids, starts) = (whole("ids"), whole("starts"));
        let texts = starts.windows(2).map(|pair| &ids[pair[0] as usize..pair[1] as usize]);
        let logarithms = file.tensor("greedy_log").unwrap();
        Self {
            longest: texts.max_by_key(|text| text.len()).unwrap().to_vec(),
            greedy: whole("greedy"),
            logarithms: logarithms.data().as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
        }
    }

    /// The prompts, each with its continuation and the logarithms of its probabilities.
    fn texts(&self, most: usize) -> impl Iterator<Item = (&[u32], &[u32], &[f64])> {
        let continued = self.greedy.chunks_exact(WRITTEN).zip(self.logarithms.chunks_exact(WRITTEN));
        PROMPTS
            .into_iter()
            .zip(continued)
            .map(move |(length, (ids, logarithms))| (&self.longest[..length.min(most - WRITTEN)], ids, logarithms))
    }
}

fn request(prompt: &[u32], most: usize) -> Request {
    Request {
        prompt: prompt.to_vec(),
        most,
        sampling: Sampling::GREEDY,
        penalties: Penalties::default(),
        texts: 1,
        ends: Vec::new(),
        choices: None,
        alternatives: 0,
    }
}

fn written<B: Backend>(generator: &mut Generator<'_, B>, request: &Request) -> Vec<Written> {
    generator.write(request, |_, _| ControlFlow::Continue(())).unwrap()
}

fn ids(written: &Written) -> Vec<u32> {
    written.tokens.iter().map(|token| token.id).collect()
}

fn cpu(precision: Precision) -> Cpu {
    Cpu::new(CpuOptions { threads: Some(2), precision, ..CpuOptions::default() }).unwrap()
}

fn greedy_texts_are_those_of_transformers<B: Backend>(backend: &B, tolerance: f64) {
    for name in MODELS {
        let (model, case) = (load(backend, name), Case::read(name));
        let mut generator = Generator::new(backend, &model, 100).unwrap();
        for (prompt, continued, logarithms) in case.texts(model.config.max_tokens()) {
            let text = &written(&mut generator, &request(prompt, WRITTEN))[0];
            assert_eq!((ids(text), text.finish), (continued.to_vec(), Finish::Length), "{name}");
            for (token, wanted) in text.tokens.iter().zip(logarithms) {
                let off = (token.log_probability - wanted).abs();
                assert!(off < tolerance, "{name}: {} is off by {off:.1e}", token.id);
            }
        }
    }
}

#[test]
fn greedy_texts_are_those_of_transformers_in_f64() {
    greedy_texts_are_those_of_transformers(&Reference::<f64>::new(), 1e-6);
}

#[test]
fn greedy_texts_are_those_of_transformers_on_the_processor() {
    greedy_texts_are_those_of_transformers(&cpu(Precision::F32), 1e-4);
}

#[test]
fn a_sequence_read_at_once_has_the_bits_of_one_continued_token_by_token() {
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        let cpu = cpu(precision);
        for name in MODELS {
            let (model, case) = (load(&cpu, name), Case::read(name));
            let sequence = [&case.longest[..1], &case.greedy[..31]].concat();
            let (mut whole, mut parts) =
                (Generator::new(&cpu, &model, 100).unwrap(), Generator::new(&cpu, &model, 100).unwrap());
            parts.read(&sequence[..3]).unwrap();
            for end in 4..sequence.len() {
                let at_once = whole.read(&sequence[..end]).unwrap();
                let continued = parts.push(sequence[end - 1]).unwrap();
                assert!(at_once == continued, "{name} in {precision:?}: {end} tokens");
            }
        }
    }
}

#[test]
fn draws_repeat_with_their_seed_and_texts_of_one_request_differ() {
    let cpu = cpu(Precision::F32);
    let (model, case) = (load(&cpu, "llama-language"), Case::read("llama-language"));
    let mut generator = Generator::new(&cpu, &model, 100).unwrap();
    let sampling = Sampling { temperature: 1.0, top_p: 0.9, seed: 3 };
    let drawn = Request { sampling, texts: 3, ..request(&case.longest[..4], 12) };
    let first = written(&mut generator, &drawn);
    assert_eq!(written(&mut generator, &drawn), first);
    assert!(first[0] != first[1] && first[1] != first[2]);
    let other = Request { sampling: Sampling { seed: 4, ..sampling }, ..drawn.clone() };
    assert_ne!(written(&mut generator, &other), first);
    // The prompt is read once: the first text of three is the text of a request for one.
    assert_eq!(written(&mut generator, &Request { texts: 1, ..drawn }), first[..1]);
}

#[test]
fn a_text_ends_at_its_end_where_the_listener_says_so_and_where_there_is_no_more_room() {
    let cpu = cpu(Precision::F32);
    let (model, case) = (load(&cpu, "qwen3-language"), Case::read("qwen3-language"));
    let mut generator = Generator::new(&cpu, &model, 10).unwrap();
    let whole = request(&case.longest[..5], 8);
    let all = written(&mut generator, &whole);
    // Six tokens: behind the tenth of the sequence one more can be written, and nothing computed behind it.
    assert_eq!((all[0].tokens.len(), all[0].finish), (6, Finish::Length));
    let end = all[0].tokens[3].id;
    let until = ids(&all[0]).iter().position(|&id| id == end).unwrap();
    let ended = written(&mut generator, &Request { ends: vec![end], ..whole.clone() });
    assert_eq!((&ended[0].tokens[..], ended[0].finish), (&all[0].tokens[..until], Finish::Stop));
    let mut heard = 0;
    let halted = generator.write(&whole, |_, _| {
        heard += 1;
        if heard == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(halted.unwrap(), [Written { tokens: all[0].tokens[..2].to_vec(), finish: Finish::Halted }]);
}

/// The probability of a continuation, computed without what was kept.
fn probability<B: Backend>(generator: &mut Generator<'_, B>, prompt: &[u32], answer: &[u32]) -> f64 {
    let mut sequence = prompt.to_vec();
    let mut product = 1.0;
    for &id in answer {
        let logits: Vec<f64> = generator.read(&sequence).unwrap().iter().map(|logit| logit.to_f64()).collect();
        product *= logits[id as usize].exp() / logits.iter().map(|logit| logit.exp()).sum::<f64>();
        sequence.push(id);
    }
    product
}

#[test]
fn answers_of_a_closed_set_have_their_true_probabilities_and_nothing_else_is_written() {
    let exact = Reference::<f64>::new();
    for name in ["mistral-language", "gpt2-language"] {
        let (model, case) = (load(&exact, name), Case::read(name));
        let mut generator = Generator::new(&exact, &model, 30).unwrap();
        let prompt = &case.longest[..6];
        let answers = vec![vec![9, 4, 7], vec![30], vec![9, 5], vec![9, 4, 8]];
        let choices = Choices::new(answers.clone()).unwrap();
        let products: Vec<f64> = answers.iter().map(|answer| probability(&mut generator, prompt, answer)).collect();
        let total: f64 = products.iter().sum();
        let weights = generator.weigh(prompt, &choices).unwrap();
        for (weight, product) in weights.iter().zip(&products) {
            assert!((weight - product / total).abs() < 1e-9, "{name}: {weights:?} for {products:?}");
        }
        // One of the models is nearly certain, which the temperature makes up for.
        let sampling = Sampling { temperature: 4.0, top_p: 1.0, seed: 1 };
        let drawn =
            Request { sampling, texts: 40, choices: Some(choices.clone()), alternatives: 2, ..request(prompt, 3) };
        let texts = written(&mut generator, &drawn);
        assert!(texts.iter().all(|text| text.finish == Finish::Stop && answers.contains(&ids(text))), "{name}");
        for text in &texts {
            let shares: Vec<f64> = text.tokens[0].alternatives.iter().map(|(_, log)| log.exp()).collect();
            assert!(shares.len() == 2 && (shares[0] + shares[1] - 1.0).abs() < 1e-9, "{name}: {shares:?}");
        }
        assert!(texts.iter().any(|text| *text != texts[0]), "{name}: forty times the same answer of {weights:?}");
    }
}

#[test]
fn what_cannot_be_answered_is_an_error_with_a_hint() {
    let exact = Reference::<f32>::new();
    let model = load(&exact, "gpt2-language");
    let mut generator = Generator::new(&exact, &model, 8).unwrap();
    assert_eq!(generator.push(1).unwrap_err(), GenerateError::EmptyPrompt);
    assert_eq!(generator.read(&[]).unwrap_err(), GenerateError::EmptyPrompt);
    assert_eq!(generator.read(&[1; 9]).unwrap_err(), GenerateError::TooLong { tokens: 9, context: 8 });
    assert_eq!(generator.read(&[1, 52]).unwrap_err(), GenerateError::UnknownToken { id: 52, vocabulary: 52 });
    let choices = Choices::new(vec![vec![1; 5]]).unwrap();
    let long = Request { choices: Some(choices), ..request(&[1; 5], 5) };
    assert_eq!(
        generator.write(&long, |_, _| ControlFlow::Continue(())).unwrap_err().hint().unwrap(),
        "shorten the prompt or ask for fewer tokens"
    );
    let too_long = generator.write(&request(&[1; 9], 5), |_, _| ControlFlow::Continue(()));
    assert_eq!(too_long.unwrap_err(), GenerateError::TooLong { tokens: 9, context: 8 });
    let unknown = Choices::new(vec![vec![52]]).unwrap();
    assert!(matches!(generator.weigh(&[1], &unknown).unwrap_err(), GenerateError::UnknownToken { id: 52, .. }));
    let folder = ModelFolder::open(&folder("gpt2")).unwrap();
    let (classifier, _) = folder.load(&exact, folder.config().clone(), HeadImport::Required).unwrap();
    assert_eq!(Generator::new(&exact, &classifier, 8).err(), Some(GenerateError::NoLanguageHead));
}
