//! The runs of a proof, and how each ended.
//!
//! Failure policy: any end but exit 0 has not passed; a run that could not begin has shown nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::counts::{TestCounts, read_counts};

/// How much of a run's output a record keeps: compilers fail at the beginning, summaries come at the end.
pub const KEPT_HEAD: usize = 4 * 1024;
pub const KEPT_TAIL: usize = 12 * 1024;

/// bash's exit codes for a program that cannot be run and for a missing one.
const CANNOT_RUN: i32 = 126;
const NOT_FOUND: i32 = 127;

/// The tree of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofStage {
    Before,
    After,
    AfterAgain,
    OldTestsOverNewCode,
    NewTestsOverOldCode,
}

impl ProofStage {
    pub const ALL: [Self; 5] =
        [Self::Before, Self::After, Self::AfterAgain, Self::OldTestsOverNewCode, Self::NewTestsOverOldCode];
}

impl fmt::Display for ProofStage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Before => "before",
            Self::After => "after",
            Self::AfterAgain => "after, again",
            Self::OldTestsOverNewCode => "old tests, new code",
            Self::NewTestsOverOldCode => "new tests, old code",
        })
    }
}

/// How the command's process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandOutcome {
    Exited(i32),
    Signalled(i32),
    TimedOut,
    /// The sandbox or the tree failed, not the command.
    NotStarted(String),
}

impl CommandOutcome {
    pub fn passed(&self) -> bool {
        *self == Self::Exited(0)
    }

    pub fn is_missing_program(&self) -> bool {
        matches!(self, Self::Exited(CANNOT_RUN | NOT_FOUND))
    }

    pub fn started(&self) -> bool {
        !matches!(self, Self::NotStarted(_))
    }
}

impl fmt::Display for CommandOutcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(out, "exit {code}"),
            Self::Signalled(signal) => write!(out, "ended by signal {signal}"),
            Self::TimedOut => out.write_str("ended at its time limit"),
            Self::NotStarted(why) => write!(out, "not started: {why}"),
        }
    }
}

/// A run as observed by the bench.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRun {
    pub outcome: CommandOutcome,
    pub millis: u64,
    /// Standard output and error in the order written; the bench may have cut out the middle.
    pub output: Vec<u8>,
    /// Length before the cut.
    pub output_bytes: u64,
}

/// A stored run, from which a proof continues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageEnd {
    pub stage: ProofStage,
    pub outcome: CommandOutcome,
    pub millis: u64,
    pub counts: Option<TestCounts>,
    /// Beginning and end of the output.
    pub output: String,
    pub output_bytes: u64,
    /// The git tree that was run, overlay included.
    pub tree: String,
}

impl StageEnd {
    pub fn new(stage: ProofStage, tree: String, run: CommandRun) -> Self {
        let text = String::from_utf8_lossy(&run.output);
        Self {
            stage,
            outcome: run.outcome,
            millis: run.millis,
            counts: read_counts(&text),
            output: cut_middle(&text, KEPT_HEAD, KEPT_TAIL),
            output_bytes: run.output_bytes,
            tree,
        }
    }

    pub fn passed(&self) -> bool {
        self.outcome.passed()
    }

    pub fn failing(&self) -> &[String] {
        self.counts.as_ref().map_or(&[], |counts| &counts.failing)
    }
}

/// Keeps `head` bytes at the beginning and `tail` at the end, at character boundaries, and notes how much is
/// missing.
pub fn cut_middle(text: &str, head: usize, tail: usize) -> String {
    if text.len() <= head.saturating_add(tail) {
        return text.to_owned();
    }
    let (head, tail) = (text.floor_char_boundary(head), text.ceil_char_boundary(text.len() - tail));
    let left_out = tail.saturating_sub(head);
    format!("{}\n[… {left_out} bytes left out …]\n{}", &text[..head], &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_at_character_borders() {
        assert_eq!(cut_middle("short", 3, 3), "short");
        assert_eq!(cut_middle("ééééé", 3, 3), "é\n[… 6 bytes left out …]\né");
    }

    #[test]
    fn only_exit_zero_has_passed() {
        assert!(CommandOutcome::Exited(0).passed());
        for outcome in [
            CommandOutcome::Exited(1),
            CommandOutcome::Signalled(9),
            CommandOutcome::TimedOut,
            CommandOutcome::NotStarted("x".into()),
        ] {
            assert!(!outcome.passed());
        }
        assert!(
            CommandOutcome::Exited(127).is_missing_program()
                && !CommandOutcome::Exited(101).is_missing_program()
        );
    }

    #[test]
    fn a_stage_counts_its_whole_output() {
        let output = format!("{}1 passed in 0.01s\n", "x\n".repeat(20_000)).into_bytes();
        let output_bytes = output.len() as u64;
        let run = CommandRun { outcome: CommandOutcome::Exited(0), millis: 5, output, output_bytes };
        let end = StageEnd::new(ProofStage::After, "t".into(), run);
        assert_eq!(end.counts.as_ref().map(|counts| counts.passed), Some(1));
        assert!(end.output.len() < KEPT_HEAD + KEPT_TAIL + 64);
    }
}
