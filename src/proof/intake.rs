//! Whether a piece of a change may stay once it was taken in, by one run of the proving command before and one after.
//!
//! Failure policy: a run that could not begin shows nothing, so the piece stays; the proof of the whole decides.

use std::fmt::Write as _;

use super::render::{fenced_output, printable};
use super::stage::{StageEnd, cut_middle};

/// Output of a run that whoever leads the change reads: a failing test and its summary.
const OUTPUT_HEAD: usize = 1024;
const OUTPUT_TAIL: usize = 3 * 1024;

/// The verdict of the runs around a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntakeVerdict {
    /// It stays; how the command stands with it.
    Stays(String),
    /// With it the command does worse than before.
    Worse(String),
}

/// Judges a piece. A base that is red may stay red; less than before must not pass.
pub fn judge_intake(before: &StageEnd, after: &StageEnd) -> IntakeVerdict {
    use IntakeVerdict::{Stays, Worse};
    if after.passed() {
        return Stays("the proving command passes with it".to_owned());
    }
    if !after.outcome.started() || !before.outcome.started() {
        return Stays(format!("the proving command could not show anything ({})", after.outcome));
    }
    if before.passed() {
        return Worse(format!("the proving command passed before, and ends with {} now", after.outcome));
    }
    match (&before.counts, &after.counts) {
        (Some(was), Some(is)) if is.passed < was.passed => {
            Worse(format!("{} tests passed before, and {} pass now", was.passed, is.passed))
        }
        (Some(was), None) if was.passed > 0 => Worse(format!(
            "{} tests passed before, and none can be counted now: it perhaps does not build",
            was.passed
        )),
        _ => Stays(format!("the proving command still fails with it ({})", after.outcome)),
    }
}

/// Why a piece was rolled back, with the output that shows it, for a model.
pub fn rolled_back_text(why: &str, after: &StageEnd) -> String {
    let mut text = format!("taken in and rolled back: {}.", printable(why));
    if !after.failing().is_empty() {
        // Writing to a text cannot fail.
        let _ = write!(text, "\nfails: {}", printable(&after.failing().join(", ")));
    }
    text.push('\n');
    text.push_str(&fenced_output(&cut_middle(&after.output, OUTPUT_HEAD, OUTPUT_TAIL)));
    text
}

#[cfg(test)]
mod tests {
    use super::super::stage::{CommandOutcome, CommandRun, ProofStage};
    use super::*;

    fn end(exit: i32, output: &str) -> StageEnd {
        let run = CommandRun {
            outcome: CommandOutcome::Exited(exit),
            millis: 1,
            output: output.as_bytes().to_vec(),
            output_bytes: output.len() as u64,
        };
        StageEnd::new(ProofStage::After, "t".repeat(40), run)
    }

    fn pytest(passed: u32, failed: u32) -> StageEnd {
        let line = format!("=========== {failed} failed, {passed} passed in 0.10s ===========\n");
        end(i32::from(failed > 0), &line)
    }

    #[track_caller]
    fn stays(before: &StageEnd, after: &StageEnd) {
        assert!(matches!(judge_intake(before, after), IntakeVerdict::Stays(_)), "{before:?} {after:?}");
    }

    #[track_caller]
    fn worse(before: &StageEnd, after: &StageEnd) {
        assert!(matches!(judge_intake(before, after), IntakeVerdict::Worse(_)), "{before:?} {after:?}");
    }

    #[test]
    fn a_piece_goes_back_when_it_turns_the_command_red_or_takes_tests_away() {
        assert!(pytest(3, 1).counts.is_some(), "the runs of this test are counted");
        worse(&end(0, ""), &end(1, ""));
        worse(&pytest(4, 1), &pytest(3, 2));
        worse(&pytest(4, 1), &end(2, "SyntaxError"));
    }

    #[test]
    fn a_red_base_may_stay_red_and_a_new_failing_test_may_wait_for_its_code() {
        stays(&pytest(4, 1), &pytest(4, 2));
        stays(&pytest(4, 1), &pytest(5, 0));
        stays(&end(1, "no tests"), &end(1, "no tests"));
        stays(&end(1, ""), &end(0, ""));
    }

    #[test]
    fn a_run_that_did_not_begin_takes_nothing_back() {
        let mut lost = end(1, "");
        lost.outcome = CommandOutcome::NotStarted("no sandbox".into());
        stays(&end(0, ""), &lost);
        stays(&lost, &end(1, ""));
    }

    #[test]
    fn the_text_fences_the_output_of_the_tests() {
        let text = rolled_back_text("4 tests passed before, and 3 pass now", &end(1, "boom\u{1b}[2J"));
        assert!(text.starts_with("taken in and rolled back: 4 tests"), "{text}");
        assert!(text.contains("boom") && !text.contains('\u{1b}'), "{text}");
    }
}
