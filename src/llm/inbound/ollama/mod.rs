//! Ollama's API: `generate` and `chat`, complete or as NDJSON.
//!
//! Source: Ollama's `docs/api.md`. Times are in nanoseconds; times known only to the model's own server
//! (loading, prompt evaluation) are omitted, as Ollama's clients allow.

mod answer;
mod request;

pub use self::answer::{AnswerTiming, OllamaShape, OllamaWriter, complete_answer};
pub use self::request::{ChatCall, GenerateCall};
