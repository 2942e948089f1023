//! The answers to a question, which are there already or are being written.

use std::collections::VecDeque;

use super::{Finish, Judged, Judgement, Part, Reply, Usage};
use crate::engine::{EngineError, Written};

/// The answers to a question, part by part.
pub struct Answers {
    /// Tokens of the question, as the model reads them.
    prompt: usize,
    count: usize,
    /// Whether the question should be left to a person, where the model leaves any.
    abstained: Option<bool>,
    /// What a classifier judged, where the request is to be recorded.
    judged: Option<Judged>,
    /// How many of the answers have not come to their end.
    open: usize,
    source: Source,
}

enum Source {
    Known(VecDeque<Part>),
    Written(Written),
}

impl Answers {
    /// Answers that were drawn from a judgement: their tokens by turns, then their ends.
    pub(super) fn known(judgement: Judgement, replies: Vec<Reply>) -> Self {
        let longest = replies.iter().map(|reply| reply.pieces.len()).max().unwrap_or(0);
        let part = |index, pieces, finish| Part { index, pieces, finish };
        let mut parts = VecDeque::new();
        for place in 0..longest {
            let pieces =
                replies.iter().enumerate().filter_map(|(index, reply)| Some((index, reply.pieces.get(place)?)));
            parts.extend(pieces.map(|(index, piece)| part(index, vec![piece.clone()], None)));
        }
        parts.extend(replies.iter().enumerate().map(|(index, reply)| part(index, Vec::new(), Some(reply.finish))));
        let Judgement { tokens: prompt, abstained, judged, .. } = judgement;
        let count = replies.len();
        Self { prompt, count, abstained, judged, open: count, source: Source::Known(parts) }
    }

    /// So many answers that are being written. When this is dropped, nobody goes on writing.
    pub fn written(prompt: usize, count: usize, written: Written) -> Self {
        Self { prompt, count, abstained: None, judged: None, open: count, source: Source::Written(written) }
    }

    /// What comes next; nothing when all answers are at their end.
    ///
    /// # Errors
    /// A model that failed.
    pub async fn next(&mut self) -> Result<Option<Part>, EngineError> {
        if self.open == 0 {
            return Ok(None);
        }
        let part = match &mut self.source {
            Source::Known(parts) => parts.pop_front().ok_or(EngineError::Stopped)?,
            Source::Written(written) => written.recv().await.ok_or(EngineError::Stopped)??,
        };
        self.open -= usize::from(part.finish.is_some());
        Ok(Some(part))
    }

    /// All of them, and the tokens that were read and written.
    ///
    /// # Errors
    /// A model that failed.
    pub async fn whole(mut self) -> Result<(Vec<Reply>, Usage), EngineError> {
        let mut usage = Usage { prompt: self.prompt, completion: 0 };
        let mut replies = vec![Reply { pieces: Vec::new(), finish: Finish::Stop }; self.open];
        while let Some(part) = self.next().await? {
            usage.completion += part.pieces.len();
            let reply = &mut replies[part.index];
            reply.pieces.extend(part.pieces);
            reply.finish = part.finish.unwrap_or(reply.finish);
        }
        Ok((replies, usage))
    }

    /// Whether the question should be left to a person, where the model leaves any.
    pub fn abstained(&self) -> Option<bool> {
        self.abstained
    }

    /// What a classifier judged, where the request is to be recorded; only once.
    pub fn take_judged(&mut self) -> Option<Judged> {
        self.judged.take()
    }

    /// How many answers there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Tokens of the question.
    pub fn prompt(&self) -> usize {
        self.prompt
    }
}
