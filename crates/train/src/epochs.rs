//! What an epoch is made of: the training texts, changed copies of those of rare classes, and a draw among all of them.
//!
//! The copies and the draw are new in every epoch, and a function of the seed and the epoch's number alone, so that a run
//! which was stopped goes on with the same bits. Texts that are held out are never drawn, repeated or changed.

use std::borrow::Cow;

use finetone_backend::Backend;
use finetone_classify::ClassifyError;
use finetone_data::augment::{Draft, Original};
use finetone_data::batching::epoch_order;
use finetone_data::conversation::{Conversation, Speaker};
use finetone_data::sampling::{Balance, Sampling};
use finetone_data::split::random::Random;
use finetone_data::tokenizer::Tokenizer;
use finetone_data::words::words;
use finetone_data::{Example, LabelSet, Preparation, Target};
use finetone_generate::MaskedModel;

use crate::choices::SamplingRule;
use crate::error::TrainError;
use crate::material::{Rows, Texts};
use crate::objective::by_label;
use crate::run_config::RunConfig;
use crate::trainer::measured_tokens;

/// What the epochs of a run have in common.
pub struct Epochs {
    rare: Vec<Rare>,
    /// What each copy is made of, as an index into `rare`, and which of its copies it is.
    copies: Vec<(usize, u64)>,
    /// The class of each text, then of each copy.
    classes: Vec<usize>,
    sampling: Sampling,
}

/// A text of a rare class that can be changed.
struct Rare {
    /// Its place among the training texts.
    row: usize,
    example: Example,
    original: Original,
}

/// The epochs of a run with what they are made from.
pub struct Course<'a, B: Backend> {
    pub epochs: &'a Epochs,
    pub train: &'a Rows,
    pub tokenizer: &'a Tokenizer,
    pub preparation: &'a Preparation,
    /// What replaces words of copies, where any are replaced.
    pub masked: Option<&'a MaskedModel<B>>,
}

impl<B: Backend> Course<'_, B> {
    /// The rows of an epoch, which are the training texts and behind them their copies, and its batches of indices.
    ///
    /// # Errors
    /// A device that failed.
    pub fn epoch(
        &self,
        backend: &B,
        config: &RunConfig,
        number: u64,
    ) -> Result<(Cow<'_, Rows>, Vec<Vec<usize>>), TrainError> {
        let rows = self.rows(backend, config, number)?;
        let drawn = self.epochs.sampling.draw(config.seed, number);
        let lengths: Vec<usize> = drawn.iter().map(|&row| rows.lengths[row]).collect();
        let mut batches = epoch_order(&lengths, config.step_size(), config.group_by_length, config.seed, number);
        batches.iter_mut().flatten().for_each(|place| *place = drawn[*place]);
        Ok((rows, batches))
    }

    fn rows(&self, backend: &B, config: &RunConfig, epoch: u64) -> Result<Cow<'_, Rows>, TrainError> {
        if self.epochs.copies.is_empty() {
            return Ok(Cow::Borrowed(self.train));
        }
        let examples = self.copies(backend, config, epoch)?;
        let mut copies = Rows::encode(&examples, self.preparation, self.tokenizer, &self.train.limit);
        // The memory of a step is planned for the longest text. Other neighbours can cut words into more tokens; a copy that
        // is too long for that gives way to its original.
        let longest = self.train.lengths.iter().copied().max().unwrap_or(1);
        for (copy, &(of, _)) in self.epochs.copies.iter().enumerate() {
            if copies.lengths[copy] > longest {
                copies.ids[copy].clone_from(&self.train.ids[self.epochs.rare[of].row]);
                copies.lengths[copy] = copies.ids[copy].len();
            }
        }
        Ok(Cow::Owned(self.train.followed_by(copies)))
    }

    /// The copies of an epoch.
    fn copies(&self, backend: &B, config: &RunConfig, epoch: u64) -> Result<Vec<Example>, TrainError> {
        let drafts: Vec<(Draft, Random)> = self.epochs.drafts(config, epoch).collect();
        let texts: Vec<String> = match self.masked {
            Some(masked) => {
                let replaced = masked.fill(backend, drafts.clone(), measured_tokens(config));
                let replaced = drafts.into_iter().zip(replaced.map_err(ClassifyError::from)?);
                replaced.map(|((draft, _), replaced)| draft.settle(replaced, &config.speakers)).collect()
            }
            None => drafts.into_iter().map(|(draft, _)| draft.text).collect(),
        };
        let examples = self.epochs.copies.iter().map(|&(of, _)| self.epochs.rare[of].example.clone());
        Ok(texts.into_iter().zip(examples).map(|(text, example)| Example { text, ..example }).collect())
    }
}

