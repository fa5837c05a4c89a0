//! A step, folded from its rows.
//!
//! Nothing here is set by hand. A state is cheap to keep for each running step: turns that are summarised are dropped
//! here, never in the log.

use super::facts::{
    OpenQuestion, ProofStatus, SettledQuestion, StepChild, StepFigures, ThinkingPhase, WaitCause,
};
use super::limits::ThinkingLimits;
use super::outcome::{ReportClaim, StepVerdict};
use super::place::CallPlace;
use super::progress::ProgressWatch;
use super::row::{BegunRow, MoneyCarvedRow, StepRow, TakenUpRow, TestTally};
use super::turn::{CallEntry, CallProgress, DELEGATE, TurnEntry, TurnNote, estimate_tokens};
use super::{FoldError, todo};

/// Turns after a summary that freed little before another one is made.
const TURNS_AFTER_POOR_RESET: u32 = 6;
/// Turns that are never summarised and never left out of a view.
pub const KEPT_TURNS: usize = 2;

/// The summary of older turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StepSummary {
    pub(super) until: u32,
    pub(super) text: String,
    /// Whether it freed too little to be worth another one soon.
    pub(super) is_poor: bool,
    /// The turn after which it was made.
    pub(super) made_after: u32,
}

/// A step, folded from its rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ThinkingState {
    pub(super) rows: u64,
    pub(super) begun: Option<Box<BegunRow>>,
    /// Said before the first turn.
    pub(super) opening: Vec<TurnNote>,
    /// Persons' words from turns that are summarised.
    pub(super) words: Vec<TurnNote>,
    pub(super) turns: Vec<TurnEntry>,
    /// Tokens of system text, tools, card and advice, and those of `turns`, by estimate.
    pub(super) head_tokens: u64,
    pub(super) turn_tokens: u64,
    pub(super) is_asking: bool,
    /// Asks of the turn to come.
    pub(super) attempts: u32,
    /// To be said at the next turn's start.
    pub(super) pending: Vec<TurnNote>,
    pub(super) summary: Option<StepSummary>,
    /// Tokens of the newest request as its vendor counted them; none since the last summary.
    pub(super) last_input: u64,
    pub(super) is_breached: bool,
    pub(super) is_money_out: bool,
    pub(super) question: Option<OpenQuestion>,
    pub(super) settled: Vec<SettledQuestion>,
    pub(super) children: Vec<StepChild>,
    /// Set aside for a child that has not begun yet.
    pub(super) carved: Option<MoneyCarvedRow>,
    /// The work of an earlier step that it goes on with.
    pub(super) earlier: Option<TakenUpRow>,
    pub(super) todo: String,
    pub(super) tree: Option<String>,
    pub(super) diffstat: Option<String>,
    pub(super) tests: Option<TestTally>,
    pub(super) proofs: u32,
    pub(super) proof: ProofStatus,
    pub(super) last_call: Option<String>,
    pub(super) figures: StepFigures,
    pub(super) watch: ProgressWatch,
    /// The end that rows have decided and that is not written yet.
    pub(super) ending: Option<StepVerdict>,
    pub(super) ended: Option<StepVerdict>,
}

impl ThinkingState {
    /// Folds a log from its first row.
    ///
    /// # Errors
    /// [`FoldError`] for the first row that cannot follow those before it.
    pub fn fold(rows: impl IntoIterator<Item = StepRow>) -> Result<Self, FoldError> {
        let mut state = Self::default();
        for row in rows {
            state.apply(row)?;
        }
        Ok(state)
    }

    /// The number of rows so far, which is the number of the next one.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    #[must_use]
    pub fn begun(&self) -> Option<&BegunRow> {
        self.begun.as_deref()
    }

    /// The limits it began with.
    #[must_use]
    pub fn limits(&self) -> ThinkingLimits {
        self.begun.as_ref().map(|begun| begun.limits).unwrap_or_default()
    }

    #[must_use]
    pub fn phase(&self) -> ThinkingPhase {
        if self.ended.is_some() {
            return ThinkingPhase::Ended;
        }
        if self.begun.is_none() {
            return ThinkingPhase::Fresh;
        }
        if let Some(question) = &self.question {
            return ThinkingPhase::Waiting(question.subject.cause());
        }
        if self.is_money_out {
            return ThinkingPhase::Waiting(WaitCause::Money);
        }
        if self.is_asking {
            return ThinkingPhase::Asking { turn: self.figures.turns + 1, attempt: self.attempts };
        }
        if self.proving().is_some() {
            return ThinkingPhase::Proving;
        }
        let turn = self.figures.turns;
        match self.turns.last() {
            Some(last) if last.has_open_child() && last.next_call().is_none() => {
                ThinkingPhase::Waiting(WaitCause::Children)
            }
            Some(last) => {
                let left = last.calls.iter().filter(|call| !call.is_settled()).count();
                ThinkingPhase::Acting { turn, left: u32::try_from(left).unwrap_or(u32::MAX) }
            }
            None => ThinkingPhase::Acting { turn, left: 0 },
        }
    }

