//! Other words in the places of some: what a masked language model would say there.
//!
//! The tokens of a word give way to as many masks, and one is drawn for each from the left to the right, so that the later
//! pieces of a word know its beginning; the words of a text are guessed side by side. A token is drawn among the most probable
//! ones that are joined to their neighbours as the one before was, so a word stays a word. A word's first token is never its
//! own again where there is another.
//!
//! Of a text that is longer than the model can read, it reads what is around the words.

use std::ops::Range;
use std::path::Path;

use finetone_backend::{Backend, DeviceError, Real};
use finetone_data::augment::Draft;
use finetone_data::batching::inference_batches;
use finetone_data::split::random::Random;
use finetone_data::tokenizer::{Piece, Tokenizer};
use finetone_model::checkpoint::ModelFolder;
use finetone_model::{Capacity, Model, PackedBatch, Workspace};

use crate::error::FolderError;
use crate::sampling::{Sampling, most_probable};

/// Tokens among which one is drawn.
const MOST_PROBABLE: usize = 10;

/// A word of more tokens stays as it is: most are names, numbers and addresses.
const MOST_PIECES: usize = 3;

/// Tokens of a batch for each place that it asks about, at least: logits take more memory than tokens.
const TOKENS_FOR_EACH_PLACE: usize = 8;

/// Among the most probable tokens each has its probability.
const DRAWN: Sampling = Sampling { temperature: 1.0, top_p: 1.0, seed: 0 };

/// A masked language model with its tokenizer.
pub struct MaskedModel<B: Backend> {
    model: Model<B>,
    tokenizer: Tokenizer,
    /// Of each token.
    pieces: Vec<Option<Piece>>,
    mask: u32,
    /// How many special tokens stand around a text.
    frame: usize,
}

/// A draft as the model reads it.
struct Sheet {
    draft: Draft,
    random: Random,
    /// Its tokens, without special ones around them.
    own: Vec<u32>,
    /// The same with masks in the gaps, which are filled by and by.
    ids: Vec<u32>,
    /// The words that are replaced, in the order of the text.
    gaps: Vec<Gap>,
}

/// A word that is replaced.
struct Gap {
    /// As tokens of its text.
    tokens: Range<usize>,
    /// As bytes of its text.
    bytes: Range<usize>,
}

/// What the model reads at once: a part of a sheet, in which it is asked about some gaps.
struct Reading {
    /// The number of the sheet.
    sheet: usize,
    /// The tokens.
    window: Range<usize>,
    /// The tokens that are asked about.
    places: Vec<usize>,
}

impl<B: Backend> MaskedModel<B> {
    /// Opens the folder of a model that was saved with its masked-language head.
    ///
    /// # Errors
    /// A folder that lacks files or that head, a tokenizer without a token for masked places.
    pub fn open(backend: &B, folder: &Path) -> Result<Self, FolderError> {
        let source = ModelFolder::open(folder)?;
        let tokenizer = Tokenizer::from_folder(folder)?;
        source.config().check_vocabulary(folder, tokenizer.vocab_size())?;
        let model = source.load_masked(backend)?;
        let mask = tokenizer.mask_id().ok_or_else(|| FolderError::NoMask { folder: folder.to_owned() })?;
        let (pieces, frame) = (tokenizer.pieces(), tokenizer.framed(&[]).0.len());
        Ok(Self { model, tokenizer, pieces, mask, frame })
    }

    /// The model.
    pub fn model(&self) -> &Model<B> {
        &self.model
    }

    /// About the largest batch that [`MaskedModel::fill`] computes.
    pub fn capacity(&self, token_budget: usize) -> Capacity {
        let tokens = token_budget.max(self.model.config.max_tokens());
        (tokens, tokens.div_ceil(TOKENS_FOR_EACH_PLACE)).into()
    }

    /// The texts of drafts with words replaced, by the random numbers beside each. About `token_budget` tokens are computed at a
    /// time; which drafts stand beside a draft changes nothing.
    ///
    /// # Errors
    /// A device that failed.
    pub fn fill(
        &self,
        backend: &B,
        drafts: Vec<(Draft, Random)>,
        token_budget: usize,
    ) -> Result<Vec<String>, DeviceError> {
        let mut sheets: Vec<Sheet> = drafts.into_iter().map(|(draft, random)| self.sheet(draft, random)).collect();
        for piece in 0..MOST_PIECES {
            let readings = |(number, sheet): (usize, &Sheet)| sheet.readings(number, piece, self.room());
            let readings: Vec<Reading> = sheets.iter().enumerate().flat_map(readings).collect();
            if readings.is_empty() {
                break;
            }
            self.read(backend, &readings, (&mut sheets, piece == 0), token_budget)?;
        }
        Ok(sheets.into_iter().map(|sheet| sheet.text(&self.pieces)).collect())
    }

