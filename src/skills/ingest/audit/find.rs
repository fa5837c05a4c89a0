//! A secret or a piece of personal data as it was found, with its place in the text.

/// A find before it is masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnmaskedFind {
    pub(super) class: &'static str,
    pub(super) kind: &'static str,
    /// Byte offset of its start.
    pub(super) start: usize,
    /// Byte offset behind its end.
    pub(super) end: usize,
}
