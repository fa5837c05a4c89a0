//! The output of a command: beginning and end, each within a limit, whatever the command writes.

use std::collections::VecDeque;

/// How many bytes of output are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits {
    pub head: usize,
    /// Larger than the head: test summaries come last.
    pub tail: usize,
}

impl Default for OutputLimits {
    fn default() -> Self {
        Self { head: 8 << 10, tail: 16 << 10 }
    }
}

/// A command's standard output and standard error, in the order written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SandboxOutput {
    pub head: Vec<u8>,
    pub tail: Vec<u8>,
    /// Bytes written, kept or not.
    pub bytes: u64,
}

impl SandboxOutput {
    /// Bytes dropped between head and tail.
    #[must_use]
    pub fn omitted(&self) -> u64 {
        self.bytes - (self.head.len() + self.tail.len()) as u64
    }

    /// Head and tail as text, with a line between them where bytes are missing.
    #[must_use]
    pub fn text(&self) -> String {
        if self.omitted() == 0 {
            // Decoded as one, so that a character cut between head and tail is whole again.
            return String::from_utf8_lossy(&[self.head.as_slice(), &self.tail].concat()).into_owned();
        }
        let (head, tail) = (String::from_utf8_lossy(&self.head), String::from_utf8_lossy(&self.tail));
        format!("{head}\n[… {} bytes left out …]\n{tail}", self.omitted())
    }
}

/// Takes output in pieces.
#[derive(Debug)]
pub(super) struct OutputCapture {
    limits: OutputLimits,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    bytes: u64,
}

impl OutputCapture {
    pub(super) fn new(limits: OutputLimits) -> Self {
        Self { limits, head: Vec::new(), tail: VecDeque::new(), bytes: 0 }
    }

    pub(super) fn take(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        let room = self.limits.head.saturating_sub(self.head.len()).min(data.len());
        let (head, rest) = data.split_at(room);
        self.head.extend_from_slice(head);
        let rest = &rest[rest.len().saturating_sub(self.limits.tail)..];
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(self.limits.tail);
        self.tail.drain(..over);
    }

    pub(super) fn finish(self) -> SandboxOutput {
        let Self { head, tail, bytes, .. } = self;
        SandboxOutput { head, tail: tail.into(), bytes }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn head_and_tail_are_those_of_the_whole(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..12),
            head in 0_usize..30, tail in 0_usize..30,
        ) {
            let mut capture = OutputCapture::new(OutputLimits { head, tail });
            parts.iter().for_each(|part| capture.take(part));
            let (whole, output) = (parts.concat(), capture.finish());
            prop_assert_eq!(output.bytes, whole.len() as u64);
            prop_assert_eq!(&output.head[..], &whole[..head.min(whole.len())]);
            prop_assert!(output.tail.len() <= tail && whole.ends_with(&output.tail));
            prop_assert_eq!(output.omitted(), whole.len().saturating_sub(head + tail) as u64);
        }
    }

    #[test]
    fn what_is_left_out_is_said() {
        let mut capture = OutputCapture::new(OutputLimits { head: 1, tail: 1 });
        capture.take(b"abc");
        capture.take(b"defg");
        assert_eq!(capture.finish().text(), "a\n[… 5 bytes left out …]\ng");
    }
}
