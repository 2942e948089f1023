//! The end of a study: the test file is opened, every model judges it, and the numbers are put together.

use finetone_backend::Backend;
use finetone_classify::{TOKEN_BUDGET, TransformerClassifier};
use finetone_data::doctor::{self, DoctorOptions, Severity};
use finetone_data::{Dataset, Example, LabelSet, Preparation, ReadOptions};
use finetone_evaluate::{
    Answers, Attempt, Average, Candidate, ClassMetric, Comparison, EvaluationOptions, HardTexts, Ladder, Metric,
    NamedComparison, Panel, Predictions, Published, Repeats, Rung, Section, Study, Training, Variant,
};

use super::ladder::Baselines;
use super::{StudyConfig, Trained};
use crate::error::TrainError;
use crate::events::{Listener, TrainEvent};
use crate::ladder;
use crate::measure::{self, MeasuredFile, file_name};
use crate::report::model_name;
use crate::run_config::RunConfig;
use crate::seeds::Seeds;
use crate::trial::Tried;

/// What the variants are called.
const FINE_TUNED: &str = "fine-tuned";
const FROM_SCRATCH: &str = "from scratch";
/// What answers about a fold are called, by models that learnt from the others.
const OUT_OF_FOLD: &str = "out-of-fold";
/// How many of the texts that the fine-tuned variant gets wrong a report lists.
const HARD_TEXTS: usize = 30;

/// Reads the test file and measures everything on it.
///
/// # Errors
/// A test file that cannot be read any more, a model that cannot be opened.
pub(super) fn measure<B: Backend>(
    backend: &B,
    config: &StudyConfig,
    trained: Trained,
    (in_folds, baselines): (Vec<Attempt>, Baselines),
    listener: &mut dyn Listener,
) -> Result<Study, TrainError> {
    let (out_of_fold, hard_in_folds) = in_folds_together(&trained, in_folds)?;
    let Trained { texts, settings, candidates, chosen, finetuned, scratch, .. } = trained;
    let (known, columns) = (Some(texts.labels.clone()), texts.preparation.columns());
    let test = Dataset::read(&config.test, &ReadOptions { known, columns, ..config.test_options()? })?;
    let message = format!("everything is trained and chosen; now {} is measured", config.test.display());
    listener.on(&TrainEvent::Notice { message });
    let facts = facts(config, &texts.labels, (&finetuned, &scratch), &test);
    let (finetuned, said) = variant(backend, config, (FINE_TUNED, &settings), finetuned)?;
    let (scratch, of_scratch) = variant(backend, config, (FROM_SCRATCH, &config.scratch), scratch)?;
    let judged = baselines.judge(config)?;
    let panels = Panels { finetuned: &said, scratch: &of_scratch, baselines: &judged };
    let hard_texts = vec![panels.hard_texts(&texts.preparation, &test.examples), hard_in_folds];
    let (best, other) = (&said[finetuned.kept], &of_scratch[scratch.kept]);
    let mut comparisons = vec![compared((&scratch.name, other), (&finetuned.name, best))?];
    let mut study = Study {
        title: format!("Study of {}", file_name(&settings.train)),
        finetuned,
        scratch,
        ladder: judged.iter().map(|(rung, _)| rung.clone()).collect(),
        candidates,
        chosen,
        out_of_fold,
        hard_texts,
        comparisons: Vec::new(),
        published: published(),
        notices: notices(config, &test)?,
        facts,
    };
    let best_rung = study.best_rung().map(|(rung, _)| rung.key);
    if let Some((rung, Some(said))) = judged.iter().find(|(one, _)| Some(one.key) == best_rung) {
        comparisons.push(compared((&rung.title, said), (&study.finetuned.name, best))?);
    }
    study.comparisons = comparisons;
    Ok(study)
}

/// The chosen candidate beside the baselines, all of them in the same folds of the training file, and where it goes wrong.
fn in_folds_together(trained: &Trained, mut attempts: Vec<Attempt>) -> Result<(Ladder, HardTexts), TrainError> {
    let Candidate { name, cross_validation, .. } = &trained.candidates[trained.chosen];
    let predictions = &cross_validation.pooled;
    let answered = attempts.iter().filter_map(|one| Some((&one.title, one.answers.as_ref().ok()?)));
    let others: Vec<Panel<'_>> =
        answered.map(|(name, answers)| Panel { name: name.clone(), said: vec![&answers.predictions] }).collect();
    let panel = Panel { name: FINE_TUNED.into(), said: vec![predictions] };
    let source = source(&trained.texts.preparation, trained.folds.examples());
    let hard = HardTexts::find(OUT_OF_FOLD, (&panel, &others), HARD_TEXTS, source);
    let detail = format!("{name}, {}", model_name(&trained.settings.model));
    let answers = Answers { predictions: predictions.clone(), detail, seconds: trained.seconds };
    attempts.push(Attempt { key: ladder::FINE_TUNED, title: FINE_TUNED.into(), answers: Ok(answers) });
    Ok((Ladder::new(OUT_OF_FOLD, attempts, ladder::FINE_TUNED)?, hard))
}

/// What everybody says about the test texts.
struct Panels<'a> {
    finetuned: &'a [Predictions],
    scratch: &'a [Predictions],
    baselines: &'a [(Rung, Option<Predictions>)],
}

