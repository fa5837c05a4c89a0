//! The end of a step for its parent and for displays: outcome, evidence, unfinished items.

use std::fmt::Write as _;

use super::command::usd;
use super::facts::{ProofStatus, StepChild, StepFigures};
use super::outcome::{ClaimOutcome, StepVerdict};
use super::row::TestTally;
use super::state::ThinkingState;
use super::turn::CallEntry;

/// The account of a step that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepAccount {
    pub verdict: StepVerdict,
    pub proof: ProofStatus,
    pub diffstat: Option<String>,
    pub tests: Option<TestTally>,
    /// Items of the plan that are not ticked.
    pub unfinished: Vec<String>,
    /// Outward calls that were begun and whose end is unknown.
    pub unknown_calls: Vec<String>,
    /// Children under way at the end, to be cancelled.
    pub open_children: Vec<String>,
    /// The newest snapshot: the work is kept after every outcome.
    pub tree: Option<String>,
    pub figures: StepFigures,
}

impl StepAccount {
    /// Whether the report says `done` and, where a proof was due, the proof has passed.
    #[must_use]
    pub fn is_done(&self, needs_proof: bool) -> bool {
        let StepVerdict::Reported(claim) = &self.verdict else { return false };
        claim.outcome == ClaimOutcome::Done
            && (!needs_proof || matches!(self.proof, ProofStatus::Passed { .. }))
    }

    /// The account in words, for a parent's model.
    #[must_use]
    pub fn text(&self) -> String {
        // Writing to a text cannot fail.
        let mut text = format!("Outcome: {}\n", self.verdict);
        if let Some(claim) = self.verdict.claim() {
            let _ = writeln!(text, "It says: {}", claim.summary);
        }
        match &self.proof {
            ProofStatus::None => text.push_str("Proof: none was run\n"),
            ProofStatus::Failed { text: proof } => _ = writeln!(text, "Proof: failed\n{proof}"),
            ProofStatus::Passed { .. } => text.push_str("Proof: passed\n"),
        }
        let _ = writeln!(text, "Changes: {}", self.diffstat.as_deref().unwrap_or("none known"));
        if let Some(tests) = &self.tests {
            let _ = writeln!(text, "Tests: {} passed, {} failed", tests.passed, tests.failed);
        }
        let lists = [
            ("Fails", self.tests.as_ref().map_or(&[][..], |tests| &tests.failing)),
            ("Left undone", &self.unfinished),
            ("Not known whether it was carried out", &self.unknown_calls),
            ("Child still under way at its end", &self.open_children),
        ];
        for (name, items) in lists {
            for item in items {
                let _ = writeln!(text, "{name}: {item}");
            }
        }
        let figures = &self.figures;
        let cost = usd(figures.cost_nano.saturating_add(figures.children_cost_nano));
        let _ = write!(text, "{} turns, {} calls, {cost}", figures.turns, figures.calls);
        text
    }
}

impl ThinkingState {
    fn unknown_calls(&self) -> Vec<String> {
        let calls = self.turns.last().map_or(&[][..], |turn| &turn.calls);
        calls.iter().filter(|call| self.is_unknown(call.place)).map(CallEntry::brief).collect()
    }

    /// Children that have not ended.
    pub fn open_children(&self) -> impl Iterator<Item = &StepChild> {
        self.children.iter().filter(|child| child.verdict.is_none())
    }

    /// The account, once it has ended.
    #[must_use]
    pub fn account(&self) -> Option<StepAccount> {
        Some(StepAccount {
            verdict: self.verdict()?.clone(),
            proof: self.proof.clone(),
            diffstat: self.diffstat.clone(),
            tests: self.tests.clone(),
            unfinished: self.unfinished(),
            unknown_calls: self.unknown_calls(),
            open_children: self.open_children().map(|child| child.child.clone()).collect(),
            tree: self.tree.clone(),
            figures: self.figures,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::*;

    #[test]
    fn an_account_names_the_end_the_evidence_and_what_is_left() {
        let mut bench = ThinkingBench::new(begun());
        bench.turn(vec![call("todo", "{}"), call("delegate", "{}"), call("mcp", r#"{"send":1}"#)]);
        let place = bench.order().place;
        let tests = TestTally { passed: 3, failed: 1, failing: vec!["sum".into()] };
        bench.returned(ReturnedRow {
            todo: Some("- [x] a\n- [ ] b".into()),
            diffstat: Some("1 file".into()),
            tests: Some(tests),
            ..ReturnedRow::plain(place, "kept")
        });
        let row = ChildBegunRow { place: bench.order().place, child: "job.1".into(), task: "t".into() };
        bench.push(StepRow::ChildBegun(row));
        bench.called(CallClass::Outward);
        assert_eq!(bench.state.account(), None, "there is none before the end");
        bench.push(StepRow::CancelAsked(CancelAskedRow { by: "Ada".into(), reason: "enough".into() }));
        let ThinkingCommand::End(verdict) = bench.next() else { panic!() };
        bench.push(StepRow::Ended(Box::new(verdict)));
        let account = bench.state.account().unwrap();
        assert_eq!(account.open_children, ["job.1"]);
        let text = account.text();
        for part in [
            "Outcome: cancelled by Ada: enough",
            "Proof: none was run",
            "Changes: 1 file",
            "Fails: sum",
            "Left undone: b",
            "Not known whether it was carried out: mcp {\"send\":1}",
            "Child still under way at its end: job.1",
            "1 turns, 3 calls, 0.000001 USD",
        ] {
            assert!(text.contains(part), "{part} is in {text}");
        }
    }
}
