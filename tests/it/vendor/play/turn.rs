//! One turn of a play: what is said and called, how it comes, and what the request before it must have shown.

use std::fmt;
use std::sync::Arc;

use pas::domain::usage::TokenUsage;
use serde_json::Value;

use super::super::fault::Fault;
use super::{PlayExpectation, PlayRequest};

/// A call of a tool.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlayCall {
    pub(crate) tool: String,
    pub(crate) arguments: Value,
    /// Arguments as written where they are no JSON. Vendors whose whole answers carry arguments as an object send
    /// an empty one there.
    pub(crate) raw: Option<String>,
}

impl PlayCall {
    /// Sets one more argument.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.arguments[name] = value.into();
        self
    }
}

/// A call of any tool, also of one that there is not.
pub(crate) fn call(tool: impl Into<String>, arguments: Value) -> PlayCall {
    PlayCall { tool: tool.into(), arguments, raw: None }
}

/// A call whose arguments are this text, which is no JSON.
pub(crate) fn bad_json(tool: impl Into<String>, text: impl Into<String>) -> PlayCall {
    PlayCall { tool: tool.into(), arguments: Value::Object(serde_json::Map::new()), raw: Some(text.into()) }
}

/// One answer.
#[derive(Clone, Default)]
pub(crate) struct PlayTurn {
    pub(super) blocks: Vec<Value>,
    pub(super) text: String,
    pub(super) calls: Vec<PlayCall>,
    pub(super) cut: bool,
    pub(super) refused: bool,
    pub(super) faults: Vec<Fault>,
    pub(super) usage: Option<TokenUsage>,
    pub(super) sees: Vec<String>,
    pub(super) lacks: Vec<String>,
    pub(super) expectations: Vec<PlayExpectation>,
}

/// A turn of one call, of several ([`calls!`](super::calls)), or of words ([`say`], [`silence`], [`decline`]).
pub(crate) fn turn(said: impl Into<PlayTurn>) -> PlayTurn {
    said.into()
}

/// Prose without a call.
pub(crate) fn say(text: impl Into<String>) -> PlayTurn {
    PlayTurn { text: text.into(), ..PlayTurn::default() }
}

/// An answer with nothing in it. Clients may leave it out of the conversation, so a play remembers it: one
/// conversation a play that has such turns.
pub(crate) fn silence() -> PlayTurn {
    PlayTurn::default()
}

/// A refusal in the vendor's form.
pub(crate) fn decline(text: impl Into<String>) -> PlayTurn {
    PlayTurn { refused: true, ..say(text) }
}

impl From<PlayCall> for PlayTurn {
    fn from(call: PlayCall) -> Self {
        vec![call].into()
    }
}

impl From<Vec<PlayCall>> for PlayTurn {
    fn from(calls: Vec<PlayCall>) -> Self {
        Self { calls, ..Self::default() }
    }
}

impl PlayTurn {
    /// Words before the calls.
    #[must_use]
    pub(crate) fn saying(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Parts in the vendor's own form before the words, as they are: what the vendor itself ran.
    #[must_use]
    pub(crate) fn bringing(mut self, blocks: impl IntoIterator<Item = Value>) -> Self {
        self.blocks.extend(blocks);
        self
    }

    /// The answer ends at the limit of output tokens: after its words, or in the middle of its last call's
    /// arguments.
    #[must_use]
    pub(crate) const fn cut(mut self) -> Self {
        self.cut = true;
        self
    }

    /// The first ask goes wrong like this (429, a break in the middle of the stream); used repeatedly, the first
    /// asks do, one after the other. The next ask gets the turn.
    #[must_use]
    pub(crate) fn after(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Reports and bills this in place of the counted usage.
    #[must_use]
    pub(crate) const fn billing(mut self, usage: TokenUsage) -> Self {
        self.usage = Some(usage);
        self
    }

    /// The request must have this text in what came since the turn before: results, words of a person.
    #[must_use]
    pub(crate) fn sees(mut self, text: impl Into<String>) -> Self {
        self.sees.push(text.into());
        self
    }

    /// The request must not have this text anywhere.
    #[must_use]
    pub(crate) fn lacks(mut self, text: impl Into<String>) -> Self {
        self.lacks.push(text.into());
        self
    }

    /// Anything else that the request must be like.
    #[must_use]
    pub(crate) fn expects(
        mut self,
        expectation: impl Fn(&PlayRequest) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.expectations.push(Arc::new(expectation));
        self
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn calls(&self) -> &[PlayCall] {
        &self.calls
    }

    /// Whether a client may leave it out of the conversation: there is nothing whole in it, or no answer at all.
    pub(super) fn may_vanish(&self) -> bool {
        self.refused || (self.text.is_empty() && self.calls.len() <= usize::from(self.cut))
    }
}

impl fmt::Debug for PlayTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("PlayTurn");
        shown.field("text", &self.text).field("calls", &self.calls).field("cut", &self.cut);
        shown.finish_non_exhaustive()
    }
}
