//! Lines of bytes: where they begin and end, and how they are shown.
//!
//! Works on bytes throughout, so that a file in any encoding keeps the untouched parts. No failures.

use std::time::Duration;

/// Beyond this time a difference is shown coarser than necessary.
const DIFF_TIME: Duration = Duration::from_millis(200);

/// How the lines of a file end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnds {
    Lf,
    Crlf,
    /// Both, or no line end at all.
    Undecided,
}

impl LineEnds {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut lf = 0_usize;
        let mut crlf = 0_usize;
        for at in memchr::memchr_iter(b'\n', bytes) {
            if at > 0 && bytes[at - 1] == b'\r' { crlf += 1 } else { lf += 1 }
        }
        match (lf, crlf) {
            (1.., 0) => Self::Lf,
            (0, 1..) => Self::Crlf,
            _ => Self::Undecided,
        }
    }

    /// The line end for a new line.
    pub(super) fn terminator(self) -> &'static [u8] {
        if self == Self::Crlf { b"\r\n" } else { b"\n" }
    }

    /// `text` with these line ends; unchanged where they are undecided.
    pub(super) fn apply(self, text: &[u8]) -> Vec<u8> {
        if self == Self::Undecided {
            return text.to_vec();
        }
        let mut out = Vec::with_capacity(text.len());
        for line in split_lines(text) {
            let body = without_end(line);
            out.extend_from_slice(body);
            if body.len() < line.len() {
                out.extend_from_slice(self.terminator());
            }
        }
        out
    }
}

/// The lines, line ends included; the last may have none.
pub(super) fn split_lines(bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut start = 0;
    for at in memchr::memchr_iter(b'\n', bytes) {
        lines.push(&bytes[start..=at]);
        start = at + 1;
    }
    if start < bytes.len() {
        lines.push(&bytes[start..]);
    }
    lines
}

/// A line without the line end.
pub(super) fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A line without line end and trailing blanks.
pub(super) fn without_trailing_blanks(line: &[u8]) -> &[u8] {
    let end =
        line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).map_or(0, |at| at + 1);
    &line[..end]
}

/// The line, counted from 1, of the byte at `offset`.
pub(super) fn line_number(bytes: &[u8], offset: usize) -> usize {
    memchr::memchr_iter(b'\n', &bytes[..offset.min(bytes.len())]).count() + 1
}

/// Lines in the form of `read`, cut at `width` characters; `first` is the number of the first.
pub(super) fn numbered(lines: &[&[u8]], first: usize, width: usize) -> String {
    lines.iter().enumerate().map(|(at, line)| numbered_line(first + at, without_end(line), width)).collect()
}

pub(super) fn numbered_line(number: usize, line: &[u8], width: usize) -> String {
    format!("{number:>6}\t{}\n", shortened(&String::from_utf8_lossy(line), width))
}

/// `text`, cut after `width` characters with a note on how many are missing.
pub(super) fn shortened(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some((end, _)) => {
            format!("{} [… {} more characters]", &text[..end], grouped(text[end..].chars().count() as u64))
        }
    }
}

/// A number with a comma between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 match`, `2 matches`.
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number as u64), if number == 1 { one } else { many })
}

/// At most 20 of `numbers`, as text.
pub(super) fn listed(numbers: &[usize]) -> String {
    const MOST: usize = 20;
    let mut text = numbers.iter().take(MOST).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if numbers.len() > MOST {
        text.push_str(&format!(" and {} more", numbers.len() - MOST));
    }
    text
}

/// A unified diff of two texts, without file headers, cut at `cap` bytes.
pub(super) fn short_diff(old: &[u8], new: &[u8], cap: usize) -> String {
    let old = String::from_utf8_lossy(old);
    let new = String::from_utf8_lossy(new);
    let diff = similar::TextDiff::configure().timeout(DIFF_TIME).diff_lines(&*old, &*new);
    let text = diff.unified_diff().context_radius(2).to_string();
    cut_at(&text, cap)
}

/// `text` cut to at most `cap` bytes, with a mark at the cut.
pub(super) fn cut_at(text: &str, cap: usize) -> String {
    if text.len() <= cap {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(cap);
    format!("{}\n[… {} more bytes]\n", &text[..end], grouped((text.len() - end) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_ends_and_join_to_the_whole() {
        let bytes = b"a\r\nb\n\nlast";
        let lines = split_lines(bytes);
        assert_eq!(lines, [&b"a\r\n"[..], b"b\n", b"\n", b"last"]);
        assert_eq!(lines.concat(), bytes);
        assert_eq!(without_end(b"a\r\n"), b"a");
        assert_eq!(without_trailing_blanks(b"a \t\r\n"), b"a");
        assert_eq!(line_number(bytes, 3), 2);
    }

    #[test]
    fn line_ends_are_decided_only_when_they_agree() {
        assert_eq!(LineEnds::of(b"a\nb\n"), LineEnds::Lf);
        assert_eq!(LineEnds::of(b"a\r\nb"), LineEnds::Crlf);
        assert_eq!(LineEnds::of(b"a\r\nb\n"), LineEnds::Undecided);
        assert_eq!(LineEnds::Crlf.apply(b"x\ny"), b"x\r\ny");
        assert_eq!(LineEnds::Lf.apply(b"x\r\ny\n"), b"x\ny\n");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(812_331), "812,331");
        assert_eq!(grouped(1_000_000), "1,000,000");
        assert_eq!(grouped(12), "12");
        assert_eq!(shortened("äöü", 2), "äö [… 1 more characters]");
    }
}
