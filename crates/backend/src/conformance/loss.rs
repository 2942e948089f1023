use super::Tolerance;
use super::desk::{Case, Desk, Numbers, Outcome, check_case};
use crate::{Backend, Loss, Targets};

/// `cross_entropy` of one class and of independent answers, with every combination of weights, smoothing and focus.
pub fn cross_entropy<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for sequences in [1, 2, 7, 33] {
        for classes in [1, 2, 3, 7, 33] {
            for binary in [true, false] {
                for focal_gamma in [0.0, 0.5, 2.0] {
                    for smoothing in [0.0, 0.1] {
                        for weighted in [false, true] {
                            let case = CrossEntropy { sequences, classes, binary, focal_gamma, smoothing, weighted };
                            check_case(&case, backend, tolerance);
                        }
                    }
                }
            }
        }
    }
}

#[derive(Debug)]
struct CrossEntropy {
    sequences: usize,
    classes: usize,
    binary: bool,
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
        let targets = if self.binary { Targets::Binary(&answers) } else { Targets::Classes(&labels) };
        desk.backend.cross_entropy(&mut losses, &mut dlogits, &logits, targets, &loss);
        vec![desk.outcome("losses", &losses, sequences), desk.outcome("dlogits", &dlogits, sequences * classes)]
    }
}
