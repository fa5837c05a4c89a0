//! The wanted lines of a stream, numbered.
//!
//! Keeps no more than the shown text and one line in memory. Failure policy: a window behind the last line is
//! refused.

use super::super::failure::{FailureClass, ToolFailure};
use super::super::lines::{LineEnds, cut_at, grouped};

/// Characters shown of one line: longer ones are generated code or data.
const LINE_WIDTH: usize = 2_000;
/// Bytes kept of one line; a character has four at most.
const LINE_BYTES: usize = LINE_WIDTH * 4;
/// The wanted lines of a stream, and counts of the rest.
pub(super) struct LineWindow {
    from: u64,
    /// The first line after the wanted ones.
    until: u64,
    cap: usize,
    text: String,
    /// The line shown last; 0 before the first.
    last_shown: u64,
    is_full: bool,
    /// The line being read: number, first bytes, length.
    number: u64,
    line: Vec<u8>,
    line_length: u64,
    lf: bool,
    crlf: bool,
    last_byte: Option<u8>,
    is_lossy: bool,
}

impl LineWindow {
    pub(super) fn new(from: u64, until: u64, cap: usize) -> Self {
        Self {
            from,
            until,
            cap,
            text: String::new(),
            last_shown: 0,
            is_full: false,
            number: 1,
            line: Vec::new(),
            line_length: 0,
            lf: false,
            crlf: false,
            last_byte: None,
            is_lossy: false,
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let mut start = 0;
        for at in memchr::memchr_iter(b'\n', bytes) {
            self.take(&bytes[start..at]);
            let before = if at == 0 { self.last_byte } else { Some(bytes[at - 1]) };
            if self.line_length > 0 && before == Some(b'\r') {
                self.crlf = true;
            } else {
                self.lf = true;
            }
            self.end_line();
            start = at + 1;
        }
        self.take(&bytes[start..]);
        self.last_byte = bytes.last().copied().or(self.last_byte);
    }

    fn take(&mut self, piece: &[u8]) {
        self.line_length += piece.len() as u64;
        if self.is_wanted() {
            let room = LINE_BYTES.saturating_sub(self.line.len()).min(piece.len());
            self.line.extend_from_slice(&piece[..room]);
        }
    }

    fn is_wanted(&self) -> bool {
        !self.is_full && (self.from..self.until).contains(&self.number)
    }

    fn end_line(&mut self) {
        if self.is_wanted() {
            self.show_line();
        }
        self.line.clear();
        self.line_length = 0;
        self.number += 1;
    }

    fn show_line(&mut self) {
        let bytes = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        let whole = String::from_utf8_lossy(bytes);
        self.is_lossy |= matches!(whole, std::borrow::Cow::Owned(_)) && self.line_length <= LINE_BYTES as u64;
        let end = whole.char_indices().nth(LINE_WIDTH).map_or(whole.len(), |(at, _)| at);
        let mut shown = format!("{:>6}\t{}", self.number, &whole[..end]);
        let left = self.line_length.saturating_sub(end as u64);
        if end < whole.len() || self.line_length > LINE_BYTES as u64 {
            shown.push_str(&format!(" [… {} more bytes in this line]", grouped(left)));
        }
        shown.push('\n');
        if self.text.len() + shown.len() > self.cap {
            self.is_full = true;
            // At least one line must be shown, or the next call would end here again.
            if self.last_shown > 0 {
                return;
            }
            shown = cut_at(&shown, self.cap);
        }
        self.text.push_str(&shown);
        self.last_shown = self.number;
    }

    /// The text, with a last line that says which lines are shown.
    pub(super) fn finish(mut self, what: &str) -> Result<String, ToolFailure> {
        let ends_open = self.line_length > 0;
        if ends_open {
            self.end_line();
        }
        let total = self.number - 1;
        if total == 0 {
            return Ok("[empty file]\n".to_owned());
        }
        if self.last_shown == 0 {
            return Err(ToolFailure::new(
                FailureClass::BadArguments,
                what,
                format!("`from` is {}, but there are {total} lines.", self.from),
                format!("give a `from` of at most {total}."),
            ));
        }
        let mut note = format!("[lines {}-{} of {total}", self.from, self.last_shown);
        if self.last_shown < total {
            note.push_str(&format!("; go on with from={}", self.last_shown + 1));
        }
        let ends = match (self.lf, self.crlf) {
            (false, true) => LineEnds::Crlf,
            (true, true) => LineEnds::Undecided,
            _ => LineEnds::Lf,
        };
        note.push_str(match ends {
            LineEnds::Crlf => "; lines end with CRLF",
            LineEnds::Undecided => "; lines end with CRLF and with LF",
            LineEnds::Lf => "",
        });
        if ends_open {
            note.push_str("; no line end at the end");
        }
        if self.is_lossy {
            note.push_str("; not UTF-8, bytes that are none shown as \u{fffd}");
        }
        self.text.push_str(&note);
        self.text.push_str("]\n");
        Ok(self.text)
    }
}
