//! Which turn of a play a request is for.
//!
//! The last call with an id of this play tells the turn; each message of the assistant after it is one more turn. Turns
//! that a client may leave out of the conversation ([`PlayTurn::may_vanish`]) need a memory: whether the
//! conversation has a message for them is learnt from the next ask that does not end as theirs did.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::Play;
use super::request::{PlayMessage, PlayRequest};

/// What is remembered of a turn that may vanish.
#[derive(Debug, Clone, Copy)]
struct VanishingTurn {
    at: ConversationEnd,
    /// Whether the conversation shows it now; unknown until the next ask.
    shown: Option<bool>,
}

/// The end of a conversation as far as a summary of its beginning leaves it: a longer one differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ConversationEnd {
    /// The turn after the last one that is known by an id.
    known: usize,
    /// The assistant's messages since.
    since: usize,
    /// What came after the last of them.
    tail: usize,
}

/// The turns that may vanish and were served.
#[derive(Debug, Default)]
pub(super) struct PlaceMemory {
    vanishing: HashMap<usize, VanishingTurn>,
}

impl PlaceMemory {
    /// The turn that a request is for. The same request gets the same turn again.
    pub(super) fn place(&mut self, play: &Play, request: &PlayRequest) -> usize {
        let end = ConversationEnd::of(play, request);
        for turn in self.vanishing.values_mut().filter(|turn| turn.at != end) {
            turn.shown.get_or_insert(end.known + end.since > turn.at.known + turn.at.since);
        }
        let is_gone = |turn: &VanishingTurn| turn.at != end && turn.shown == Some(false);
        let (mut at, mut shown) = (end.known, end.since);
        loop {
            if !self.vanishing.get(&at).is_some_and(is_gone) {
                if shown == 0 {
                    return at;
                }
                shown -= 1;
            }
            at += 1;
        }
    }

    /// Remembers that a turn was served.
    pub(super) fn served(&mut self, play: &Play, turn: usize, request: &PlayRequest) {
        if play.turn(turn).is_some_and(super::PlayTurn::may_vanish) {
            let new = VanishingTurn { at: ConversationEnd::of(play, request), shown: None };
            self.vanishing.entry(turn).or_insert(new);
        }
    }
}

impl ConversationEnd {
    fn of(play: &Play, request: &PlayRequest) -> Self {
        let turn_of = |message: &PlayMessage| match message {
            PlayMessage::Assistant { calls, .. } => {
                calls.iter().filter_map(|call| play.place_of(&call.id)).map(|(turn, _)| turn).max()
            }
            _ => None,
        };
        let messages = request.messages.iter().enumerate().rev();
        let last = messages.clone().find_map(|(at, message)| Some((at, turn_of(message)?)));
        let (from, known) = last.map_or((0, 0), |(at, turn)| (at + 1, turn + 1));
        let since = request.messages[from..].iter().filter(|message| is_visible(message)).count();
        let tail = messages.take_while(|(_, message)| !is_visible(message));
        Self { known, since, tail: tail.map(|(_, message)| message.parts()).sum() }
    }
}

/// Whether the assistant says something in it: some vendors take no other messages, so clients leave them out.
fn is_visible(message: &PlayMessage) -> bool {
    matches!(message, PlayMessage::Assistant { text, calls } if !text.is_empty() || !calls.is_empty())
}
