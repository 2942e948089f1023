//! Neighbours in the answers of a model folder.

use std::path::Path;

use finetone_backend::Reference;
use finetone_data::Example;
use finetone_evaluate::Interpolation;
use serde_json::json;

use super::{Kept, NEIGHBOURS_FILE, Neighbourhood};
use crate::baselines::small_model::{TEXTS, folder};
use crate::pooled_vectors;
use crate::{Classified, Classifier, ClassifyError, Encoded, Forward, Rows, Served, TransformerClassifier, Use};

fn open(folder: &Path, token_budget: usize) -> TransformerClassifier<Reference<f64>> {
    TransformerClassifier::open(Reference::new(), folder, token_budget).unwrap()
}

fn interpolation(share: f64) -> Interpolation {
    let written = json!({"share": share, "neighbours": 2, "vote_temperature": 0.5, "temperature": 1.0});
    serde_json::from_value(written).unwrap()
}

/// Keeps all texts but the first in the folder, each with its place in the list as its class and its line.
fn keep(folder: &Path, share: f64) -> Neighbourhood {
    let classifier = open(folder, 100);
    let readings =
        classifier.reader().read(&TEXTS[1..].iter().map(|text| Example::from_text(text)).collect::<Vec<_>>(), None);
    let texts = Encoded { ids: &readings, limit: classifier.limit(), features: &[], states: None };
    let mut forward = Forward::for_texts(classifier.backend(), classifier.model(), 100, &texts);
    let vectors = pooled_vectors(classifier.backend(), classifier.model(), &mut forward, &texts);
    let labels = classifier.labels();
    let kept = (1..TEXTS.len()).map(|place| Kept {
        classes: vec![place % labels.len()],
        line: place as u64,
        text: Some(TEXTS[place].to_owned()),
    });
    let hood = Neighbourhood { interpolation: interpolation(share), ..Neighbourhood::new(vectors, kept.collect()) };
    hood.save(folder, labels).unwrap();
    hood
}

fn classified(classifier: &mut TransformerClassifier<Reference<f64>>) -> Classified {
    classifier.classify(&TEXTS.map(Example::from_text)).unwrap()
}

#[test]
fn a_share_of_the_answers_is_the_neighbours_whatever_the_batch() {
    let folder = folder();
    let alone = classified(&mut open(folder.path(), 100)).probabilities;
    keep(folder.path(), 0.25);
    let mut with = open(folder.path(), 100);
    with.show_neighbours(2).unwrap();
    let found = classified(&mut with);
    let classes = with.labels().len();
    for (row, near) in found.nearest.iter().enumerate() {
        let weights: Vec<f64> = near.iter().map(|one| (f64::from(one.similarity) / 0.5).exp()).collect();
        for class in 0..classes {
            let of_class =
                |(one, weight): (&super::Neighbour, &f64)| if one.kept.classes == [class] { *weight } else { 0.0 };
            let votes: f64 = near.iter().zip(&weights).map(of_class).sum::<f64>() / weights.iter().sum::<f64>();
            let expected = 0.75 * f64::from(alone[row * classes + class]) + 0.25 * votes;
            assert!((f64::from(found.probabilities[row * classes + class]) - expected).abs() < 1e-6, "{row} {class}");
        }
    }
    assert_ne!(found.probabilities, alone);
    let mut one_by_one = open(folder.path(), 1);
    assert_eq!(classified(&mut one_by_one).probabilities, found.probabilities);
}

#[test]
fn what_is_kept_is_its_own_nearest_neighbour_and_is_shown_only_on_request() {
    let folder = folder();
    keep(folder.path(), 0.5);
    let mut with = open(folder.path(), 100);
    assert!(classified(&mut with).nearest.is_empty());
    with.show_neighbours(1).unwrap();
    let nearest = classified(&mut with).nearest;
    for (place, near) in nearest.iter().enumerate().skip(1) {
        let [one] = &near[..] else { panic!("{near:?}") };
        assert!(one.kept.line == place as u64 && one.similarity > 0.9999, "{one:?}");
        assert_eq!(one.kept.text.as_deref(), Some(TEXTS[place]));
    }
    with.show_neighbours(9).unwrap();
    assert!(
        classified(&mut with).nearest.iter().all(|near| near.len() == 3 && near.is_sorted_by_key(|n| -n.similarity))
    );
    let explained = with.explain(&Example::from_text(TEXTS[3])).unwrap();
    assert_eq!(explained.neighbours[0].kept.line, 3);
    assert_eq!(explained.probabilities, classified(&mut with).probabilities[3 * explained.probabilities.len()..]);
}

#[test]
fn neighbours_without_a_share_change_no_bit_and_can_be_shown() {
    let folder = folder();
    let alone = classified(&mut open(folder.path(), 100));
    assert!(matches!(open(folder.path(), 100).show_neighbours(1), Err(ClassifyError::NoNeighbours)));
    keep(folder.path(), 0.0);
    let mut with = open(folder.path(), 100);
    assert_eq!(classified(&mut with), alone);
    with.show_neighbours(1).unwrap();
    let shown = classified(&mut with);
    assert_eq!((shown.probabilities, shown.nearest.len()), (alone.probabilities, TEXTS.len()));
}

#[test]
fn what_is_served_is_what_is_predicted() {
    let folder = folder();
    let plain = Served::open(Reference::<f64>::new(), folder.path(), Use::Answers, 100).unwrap().bytes;
    let hood = keep(folder.path(), 0.25);
    let mut served = Served::open(Reference::<f64>::new(), folder.path(), Use::Answers, 100).unwrap();
    let Rows::Logits(classes) = &served.rows else { panic!("the folder has a head") };
    let rows = served.compute.compute(&served.reader.read(&TEXTS.map(Example::from_text), None)).unwrap();
    let probabilities: Vec<f32> = rows.iter().flat_map(|row| classes.probabilities(row)).collect();
    assert_eq!(probabilities, classified(&mut open(folder.path(), 100)).probabilities);
    assert_eq!(served.bytes, plain + hood.bytes());
}

#[test]
fn a_file_beside_other_weights_is_refused() {
    let folder = folder();
    let width = 3;
    let kept = Kept::default();
    Neighbourhood::new(vec![0.5; width], vec![kept]).save(folder.path(), open(folder.path(), 9).labels()).unwrap();
    let error = TransformerClassifier::open(Reference::<f64>::new(), folder.path(), 9).err().expect("another width");
    assert!(error.to_string().contains(NEIGHBOURS_FILE) && error.to_string().contains("centre"), "{error}");
    assert!(error.hint().unwrap().contains("remove the file"));
}