impl<'a> Panels<'a> {
    fn hard_texts(&self, preparation: &Preparation, examples: &[Example]) -> HardTexts {
        let variant = |name: &str, said: &'a [Predictions]| Panel { name: name.into(), said: said.iter().collect() };
        let baselines = self
            .baselines
            .iter()
            .filter_map(|(rung, said)| Some(Panel { name: rung.title.clone(), said: vec![said.as_ref()?] }));
        let others: Vec<Panel<'_>> = std::iter::once(variant(FROM_SCRATCH, self.scratch)).chain(baselines).collect();
        let panel = variant(FINE_TUNED, self.finetuned);
        HardTexts::find("test", (&panel, &others), HARD_TEXTS, source(preparation, examples))
    }
}

/// Line and text of a row, as the fine-tuned model reads it.
fn source<'a>(preparation: &'a Preparation, examples: &'a [Example]) -> impl Fn(usize) -> (u64, String) + 'a {
    |row| (examples[row].line, preparation.prepare(&examples[row]).text.into_owned())
}

/// One variant on the test texts: what it reaches, and what each of its seeds said.
fn variant<B: Backend>(
    backend: &B,
    study: &StudyConfig,
    (name, config): (&str, &RunConfig),
    seeds: Seeds,
) -> Result<(Variant, Vec<Predictions>), TrainError> {
    let judge = |one: &Tried| {
        let folder = one.folder.join("model");
        let mut classifier = TransformerClassifier::open(backend.clone(), &folder, TOKEN_BUDGET)?;
        let measured = MeasuredFile::new(&mut classifier, &study.test, &study.test_options()?)?;
        Ok((one.name.clone(), measured.predictions))
    };
    let said = seeds.tried.iter().map(judge).collect::<Result<Vec<_>, TrainError>>()?;
    let runs: Vec<(String, &Predictions)> = said.iter().map(|(name, said)| (name.clone(), said)).collect();
    let repeats = Repeats::of_seeds(&runs)?;
    let evaluation = measure::evaluate("test", &said[seeds.best].1)?;
    let variant = Variant {
        name: name.to_owned(),
        model: model_name(&config.model),
        parameters: seeds.tried[seeds.best].fitted.parameters,
        repeats,
        kept: seeds.best,
        evaluation,
        training: seeds.tried.into_iter().map(training).collect(),
    };
    Ok((variant, said.into_iter().map(|(_, said)| said).collect()))
}

fn training(one: Tried) -> Training {
    let fitted = one.fitted;
    Training {
        name: one.name,
        steps: fitted.steps,
        best_step: fitted.best_step(),
        validation: fitted.best.map(|best| best.value),
        tokens: fitted.tokens,
        seconds: fitted.seconds,
        tokens_per_second: fitted.tokens_per_second,
        curves: fitted.curves,
    }
}

fn compared(first: (&str, &Predictions), second: (&str, &Predictions)) -> Result<NamedComparison, TrainError> {
    let comparison = Comparison::new(first.1, second.1, &EvaluationOptions::default())?;
    let (first, second) = (first.0.to_owned(), second.0.to_owned());
    Ok(NamedComparison { first, second, comparison, disagreements: Vec::new() })
}

/// The results of the study of which this one is a repetition: 30 test conversations, ten of each class (METU DI 725,
/// customer service conversations).
fn published() -> Vec<Published> {
    let of = |name: &str, [accuracy, weighted, negative, neutral, positive]: [f64; 5]| {
        let class = |label: &str, value| (Metric::Class(ClassMetric::F1, label.to_owned()), value);
        let values = vec![
            (Metric::Accuracy, accuracy),
            (Metric::F1(Average::Weighted), weighted),
            class("negative", negative),
            class("neutral", neutral),
            class("positive", positive),
        ];
        Published { name: name.to_owned(), values }
    };
    vec![
        of("GPT-2, fine-tuned", [0.900, 0.898, 1.00, 0.87, 0.82]),
        of("GPT-2, from scratch", [0.667, 0.599, 0.95, 0.667, 0.18]),
    ]
}

/// What the doctor has to say about the test file beside the training file, such as texts that stand in both.
fn notices(config: &StudyConfig, test: &Dataset) -> Result<Vec<String>, TrainError> {
    let options = DoctorOptions { read: config.test_options()?, ..DoctorOptions::default() };
    let faults = doctor::examine(&config.scratch.train, Some(&config.test), &options)?.faults;
    let of_test = faults.iter().filter(|fault| fault.file == config.test && fault.severity == Severity::Warning);
    let faults = of_test.map(|fault| format!("{}: {}", file_name(&config.test), fault.message));
    Ok(test.notices.iter().map(ToString::to_string).chain(faults).collect())
}

/// Data, settings and machine.
fn facts(
    config: &StudyConfig,
    labels: &LabelSet,
    (finetuned, scratch): (&Seeds, &Seeds),
    test: &Dataset,
) -> Vec<Section> {
    let counts = |counts: Vec<usize>| {
        let named = labels.names().iter().zip(counts).map(|(label, count)| format!("{count} {label}"));
        named.collect::<Vec<_>>().join(", ")
    };
    let data = Section::new("Data")
        .fact("training file", config.scratch.train.display())
        .fact("test file", config.test.display())
        .fact("test texts", format!("{} ({})", test.examples.len(), counts(test.class_counts())));
    let of = |name: &str, seeds: &Seeds| {
        let facts = seeds.tried[seeds.best].fitted.facts.clone();
        let titled = move |section: Section| Section { title: format!("{name}: {}", section.title), ..section };
        facts.into_iter().map(titled).collect::<Vec<_>>()
    };
    [vec![data], of("Fine-tuned", finetuned), of("From scratch", scratch)].concat()
}
