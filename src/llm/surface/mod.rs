//! The forms in which clients speak to PAS, each mapped to the canonical chat form and back.
//!
//! A *dialect* (beside this folder) speaks to a vendor; a *surface* speaks to a client. OpenAI's chat
//! completions are the canonical form itself; [`responses`], [`anthropic`] and [`ollama`] translate.
//! All of it is pure: requests in, values and bytes out. Invariants: a stream is written event by event
//! as its chunks come, nothing is held back; what a stream says, put together, is what the whole answer
//! would have said; a stream that failed never looks like one that ended. Failure policy: what a surface
//! cannot express is refused with a [`Problem`] that names the field; nothing is left out in silence
//! unless the vendor's own documentation says that it may be ignored.

pub mod anthropic;
pub mod ollama;
pub mod openai;
mod problem;
pub mod responses;
mod tools;
pub mod usage;

use serde::Serialize;

pub use self::problem::{Form, Problem, ProblemKind};
use super::chat::ChatChunk;
use crate::domain::usage::Usage;

/// Writes one stream in a surface's form. Each call appends the bytes that are to go out now.
pub trait Writer: Send {
    /// More of the answer.
    fn chunk(&mut self, chunk: &ChatChunk, out: &mut Vec<u8>);
    /// Writes events that are in OpenAI's form already; a writer of another form reads them.
    fn verbatim(&mut self, events: &[u8], out: &mut Vec<u8>) {
        let data = |line: &[u8]| serde_json::from_slice(line.strip_prefix(b"data: ")?).ok();
        for chunk in events.split(|byte| *byte == b'\n').filter_map(data) {
            self.chunk(&chunk, out);
        }
    }

    /// The answer is whole. `None`: the vendor did not say what it used.
    fn finish(&mut self, usage: Option<&Usage>, out: &mut Vec<u8>);
    /// The answer was cut; what went out so far is all there is.
    fn fail(&mut self, problem: &Problem, out: &mut Vec<u8>);
}

/// Appends a server-sent event with a name.
fn event(out: &mut Vec<u8>, name: &str, data: &impl Serialize) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
    data_line(out, data);
}

/// Appends a server-sent event without a name.
fn data_line(out: &mut Vec<u8>, data: &impl Serialize) {
    out.extend_from_slice(b"data: ");
    json(out, data);
    out.extend_from_slice(b"\n\n");
}

/// Appends JSON on one line.
fn json(out: &mut Vec<u8>, data: &impl Serialize) {
    let before = out.len();
    if serde_json::to_writer(&mut *out, data).is_err() {
        // Maps with other keys than texts cannot be written; no type of this layer has any.
        out.truncate(before);
        out.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod testing;
