//! How calls get their one result: from a tool, a child, a person or a proof.

use super::FoldError;
use super::facts::{OpenQuestion, ProofStatus, SettledQuestion, StepChild};
use super::outcome::{ReportClaim, StepVerdict};
use super::place::CallPlace;
use super::progress::{CallTrace, digest};
use super::question::{DecisionChoice, QuestionAskedRow, QuestionDecidedRow, QuestionSubject};
use super::row::{ChildBegunRow, ChildEndedRow, MoneyCarvedRow, ProofEndedRow, ReturnedRow};
use super::state::ThinkingState;
use super::turn::{ASK, CallProgress, CallResult, DELEGATE, estimate_tokens};

impl ThinkingState {
    pub(super) fn returned(&mut self, row: ReturnedRow) -> Result<(), FoldError> {
        self.require_open("returned", row.place)?;
        if self.question.as_ref().is_some_and(|question| question.subject.place() == Some(row.place)) {
            return Err(self.refuse("returned", "a person is asked about that call"));
        }
        self.worked(row.elapsed_ms);
        let ReturnedRow { place, text, is_error, mut error_class, full_hash, full_bytes, out, .. } = row;
        if is_error && error_class.is_empty() {
            let tool = self.call(place).map_or("call", |call| call.tool.as_str());
            error_class = format!("{tool}:error");
        }
        let result = CallResult { text, is_error, out, full_bytes, row: self.rows };
        self.settle(result, place, if is_error { error_class } else { String::new() }, &full_hash);
        let turn = self.figures.turns;
        if let Some(tree) = row.tree_after {
            self.saw_tree(tree);
        }
        if let Some(tests) = row.tests {
            self.watch.saw_failing(tests.failed, turn, self.rows);
            self.tests = Some(tests);
        }
        if row.diffstat.is_some() {
            self.diffstat = row.diffstat;
        }
        if let Some(todo) = row.todo {
            self.todo = todo;
        }
        Ok(())
    }

    pub(super) fn child_begun(&mut self, row: ChildBegunRow) -> Result<(), FoldError> {
        self.require_open("child_begun", row.place)?;
        if self.children.iter().any(|child| child.child == row.child) {
            return Err(self.refuse("child_begun", "that child has begun before"));
        }
        let Some(call) = self.call_mut(row.place).filter(|call| call.tool == DELEGATE) else {
            return Err(self.refuse("child_begun", "only a `delegate` call becomes a child"));
        };
        call.progress = CallProgress::Child;
        self.last_call = Some(call.brief());
        let ChildBegunRow { place, child, task } = row;
        let cap_nano = self.carved.take_if(|carved| carved.child == child).map(|carved| carved.cap_nano);
        self.children.push(StepChild { place, child, task, verdict: None, succeeded: false, cap_nano });
        Ok(())
    }

    pub(super) fn money_carved(&mut self, row: MoneyCarvedRow) -> Result<(), FoldError> {
        self.require_open("money_carved", row.place)?;
        let is_known = |child: &str| self.children.iter().any(|known| known.child == child);
        if self.carved.is_some() || is_known(&row.child) {
            return Err(self.refuse("money_carved", "money is set aside once for a child, before it begins"));
        }
        if self.call(row.place).is_none_or(|call| call.tool != DELEGATE) {
            return Err(self.refuse("money_carved", "only a `delegate` call is given money"));
        }
        self.carved = Some(row);
        Ok(())
    }

    pub(super) fn child_ended(&mut self, row: ChildEndedRow) -> Result<(), FoldError> {
        let open = self.children.iter_mut().find(|child| child.child == row.child && child.verdict.is_none());
        let Some(child) = open else {
            return Err(self.refuse("child_ended", "no such child is under way"));
        };
        (child.verdict, child.succeeded) = (Some(row.verdict), row.succeeded);
        let place = child.place;
        self.figures.children_cost_nano = self.figures.children_cost_nano.saturating_add(row.cost_nano);
        let full_bytes = row.text.len() as u64;
        let is_error = !row.succeeded;
        let result = CallResult { text: row.text, is_error, out: row.out, full_bytes, row: self.rows };
        self.settle(result, place, String::new(), "");
        self.watch.saw_progress(self.figures.turns, self.rows);
        if let Some(tree) = row.tree_after {
            self.saw_tree(tree);
        }
        if row.diffstat.is_some() {
            self.diffstat = row.diffstat;
        }
        Ok(())
    }

