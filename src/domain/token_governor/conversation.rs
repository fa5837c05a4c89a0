//! The content of an agent's context in one run: inputs and products.
//!
//! Invariants: notes are numbered without gaps from 0 and never change; clearing moves a mark and deletes
//! nothing, so that the source of a summary stays readable while kept; a note with a key is accepted once,
//! across clears, restarts and repetitions.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::RunLabel;
use crate::time::Timestamp;

/// Longest note in bytes: a quarter of a common context window. A longer one is cut, with a remark.
pub const MAX_NOTE_BYTES: usize = 128 * 1024;
/// Keys remembered for a conversation: a run has some ten steps, an agent a few.
pub const MAX_KEYS: usize = 1_000;

/// Where a note comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteOrigin {
    /// A job card: task and inputs.
    Card,
    /// A step's products.
    Result,
    /// Instructions to a model.
    System,
    /// A prompt to a model.
    User,
    /// A model's answer.
    Assistant,
    /// A tool's result.
    Tool,
}

impl NoteOrigin {
    /// The origin's word in a transcript.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Card => "Card",
            Self::Result => "Result",
            Self::System => "System",
            Self::User => "User",
            Self::Assistant => "Assistant",
            Self::Tool => "Tool",
        }
    }
}

/// One piece of a context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextNote {
    pub origin: NoteOrigin,
    pub text: String,
    pub at: Timestamp,
}

impl ContextNote {
    /// A note of now; a text beyond [`MAX_NOTE_BYTES`] is cut, and says how much is missing.
    #[must_use]
    pub fn new(origin: NoteOrigin, text: impl Into<String>, at: Timestamp) -> Self {
        let mut text = text.into();
        if text.len() > MAX_NOTE_BYTES {
            let end = text.floor_char_boundary(MAX_NOTE_BYTES);
            let missing = text.len() - end;
            text.truncate(end);
            // Writing to a text cannot fail.
            let _ = write!(text, "\n[{missing} bytes more were cut here]");
        }
        Self { origin, text, at }
    }
}

/// The head of a conversation: which notes exist, and which are in the context.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConversationHead {
    /// The number the next note gets.
    pub next: u64,
    /// The first note in the context; earlier ones are in the summary.
    pub live_from: u64,
    /// The summary of the cleared notes.
    pub summary: Option<String>,
    /// Keys of the notes taken so far, oldest first.
    keys: Vec<String>,
}

impl ConversationHead {
    /// Takes a note in and returns its number; `None` when the key was used before.
    pub fn take(&mut self, key: Option<&str>) -> Option<u64> {
        if let Some(key) = key {
            if self.keys.iter().any(|known| known == key) {
                return None;
            }
            if self.keys.len() >= MAX_KEYS {
                self.keys.remove(0);
            }
            self.keys.push(key.to_owned());
        }
        self.next += 1;
        Some(self.next - 1)
    }

    /// How many notes are in the context beside the summary.
    #[must_use]
    pub fn live(&self) -> u64 {
        self.next.saturating_sub(self.live_from)
    }

    /// Replaces all notes before `until` by a summary; later notes stay.
    pub fn clear(&mut self, until: u64, summary: &str) {
        if until > self.live_from || self.summary.is_none() {
            self.live_from = until.min(self.next).max(self.live_from);
            self.summary = Some(summary.to_owned());
        }
    }
}

/// A step of a run, as shown in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    pub job_id: String,
    pub agent: String,
    pub state: String,
}

/// A step that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenStep {
    pub job_id: String,
    pub task: String,
    /// The fence of the claim.
    pub fence: u64,
    /// The attempt's number.
    pub attempt: u32,
}

/// A file that a step left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedFile {
    /// Relative to the run's folder.
    pub path: String,
    /// BLAKE3 in hexadecimal.
    pub blake3: String,
    pub bytes: u64,
}

/// Everything an agent needs to resume after the context was cleared, as of the beginning of the reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedState {
    pub agent: String,
    pub run_id: RunLabel,
    /// The first saved note.
    pub from: u64,
    /// The first note that is not saved any more.
    pub until: u64,
    /// The summary before the first saved note.
    pub previous: Option<String>,
    /// The steps of the run.
    pub plan: Vec<PlanStep>,
    /// The agent's own steps that are not over.
    pub open: Vec<OpenStep>,
    /// Artifacts of the agent's own steps.
    pub artifacts: Vec<SavedFile>,
}

impl SavedState {
    /// The state as text, the source of a summary. `previous` is the text of the earlier summary,
    /// `notes` are the saved ones in order.
    #[must_use]
    pub fn text(&self, previous: Option<&str>, notes: &[ContextNote]) -> String {
        let mut text = format!("Agent {} in run {}.\n", self.agent, self.run_id);
        let mut line = |line: String| {
            text.push_str(&line);
            text.push('\n');
        };
        for step in &self.open {
            line(format!(
                "Open step: {} ({}), attempt {}, fence {}.",
                step.job_id, step.task, step.attempt, step.fence
            ));
        }
        for step in &self.plan {
            line(format!("Plan: {} by {} is {}.", step.job_id, step.agent, step.state));
        }
        for file in &self.artifacts {
            line(format!("Artifact: {} ({} bytes, blake3 {}).", file.path, file.bytes, file.blake3));
        }
        if let Some(previous) = previous {
            line(format!("Before that:\n{previous}"));
        }
        for note in notes {
            line(format!("{}: {}", note.origin.as_str(), note.text));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_once_even_across_a_clear() {
        let mut talk = ConversationHead::default();
        assert_eq!((talk.take(Some("card")), talk.take(None), talk.take(None)), (Some(0), Some(1), Some(2)));
        talk.clear(2, "s1");
        assert_eq!((talk.live(), talk.summary.as_deref()), (1, Some("s1")));
        assert_eq!(talk.take(Some("card")), None);
        talk.clear(2, "s0");
        assert_eq!(talk.summary.as_deref(), Some("s1"), "a clear that comes late changes nothing");
        talk.clear(99, "s2");
        assert_eq!((talk.live(), talk.next, talk.live_from), (0, 3, 3));
    }

    #[test]
    fn a_long_note_is_cut_between_characters_and_says_so() {
        let note = ContextNote::new(NoteOrigin::Tool, "é".repeat(MAX_NOTE_BYTES), Timestamp::from_millis(0));
        assert!(note.text.ends_with(&format!("[{MAX_NOTE_BYTES} bytes more were cut here]")));
        assert!(note.text.len() < MAX_NOTE_BYTES + 64);
    }
}