    /// The most tokens of a text that the model can read at once.
    fn room(&self) -> usize {
        self.model.config.max_tokens().saturating_sub(self.frame)
    }

    /// Masks as many words of a draft as it asks for, of those that can be replaced.
    fn sheet(&self, draft: Draft, random: Random) -> Sheet {
        let (own, places) = match draft.count {
            0 => Default::default(),
            _ => self.tokenizer.content_places(&draft.text),
        };
        let (mut ids, mut gaps) = (own.clone(), Vec::new());
        for word in &draft.words {
            if gaps.len() == draft.count {
                break;
            }
            // Where a normalised letter became several, tokens may share its bytes.
            let apart = |gap: &Gap| {
                let before = |one: &Gap, other: &Gap| one.bytes.end <= other.bytes.start;
                gaps.iter().all(|taken| before(taken, gap) || before(gap, taken))
            };
            if let Some(gap) = self.gap(&draft.text, word, (&ids, &places)).filter(apart) {
                ids[gap.tokens.clone()].fill(self.mask);
                gaps.push(gap);
            }
        }
        gaps.sort_unstable_by_key(|gap| gap.tokens.start);
        Sheet { draft, random, own, ids, gaps }
    }

    /// A word of a text, which has these tokens at these bytes, if it is whole tokens that can be guessed.
    fn gap(&self, text: &str, word: &Range<usize>, (ids, places): (&[u32], &[Range<usize>])) -> Option<Gap> {
        let first = places.partition_point(|place| place.end <= word.start);
        let end = places.partition_point(|place| place.start < word.end);
        let tokens = ids.get(first..end).filter(|tokens| !tokens.is_empty())?;
        let known = |&id: &u32| self.pieces.get(id as usize).is_some_and(Option::is_some);
        if tokens.len() > MOST_PIECES.min(self.room() / 2) || !tokens.iter().all(known) {
            return None;
        }
        // Some vocabularies count the space before a word to it, and some of others its neighbour.
        let (start, last) = (places[first].start, places[end - 1].end);
        let spelt = text.get(start..last)?;
        let start = last - spelt.trim_start().len();
        Some(Gap { tokens: first..end, bytes: start..start + spelt.trim().len() })
    }

    /// Draws a token for each place that is asked about.
    fn read(
        &self,
        backend: &B,
        readings: &[Reading],
        (sheets, begins): (&mut [Sheet], bool),
        token_budget: usize,
    ) -> Result<(), DeviceError> {
        let lengths: Vec<usize> = readings.iter().map(|reading| reading.window.len() + self.frame).collect();
        let costs = readings.iter().zip(&lengths);
        let costs = costs.map(|(reading, length)| *length.max(&(reading.places.len() * TOKENS_FOR_EACH_PLACE)));
        let groups = inference_batches(&costs.collect::<Vec<_>>(), token_budget);
        let largest = |count: &dyn Fn(usize) -> usize| {
            groups.iter().map(|group| group.iter().map(|&number| count(number)).sum()).max().unwrap_or(0)
        };
        let capacity = (largest(&|number| lengths[number]), largest(&|number| readings[number].places.len()));
        let mut workspace = Workspace::for_inference(backend, &self.model.config, capacity);
        for group in &groups {
            let group: Vec<&Reading> = group.iter().map(|&number| &readings[number]).collect();
            let logits = self.logits(backend, &group, sheets, &mut workspace)?;
            let places = group.iter().flat_map(|reading| reading.places.iter().map(|&place| (reading.sheet, place)));
            for ((sheet, place), row) in places.zip(logits.chunks_exact(self.model.config.vocab_size)) {
                let Sheet { random, own, ids, .. } = &mut sheets[sheet];
                ids[place] = self.draw(row, (own[place], begins), random);
            }
        }
        Ok(())
    }