    pub(super) fn question_asked(&mut self, row: QuestionAskedRow) -> Result<(), FoldError> {
        let name = "question_asked";
        if self.question.is_some() {
            return Err(self.refuse(name, "another question waits for a person"));
        }
        match row.subject {
            QuestionSubject::Asked(place) => {
                self.require_open(name, place)?;
                if self.call(place).is_none_or(|call| call.tool != ASK) {
                    return Err(self.refuse(name, "only an `ask` call asks"));
                }
            }
            QuestionSubject::Act(place) => self.require_open(name, place)?,
            QuestionSubject::Unknown(place) => {
                self.require_open(name, place)?;
                if !self.is_unknown(place) {
                    return Err(self.refuse(name, "that call is not one of unknown end"));
                }
            }
            QuestionSubject::Money if !self.is_money_out => {
                return Err(self.refuse(name, "money has not run out"));
            }
            QuestionSubject::Proof if self.proving().is_none() => {
                return Err(self.refuse(name, "nothing is being proved"));
            }
            QuestionSubject::Money | QuestionSubject::Proof => {}
        }
        let QuestionAskedRow { question, subject, text } = row;
        self.question = Some(OpenQuestion { question, subject, text, row: self.rows });
        Ok(())
    }

    /// Whether an outward call was begun and its end is unknown.
    pub(super) fn is_unknown(&self, place: CallPlace) -> bool {
        self.call(place).is_some_and(
            |call| matches!(&call.progress, CallProgress::Called { class, .. } if class.is_outward()),
        )
    }

    pub(super) fn question_decided(&mut self, row: &QuestionDecidedRow) -> Result<(), FoldError> {
        let Some(open) = self.question.take_if(|open| open.question == row.question) else {
            return Err(self.refuse("question_decided", "no such question waits for a person"));
        };
        self.watch.saw_progress(self.figures.turns, self.rows);
        self.decide(open.subject, row);
        let decision = match row.choice {
            DecisionChoice::Answer => row.words.clone(),
            choice => format!("{} {}", choice.as_str(), row.words),
        };
        self.settled.push(SettledQuestion { text: open.text, by: row.by.clone(), decision });
        Ok(())
    }

    fn decide(&mut self, subject: QuestionSubject, row: &QuestionDecidedRow) {
        use DecisionChoice::{Answer, Approve, Reject, Retry, Stop};
        let QuestionDecidedRow { by, words, choice, .. } = row;
        match (subject, choice) {
            (QuestionSubject::Money, Approve | Answer | Retry) => self.is_money_out = false,
            (QuestionSubject::Money, Reject | Stop) => self.end(StepVerdict::OverBudget),
            (QuestionSubject::Unknown(place), Stop) => self.end(StepVerdict::Unknown(place)),
            (_, Stop) => self.end(StepVerdict::Cancelled { reason: format!("{by}: {words}") }),
            (QuestionSubject::Proof, Reject) => self.proof_declined(format!("declined by {by}: {words}")),
            (QuestionSubject::Proof, _) => {}
            (QuestionSubject::Asked(place), Reject) => {
                self.settle_error(place, "declined", format!("{by} gives no answer: {words}"));
            }
            (QuestionSubject::Asked(place), _) => self.settle_plain(place, format!("{by} answers: {words}")),
            (QuestionSubject::Act(place), Reject) => {
                self.settle_error(place, "declined", format!("not run: {by} declines it: {words}"));
            }
            (QuestionSubject::Act(place), _) => self.consent(place, &row.question),
            (QuestionSubject::Unknown(place), Retry) => self.consent(place, &row.question),
            (QuestionSubject::Unknown(place), Reject) => {
                let text = format!("not carried out, by {by}, and not to be run again: {words}");
                self.settle_error(place, "declined", text);
            }
            (QuestionSubject::Unknown(place), Answer | Approve) => {
                let text = format!("its output was lost in a crash; it was carried out, says {by}: {words}");
                self.settle_plain(place, text);
            }
        }
    }

