//! The end of a study: the test file is opened, every model judges it, and the numbers are put together.

use finetone_backend::Backend;
use finetone_classify::{TOKEN_BUDGET, TransformerClassifier};
use finetone_data::doctor::{self, DoctorOptions, Severity};
use finetone_data::{Dataset, LabelSet, ReadOptions};
use finetone_evaluate::{
    Average, ClassMetric, Comparison, EvaluationOptions, Metric, NamedComparison, Predictions, Published, Repeats,
    Section, Study, Training, Variant,
};

use super::ladder::Baselines;
use super::{StudyConfig, Trained};
use crate::error::TrainError;
use crate::events::{Listener, TrainEvent};
use crate::measure::{self, MeasuredFile, file_name};
use crate::report::model_name;
use crate::run_config::RunConfig;
use crate::seeds::Seeds;
use crate::trial::Tried;

/// Reads the test file and measures everything on it.
///
/// # Errors
/// A test file that cannot be read any more, a model that cannot be opened.
pub(super) fn measure<B: Backend>(
    backend: &B,
    config: &StudyConfig,
    trained: Trained,
    baselines: Baselines,
    listener: &mut dyn Listener,
) -> Result<Study, TrainError> {
    let Trained { texts, settings, candidates, chosen, finetuned, scratch } = trained;
    let known = Some(texts.labels.clone());
    let test = Dataset::read(&config.test, &ReadOptions { known, ..config.test_options()? })?;
    let message = format!("everything is trained and chosen; now {} is measured", config.test.display());
    listener.on(&TrainEvent::Notice { message });
    let facts = facts(config, &texts.labels, (&finetuned, &scratch), &test);
    let (finetuned, best) = variant(backend, config, ("fine-tuned", &settings), finetuned)?;
    let (scratch, other) = variant(backend, config, ("from scratch", &config.scratch), scratch)?;
    let judged = baselines.judge(config)?;
    let mut comparisons = vec![compared((&scratch.name, &other), (&finetuned.name, &best))?];
    let mut study = Study {
        title: format!("Study of {}", file_name(&settings.train)),
        finetuned,
        scratch,
        ladder: judged.iter().map(|(rung, _)| rung.clone()).collect(),
        candidates,
        chosen,
        comparisons: Vec::new(),
        published: published(),
        notices: notices(config, &test)?,
        facts,
    };
    let best_rung = study.best_rung().map(|(rung, _)| rung.key);
    if let Some((rung, Some(said))) = judged.iter().find(|(one, _)| Some(one.key) == best_rung) {
        comparisons.push(compared((&rung.title, said), (&study.finetuned.name, &best))?);
    }
    study.comparisons = comparisons;
    Ok(study)
}

/// One variant on the test texts: all its seeds, and what the best of them said.
fn variant<B: Backend>(
    backend: &B,
    study: &StudyConfig,
    (name, config): (&str, &RunConfig),
    seeds: Seeds,
) -> Result<(Variant, Predictions), TrainError> {
    let judge = |one: &Tried| {
        let folder = one.folder.join("model");
        let mut classifier = TransformerClassifier::open(backend.clone(), &folder, TOKEN_BUDGET)?;
        let measured = MeasuredFile::new(&mut classifier, &study.test, &study.test_options()?)?;
        Ok((one.name.clone(), measured.predictions))
    };
    let said = seeds.tried.iter().map(judge).collect::<Result<Vec<_>, TrainError>>()?;
    let runs: Vec<(String, &Predictions)> = said.iter().map(|(name, said)| (name.clone(), said)).collect();
    let repeats = Repeats::of_seeds(&runs)?;
    let kept = said[seeds.best].1.clone();
    let variant = Variant {
        name: name.to_owned(),
        model: model_name(&config.model),
        parameters: seeds.tried[seeds.best].fitted.parameters,
        repeats,
        kept: seeds.best,
        evaluation: measure::evaluate("test", &kept)?,
        training: seeds.tried.into_iter().map(training).collect(),
    };
    Ok((variant, kept))
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
