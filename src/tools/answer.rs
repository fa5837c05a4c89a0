//! The context and the answer of a file tool.
//!
//! Owns [`FileContext`] and [`ToolText`]; no failures of its own.

use super::failure::FailureClass;
use super::seen::SeenFiles;
use super::spill::{CutShape, ResultSpill, cut_result};
use super::tree::ToolTree;

/// The most bytes of one result of a file tool.
pub(super) const FILE_RESULT_CAP: usize = 24 * 1024;

/// The context of one call of a file tool.
pub(super) struct FileContext<'a> {
    pub(super) tree: &'a ToolTree,
    pub(super) seen: &'a mut SeenFiles,
    pub(super) spill: &'a mut dyn ResultSpill,
    /// The most bytes of the result.
    pub(super) cap: usize,
}

impl FileContext<'_> {
    /// `text` as the answer of a call that changes nothing, cut to the cap; the whole is kept.
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
    /// The tree may have changed.
    pub(super) is_changed: bool,
    /// Set when the work was done but counts as a failure, such as a command out of time.
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
