//! Plays: scripted models with tools, one turn an answer, for tests of agents that think.
//!
//! A play answers the requests it is meant for ([`Play::when`]; by default any with tools on offer) and checks each
//! of them. Its turn follows from the request: the ids of its calls in the conversation (its own, or those that PAS
//! gives calls by their place) and the assistant's messages after them. So a repeated ask, a restart of the asker,
//! another vendor's server and a summary of the beginning all get the right turn. What a request lacks does not panic
//! in a server's task: it is kept for [`super::Server::play_faults`].
//!
//! ```ignore
//! let play = Play::new([
//!     turn(calls![bash("cargo test"), read("src/lib.rs")]).saying("I look first."),
//!     turn(edit("src/lib.rs", [("a - b", "a + b")])).sees("1 failed").after(Fault::Status(429)),
//!     turn(report("done", "the sign was wrong")),
//! ]);
//! let author = play.named("author").instructed("code-writer").card("Fix the sum");
//! vendors.perform(&author);
//! // … the run …
//! vendors.assert_plays();
//! ```
#![allow(unused_imports, unused_macros, reason = "each test uses a part of it")]

/// The calls of one turn, made side by side.
macro_rules! calls {
    ($($call:expr),* $(,)?) => { vec![$($call),*] };
}
pub(crate) use calls;

mod check;
mod file;
pub(crate) mod loops;
mod place;
mod reading;
mod request;
mod stage;
mod tools;
mod turn;

use std::fmt;
use std::sync::Arc;

pub(crate) use file::PlayFileError;
pub(crate) use request::{PlayCallback, PlayMessage, PlayRequest};
pub(super) use stage::{PlayCue, PlayLine};
pub(crate) use stage::{PlayStage, ServedTurn};
pub(crate) use tools::*;
pub(crate) use turn::{PlayCall, PlayTurn, bad_json, call, decline, say, silence, turn};

/// The largest limit of output tokens that a request may name unless the play says otherwise: the house's own cap.
const OUTPUT_LIMIT: u64 = 16_000;
/// Hex digits of a play's tag in the ids of its calls.
const TAG_DIGITS: usize = 8;

/// Whether a request is for a play.
type PlayCondition = Arc<dyn Fn(&PlayRequest) -> bool + Send + Sync>;
/// What a request must be like; the sentence says what it lacks.
pub(crate) type PlayExpectation = Arc<dyn Fn(&PlayRequest) -> Result<(), String> + Send + Sync>;

/// What one scripted model says, turn by turn, and what it wants of each request. A copy is cheap.
#[derive(Clone)]
pub(crate) struct Play {
    name: String,
    turns: Arc<[PlayTurn]>,
    /// How many of the last turns come again and again.
    loops: usize,
    wanted: Vec<PlayCondition>,
    with_tools: bool,
    cards: Vec<String>,
    offered: Vec<String>,
    withheld: Vec<String>,
    output_limit: u64,
    cached: bool,
    steady: bool,
    verbatim: bool,
    expectations: Vec<PlayExpectation>,
}

impl Play {
    pub(crate) fn new(turns: impl IntoIterator<Item = PlayTurn>) -> Self {
        Self {
            name: "play".to_owned(),
            turns: turns.into_iter().collect(),
            loops: 0,
            wanted: Vec::new(),
            with_tools: true,
            cards: Vec::new(),
            offered: Vec::new(),
            withheld: Vec::new(),
            output_limit: OUTPUT_LIMIT,
            cached: false,
            steady: false,
            verbatim: true,
            expectations: Vec::new(),
        }
    }

    /// Its name in faults, in [`ServedTurn`] and, hashed, in the ids of its calls: one a play of a test.
    #[must_use]
    pub(crate) fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Only for requests like this; several conditions must all hold.
    #[must_use]
    pub(crate) fn when(mut self, wanted: impl Fn(&PlayRequest) -> bool + Send + Sync + 'static) -> Self {
        self.wanted.push(Arc::new(wanted));
        self
    }

    /// Only for requests that have this text somewhere: a marker in the card, an agent's name in the instructions.
    #[must_use]
    pub(crate) fn marked(self, marker: impl Into<String>) -> Self {
        let marker = marker.into();
        self.when(move |request| request.contains(&marker))
    }

    /// The last so many turns come again and again: a model that goes in circles, or one that repeats its last word.
    #[must_use]
    pub(crate) fn looping(mut self, last: usize) -> Self {
        self.loops = last.min(self.turns.len());
        self
    }

