//! One turn of a step: an answer, its calls, and the one result of each.
//!
//! Invariant: a call is settled at most once, and a settled call never changes.

use super::class::CallClass;
use super::outcome::ReportClaim;
use super::place::CallPlace;

/// Ends the step.
pub const REPORT: &str = "report";
/// Asks a person.
pub const ASK: &str = "ask";
/// Makes a child.
pub const DELEGATE: &str = "delegate";

/// Longest part of a call's arguments in nudges and on displays.
const MAX_BRIEF: usize = 80;

/// Result of a call as a view shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CallResult {
    pub(super) text: String,
    pub(super) is_error: bool,
    /// Number under which all of it can be read.
    pub(super) out: Option<u64>,
    /// Bytes of all of it.
    pub(super) full_bytes: u64,
    pub(super) row: u64,
}

/// How far a call has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallProgress {
    /// Not begun, as far as rows say.
    Open,
    /// Begun; a crash may have cut it.
    Called {
        class: CallClass,
        tree_before: Option<String>,
    },
    /// It has become a child.
    Child,
    Settled(CallResult),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CallEntry {
    pub(super) place: CallPlace,
    pub(super) tool: String,
    pub(super) args: String,
    pub(super) progress: CallProgress,
    /// How often it was begun.
    pub(super) begun: u32,
    /// The question by which a person consented to it.
    pub(super) approved: Option<String>,
    /// The claim, where it is a report.
    pub(super) claim: Option<ReportClaim>,
}

impl CallEntry {
    pub(super) fn result(&self) -> Option<&CallResult> {
        match &self.progress {
            CallProgress::Settled(result) => Some(result),
            _ => None,
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.result().is_some()
    }

    /// Tool and arguments in a line, for nudges and displays.
    pub(super) fn brief(&self) -> String {
        let end = self.args.floor_char_boundary(MAX_BRIEF);
        let more = if end < self.args.len() { "…" } else { "" };
        format!("{} {}{more}", self.tool, &self.args[..end])
    }
}

/// Something said to the model beside results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TurnNote {
    pub(super) text: String,
    /// A person's word: it outlives every summary.
    pub(super) is_word: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TurnEntry {
    pub(super) turn: u32,
    pub(super) text: String,
    pub(super) calls: Vec<CallEntry>,
    /// The tool of a call that was cut off in the middle.
    pub(super) half_call: Option<String>,
    /// Said to the model after the results: a person's words, nudges.
    pub(super) notes: Vec<TurnNote>,
    /// Estimate for all of it.
    pub(super) tokens: u64,
}

impl TurnEntry {
    pub(super) fn call(&self, place: CallPlace) -> Option<&CallEntry> {
        self.calls.get(place.index as usize).filter(|call| call.place == place)
    }

    /// Persons' words after it.
    pub(super) fn words(&self) -> impl Iterator<Item = &TurnNote> {
        self.notes.iter().filter(|note| note.is_word)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.calls.iter().all(CallEntry::is_settled)
    }

    pub(super) fn has_open_child(&self) -> bool {
        self.calls.iter().any(|call| call.progress == CallProgress::Child)
    }

    /// The next call to run; a child runs by itself, and a report waits for the children before it.
    pub(super) fn next_call(&self) -> Option<&CallEntry> {
        let call =
            self.calls.iter().find(|call| !call.is_settled() && call.progress != CallProgress::Child)?;
        (call.claim.is_none() || !self.has_open_child()).then_some(call)
    }
}

/// A rough count of a text's tokens: four bytes each, which is high for code and right for dense scripts.
#[must_use]
pub fn estimate_tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(4)
}
