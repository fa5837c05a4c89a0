//! How older turns are summarised: the request to a model, and a summary without one.

use std::fmt::Write as _;

use super::fit::{FitPlan, fit};
use super::{BlockBody, ThinkingView, TokenCount, ViewError};
use crate::thinking::state::ThinkingState;
use crate::thinking::turn::TurnEntry;

/// Longest summary that is made without a model, in bytes: the newest lines of it.
const MAX_PLAIN: usize = 6_000;

const REQUEST: &str = "Summarise your turns up to here for yourself: they are about to leave your sight. Write down facts \
     with their places (paths, lines, names, commands), decisions with their reasons, and ways that failed and why. \
     Leave out the task, the plan, questions, children, changes and failing tests: they are shown to you anew. \
     Answer with the summary alone, without a call, in at most 800 words.";

impl ThinkingState {
    /// The request for a summary of the turns up to `until`. Its answer is no turn of the step; without tools.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn summary_request(
        &self,
        until: u32,
        window: u64,
        count: &dyn TokenCount,
    ) -> Result<ThinkingView, ViewError> {
        let begun = self.begun().ok_or(ViewError::NotBegun)?;
        let turns = self.turns_until(until);
        let tail = |_: Option<usize>| vec![BlockBody::Text(REQUEST.to_owned())];
        fit(&FitPlan { state: self, begun, turns, tools_json: "[]", tail: &tail }, window, count)
    }

    /// A summary made from the rows alone, for when no model can be asked: which calls were made, and which failed.
    #[must_use]
    pub fn plain_summary(&self, until: u32) -> String {
        let mut text =
            self.summary.as_ref().map_or_else(String::new, |summary| format!("{}\n", summary.text));
        for turn in self.turns_until(until) {
            for call in &turn.calls {
                let end = match call.result() {
                    Some(result) if result.is_error => "failed",
                    Some(_) => "done",
                    None => "unknown",
                };
                // Writing to a text cannot fail.
                let _ = writeln!(text, "turn {}: {}: {end}", turn.turn, call.brief());
            }
        }
        if text.len() > MAX_PLAIN {
            text.drain(..text.ceil_char_boundary(text.len() - MAX_PLAIN));
            text.insert_str(0, "[…]\n");
        }
        text
    }

    fn turns_until(&self, until: u32) -> &[TurnEntry] {
        let end = self.turns.iter().take_while(|turn| turn.turn <= until).count();
        self.turns.get(..end).unwrap_or_default()
    }
}
