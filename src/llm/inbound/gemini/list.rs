//! A stream as Gemini writes it without `alt=sse`: one JSON list whose elements come one by one.

use crate::sse::{NotEvents, SseDecoder};

/// Turns the events of a stream into the elements of a list.
#[derive(Debug, Default)]
pub struct GenerateList {
    events: SseDecoder,
    has_begun: bool,
}

impl GenerateList {
    /// The list's next bytes, for more bytes of the stream.
    #[must_use]
    pub fn more(&mut self, events: &[u8]) -> Vec<u8> {
        let (mut out, mut has_begun) = (Vec::with_capacity(events.len()), self.has_begun);
        let read = self.events.push(events, |_, data| {
            out.extend_from_slice(if has_begun { b",\r\n" } else { b"[" });
            has_begun = true;
            out.extend_from_slice(data);
            Ok::<_, NotEvents>(())
        });
        if let Err(error) = read {
            tracing::error!(%error, "an event of our own cannot be read");
        }
        self.has_begun = has_begun;
        out
    }

    /// The list's last bytes.
    #[must_use]
    pub const fn end(&self) -> &'static [u8] {
        if self.has_begun { b"\n]\n" } else { b"[]\n" }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_event_is_an_element_as_soon_as_it_comes() {
        let mut list = GenerateList::default();
        let mut out = list.more(b"data: {\"a\":1}\n\n");
        assert_eq!(out, b"[{\"a\":1}");
        out.extend(list.more(b"data: {\"a\":2}\n\ndata: {\"a\":3}\n\n"));
        out.extend_from_slice(list.end());
        let all: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(all, json!([{ "a": 1 }, { "a": 2 }, { "a": 3 }]));
        assert_eq!(serde_json::from_slice::<Value>(GenerateList::default().end()).unwrap(), json!([]));
    }
}
