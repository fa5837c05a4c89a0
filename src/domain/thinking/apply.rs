//! The effect of each row on a step.
//!
//! Total: a row that cannot follow those before it is an error that names it, and leaves the state as it was. So a
//! damaged log is found where it is damaged, and nothing panics on it.

use super::FoldError;
use super::outcome::{ReportClaim, StepVerdict};
use super::place::CallPlace;
use super::row::{
    AnswerFinish, AnsweredRow, AskedRow, BegunRow, CalledRow, MoneyOutRow, NudgedRow, PersonSaidRow, StepRow,
    SummarisedRow, TakenUpRow, WrittenCall,
};
use super::state::{StepSummary, ThinkingState};
use super::turn::{CallEntry, CallProgress, DELEGATE, REPORT, TurnEntry, TurnNote, estimate_tokens};

/// A summary that frees less than this share of the view is a poor one.
const POOR_RESET_PERCENT: u64 = 30;

impl ThinkingState {
    /// Takes the next row.
    ///
    /// # Errors
    /// [`FoldError`]; the state is as it was.
    pub fn apply(&mut self, row: StepRow) -> Result<(), FoldError> {
        let name = row.name();
        if self.ended.is_some() {
            return Err(self.refuse(name, "the step has ended"));
        }
        match (&row, self.begun.is_some()) {
            (StepRow::Begun(_), true) => return Err(self.refuse(name, "the step has begun before")),
            (StepRow::Begun(_), false) | (_, true) => {}
            (_, false) => return Err(self.refuse(name, "the first row must be `begun`")),
        }
        match row {
            StepRow::Begun(row) => self.begin(row),
            StepRow::Asked(row) => self.asked(&row)?,
            StepRow::AskFailed(row) => {
                self.require_ask(name, row.turn)?;
                self.is_asking = false;
                self.figures.lost_asks += 1;
                self.worked(row.elapsed_ms);
            }
            StepRow::Answered(row) => self.answered(*row)?,
            StepRow::Called(row) => self.called(row)?,
            StepRow::Returned(row) => self.returned(*row)?,
            StepRow::ChildBegun(row) => self.child_begun(row)?,
            StepRow::ChildEnded(row) => self.child_ended(*row)?,
            StepRow::QuestionAsked(row) => self.question_asked(row)?,
            StepRow::QuestionDecided(row) => self.question_decided(&row)?,
            StepRow::PersonSaid(row) => self.person_said(&row),
            StepRow::MoneyOut(row) => self.money_out(&row)?,
            StepRow::Nudged(row) => self.nudged(row),
            StepRow::ContextBreached(_) => self.is_breached = true,
            StepRow::Summarised(row) => self.summarised(row)?,
            StepRow::ProofEnded(row) => self.proof_ended(*row)?,
            StepRow::CancelAsked(row) => {
                let reason = format!("{}: {}", row.by, row.reason);
                self.end(StepVerdict::Cancelled { reason });
            }
            StepRow::Ended(verdict) => self.ended = Some(*verdict),
            StepRow::TakenUp(row) => self.taken_up(*row)?,
            StepRow::MoneyCarved(row) => self.money_carved(row)?,
        }
        self.rows += 1;
        Ok(())
    }

    fn begin(&mut self, row: Box<BegunRow>) {
        let texts = [&row.system, &row.tools_json, &row.card, &row.advice];
        self.head_tokens = texts.into_iter().map(|text| estimate_tokens(text)).sum();
        self.todo.clone_from(&row.todo);
        self.figures.money_left_nano = row.money_left_nano;
        self.begun = Some(row);
        if let Some(tree) = self.begun.as_ref().and_then(|begun| begun.tree.clone()) {
            self.saw_tree(tree);
        }
    }

    fn taken_up(&mut self, row: TakenUpRow) -> Result<(), FoldError> {
        if self.earlier.is_some() || self.attempts > 0 || self.figures.turns > 0 {
            return Err(self.refuse("taken_up", "work is taken up once, before the first turn"));
        }
        self.head_tokens += estimate_tokens(&row.text);
        self.earlier = Some(row);
        Ok(())
    }

