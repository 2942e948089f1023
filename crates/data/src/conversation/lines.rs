//! One line of a conversation: names, words and stage directions.

use super::{Conversation, Speakers, Turn};

/// Words of somebody who speaks: brackets with one of them are no stage direction.
const FIRST_AND_SECOND_PERSON: [&str; 12] =
    ["i", "me", "my", "we", "us", "our", "you", "your", "i'm", "i've", "i’m", "i’ve"];

/// Longer brackets, in bytes, are no stage directions.
const LONGEST_DIRECTION: usize = 200;

/// How the lines of a text are read.
pub(super) struct Reading<'a> {
    speakers: &'a Speakers,
    /// Whether a name begins a turn wherever it stands.
    anywhere: bool,
}

impl<'a> Reading<'a> {
    /// Of a text that begins with a speaker and has no other line that does, names count wherever they stand: it has lost its
    /// line breaks.
    pub fn of(text: &str, speakers: &'a Speakers) -> Self {
        let mut begins = text.lines().map(|line| speakers.at_start(line.trim()).is_some());
        Self { speakers, anywhere: begins.next() == Some(true) && !begins.any(|begins| begins) }
    }

    /// Adds a line to the conversation that the lines before it have made.
    pub fn line(&self, line: &str, conversation: &mut Conversation) {
        let line = line.trim();
        conversation.words().push('\n');
        let pairs = brackets(line);
        let mut start = conversation.take_name(line, 0, self.speakers);
        for &(open, close) in &pairs {
            start = self.turns((line, &pairs), (start, open), conversation);
            // A bracket may belong to the name.
            let Some(said) = line.get(start..open) else { continue };
            if is_direction(&line[open..close]) && (said.trim().is_empty() || ends_a_sentence(said)) {
                conversation.say(said);
                conversation.direct(&line[open..close]);
                start = conversation.take_name(line, close, self.speakers);
            }
        }
        start = self.turns((line, &pairs), (start, line.len()), conversation);
        conversation.say(&line[start..]);
    }

    /// Adds the turns that begin between two places, with what is said before each; gives the place where the words go on.
    fn turns(
        &self,
        line: (&str, &[(usize, usize)]),
        (mut start, end): (usize, usize),
        conversation: &mut Conversation,
    ) -> usize {
        while let Some(place) = self.next_name(line, (start, end)) {
            conversation.say(&line.0[start..place]);
            start = conversation.take_name(line.0, place, self.speakers);
        }
        start
    }

    /// Where the next speaker's name begins between two places, behind something that is said and in no brackets.
    fn next_name(&self, (line, pairs): (&str, &[(usize, usize)]), (start, end): (usize, usize)) -> Option<usize> {
        let spaces = line.get(start..end)?.match_indices(char::is_whitespace);
        spaces.map(|(space, text)| start + space + text.len()).find(|&place| {
            let (said, rest) = (line[start..place].trim(), &line[place..]);
            let anywhere = self.anywhere && !said.is_empty() && rest.starts_with(char::is_uppercase);
            (ends_a_sentence(said) || anywhere)
                && !rest.starts_with(char::is_whitespace)
                && self.speakers.at_start(rest).is_some()
                && pairs.iter().all(|(open, close)| !(open..close).contains(&&place))
        })
    }
}

impl Conversation {
    /// Where the words of now go.
    fn words(&mut self) -> &mut String {
        self.turns.last_mut().map_or(&mut self.preamble, |turn| &mut turn.text)
    }

    /// Begins a turn if a name stands at `start`; gives the place where the words go on.
    fn take_name(&mut self, line: &str, start: usize, speakers: &Speakers) -> usize {
        let rest = line[start..].trim_start();
        let Some((speaker, length)) = speakers.at_start(rest) else { return start };
        self.turns.push(Turn { speaker, text: String::new(), directions: Vec::new() });
        line.len() - rest.len() + length
    }

    fn say(&mut self, said: &str) {
        let (words, said) = (self.words(), said.trim());
        if !said.is_empty() && !words.is_empty() && !words.ends_with('\n') {
            words.push(' ');
        }
        words.push_str(said);
    }

    fn direct(&mut self, direction: &str) {
        match self.turns.last_mut() {
            Some(turn) => turn.directions.push(direction.to_owned()),
            None => self.say(direction),
        }
    }
}

/// Pairs of brackets that are in no other pair, from the opening one to behind the closing one, in order.
pub(crate) fn brackets(line: &str) -> Vec<(usize, usize)> {
    let (mut round, mut square, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    for (place, character) in line.char_indices() {
        match character {
            '(' => round.push(place),
            '[' => square.push(place),
            ')' => pairs.extend(round.pop().map(|open| (open, place + 1))),
            ']' => pairs.extend(square.pop().map(|open| (open, place + 1))),
            _ => {}
        }
    }
    pairs.sort_unstable();
    let mut end = 0;
    pairs.retain(|&(open, close)| {
        let outside = open >= end;
        end = end.max(close);
        outside
    });
    pairs
}

/// Whether nobody says what stands in the brackets: it speaks of the speakers as others, and is neither an abbreviation, a
/// placeholder such as `[NAME]`, nor a number other than a time of day.
fn is_direction(bracket: &str) -> bool {
    let inside = &bracket[1..bracket.len() - 1];
    if bracket.len() > LONGEST_DIRECTION || inside.contains(['(', ')', '[', ']']) {
        return false;
    }
    let spoken = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        FIRST_AND_SECOND_PERSON.contains(&bare.as_str())
    };
    let capitals = inside.contains(char::is_uppercase) && !inside.contains(char::is_lowercase);
    let time = inside.contains(char::is_numeric) && inside.contains(':');
    let words = inside.contains(char::is_alphabetic) && !capitals;
    (words || time) && !inside.split_whitespace().any(spoken)
}

/// Whether a text ends as a sentence does, quotes aside.
fn ends_a_sentence(text: &str) -> bool {
    text.trim_end().trim_end_matches(['"', '\'', '”', '’', '»']).ends_with(['.', '?', '!', '…'])
}
