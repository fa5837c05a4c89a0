//! The end of a view: words since the last turn, the plan verbatim, and how the world stands by the rows.

use std::fmt::Write as _;

use super::{BlockBody, cap_text, note_block};
use crate::thinking::command::usd;
use crate::thinking::facts::{ProofStatus, StepChild};
use crate::thinking::state::ThinkingState;

/// Failing tests that are named; the rest are counted.
const MAX_FAILING: usize = 20;
/// Longest text of a question, decision or child in the list, in bytes.
const MAX_LINE: usize = 400;
/// Decided questions that are shown, the newest: they bind after a summary too, when their calls are gone.
const MAX_SETTLED: usize = 16;
/// Longest diffstat in bytes: some fifty files.
const MAX_DIFFSTAT: usize = 4_000;
/// Longest tail of a failed proof: its whole is the result of the report.
const MAX_PROOF: usize = 1_500;

impl ThinkingState {
    pub(super) fn tail(&self, cap: Option<usize>) -> Vec<BlockBody> {
        let words = self.pending.iter().map(|note| note_block(note, cap));
        words.chain([BlockBody::Text(self.world())]).collect()
    }

    fn world(&self) -> String {
        // Writing to a text cannot fail.
        let mut text = String::from("State now, by the daemon's log.\n");
        let plan = if self.todo.is_empty() { "(none yet; `todo` keeps one)" } else { &self.todo };
        let _ = writeln!(text, "Plan:\n{plan}");
        let changes = self.diffstat().map(|stat| cap_text(stat, Some(MAX_DIFFSTAT), None));
        let _ = writeln!(text, "Changes: {}", changes.as_deref().unwrap_or("none known"));
        self.write_tests(&mut text);
        match &self.proof {
            ProofStatus::None => {}
            ProofStatus::Failed { text: proof } => {
                let _ = writeln!(text, "Last proof: failed\n{}", cap_text(proof, Some(MAX_PROOF), None));
            }
            ProofStatus::Passed { .. } => text.push_str("Last proof: passed\n"),
        }
        self.write_questions(&mut text);
        for child in &self.children {
            let _ = writeln!(text, "Child {}: {}", child.child, child_line(child));
        }
        self.write_left(&mut text);
        text
    }

    fn write_tests(&self, text: &mut String) {
        let Some(tests) = &self.tests else { return };
        let _ = writeln!(text, "Tests: {} passed, {} failed", tests.passed, tests.failed);
        for name in tests.failing.iter().take(MAX_FAILING) {
            let _ = writeln!(text, "- fails: {}", line(name));
        }
        if let Some(more) = tests.failing.len().checked_sub(MAX_FAILING).filter(|more| *more > 0) {
            let _ = writeln!(text, "- and {more} more");
        }
    }

    fn write_questions(&self, text: &mut String) {
        let from = self.settled.len().saturating_sub(MAX_SETTLED);
        for question in self.settled.iter().skip(from) {
            let (asked, decision) = (line(&question.text), line(&question.decision));
            let _ = writeln!(text, "Question: {asked}\nDecided by {}: {decision}", question.by);
        }
        if let Some(open) = &self.question {
            let _ = writeln!(text, "Open question: {}", line(&open.text));
        }
    }

    fn write_left(&self, text: &mut String) {
        let (limits, figures) = (self.limits(), &self.figures);
        let (worked, allowed) = (figures.worked_ms / 60_000, limits.worked_ms / 60_000);
        let turn = figures.turns + 1;
        let _ = write!(text, "Turn {turn} of {}; {worked} of {allowed} minutes used", limits.turns);
        if let Some(left) = figures.money_left_nano {
            let _ = write!(text, "; money left: {}", usd(left));
        }
        text.push('.');
        if turn >= limits.turns {
            text.push_str(" This is the last turn: `report` how far it is.");
        }
    }
}

fn line(text: &str) -> String {
    cap_text(text, Some(MAX_LINE), None)
}

fn child_line(child: &StepChild) -> String {
    let state = child.verdict.as_deref().unwrap_or("under way");
    let money = child.cap_nano.map_or_else(String::new, |cap| format!("; up to {}", usd(cap)));
    format!("{state}{money}; task: {}", line(&child.task))
}