    fn asked(&mut self, row: &AskedRow) -> Result<(), FoldError> {
        let next = (self.figures.turns + 1, self.attempts + 1);
        if (row.turn, row.attempt) != next {
            return Err(self.refuse("asked", "another turn or attempt is due"));
        }
        if self.question.is_some() || self.is_money_out || !self.is_between_turns() {
            return Err(self.refuse("asked", "the turn before it is not complete"));
        }
        if self.is_asking {
            self.figures.lost_asks += 1;
        }
        (self.is_asking, self.attempts) = (true, row.attempt);
        // From here on the words are part of what the model has read.
        let notes = std::mem::take(&mut self.pending);
        let tokens: u64 = notes.iter().map(|note| estimate_tokens(&note.text)).sum();
        match self.turns.last_mut() {
            Some(last) => {
                last.tokens += tokens;
                self.turn_tokens += tokens;
                last.notes.extend(notes);
            }
            None => {
                self.head_tokens += tokens;
                self.opening.extend(notes);
            }
        }
        Ok(())
    }

    fn answered(&mut self, row: AnsweredRow) -> Result<(), FoldError> {
        self.require_ask("answered", row.turn)?;
        let AnsweredRow { turn, text, mut calls, finish, .. } = row;
        (self.is_asking, self.attempts) = (false, 0);
        let figures = &mut self.figures;
        figures.turns = turn;
        figures.tokens_in = figures.tokens_in.saturating_add(row.tokens_in);
        figures.tokens_out = figures.tokens_out.saturating_add(row.tokens_out);
        figures.cost_nano = figures.cost_nano.saturating_add(row.cost_nano);
        if row.money_left_nano.is_some() {
            figures.money_left_nano = row.money_left_nano;
        }
        self.last_input = row.tokens_in;
        self.worked(row.elapsed_ms);
        let is_cut = finish == AnswerFinish::Length;
        let half_call = calls.pop_if(|call| is_cut && !is_object(&call.args)).map(|call| call.tool);
        self.watch.saw_answer(self.rows, is_cut, !calls.is_empty(), !text.trim().is_empty());
        if finish == AnswerFinish::Refused {
            self.end(StepVerdict::Refused { text: text.clone() });
        }
        let tokens = estimate_tokens(&text)
            + calls.iter().map(|call| estimate_tokens(&call.tool) + estimate_tokens(&call.args)).sum::<u64>();
        self.turn_tokens += tokens;
        let calls: Vec<CallEntry> = (0..).zip(calls).map(|(index, call)| entry(turn, index, call)).collect();
        self.figures.calls =
            self.figures.calls.saturating_add(u32::try_from(calls.len()).unwrap_or(u32::MAX));
        self.turns.push(TurnEntry { turn, text, calls, half_call, notes: vec![], tokens });
        self.settle_at_once();
        Ok(())
    }