    /// Only for requests with this text in their instructions.
    #[must_use]
    pub(crate) fn instructed(self, text: impl Into<String>) -> Self {
        let text = text.into();
        self.when(move |request| request.system.contains(&text))
    }

    /// Also for requests that offer no tools, as those for a summary.
    #[must_use]
    pub(crate) const fn without_tools(mut self) -> Self {
        self.with_tools = false;
        self
    }

    /// Every request must have this text, letter for letter.
    #[must_use]
    pub(crate) fn card(mut self, text: impl Into<String>) -> Self {
        self.cards.push(text.into());
        self
    }

    /// Every request must offer these tools.
    #[must_use]
    pub(crate) fn offers<T: Into<String>>(mut self, tools: impl IntoIterator<Item = T>) -> Self {
        self.offered.extend(tools.into_iter().map(Into::into));
        self
    }

    /// No request may offer these tools.
    #[must_use]
    pub(crate) fn withholds<T: Into<String>>(mut self, tools: impl IntoIterator<Item = T>) -> Self {
        self.withheld.extend(tools.into_iter().map(Into::into));
        self
    }

    /// The largest limit of output tokens that a request may name; without one it always fails.
    #[must_use]
    pub(crate) const fn output_limit(mut self, tokens: u64) -> Self {
        self.output_limit = tokens;
        self
    }

    /// Requests in Anthropic's form must mark a part for the prompt cache.
    #[must_use]
    pub(crate) const fn cached(mut self) -> Self {
        self.cached = true;
        self
    }

    /// Instructions and tools must be the same, byte for byte, in all its requests at one vendor's: caches of
    /// prompts begin with them.
    #[must_use]
    pub(crate) const fn steady(mut self) -> Self {
        self.steady = true;
        self
    }

    /// Its calls may come back changed (shortened arguments of old turns).
    #[must_use]
    pub(crate) const fn may_change(mut self) -> Self {
        self.verbatim = false;
        self
    }

    /// The same without what goes wrong on the way.
    #[must_use]
    pub(crate) fn without_faults(mut self) -> Self {
        let turns = self.turns.iter().cloned();
        self.turns = turns.map(|turn| PlayTurn { faults: Vec::new(), ..turn }).collect();
        self
    }

    /// Anything else that every request must be like.
    #[must_use]
    pub(crate) fn expects(
        mut self,
        expectation: impl Fn(&PlayRequest) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.expectations.push(Arc::new(expectation));
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn turns(&self) -> &[PlayTurn] {
        &self.turns
    }

    /// The turn with this number; a play that loops has one for every number.
    fn turn(&self, number: usize) -> Option<&PlayTurn> {
        let beyond = number.saturating_sub(self.turns.len()).checked_rem(self.loops);
        let at = beyond
            .filter(|_| number >= self.turns.len())
            .map(|beyond| self.turns.len() - self.loops + beyond);
        self.turns.get(at.unwrap_or(number))
    }

    /// Whether a request is for this play.
    fn wants(&self, request: &PlayRequest) -> bool {
        (!self.with_tools || !request.tools.is_empty()) && self.wanted.iter().all(|wanted| wanted(request))
    }

    /// Names this play in the ids of its calls.
    fn tag(&self) -> String {
        blake3::hash(self.name.as_bytes()).to_hex().as_str()[..TAG_DIGITS].to_owned()
    }

    /// The id of a call without the vendor's prefix.
    fn call_id(&self, turn: usize, call: usize) -> String {
        format!("{}_{turn:04}_{call:02}", self.tag())
    }

    /// Turn and place of the call that has this id: the play's own, or one by which the asker names it anew.
    fn place_of(&self, id: &str) -> Option<(usize, usize)> {
        if let Some(place) = asker_place(id) {
            return Some(place);
        }
        let (_, rest) = id.split_once(&format!("{}_", self.tag()))?;
        let (turn, call) = rest.split_once('_')?;
        Some((turn.parse().ok()?, call.parse().ok()?))
    }
}

impl fmt::Debug for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Play").field("name", &self.name).field("turns", &self.turns).finish_non_exhaustive()
    }
}

/// Reads an id of PAS's own, which names a call by its place whatever the vendor called it: `c`, five digits of the
/// answer's number from 1, three of the call's from 0.
fn asker_place(id: &str) -> Option<(usize, usize)> {
    let digits = id
        .strip_prefix('c')
        .filter(|rest| rest.len() == 8 && rest.bytes().all(|byte| byte.is_ascii_digit()))?;
    let (answer, call) = digits.split_at(5);
    Some((answer.parse::<usize>().ok()?.checked_sub(1)?, call.parse().ok()?))
}
