//! What a run's report says besides its numbers: the data, the settings, the curves.

use std::io::BufRead;
use std::path::Path;

use finetone_backend::Backend;
use finetone_evaluate::{Curve, History, Report, Section};
use serde_json::Value;

use crate::events::{Listener, TrainEvent};
use crate::fit::{Fitted, Measured};
use crate::material::Texts;
use crate::measure;

use crate::run_config::RunConfig;
use crate::trainer::Trainer;

/// Keeps the points of the curves while events pass on to the listener behind it.
pub struct CurveRecorder<'a> {
    next: &'a mut dyn Listener,
    recorded: Recorded,
}

/// What a training left of its events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recorded {
    /// Every number of the steps and the evaluations.
    pub curves: Vec<Curve>,
    /// Every number of the end.
    pub summary: Vec<Curve>,
    /// What was worth knowing.
    pub notices: Vec<String>,
}

/// What stands in an event beside its numbers, or is a number without being measured.
const NO_CURVES: [&str; 3] = ["event", "step", "best_step"];

impl<'a> CurveRecorder<'a> {
    /// A recorder that first takes up the points of an earlier part of the run from its `events.jsonl`.
    pub fn open(run: &Path, next: &'a mut dyn Listener) -> Self {
        let mut recorder = Self { next, recorded: Recorded::default() };
        if let Ok(file) = std::fs::File::open(run.join("events.jsonl")) {
            let lines = std::io::BufReader::new(file).lines().map_while(Result::ok);
            lines.filter_map(|line| serde_json::from_str(&line).ok()).for_each(|event| recorder.recorded.add(&event));
        }
        recorder
    }

    /// What was recorded.
    pub fn recorded(self) -> Recorded {
        self.recorded
    }
}

impl Recorded {
    /// Takes what an event has for the curves. Its JSON form serves for events of now and of an earlier process alike.
    fn add(&mut self, event: &Value) {
        if let Some(message) = event["message"].as_str()
            && !self.notices.iter().any(|known| known == message)
        {
            self.notices.push(message.to_owned());
        }
        let (curves, values) = match event["event"].as_str() {
            Some("step") => (&mut self.curves, event),
            Some("evaluated") => (&mut self.curves, &event["metrics"]),
            Some("finished") => (&mut self.summary, event),
            _ => return,
        };
        let (Some(step), Some(values)) = (event["step"].as_u64(), values.as_object()) else { return };
        for (key, value) in values.iter().filter(|(key, _)| !NO_CURVES.contains(&key.as_str())) {
            if let Some(value) = value.as_f64() {
                add_point(curves, key, (step, value));
            }
        }
    }
}

fn add_point(curves: &mut Vec<Curve>, key: &str, point: (u64, f64)) {
    let place = curves.iter().position(|curve| curve.key == key).unwrap_or_else(|| {
        curves.push(Curve::new(key, Vec::new()));
        curves.len() - 1
    });
    let points = &mut curves[place].points;
    // A resumed run takes some steps again.
    while points.last().is_some_and(|(earlier, _)| *earlier >= point.0) {
        points.pop();
    }
    points.push(point);
}

impl Listener for CurveRecorder<'_> {
    fn on(&mut self, event: &TrainEvent) {
        self.recorded.add(&serde_json::to_value(event).unwrap_or_default());
        self.next.on(event);
    }
}

/// The report of a finished run.
pub fn build(config: &RunConfig, texts: &Texts, fitted: Fitted, measured: Measured) -> Report {
    let cut = fitted.truncated as f64 / (texts.train.len() + texts.test.len()).max(1) as f64;
    Report {
        title: format!("{} on {}", model_name(&config.model), measure::file_name(&config.train)),
        worst_errors: measure::worst_errors(&measured.predictions, texts.set(&measured.name)),
        evaluations: measured.all,
        data: data_sections(config, texts, fitted.truncated),
        notices: fitted.notices,
        history: Some(History::new(fitted.curves, fitted.summary, fitted.best.map(|best| best.step), cut)),
        run: fitted.facts,
        ..Report::default()
    }
}

/// The model's name without its folder; a configuration has that of its folder.
pub fn model_name(model: &str) -> String {
    let path = Path::new(model);
    let configuration = path.file_name().is_some_and(|name| name == "config.json");
    let named = if configuration { path.parent().and_then(Path::file_name) } else { path.file_name() };
    named.map_or_else(|| model.to_owned(), |name| name.to_string_lossy().into_owned())
}