    /// Settles calls that are not to be run with an error each: no call is dropped silently.
    fn settle_at_once(&mut self) {
        let limits = self.limits();
        let depth = self.begun().map_or(0, |begun| begun.depth);
        let mut children = u32::try_from(self.children.len()).unwrap_or(u32::MAX);
        let mut is_reported = false;
        let mut refused: Vec<(CallPlace, &'static str, String)> = Vec::new();
        for call in self.turns.last_mut().into_iter().flat_map(|last| &mut last.calls) {
            let place = call.place;
            if place.index >= limits.calls_an_answer {
                let text = format!(
                    "not run: an answer may have {} calls, and this is number {}; send it again in the next turn",
                    limits.calls_an_answer,
                    place.index + 1
                );
                refused.push((place, "calls_limit", text));
            } else if is_reported {
                let text = "not run: `report` ends the step, so make it the last call".to_owned();
                refused.push((place, "after_report", text));
            } else if call.tool == REPORT {
                match ReportClaim::read(place, &call.args) {
                    Ok(claim) => (call.claim, is_reported) = (Some(claim), true),
                    Err(text) => refused.push((place, "bad_report", text)),
                }
            } else if call.tool == DELEGATE {
                if depth >= limits.depth {
                    let text = format!("not done: {depth} steps are above this one already; do it yourself");
                    refused.push((place, "depth_limit", text));
                } else if children >= limits.children {
                    let text = format!(
                        "not done: a step may have {} children; do the rest yourself",
                        limits.children
                    );
                    refused.push((place, "children_limit", text));
                } else {
                    children += 1;
                }
            }
        }
        for (place, class, text) in refused {
            self.settle_error(place, class, text);
        }
    }

    fn called(&mut self, row: CalledRow) -> Result<(), FoldError> {
        self.require_open("called", row.place)?;
        let limit = self.limits().call_attempts;
        let Some(call) = self.call_mut(row.place) else {
            return Err(self.refuse("called", "there is no such call"));
        };
        let is_unknown = matches!(&call.progress, CallProgress::Called { class, .. } if class.is_outward());
        if is_unknown || call.begun >= limit {
            return Err(self.refuse("called", "the call must not be run again"));
        }
        call.begun += 1;
        call.progress = CallProgress::Called { class: row.class, tree_before: row.tree_before };
        let brief = call.brief();
        self.last_call = Some(brief);
        Ok(())
    }

    fn person_said(&mut self, row: &PersonSaidRow) {
        self.pending.push(TurnNote { text: format!("{} says: {}", row.by, row.text), is_word: true });
        self.watch.saw_progress(self.figures.turns, self.rows);
    }

    fn money_out(&mut self, row: &MoneyOutRow) -> Result<(), FoldError> {
        if self.question.is_some() || !self.is_between_turns() {
            return Err(self.refuse("money_out", "nothing was to be paid for"));
        }
        if std::mem::take(&mut self.is_asking) {
            self.figures.lost_asks += 1;
        }
        self.is_money_out = true;
        self.figures.money_left_nano = Some(row.left_nano);
        Ok(())
    }

    fn nudged(&mut self, row: NudgedRow) {
        self.watch.saw_nudge(row.rule, self.figures.turns, self.rows);
        self.pending.push(TurnNote { text: row.text, is_word: false });
    }

    fn summarised(&mut self, row: SummarisedRow) -> Result<(), FoldError> {
        let latest = self.turns.len().checked_sub(super::state::KEPT_TURNS + 1);
        let until = self.turns.iter().position(|turn| turn.turn == row.until);
        let Some(until) = until.filter(|until| latest.is_some_and(|latest| *until <= latest)) else {
            return Err(
                self.refuse("summarised", "it must stand for whole turns, and never for the last two")
            );
        };
        let before = self.estimated_tokens();
        for turn in self.turns.drain(..=until) {
            self.turn_tokens = self.turn_tokens.saturating_sub(turn.tokens);
            self.words.extend(turn.notes.into_iter().filter(|note| note.is_word));
        }
        self.figures.summaries += 1;
        self.figures.cost_nano = self.figures.cost_nano.saturating_add(row.cost_nano);
        self.worked(row.elapsed_ms);
        (self.is_breached, self.last_input) = (false, 0);
        self.watch.saw_reset();
        let made_after = self.figures.turns;
        self.summary = Some(StepSummary { until: row.until, text: row.text, is_poor: false, made_after });
        let freed = before.saturating_sub(self.estimated_tokens());
        if let Some(summary) = &mut self.summary {
            summary.is_poor = freed.saturating_mul(100) < before.saturating_mul(POOR_RESET_PERCENT);
        }
        Ok(())
    }

    pub(super) fn worked(&mut self, elapsed_ms: u64) {
        self.figures.worked_ms = self.figures.worked_ms.saturating_add(elapsed_ms);
    }

    pub(super) fn call_mut(&mut self, place: CallPlace) -> Option<&mut CallEntry> {
        let turn = self.turns.last_mut().filter(|turn| turn.turn == place.turn)?;
        turn.calls.get_mut(place.index as usize)
    }

    /// Whether the last answer's calls all have their results.
    pub(super) fn is_between_turns(&self) -> bool {
        self.turns.last().is_none_or(TurnEntry::is_complete)
    }

    fn require_ask(&self, name: &'static str, turn: u32) -> Result<(), FoldError> {
        if self.is_asking && turn == self.figures.turns + 1 {
            return Ok(());
        }
        Err(self.refuse(name, "the model was not asked for this turn"))
    }

    /// A call of the last answer that has neither a result nor a child.
    pub(super) fn require_open(&self, name: &'static str, place: CallPlace) -> Result<(), FoldError> {
        let call = self.turns.last().and_then(|turn| turn.call(place));
        match call.map(|call| &call.progress) {
            None => Err(self.refuse(name, "the last answer has no such call")),
            Some(CallProgress::Settled(_)) => Err(self.refuse(name, "the call has its result")),
            Some(CallProgress::Child) => Err(self.refuse(name, "a child answers that call")),
            Some(CallProgress::Open | CallProgress::Called { .. }) => Ok(()),
        }
    }

    pub(super) fn refuse(&self, name: &'static str, why: &'static str) -> FoldError {
        FoldError { row: self.rows, name, phase: self.phase().as_str(), why }
    }
}

fn entry(turn: u32, index: u32, call: WrittenCall) -> CallEntry {
    CallEntry {
        place: CallPlace { turn, index },
        tool: call.tool,
        args: call.args,
        progress: CallProgress::Open,
        begun: 0,
        approved: None,
        claim: None,
    }
}

fn is_object(args: &str) -> bool {
    args.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(args).is_ok()
}
