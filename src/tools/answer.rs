//! The surroundings of a file tool, and its answer.
//!
//! Owns [`FileContext`] and [`ToolText`]; no failures of its own.

use super::failure::FailureClass;
use super::seen::SeenFiles;
use super::spill::{CutShape, ResultSpill, cut_result};
use super::tree::ToolTree;

/// The most bytes of one result of a file tool.
pub(super) const FILE_RESULT_CAP: usize = 24 * 1024;

/// The surroundings of one call of a file tool.
pub(super) struct FileContext<'a> {
    pub(super) tree: &'a ToolTree,
    pub(super) seen: &'a mut SeenFiles,
    pub(super) spill: &'a mut dyn ResultSpill,
    /// The most bytes of the result.
    pub(super) cap: usize,
}

impl FileContext<'_> {
    /// `text` as an answer that leaves the tree as it is, cut to the cap and kept whole.
    pub(super) fn pure_answer(&mut self, text: &str) -> ToolText {
        let cut = cut_result(text.as_bytes(), self.cap, CutShape::Head, self.spill);
        ToolText { text: cut.text, full_output: cut.full_output, ..ToolText::default() }
    }
}

/// The answer of a call that did its work.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct ToolText {
    pub(super) text: String,
    pub(super) full_output: Option<u64>,
    /// The tree may be another one now.
    pub(super) is_changed: bool,
    /// Set where the work was done and its end is a failure all the same, such as a command out of time.
    pub(super) class: Option<FailureClass>,
}

impl ToolText {
    pub(super) fn changed(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_changed: true, ..Self::default() }
    }

    pub(super) fn unchanged(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}
