use super::Tolerance;
use super::desk::{Case, Desk, Numbers, Outcome, check_case};
use crate::{Backend, Loss, Targets};

/// `cross_entropy` of one class, with and without a weight for each row, and of independent answers, with every combination
/// of weights, smoothing and focus; and of rows as long as a vocabulary.
pub fn cross_entropy<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for sequences in [1, 2, 7, 33] {
        for classes in [1, 2, 3, 7, 33] {
            for kind in [Kind::Binary, Kind::Classes, Kind::Weighted] {
                for focal_gamma in [0.0, 0.5, 2.0] {
                    for smoothing in [0.0, 0.1] {
                        for weighted in [false, true] {
                            let case = CrossEntropy { sequences, classes, kind, focal_gamma, smoothing, weighted };
                            check_case(&case, backend, tolerance);
                        }
                    }
                }
            }
        }
    }
    for (sequences, classes) in [(1, 5003), (9, 20_000)] {
        let (kind, focal_gamma, smoothing, weighted) = (Kind::Weighted, 0.0, 0.0, false);
        check_case(&CrossEntropy { sequences, classes, kind, focal_gamma, smoothing, weighted }, backend, tolerance);
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Binary,
    Classes,
    Weighted,
}

#[derive(Debug)]
struct CrossEntropy {
    sequences: usize,
    classes: usize,
    kind: Kind,
    focal_gamma: f64,
    smoothing: f64,
    weighted: bool,
}

impl Case for CrossEntropy {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let Self { sequences, classes, smoothing, focal_gamma, .. } = *self;
        let (mut losses, mut dlogits) = (desk.output(sequences), desk.output(sequences * classes));
        let logits = desk.input(&numbers.scaled(sequences * classes, 4.0));
        let class_weights = self.weighted.then(|| numbers.values(classes).iter().map(|w| w + 1.25).collect());
        let loss = Loss { classes, smoothing, class_weights, focal_gamma, normaliser: 12.5 };
        let labels = numbers.indices(sequences, classes);
        let answers: Vec<f32> = numbers.indices(sequences * classes, 2).into_iter().map(|t| t as f32).collect();
        let weights: Vec<f32> = numbers.indices(sequences, 5).into_iter().map(|w| w as f32 / 2.0).collect();
        let targets = match self.kind {
            Kind::Binary => Targets::Binary(&answers),
            Kind::Classes => Targets::Classes(&labels),
            Kind::Weighted => Targets::Weighted { classes: &labels, weights: &weights },
        };
        desk.backend.cross_entropy(&mut losses, &mut dlogits, &logits, targets, &loss);
        vec![desk.outcome("losses", &losses, sequences), desk.outcome("dlogits", &dlogits, sequences * classes)]
    }
}
