//! Results that are too long for the window: the shown part, and the place of the whole.
//!
//! Owns [`ResultSpill`] and the cutting. Invariant: the shown part fits the cap, apart from the mark that
//! says how much is missing and how to read the rest. Failure policy: when the whole cannot be kept, the mark
//! says so.

use std::io;

use super::lines::grouped;

/// Keeps whole results, each under a number that `read` takes as `@out:N`.
pub trait ResultSpill: Send + Sync {
    /// Keeps `bytes`, and returns the number of the result.
    ///
    /// # Errors
    /// When they cannot be kept.
    fn store(&mut self, bytes: &[u8]) -> io::Result<u64>;

    /// The result of that number, if any.
    ///
    /// # Errors
    /// When the result exists and cannot be read.
    fn read(&self, number: u64) -> io::Result<Option<Vec<u8>>>;
}

/// How a result that is too long is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CutShape {
    /// The beginning is kept.
    Head,
    /// A third of the beginning and two thirds of the end: test summaries come last.
    HeadAndTail,
}

/// A result cut to a cap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CutResult {
    pub(super) text: String,
    pub(super) full_output: Option<u64>,
}

/// Cuts `bytes` to `cap` bytes, and keeps the whole in `spill` if bytes are cut.
pub(super) fn cut_result(
    bytes: &[u8],
    cap: usize,
    shape: CutShape,
    spill: &mut dyn ResultSpill,
) -> CutResult {
    if bytes.len() <= cap {
        return CutResult { text: String::from_utf8_lossy(bytes).into_owned(), full_output: None };
    }
    let head_cap = if shape == CutShape::Head { cap } else { cap / 3 };
    let head = whole_lines_before(bytes, head_cap);
    let tail_from = if shape == CutShape::Head {
        bytes.len()
    } else {
        line_start_after(bytes, bytes.len() - (cap - head_cap))
    };
    let stored = spill.store(bytes);
    let size = grouped(bytes.len() as u64);
    let mark = match &stored {
        Ok(number) => {
            let from = memchr::memchr_iter(b'\n', &bytes[..head]).count() + 1;
            format!("[… {size} bytes; read @out:{number} from={from}]")
        }
        Err(error) => format!("[… {size} bytes; the part left out could not be kept: {error}]"),
    };
    let mut text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&mark);
    text.push('\n');
    text.push_str(&String::from_utf8_lossy(&bytes[tail_from..]));
    CutResult { text, full_output: stored.ok() }
}

/// The end of the last whole line within `cap`, or the last whole character where there is no line end.
fn whole_lines_before(bytes: &[u8], cap: usize) -> usize {
    memchr::memrchr(b'\n', &bytes[..cap]).map_or_else(|| character_start(bytes, cap), |at| at + 1)
}

/// The first line start at or after `from`, or the next whole character where there is none.
fn line_start_after(bytes: &[u8], from: usize) -> usize {
    if from == 0 || bytes[from - 1] == b'\n' {
        return from;
    }
    match memchr::memchr(b'\n', &bytes[from..]) {
        Some(at) if from + at + 1 < bytes.len() => from + at + 1,
        _ => (from..bytes.len()).find(|at| !is_continuation(bytes[*at])).unwrap_or(bytes.len()),
    }
}

fn character_start(bytes: &[u8], at: usize) -> usize {
    // A UTF-8 character has at most three bytes after the first.
    (at.saturating_sub(3)..=at).rev().find(|at| !is_continuation(bytes[*at])).unwrap_or(at)
}

fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Default)]
    pub(crate) struct MemorySpill(pub(crate) Vec<Vec<u8>>);

    impl ResultSpill for MemorySpill {
        fn store(&mut self, bytes: &[u8]) -> io::Result<u64> {
            self.0.push(bytes.to_vec());
            Ok(self.0.len() as u64)
        }

        fn read(&self, number: u64) -> io::Result<Option<Vec<u8>>> {
            Ok(usize::try_from(number).unwrap().checked_sub(1).and_then(|at| self.0.get(at).cloned()))
        }
    }

    struct FullDisk;

    impl ResultSpill for FullDisk {
        fn store(&mut self, _: &[u8]) -> io::Result<u64> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }

        fn read(&self, _: u64) -> io::Result<Option<Vec<u8>>> {
            Ok(None)
        }
    }

    #[test]
    fn head_and_tail_stand_around_the_mark() {
        let bytes: String = (1..=3000).map(|number| format!("line {number}\n")).collect();
        let mut spill = MemorySpill::default();
        let cut = cut_result(bytes.as_bytes(), 300, CutShape::HeadAndTail, &mut spill);
        assert!(cut.text.starts_with("line 1\n") && cut.text.ends_with("line 3000\n"), "{}", cut.text);
        assert!(cut.text.contains("[… 28,893 bytes; read @out:1 from=14]"), "{}", cut.text);
        assert!(cut.text.contains("line 13\n[…") && !cut.text.contains("line 14\n"));
        assert_eq!(spill.read(1).unwrap().unwrap(), bytes.as_bytes());
        assert_eq!(cut.full_output, Some(1));
    }

    #[test]
    fn a_disk_that_is_full_is_said() {
        let cut = cut_result(&[b'x'; 100], 10, CutShape::Head, &mut FullDisk);
        assert!(cut.text.contains("could not be kept"), "{}", cut.text);
        assert_eq!(cut.full_output, None);
    }

    proptest! {
        #[test]
        fn a_cut_result_fits_its_cap(
            text in "([a-zäö€]{0,30}\n?){0,40}", cap in 0_usize..200, tail in any::<bool>()
        ) {
            let shape = if tail { CutShape::HeadAndTail } else { CutShape::Head };
            let mut spill = MemorySpill::default();
            let cut = cut_result(text.as_bytes(), cap, shape, &mut spill);
            if text.len() <= cap {
                prop_assert_eq!(cut.text, text);
            } else {
                prop_assert!(cut.text.len() <= cap + 80);
                prop_assert!(!cut.text.contains(char::REPLACEMENT_CHARACTER));
                prop_assert_eq!(&spill.0[0], text.as_bytes());
            }
        }
    }
}