    fn consent(&mut self, place: CallPlace, question: &str) {
        if let Some(call) = self.call_mut(place) {
            (call.progress, call.begun) = (CallProgress::Open, 0);
            call.approved = Some(question.to_owned());
        }
    }

    pub(super) fn proof_ended(&mut self, row: ProofEndedRow) -> Result<(), FoldError> {
        let Some(claim) = self.proving().filter(|_| self.question.is_none()).cloned() else {
            return Err(self.refuse("proof_ended", "nothing is being proved"));
        };
        self.proofs += 1;
        if let Some(tests) = row.tests {
            self.watch.saw_failing(tests.failed, self.figures.turns, self.rows);
            self.tests = Some(tests);
        }
        let full_bytes = row.text.len() as u64;
        let text = if row.passed { row.text.clone() } else { format!("the proof failed\n{}", row.text) };
        let result = CallResult { text, is_error: !row.passed, out: row.out, full_bytes, row: self.rows };
        self.settle(result, claim.place, String::new(), "");
        if row.passed {
            self.proof = ProofStatus::Passed { text: row.text, commit: row.commit };
            self.end(StepVerdict::Reported(claim));
            return Ok(());
        }
        self.count_failed_proof(claim, row.text);
        Ok(())
    }

    /// A person's no to a finding of the proof: the claim has failed, and the model gets the reason.
    fn proof_declined(&mut self, text: String) {
        let Some(claim) = self.proving().cloned() else { return };
        self.proofs += 1;
        self.settle_error(claim.place, "declined", format!("the proof failed\n{text}"));
        self.count_failed_proof(claim, text);
    }

    fn count_failed_proof(&mut self, claim: ReportClaim, text: String) {
        self.proof = ProofStatus::Failed { text };
        if self.proofs >= self.limits().proofs {
            self.end(StepVerdict::Unproved { claim, proofs: self.proofs });
        }
    }

    /// The first end that rows decide is the one that counts.
    pub(super) fn end(&mut self, verdict: StepVerdict) {
        self.ending.get_or_insert(verdict);
    }

    pub(super) fn saw_tree(&mut self, tree: String) {
        self.watch.saw_tree(&tree, self.figures.turns, self.rows);
        self.tree = Some(tree);
    }

    pub(super) fn settle_error(&mut self, place: CallPlace, class: &str, text: String) {
        let full_bytes = text.len() as u64;
        let result = CallResult { text, is_error: true, out: None, full_bytes, row: self.rows };
        self.settle(result, place, class.to_owned(), "");
    }

    fn settle_plain(&mut self, place: CallPlace, text: String) {
        let full_bytes = text.len() as u64;
        let result = CallResult { text, is_error: false, out: None, full_bytes, row: self.rows };
        self.settle(result, place, String::new(), "");
    }

    /// Gives a call its result, and has the rules look at it.
    fn settle(&mut self, result: CallResult, place: CallPlace, error_class: String, full_hash: &str) {
        let tree = self.tree.clone().unwrap_or_default();
        let row = self.rows;
        let tokens = estimate_tokens(&result.text);
        let Some(call) = self.call_mut(place) else { return };
        let output = if full_hash.is_empty() { result.text.as_str() } else { full_hash };
        let trace = CallTrace {
            row,
            act: digest(&[&call.tool, &canonical(&call.args), &tree]),
            result: digest(&[output]),
            error_class,
            brief: call.brief(),
        };
        let novelty = digest(&[&call.tool, output]);
        call.progress = CallProgress::Settled(result);
        self.last_call = Some(trace.brief.clone());
        if let Some(turn) = self.turns.last_mut() {
            turn.tokens += tokens;
        }
        self.turn_tokens += tokens;
        self.watch.saw_call(trace, novelty, place.turn);
    }
}

/// Arguments without their spacing, so that the same call is the same however it is written.
fn canonical(args: &str) -> String {
    serde_json::from_str::<serde_json::Value>(args)
        .map_or_else(|_| args.to_owned(), |value| value.to_string())
}