impl Epochs {
    /// The epochs that the settings ask for.
    ///
    /// # Errors
    /// Factors of an unknown class.
    pub fn new(config: &RunConfig, texts: &Texts) -> Result<Self, TrainError> {
        // Texts of several labels are not sampled and not copied, and their classes are not asked for.
        let mut classes: Vec<usize> = first_classes(&texts.train).collect();
        let rare = rare_texts(config, &texts.train, &classes);
        let copies = copies(config, &rare, &classes);
        classes.extend(copies.iter().map(|&(of, _)| classes[rare[of].row]).collect::<Vec<_>>());
        let mut epochs = Self { rare, copies, classes, sampling: Sampling::Every { rows: 0 } };
        epochs.sampling = epochs.sampling(config, &texts.train, &texts.labels)?;
        Ok(epochs)
    }

    /// How many rows an epoch has.
    pub fn rows(&self) -> usize {
        self.sampling.len()
    }

    /// Whether every epoch has every text once, and nothing else.
    pub fn are_plain(&self) -> bool {
        self.copies.is_empty() && matches!(self.sampling, Sampling::Every { .. })
    }

    /// Whether there are texts that are new in every epoch.
    pub fn have_copies(&self) -> bool {
        !self.copies.is_empty()
    }

    /// How many rows of each of `count` classes an epoch has, or may expect.
    pub fn class_rows(&self, count: usize) -> Vec<f64> {
        self.sampling.expected(&self.classes, count)
    }

    /// A sentence about epochs that are not plain.
    pub fn notice(&self, labels: &LabelSet) -> Option<String> {
        if self.are_plain() {
            return None;
        }
        let rows = self.class_rows(labels.len());
        let classes = labels.names().iter().zip(rows).map(|(name, rows)| format!("{rows:.0} {name}"));
        let classes = classes.collect::<Vec<_>>().join(", ");
        let about = if matches!(self.sampling, Sampling::Weighted { .. }) { "about " } else { "" };
        let copies = match self.copies.len() {
            0 => String::new(),
            n => format!("; {n} of the texts to draw from are changed copies, new in each epoch"),
        };
        Some(format!("an epoch has {} rows, {about}{classes}{copies}", self.rows()))
    }

    /// The copies of an epoch, each a function of seed, epoch, text and the number of the copy, and the random numbers for what
    /// is still to be replaced in them.
    pub fn drafts(&self, config: &RunConfig, epoch: u64) -> impl Iterator<Item = (Draft, Random)> {
        self.copies.iter().map(move |&(of, number)| {
            let Rare { row, original, .. } = &self.rare[of];
            let mut random = Random::of(&[config.seed, epoch, *row as u64, number]);
            (original.copy(config.augment_words, &mut random), random)
        })
    }

    fn sampling(&self, config: &RunConfig, train: &[Example], labels: &LabelSet) -> Result<Sampling, TrainError> {
        Ok(match config.sampling {
            // Too few texts are refused elsewhere, with what to do about it.
            _ if train.is_empty() => Sampling::Every { rows: 0 },
            SamplingRule::None => Sampling::Every { rows: train.len() + self.copies.len() },
            SamplingRule::Oversample => Sampling::balanced(&self.classes, Balance::Over(config.sampling_ratio)),
            SamplingRule::Undersample => Sampling::balanced(&self.classes, Balance::Under(config.sampling_ratio)),
            SamplingRule::Weighted => {
                let weights = self.weights(config, train, labels)?;
                Sampling::weighted(&weights, config.epoch_rows.unwrap_or(train.len()))
            }
        })
    }