    /// The logits of all places that a group of readings asks about, row by row.
    fn logits(
        &self,
        backend: &B,
        group: &[&Reading],
        sheets: &[Sheet],
        workspace: &mut Workspace<B>,
    ) -> Result<Vec<B::Real>, DeviceError> {
        let framed: Vec<(Vec<u32>, usize)> = group
            .iter()
            .map(|reading| self.tokenizer.framed(&sheets[reading.sheet].ids[reading.window.clone()]))
            .collect();
        let config = &self.model.config;
        let mut batch = PackedBatch::pack(framed.iter().map(|(ids, _)| ids.as_slice()), config.position_offset);
        let starts: Vec<u32> = batch.starts.clone();
        let asked = group.iter().zip(&framed).zip(&starts).flat_map(|((reading, (_, before)), start)| {
            let in_window = |place: &usize| start + (before + place - reading.window.start) as u32;
            reading.places.iter().map(in_window).collect::<Vec<_>>()
        });
        batch.ask(asked);
        self.model.transformer.forward(&self.model.pass(backend, &batch, None), workspace);
        backend.synchronize()?;
        let mut logits = vec![B::Real::default(); batch.answers() * config.vocab_size];
        let all = 0..logits.len();
        backend.read(&mut logits, workspace.logits(), all);
        Ok(logits)
    }

    /// A token for a place where `own` stood, which `begins` a word or goes on with it.
    fn draw(&self, logits: &[B::Real], (own, begins): (u32, bool), random: &mut Random) -> u32 {
        let joints = |id: u32| self.pieces[id as usize].as_ref().map(|piece| piece.joints);
        let wanted = joints(own);
        let others = (0..self.pieces.len() as u32).filter(|&id| joints(id) == wanted && !(begins && id == own));
        let fitting: Vec<(u32, f64)> = others.map(|id| (id, logits[id as usize].to_f64())).collect();
        if fitting.is_empty() { own } else { DRAWN.choose(&most_probable(fitting, MOST_PROBABLE), random) }
    }
}

impl Sheet {
    /// What is to be read to draw the tokens of this number of all gaps that have as many.
    fn readings(&self, sheet: usize, piece: usize, room: usize) -> Vec<Reading> {
        let mut readings: Vec<Reading> = Vec::new();
        for gap in self.gaps.iter().filter(|gap| gap.tokens.len() > piece) {
            let place = gap.tokens.start + piece;
            match readings.last_mut() {
                Some(reading) if self.shows(&reading.window, gap) => reading.places.push(place),
                _ => readings.push(Reading { sheet, window: self.window(gap, room), places: vec![place] }),
            }
        }
        readings
    }

    /// A window of `room` tokens, or all there are, that begins some way before a gap.
    fn window(&self, gap: &Gap, room: usize) -> Range<usize> {
        let last = self.ids.len().saturating_sub(room);
        let start = gap.tokens.start.saturating_sub(room / 4).min(last);
        start..(start + room).min(self.ids.len())
    }

    /// Whether a window shows a gap with something behind it, where there is something.
    fn shows(&self, window: &Range<usize>, gap: &Gap) -> bool {
        window.end == self.ids.len() || gap.tokens.end + window.len() / 8 <= window.end
    }

    /// The text with the words that were drawn.
    fn text(self, pieces: &[Option<Piece>]) -> String {
        let mut text = self.draft.text;
        for gap in self.gaps.iter().rev() {
            let letters = self.ids[gap.tokens.clone()].iter().filter_map(|&id| pieces[id as usize].as_ref());
            let word: String = letters.map(|piece| piece.letters.as_str()).collect();
            text.replace_range(gap.bytes.clone(), &word);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gap_is_read_once_with_what_is_around_it() {
        for (tokens, room) in [(5, 30), (30, 30), (31, 30), (100, 30), (401, 64)] {
            let gap = |start: usize| Gap { tokens: start..(start + 1 + start % 3).min(tokens), bytes: 0..0 };
            let gaps: Vec<Gap> = (0..tokens).step_by(7).map(gap).collect();
            let ids = vec![0; tokens];
            let sheet = Sheet { draft: Draft::default(), random: Random::new(0), own: ids.clone(), ids, gaps };
            for piece in 0..MOST_PIECES {
                let readings = sheet.readings(3, piece, room);
                let asked: Vec<usize> = readings.iter().flat_map(|reading| reading.places.clone()).collect();
                let long = sheet.gaps.iter().filter(|gap| gap.tokens.len() > piece);
                assert_eq!(asked, long.map(|gap| gap.tokens.start + piece).collect::<Vec<_>>());
                for Reading { sheet, window, places } in readings {
                    assert_eq!((sheet, window.len()), (3, room.min(tokens)));
                    for place in places {
                        assert!(window.contains(&place) && place - window.start >= place.min(room / 4));
                        assert!(window.end - place >= (tokens - place).min(room / 8), "{place} in {window:?}");
                    }
                }
            }
        }
    }
}
