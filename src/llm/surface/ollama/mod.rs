//! Ollama's API: `generate` and `chat`, whole or as NDJSON.
//!
//! Source: Ollama's `docs/api.md`. Times are nanoseconds; those that only the model's own server could
//! tell (loading, evaluation of the prompt) are left out, as Ollama's clients allow.

mod answer;
mod request;

pub use self::answer::{LineWriter, Shape, Timing, whole};
pub use self::request::{ChatCall, GenerateCall};
