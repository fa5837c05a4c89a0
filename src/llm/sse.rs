//! Server-sent events, fed byte by byte or all at once. Format: WHATWG HTML, "Server-sent events".
//!
//! Our own decoder, since the crates decode an asynchronous stream; none accepts pushed bytes and reports the
//! unfinished rest. Stricter than a browser: an unknown field is refused, since no vendor's stream has one.
//! Invariant: events depend on the bytes alone, not on how they are divided.

/// Longest event. An image of a few megabytes in base64 fits; nothing longer is a model's answer.
pub const MAX_EVENT_BYTES: usize = 8 << 20;

const FIELDS: [&[u8]; 4] = [b"data", b"event", b"id", b"retry"];
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Why bytes are no event stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotEvents {
    /// A line is not a valid field.
    #[error("a line is not a field of server-sent events")]
    Field,
    /// One event is longer than [`MAX_EVENT_BYTES`].
    #[error("one event is longer than 8 MiB")]
    TooLong,
}

/// The decoder's state between two pushes.
#[derive(Debug, Default)]
pub struct SseDecoder {
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was CR: an LF after it belongs to the same line end.
    after_cr: bool,
    /// Lines end in CR LF here: after a CR, its LF is still to come.
    has_crlf: bool,
    /// The first line, which may begin with a byte order mark, is over.
    begun: bool,
}

impl SseDecoder {
    /// Takes more bytes and passes every complete event (name, data) to `take`.
    ///
    /// # Errors
    /// [`NotEvents`], or the error of `take`; after either, push no more.
    pub fn push<E: From<NotEvents>>(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                self.has_crlf = true;
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len() + self.data.len() + part.len() > MAX_EVENT_BYTES {
                return Err(NotEvents::TooLong.into());
            }
            bytes = rest.get(1..).unwrap_or_default();
            let Some(ending) = rest.first() else {
                self.line.extend_from_slice(part);
                continue;
            };
            self.after_cr = *ending == b'\r';
            if self.line.is_empty() {
                self.end_line(part, &mut take)?;
            } else {
                self.line.extend_from_slice(part);
                let mut line = std::mem::take(&mut self.line);
                self.end_line(&line, &mut take)?;
                line.clear();
                self.line = line;
            }
        }
        Ok(())
    }

    fn end_line<E: From<NotEvents>>(
        &mut self,
        line: &[u8],
        take: &mut impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let line = if std::mem::replace(&mut self.begun, true) { line } else { without_bom(line) };
        if line.is_empty() {
            let taken = if self.has_data { take(&self.name, &self.data) } else { Ok(()) };
            self.name.clear();
            self.data.clear();
            self.has_data = false;
            return taken;
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => (&line[..at], line[at + 1..].strip_prefix(b" ").unwrap_or(&line[at + 1..])),
            None => (line, &line[..0]),
        };
        match field {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => value.clone_into(&mut self.name),
            b"" | b"id" | b"retry" => {}
            _ => return Err(NotEvents::Field.into()),
        }
        Ok(())
    }

    /// Whether the last event is complete, including its blank line.
    #[must_use]
    pub fn is_between_events(&self) -> bool {
        let line_end_is_whole = !(self.after_cr && self.has_crlf);
        self.line.is_empty() && !self.has_data && self.name.is_empty() && line_end_is_whole
    }

    /// Checks that the unfinished last line is a prefix of a field.
    ///
    /// # Errors
    /// [`NotEvents::Field`] when it could not.
    pub fn check_rest(&self) -> Result<(), NotEvents> {
        let line = if self.begun { &self.line[..] } else { without_bom(&self.line) };
        let field = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let whole = field.len() < line.len();
        let fits = |known: &[u8]| if whole { known == field } else { known.starts_with(field) };
        let partial_bom = !self.begun && BOM.starts_with(line);
        let known = field.is_empty() || partial_bom || FIELDS.into_iter().any(fits);
        if known { Ok(()) } else { Err(NotEvents::Field) }
    }
}

fn without_bom(line: &[u8]) -> &[u8] {
    line.strip_prefix(BOM).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> (Vec<(String, String)>, Result<(), NotEvents>, SseDecoder) {
        let (mut sse, mut found) = (SseDecoder::default(), Vec::new());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut result = Ok(());
        for piece in pieces {
            result = result.and_then(|()| {
                sse.push(piece, |name, data| {
                    found.push((text(name), text(data)));
                    Ok(())
                })
            });
        }
        (found, result, sse)
    }

    fn pairs(found: &[(String, String)]) -> Vec<(&str, &str)> {
        found.iter().map(|(name, data)| (name.as_str(), data.as_str())).collect()
    }

    #[test]
    fn every_line_end_comment_and_field_of_the_format_is_understood() {
        let bytes = b"\xEF\xBB\xBF: hello\r\ndata: a\r\ndata:b\r\rid: 1\nretry: 5\nevent: x\ndata\n\nevent: y\n\ndata: c\n\n";
        let (found, result, sse) = events(&[bytes]);
        assert_eq!((pairs(&found), result), (vec![("", "a\nb"), ("x", ""), ("", "c")], Ok(())));
        assert!(sse.is_between_events());
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(events(&single).0, found);
    }

    #[test]
    fn what_is_no_field_is_refused_whole_or_not() {
        assert_eq!(events(&[b"<html>\n"]).1, Err(NotEvents::Field));
        for (rest, fits) in [("da", true), ("data: {", true), (":", true), ("<ht", false), ("dat:", false)] {
            assert_eq!(events(&[rest.as_bytes()]).2.check_rest().is_ok(), fits, "{rest}");
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let piece = [b"data: ".to_vec(), vec![b'x'; MAX_EVENT_BYTES / 2], b"\n".to_vec()].concat();
        assert_eq!(events(&[&piece, &piece]).1, Err(NotEvents::TooLong));
        assert_eq!(events(&[&piece, &piece[..9]]).1, Ok(()));
    }
}
