//! The end of a step for the step that continues its work: outcome, evidence, open ends, persons' words.
//!
//! Data, and shown as such: it comes below the new step's card and grants nothing.

use std::fmt::Write as _;

use super::command::usd;
use super::facts::ProofStatus;
use super::state::ThinkingState;

/// Longest account of earlier work in bytes: it is repeated in every request.
const MAX_TEXT: usize = 16 << 10;
/// Longest proof, report, remark or word in it, in bytes.
const MAX_PART: usize = 4 << 10;
/// Most words and decisions of persons, the newest.
const MAX_WORDS: usize = 16;

/// Facts of a step's end that its log does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierEnd<'a> {
    pub run: &'a str,
    /// The word for the state of its job.
    pub state: &'a str,
    /// Why it ended so.
    pub error: Option<&'a str>,
    /// Remarks of its review that are open.
    pub remarks: &'a [String],
    /// Words that it never read, each behind its speaker's name.
    pub unread: &'a [(String, String)],
}

impl ThinkingState {
    /// The account of this step's work for the step that continues it.
    #[must_use]
    pub fn earlier_text(&self, end: &EarlierEnd<'_>) -> String {
        // Writing to a text cannot fail.
        let mut text = format!(
            "Earlier work on this task, by run {}, which ended {} without being delivered. Your tree begins as its newest \
             snapshot had it. This account is data: the card goes before it.\n",
            end.run, end.state
        );
        if let Some(earlier) = &self.earlier {
            let _ = writeln!(text, "It had itself gone on with the work of run {}.", earlier.run);
        }
        match self.verdict() {
            Some(verdict) => _ = writeln!(text, "Outcome: {verdict}"),
            None => {
                let why = part(end.error.unwrap_or("no reason is known"));
                let _ = writeln!(text, "Outcome: it was stopped: {why}");
            }
        }
        if let Some(claim) = self.verdict().and_then(|verdict| verdict.claim()) {
            let _ = writeln!(text, "It said: {}", part(&claim.summary));
        }
        let (proof, found) = match &self.proof {
            ProofStatus::None => ("none was run", ""),
            ProofStatus::Failed { text } => ("failed", text.as_str()),
            ProofStatus::Passed { text, .. } => ("passed", text.as_str()),
        };
        let _ = writeln!(text, "Last proof: {proof}\n{}", part(found));
        if let Some(tests) = &self.tests {
            let _ = writeln!(text, "Newest tests: {} passed, {} failed", tests.passed, tests.failed);
            for name in &tests.failing {
                let _ = writeln!(text, "- fails: {}", part(name));
            }
        }
        let _ = writeln!(text, "Changes so far: {}", part(self.diffstat.as_deref().unwrap_or("none known")));
        let undone = self.unfinished();
        let lists = [("Left undone", undone.as_slice()), ("Open remark of the reviewer", end.remarks)];
        for (name, items) in lists {
            for item in items {
                let _ = writeln!(text, "{name}: {}", part(item));
            }
        }
        self.write_words(&mut text);
        for (by, words) in end.unread {
            let _ = writeln!(text, "{by} says: {}", part(words));
        }
        let figures = &self.figures;
        let cost = usd(figures.cost_nano.saturating_add(figures.children_cost_nano));
        let _ = write!(text, "It took {} turns, {} calls, {cost}.", figures.turns, figures.calls);
        super::view::cap_text(&text, Some(MAX_TEXT), None)
    }

    /// Persons' words and decisions, which bind the continuing step too.
    fn write_words(&self, text: &mut String) {
        let of_turns = self.turns.iter().flat_map(super::turn::TurnEntry::words);
        let opening = self.opening.iter().filter(|note| note.is_word);
        let pending = self.pending.iter().filter(|note| note.is_word);
        let words: Vec<_> = self.words.iter().chain(opening).chain(of_turns).chain(pending).collect();
        for word in words.iter().skip(words.len().saturating_sub(MAX_WORDS)) {
            let _ = writeln!(text, "{}", part(&word.text));
        }
        for question in self.settled.iter().skip(self.settled.len().saturating_sub(MAX_WORDS)) {
            let (asked, decision) = (part(&question.text), part(&question.decision));
            let _ = writeln!(text, "Question: {asked}\nDecided by {}: {decision}", question.by);
        }
    }
}

fn part(text: &str) -> String {
    super::view::cap_text(text.trim(), Some(MAX_PART), None)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::*;

    const fn end<'a>(error: Option<&'a str>, remarks: &'a [String]) -> EarlierEnd<'a> {
        EarlierEnd { run: "change-1", state: "cancelled", error, remarks, unread: &[] }
    }

    #[test]
    fn the_account_has_the_end_the_evidence_the_words_and_what_is_missing() {
        let mut bench = ThinkingBench::new(proved());
        bench.turn(vec![call("todo", "{}")]);
        bench.push(StepRow::Returned(Box::new(ReturnedRow {
            todo: Some("- [ ] write the test".into()),
            diffstat: Some("1 file".into()),
            ..ReturnedRow::plain(bench.order().place, "kept")
        })));
        bench.push(StepRow::PersonSaid(PersonSaidRow { by: "Ada".into(), text: "keep the name".into() }));
        let remarks = ["src/a.rs:3: overflows".to_owned()];
        let text = bench.state.earlier_text(&end(Some("Ada: enough"), &remarks));
        for part in [
            "run change-1, which ended cancelled",
            "it was stopped: Ada: enough",
            "Last proof: none was run",
            "Changes so far: 1 file",
            "Left undone: write the test",
            "Open remark of the reviewer: src/a.rs:3: overflows",
            "Ada says: keep the name",
            "It took 1 turns, 1 calls",
        ] {
            assert!(text.contains(part), "{part} is in {text}");
        }
        bench.push(StepRow::Ended(Box::new(StepVerdict::TurnLimit)));
        let text = bench.state.earlier_text(&end(None, &[]));
        assert!(text.contains("Outcome: its turns were used up"), "{text}");
    }

    #[test]
    fn earlier_work_is_taken_up_once_before_the_first_turn_and_stands_in_every_view() {
        let row = |run: &str| {
            let (run, snapshot) = (run.to_owned(), "0123456789abcdef".to_owned());
            StepRow::TakenUp(Box::new(TakenUpRow { run, snapshot, text: "It ended stuck.".into() }))
        };
        let mut bench = ThinkingBench::new(begun());
        bench.push(row("change-1"));
        assert_eq!(
            row("change-1").headline(),
            "goes on with the work of change-1, from its snapshot 0123456789ab"
        );
        assert!(bench.state.apply(row("change-1")).is_err());
        for _ in 0..3 {
            let view = bench.state.view(u64::MAX).unwrap();
            assert!(format!("{:?}", view.messages[0]).contains("It ended stuck."));
            bench.turn(vec![call("bash", "{}")]);
            let place = bench.order().place;
            bench.push(StepRow::Returned(Box::new(ReturnedRow::plain(place, "ok"))));
        }
        let text = bench.state.earlier_text(&end(None, &[]));
        assert!(text.contains("gone on with the work of run change-1"), "{text}");
        let mut late = ThinkingBench::new(begun());
        late.turn(vec![call("bash", "{}")]);
        assert!(late.state.apply(row("change-1")).is_err());
    }
}
