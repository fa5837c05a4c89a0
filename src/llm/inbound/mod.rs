//! The inbound formats of clients, each mapped to the canonical chat form and back.
//!
//! A *dialect* (beside this folder) speaks to a vendor; an *inbound format* speaks to a client. OpenAI's chat
//! completions are the canonical form itself; [`responses`], [`anthropic`], [`gemini`] and [`ollama`] translate. Pure:
//! requests in, values and bytes out. Invariants: a stream is written event by event as chunks come, without
//! delay; the concatenated stream equals the complete answer; a failed stream never looks like a finished
//! one. Failure policy: unsupported fields are refused with an [`ApiProblem`] that names the field; none is
//! dropped silently unless the vendor's documentation allows that.

pub mod anthropic;
pub mod gemini;
pub mod ollama;
pub mod openai;
pub mod passed;
mod problem;
pub mod responses;
mod tools;
pub mod usage;

use serde::Serialize;

pub use self::problem::{ApiFormat, ApiProblem, ProblemKind};
pub(super) use self::tools::with_plain_ids;
use super::chat::ChatChunk;
use super::exact_integers;
use pas_domain::usage::TokenUsage;

/// Writes one stream in an inbound format. Each call appends the bytes to send now.
pub trait InboundWriter: Send {
    /// More of the answer.
    fn chunk(&mut self, chunk: &ChatChunk, out: &mut Vec<u8>);
    /// The answer is complete. `None`: the vendor reported no usage.
    fn finish(&mut self, usage: Option<&TokenUsage>, out: &mut Vec<u8>);
    /// The answer was cut; nothing more comes.
    fn fail(&mut self, problem: &ApiProblem, out: &mut Vec<u8>);
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
    out.extend_from_slice(&body(data));
}

/// A value as JSON, for a client.
#[must_use]
pub fn body(data: &impl Serialize) -> Vec<u8> {
    // Only maps with non-text keys fail to serialize; no type of this layer has any.
    serde_json::to_vec(data).map_or_else(|_| b"null".to_vec(), exact_integers::restored_bytes)
}

#[cfg(test)]
mod testing;
