//! A secret or a piece of personal data, unmasked, with its place in the text.

/// A find not yet masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnmaskedFind {
    pub(super) class: &'static str,
    pub(super) kind: &'static str,
    /// Byte offset of the start.
    pub(super) start: usize,
    /// Byte offset behind the end.
    pub(super) end: usize,
}