fn data_sections(config: &RunConfig, texts: &Texts, truncated: usize) -> Vec<Section> {
    let mut files = Section::new("Data").fact("training file", config.train.display());
    files = files.fact("text column", &texts.text_column);
    if let Some(column) = &texts.label_column {
        files = files.fact("label column", column);
    }
    let source = |path: &Option<std::path::PathBuf>| match path {
        Some(path) => path.display().to_string(),
        None => "held out from the training file".to_owned(),
    };
    files = files
        .fact("texts are read", &texts.preparation)
        .fact("training texts", texts.train.len())
        .fact("validation texts", format!("{} ({})", texts.validation.len(), source(&config.validation)))
        .fact("test texts", format!("{} ({})", texts.test.len(), source(&config.test)))
        .fact("texts cut at the limit", measure::share(truncated, texts.train.len() + texts.test.len()));
    let mut classes = Section::new("Classes in the training texts");
    for (name, count) in texts.labels.names().iter().zip(texts.class_counts()) {
        classes = classes.fact(name, measure::share(count, texts.train.len()));
    }
    vec![files, classes]
}

/// Facts about model and training.
pub fn run_sections<B: Backend>(config: &RunConfig, trainer: &Trainer<'_, B>) -> Vec<Section> {
    let (model, progress) = (&trainer.model, &trainer.progress);
    let best = progress.best.map_or("the last step".to_owned(), |best| {
        format!("step {} ({} {:.4} on the validation texts)", best.step, config.metric, best.value)
    });
    let about = Section::new("Model")
        .fact("model", &config.model)
        .fact("family", model.config.family.spec().architecture)
        .fact("parameters", model.table.numbers())
        .fact("trained parameters", model.table.gradient_len())
        .fact("machine", trainer.backend.name());
    let training = Section::new("Training")
        .fact("steps", progress.step)
        .fact("epochs", format!("{:.2}", trainer.plan.epoch(progress.step)))
        .fact("tokens", progress.num_tokens)
        .fact("weights kept", best)
        .fact("batch", config.step_size())
        .fact("learning rate", format!("{:e}", config.learning_rate))
        .fact("precision", config.precision.name())
        .fact("seed", config.seed);
    vec![about, training]
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Listener for Nobody {
        fn on(&mut self, _event: &TrainEvent) {}
    }

    fn step(step: u64, loss: f64) -> TrainEvent {
        let (epoch, grad_norm, learning_rate, num_tokens, tokens_per_second) = (0.5, 1.5, 1e-5, 10, 2.0);
        TrainEvent::Step {
            step,
            epoch,
            loss,
            mean_token_accuracy: 0.5,
            entropy: 0.25,
            grad_norm,
            learning_rate,
            num_tokens,
            tokens_per_second,
        }
    }

    #[test]
    fn a_resumed_run_keeps_the_curves_of_its_first_part() {
        let folder = tempfile::tempdir().unwrap();
        let lines: Vec<String> =
            (1..=4).map(|i| serde_json::to_string(&step(i, 1.0 / i as f64)).unwrap() + "\n").collect();
        std::fs::write(folder.path().join("events.jsonl"), lines.concat()).unwrap();
        let mut nobody = Nobody;
        let mut recorder = CurveRecorder::open(folder.path(), &mut nobody);
        recorder.on(&step(4, 0.125));
        recorder.on(&TrainEvent::Notice { message: "once".into() });
        recorder.on(&TrainEvent::Notice { message: "once".into() });
        recorder.on(&TrainEvent::Finished {
            step: 4,
            best_step: 3,
            train_runtime: 2.5,
            train_samples_per_second: 1.0,
            train_steps_per_second: 1.0,
            train_loss: 0.5,
            total_flos: 600.0,
            metrics: [("accuracy".to_owned(), 1.0)].into(),
            measured_on: "test".into(),
        });
        let Recorded { curves, summary, notices } = recorder.recorded();
        let losses = curves.iter().find(|curve| curve.key == "loss").unwrap();
        assert_eq!(losses.name, "training loss");
        let numbers: Vec<&str> = summary.iter().map(|curve| curve.key.as_str()).collect();
        let expected =
            ["train_runtime", "train_samples_per_second", "train_steps_per_second", "train_loss", "total_flos"];
        assert_eq!(numbers, expected);
        assert_eq!(losses.points, [(1, 1.0), (2, 0.5), (3, 1.0 / 3.0), (4, 0.125)]);
        assert_eq!(notices, ["once"]);
    }
}
