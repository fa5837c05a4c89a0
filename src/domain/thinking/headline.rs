//! A row in one line, for `pas job --log`, the HMI and the TUI.
//!
//! Models, tools and repositories write into these texts, so characters that move a cursor or turn a line round are
//! shown as their escapes.

use super::command::usd;
use super::row::StepRow;
use crate::shown_text::is_unseen;

/// Longest text of a line, in characters.
const MAX_TEXT: usize = 160;

impl StepRow {
    /// The row in a line.
    #[must_use]
    pub fn headline(&self) -> String {
        let text = match self {
            Self::Begun(row) => format!("begun: {}", short(&row.card)),
            Self::Asked(row) if row.attempt > 1 => {
                format!("turn {}: asked again, attempt {}", row.turn, row.attempt)
            }
            Self::Asked(row) => format!("turn {}: asked", row.turn),
            Self::AskFailed(row) => format!("turn {}: no answer: {}", row.turn, short(&row.error)),
            Self::Answered(row) => {
                let calls: Vec<&str> = row.calls.iter().map(|call| call.tool.as_str()).collect();
                let calls = if calls.is_empty() { "no call".to_owned() } else { short(&calls.join(", ")) };
                let (tokens_in, tokens_out, cost) = (row.tokens_in, row.tokens_out, usd(row.cost_nano));
                let text = short(&row.text);
                format!("turn {}: {calls}; {tokens_in} in, {tokens_out} out, {cost}; {text}", row.turn)
            }
            Self::Called(row) => format!("call {}: begun ({})", row.place, row.class.as_str()),
            Self::Returned(row) => {
                let end = if row.is_error { "error" } else { "done" };
                format!("call {}: {end} in {} ms: {}", row.place, row.elapsed_ms, short(&row.text))
            }
            Self::ChildBegun(row) => format!("child {}: begun: {}", short(&row.child), short(&row.task)),
            Self::ChildEnded(row) => format!("child {}: {}", short(&row.child), short(&row.verdict)),
            Self::QuestionAsked(row) => format!("question: {}", short(&row.text)),
            Self::QuestionDecided(row) => {
                format!("decided by {}: {} {}", short(&row.by), row.choice.as_str(), short(&row.words))
            }
            Self::PersonSaid(row) => format!("{} says: {}", short(&row.by), short(&row.text)),
            Self::MoneyOut(row) => {
                let (needed, left) = (usd(row.needed_nano), usd(row.left_nano));
                format!("no money: the cap of {} leaves {left}, and {needed} are needed", short(&row.scope))
            }
            Self::Nudged(row) => format!("nudged ({}): {}", row.rule.as_str(), short(&row.text)),
            Self::ContextBreached(row) => format!("context too large: {} tokens", row.tokens),
            Self::Summarised(row) => format!("turns up to {} summarised: {}", row.until, short(&row.text)),
            Self::ProofEnded(row) => {
                let end = if row.passed { "passed" } else { "failed" };
                format!("proof {end} in {} ms: {}", row.elapsed_ms, short(&row.text))
            }
            Self::CancelAsked(row) => format!("cancel asked by {}: {}", short(&row.by), short(&row.reason)),
            Self::Ended(verdict) => format!("ended: {}", short(&verdict.to_string())),
            Self::TakenUp(row) => {
                let snapshot = row.snapshot.get(..12).unwrap_or(&row.snapshot);
                format!("goes on with the work of {}, from its snapshot {snapshot}", short(&row.run))
            }
            Self::MoneyCarved(row) => {
                let left = row.left_nano.map_or_else(String::new, |left| format!("; {} stay", usd(left)));
                format!("child {}: {} set aside{left}", short(&row.child), usd(row.cap_nano))
            }
        };
        text.trim_end_matches([' ', ';', ':']).to_owned()
    }
}

/// The first line that says something, safe to print.
fn short(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut shown = plain_line(&line[..line.char_indices().nth(MAX_TEXT).map_or(line.len(), |(at, _)| at)]);
    let is_all = text.trim().len() == line.len() && line.chars().nth(MAX_TEXT).is_none();
    if !is_all {
        shown.push('…');
    }
    shown
}

/// A line that cannot hide or move other text: invisible characters are shown as their escapes.
#[must_use]
pub fn plain_line(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    for c in line.chars() {
        if c == '\t' {
            shown.push(' ');
        } else if is_unseen(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::*;

    #[test]
    fn a_headline_is_one_safe_line() {
        let hostile = "\n\n\u{1b}[2Jpush\u{202e}txt\nmore".to_owned();
        let row = StepRow::PersonSaid(PersonSaidRow { by: "Ada".into(), text: hostile });
        assert_eq!(row.headline(), "Ada says: \\u{1b}[2Jpush\\u{202e}txt…");
        let row = StepRow::Answered(Box::new(answer(3, "", vec![call("read", "{}"), call("bash", "{}")])));
        assert_eq!(row.headline(), "turn 3: read, bash; 100 in, 10 out, 0.000001 USD");
        let row =
            StepRow::Returned(Box::new(ReturnedRow::plain(CallPlace { turn: 1, index: 0 }, "x".repeat(500))));
        assert!(row.headline().ends_with("x…") && row.headline().chars().count() < 200);
    }
}