    /// The weight of each text and copy: `n_c^(−power)`, times the factor of the class, times powers of lengths in words.
    fn weights(&self, config: &RunConfig, train: &[Example], labels: &LabelSet) -> Result<Vec<f64>, TrainError> {
        let factors = by_label("class_factors", &config.class_factors, labels)?;
        let counts = counts(&self.classes, labels.len());
        let lengths: Vec<f64> = train.iter().map(|example| length_factor(config, &example.text)).collect();
        let rows = (0..train.len()).chain(self.copies.iter().map(|&(of, _)| self.rare[of].row));
        let weight = |(row, &class): (usize, &usize)| {
            lengths[row] * factors[class] * (counts[class] as f64).powf(-config.sampling_power)
        };
        Ok(rows.zip(&self.classes).map(weight).collect())
    }
}

fn first_classes(examples: &[Example]) -> impl Iterator<Item = usize> {
    examples.iter().map(|example| example.target.as_ref().and_then(Target::first).unwrap_or(0))
}

fn counts(classes: &[usize], count: usize) -> Vec<usize> {
    let mut counts = vec![0; count];
    classes.iter().for_each(|&class| counts[class] += 1);
    counts
}

/// The longer a text, or what its customer says, the likelier or the less likely, by its own power. A text that is no
/// conversation is all its customer's.
fn length_factor(config: &RunConfig, text: &str) -> f64 {
    if config.length_power == 0.0 && config.customer_length_power == 0.0 {
        return 1.0;
    }
    let words = words(text).count();
    let customer = Conversation::parse(text, &config.speakers).words_of(Speaker::Customer).count();
    let power = |words: usize, power: f64| (words.max(1) as f64).powf(power);
    power(words, config.length_power)
        * power(if customer == 0 { words } else { customer }, config.customer_length_power)
}

/// The texts of rare classes that can be changed.
fn rare_texts(config: &RunConfig, train: &[Example], classes: &[usize]) -> Vec<Rare> {
    if config.augment.is_empty() {
        return Vec::new();
    }
    let counts = counts(classes, classes.iter().max().map_or(0, |last| last + 1));
    let below = config.augment_below * counts.iter().copied().max().unwrap_or(0) as f64;
    let rare = |row: &usize| (counts[classes[*row]] as f64) < below;
    let original = |row: usize| {
        let original = Original::new(&train[row].text, &config.speakers, &config.augment)?;
        Some(Rare { row, example: train[row].clone(), original })
    };
    (0..train.len()).filter(rare).filter_map(original).collect()
}

