//! The one result of a call, for the loop and the model.
//!
//! Owns [`ToolReturn`]. Invariant: a failure is JSON with `what`, `why` and `do`, bounded in length. No
//! failures.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::answer::ToolText;
use super::control::ControlCall;
use super::failure::{FailureClass, ToolFailure};
use super::lines::{cut_at, shortened};
use super::seen::hash_of;

/// The longest failure that is shown; hunks and differences inside are cut earlier.
const FAILURE_CAP: usize = 16 * 1024;

/// Characters of the name of the thing that failed.
const NAME_WIDTH: usize = 500;
/// Room for the marks that tools put at the end of a capped text.
const MARK_ROOM: usize = 256;

/// Parts of a result that differ although the work was the same: durations, times, numbers of kept results.
static CHANCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let span = r"\d+(\.\d+)?\s?(ns|µs|us|ms|s|sec|secs|seconds)\b";
    let moment = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?|\d\d:\d\d:\d\d(\.\d+)?";
    Regex::new(&format!("{span}|{moment}|@out:\\d+|0x[0-9a-f]{{6,}}")).ok()
});

/// The one result of a call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToolReturn {
    pub text: String,
    pub is_error: bool,
    pub error_class: Option<FailureClass>,
    /// The number under which the whole result is kept, if `text` is cut.
    pub full_output: Option<u64>,
    /// The working tree may have changed.
    pub changed: bool,
    /// The call, if the loop has to act on it; `text` is then only an acknowledgement.
    pub control: Option<ControlCall>,
    /// A hash of `text` without times, durations and numbers of kept results: equal for equivalent results.
    pub sameness: String,
}

impl ToolReturn {
    /// The return for a result; uncut texts are cut at `cap`.
    pub(super) fn of(result: Result<ToolText, ToolFailure>, cap: usize) -> Self {
        match result {
            Ok(answer) => {
                let text = cut_at(&answer.text, cap.saturating_add(MARK_ROOM));
                Self {
                    sameness: sameness_of(&text),
                    text,
                    is_error: answer.class.is_some(),
                    error_class: answer.class,
                    full_output: answer.full_output,
                    changed: answer.is_changed,
                    control: None,
                }
            }
            Err(failure) => Self::failed(failure, cap),
        }
    }

    pub(super) fn failed(mut failure: ToolFailure, cap: usize) -> Self {
        failure.why = cut_at(&failure.why, FAILURE_CAP.min(cap));
        failure.what = shortened(&failure.what, NAME_WIDTH);
        let text = failure.to_json();
        Self {
            sameness: sameness_of(&text),
            text,
            is_error: true,
            error_class: Some(failure.class),
            ..Self::default()
        }
    }
}

impl From<ToolFailure> for ToolReturn {
    fn from(failure: ToolFailure) -> Self {
        Self::failed(failure, FAILURE_CAP)
    }
}

pub(super) fn sameness_of(text: &str) -> String {
    let steady = CHANCE.as_ref().map_or(Cow::Borrowed(text), |chance| chance.replace_all(text, "~"));
    hash_of(steady.as_bytes())
}