    /// The report that is to be proved now.
    #[must_use]
    pub fn proving(&self) -> Option<&ReportClaim> {
        let call = self.turns.last()?.next_call()?;
        let claim = call.claim.as_ref()?;
        let is_due = self.begun()?.prove.is_some() && claim.outcome == super::outcome::ClaimOutcome::Done;
        is_due.then_some(claim)
    }

    pub(super) fn call(&self, place: CallPlace) -> Option<&CallEntry> {
        self.turns.iter().rev().find(|turn| turn.turn == place.turn)?.call(place)
    }

    /// Tool and arguments of a call, as the model wrote them.
    #[must_use]
    pub fn written_call(&self, place: CallPlace) -> Option<(&str, &str)> {
        self.call(place).map(|call| (call.tool.as_str(), call.args.as_str()))
    }

    #[must_use]
    pub const fn figures(&self) -> &StepFigures {
        &self.figures
    }

    #[must_use]
    pub fn todo(&self) -> &str {
        &self.todo
    }

    /// The items of the plan that are not ticked.
    #[must_use]
    pub fn unfinished(&self) -> Vec<String> {
        todo::unfinished(&self.todo)
    }

    #[must_use]
    pub const fn question(&self) -> Option<&OpenQuestion> {
        self.question.as_ref()
    }

    #[must_use]
    pub fn children(&self) -> &[StepChild] {
        &self.children
    }

    /// The earlier work that it goes on with.
    #[must_use]
    pub const fn earlier(&self) -> Option<&TakenUpRow> {
        self.earlier.as_ref()
    }

    /// The child for which money was set aside and that has not begun.
    #[must_use]
    pub fn carved_for(&self) -> Option<&str> {
        self.carved.as_ref().map(|carved| carved.child.as_str())
    }

    /// `delegate` calls of the last answer that are neither children nor settled.
    #[must_use]
    pub fn undecided_children(&self) -> usize {
        let calls = self.turns.last().map_or(&[][..], |turn| &turn.calls);
        let is_open = |call: &&CallEntry| {
            call.tool == DELEGATE && !call.is_settled() && call.progress != CallProgress::Child
        };
        calls.iter().filter(is_open).count()
    }

    /// The call that was run or begun last, in a line.
    #[must_use]
    pub fn last_call(&self) -> Option<&str> {
        self.last_call.as_deref()
    }

    #[must_use]
    pub fn diffstat(&self) -> Option<&str> {
        self.diffstat.as_deref()
    }

    /// The newest snapshot of the working tree.
    #[must_use]
    pub fn tree(&self) -> Option<&str> {
        self.tree.as_deref()
    }

    #[must_use]
    pub const fn tests(&self) -> Option<&TestTally> {
        self.tests.as_ref()
    }

    #[must_use]
    pub const fn proof(&self) -> &ProofStatus {
        &self.proof
    }

    #[must_use]
    pub const fn verdict(&self) -> Option<&StepVerdict> {
        self.ended.as_ref()
    }

    /// Tokens of a full view: by estimate, or as the vendor counted the newest request, if that is more. A summary is
    /// decided by it.
    #[must_use]
    pub fn live_tokens(&self) -> u64 {
        self.estimated_tokens().max(self.last_input)
    }

    /// Tokens of a full view, by estimate.
    pub(super) fn estimated_tokens(&self) -> u64 {
        let notes: u64 = self.pending.iter().chain(&self.words).map(|note| estimate_tokens(&note.text)).sum();
        let summary = self.summary.as_ref().map_or(0, |summary| estimate_tokens(&summary.text));
        self.head_tokens + self.turn_tokens + summary + notes + estimate_tokens(&self.todo)
    }

    /// The turn until which older turns can be summarised now; none where that would be useless.
    #[must_use]
    pub fn summary_until(&self) -> Option<u32> {
        let until =
            self.turns.len().checked_sub(KEPT_TURNS + 1).and_then(|place| self.turns.get(place))?.turn;
        let is_too_soon = self.summary.as_ref().is_some_and(|summary| {
            summary.is_poor && self.figures.turns < summary.made_after + TURNS_AFTER_POOR_RESET
        });
        (!is_too_soon).then_some(until)
    }
}