/// How often each text is copied: as often as set, or as evenly as it goes until its class has the share that is set.
fn copies(config: &RunConfig, rare: &[Rare], classes: &[usize]) -> Vec<(usize, u64)> {
    let Some(share) = config.augment_share else {
        let of = |text| (0..config.augment_copies as u64).map(move |number| (text, number));
        return (0..rare.len()).flat_map(of).collect();
    };
    let counts = counts(classes, classes.iter().max().map_or(0, |last| last + 1));
    let wanted = (share * counts.iter().copied().max().unwrap_or(0) as f64).round() as usize;
    let mut copies = Vec::new();
    for (class, &count) in counts.iter().enumerate() {
        let members: Vec<usize> = (0..rare.len()).filter(|&text| classes[rare[text].row] == class).collect();
        let missing = if members.is_empty() { 0 } else { wanted.saturating_sub(count) };
        copies.extend((0..missing).map(|copy| (members[copy % members.len()], (copy / members.len()) as u64)));
    }
    copies
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use finetone_backend::Reference;
    use finetone_data::augment::Change;
    use finetone_data::tokenizer::{Limit, TrainKind, TrainOptions};

    use super::*;

    /// Twelve texts of the first class, four of the second, and two conversations of the third.
    fn texts() -> Texts {
        let text = |row: usize| match row {
            16.. => {
                format!("Agent: good morning to you number {row}\n\nCustomer: thank you for it\n\nCustomer: bye now")
            }
            _ => format!("this is the text number {row} of some"),
        };
        let class = |row: usize| if row < 12 { 0 } else { 1 + usize::from(row >= 16) };
        let example = |row| Example {
            target: Some(Target::Class(class(row))),
            line: row as u64 + 2,
            ..Example::from_text(&text(row))
        };
        Texts {
            labels: LabelSet::from_names(["calm", "cross", "glad"]),
            preparation: Preparation::default(),
            train: (0..18).map(example).collect(),
            validation: Vec::new(),
            test: Vec::new(),
            multi_label: false,
            text_column: "text".into(),
            label_column: None,
        }
    }

    type Simple = Reference<f32>;

    fn with_course<T>(config: &RunConfig, look: impl Fn(&Course<'_, Simple>) -> T) -> T {
        let texts = texts();
        let options = TrainOptions::new(TrainKind::WordPiece, 200);
        let tokenizer = Tokenizer::train(texts.train.iter().map(|e| e.text.as_str()), &options).unwrap();
        let limit = Limit::head(64);
        let train = Rows::encode(&texts.train, &texts.preparation, &tokenizer, &limit);
        let epochs = Epochs::new(config, &texts).unwrap();
        let preparation = &texts.preparation;
        look(&Course { epochs: &epochs, train: &train, tokenizer: &tokenizer, preparation, masked: None })
    }

    fn epoch<'a>(course: &'a Course<'_, Simple>, config: &RunConfig, number: u64) -> (Cow<'a, Rows>, Vec<Vec<usize>>) {
        course.epoch(&Simple::new(), config, number).unwrap()
    }

    fn sorted(batches: &[Vec<usize>]) -> Vec<usize> {
        let mut all = batches.concat();
        all.sort_unstable();
        all
    }

    #[test]
    fn without_settings_an_epoch_is_the_order_of_the_texts() {
        let config = RunConfig { batch_size: 4, seed: 3, ..Default::default() };
        with_course(&config, |course| {
            assert!(course.epochs.are_plain() && course.epochs.rows() == 18);
            let (rows, batches) = epoch(course, &config, 2);
            assert!(matches!(rows, Cow::Borrowed(_)));
            assert_eq!(batches, epoch_order(&course.train.lengths, 4, true, 3, 2));
        });
    }

    #[test]
    fn weights_are_products_of_class_factor_and_lengths() {
        let mut config = RunConfig { sampling: SamplingRule::Weighted, ..Default::default() };
        let rows = |config: &RunConfig| Epochs::new(config, &texts()).unwrap().class_rows(3);
        let close = |rows: Vec<f64>, expected: [f64; 3]| {
            rows.iter()
                .zip(expected)
                .for_each(|(a, b)| assert!((a - b).abs() < 1e-9, "{rows:?}, expected {expected:?}"));
        };
        close(rows(&config), [6.0; 3]);
        config.sampling_power = 0.5;
        config.epoch_rows = Some(100);
        let roots = [12.0_f64.sqrt(), 2.0, 2.0_f64.sqrt()];
        close(rows(&config), roots.map(|root| 100.0 * root / roots.iter().sum::<f64>()));
        config.sampling_power = 0.0;
        config.class_factors = [("Glad".to_owned(), 3.0)].into();
        close(rows(&config), [12.0, 4.0, 6.0].map(|n| 100.0 * n / 22.0));
        // A plain text has 8 words; a conversation 15, its customer 6 of them.
        config.class_factors.clear();
        config.length_power = 1.0;
        close(rows(&config), [96.0, 32.0, 30.0].map(|n| 100.0 * n / 158.0));
        config.length_power = 0.0;
        config.customer_length_power = -1.0;
        close(rows(&config), [12.0 / 8.0, 4.0 / 8.0, 2.0 / 6.0].map(|n| 100.0 * n / (16.0 / 8.0 + 2.0 / 6.0)));
    }

    #[test]
    fn rare_classes_get_copies_that_are_new_in_each_epoch_and_short_enough() {
        let config = RunConfig {
            augment: vec![Change::Delete, Change::Swap, Change::Crop],
            augment_below: 0.3,
            augment_copies: 3,
            ..Default::default()
        };
        with_course(&config, |course| {
            assert_eq!(course.epochs.class_rows(3), [12.0, 4.0, 8.0]);
            let (first, batches) = epoch(course, &config, 0);
            assert_eq!(sorted(&batches), (0..24).collect::<Vec<_>>());
            assert_eq!(first.ids[..18], course.train.ids);
            assert_eq!(first.targets[18..], vec![Target::Class(2); 6]);
            assert_eq!(first.lines[18..], [18, 18, 18, 19, 19, 19]);
            let longest = course.train.lengths.iter().max();
            assert!(first.lengths.iter().max() == longest);
            assert!(first.ids[18..].iter().all(|copy| !course.train.ids.contains(copy)));
            assert_eq!(epoch(course, &config, 0).0.ids, first.ids);
            assert_ne!(epoch(course, &config, 1).0.ids, first.ids);
        });
    }

    #[test]
    fn words_of_copies_are_replaced_and_nothing_else() {
        // A model that knows sentences like these, taught by `generate.py` there.
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../generate/tests/masked/grammar");
        let (backend, tokenizer) = (Simple::new(), Tokenizer::from_folder(&folder).unwrap());
        let masked = MaskedModel::open(&backend, &folder).unwrap();
        let text = |row: usize| format!("the lamp number {row} is lovely after a week");
        let example = |(row, example)| Example { text: text(row), ..example };
        let train = texts().train.into_iter().enumerate().map(example).collect();
        let (texts, limit) = (Texts { train, ..texts() }, Limit::head(32));
        let config = RunConfig {
            augment: vec![Change::Mask],
            augment_below: 0.3,
            augment_copies: 3,
            augment_words: 0.25,
            ..Default::default()
        };
        let train = Rows::encode(&texts.train, &texts.preparation, &tokenizer, &limit);
        let epochs = Epochs::new(&config, &texts).unwrap();
        let (preparation, masked) = (&texts.preparation, Some(&masked));
        let course = Course { epochs: &epochs, train: &train, tokenizer: &tokenizer, preparation, masked };
        let (rows, _) = epoch(&course, &config, 0);
        assert_eq!((rows.len(), &rows.targets[18..]), (24, &vec![Target::Class(2); 6][..]));
        for (copy, ids) in rows.ids[18..].iter().enumerate() {
            let original = &train.ids[16 + copy / 3];
            assert_eq!(ids.len(), original.len());
            let changed = ids.iter().zip(original).filter(|(a, b)| a != b).count();
            // Two of nine words; a number has two pieces, of which the first is another.
            assert!((2..=3).contains(&changed), "{changed} tokens differ");
        }
        assert_eq!(epoch(&course, &config, 0).0.ids, rows.ids);
        assert_ne!(epoch(&course, &config, 1).0.ids, rows.ids);
    }

    #[test]
    fn a_copy_that_is_too_long_gives_way_to_its_original() {
        let config = RunConfig { augment: vec![Change::Swap], augment_below: 0.3, ..Default::default() };
        with_course(&config, |course| {
            // As if every text had been cut to three tokens: then no copy is as short as the longest text.
            let ids: Vec<Vec<u32>> = course.train.ids.iter().map(|ids| ids[..3].to_vec()).collect();
            let short = Rows { lengths: vec![3; ids.len()], ids, ..course.train.clone() };
            let course = Course { train: &short, ..*course };
            let (rows, _) = epoch(&course, &config, 0);
            assert_eq!((&rows.ids[18..], &rows.lengths[18..]), (&short.ids[16..], &[3, 3][..]));
        });
    }

    #[test]
    fn copies_fill_a_class_up_to_its_share_and_are_drawn_from() {
        let config = RunConfig {
            augment: vec![Change::Agent],
            augment_share: Some(0.5),
            sampling: SamplingRule::Undersample,
            ..Default::default()
        };
        with_course(&config, |course| {
            // Six rows of the third class with its copies; four of the second, whose texts have no agent.
            assert_eq!(course.epochs.copies.iter().map(|&(of, _)| of).collect::<Vec<_>>(), [0, 1, 0, 1]);
            assert_eq!(course.epochs.class_rows(3), [4.0, 4.0, 4.0]);
            let (rows, batches) = epoch(course, &config, 5);
            assert_eq!((rows.len(), batches.concat().len()), (22, 12));
            let notice = course.epochs.notice(&texts().labels).unwrap();
            assert!(notice.starts_with("an epoch has 12 rows, 4 calm, 4 cross, 4 glad; 4 of the texts"), "{notice}");
        });
    }

    #[test]
    fn factors_of_unknown_labels_are_refused() {
        let class_factors = [("gladd".to_owned(), 3.0)].into();
        let config = RunConfig { sampling: SamplingRule::Weighted, class_factors, ..Default::default() };
        let Err(error) = Epochs::new(&config, &texts()) else { panic!("accepted") };
        assert_eq!(error.to_string(), "`class_factors` names `gladd`, which is not in the label set");
    }
}
