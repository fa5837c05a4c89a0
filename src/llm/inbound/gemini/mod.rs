//! Gemini's API: `generateContent` and `streamGenerateContent`, for models of other vendors.
//!
//! Source: Google's API reference "Generating content" and the types of its SDKs. Both spellings of a name are read,
//! as in the JSON of protocol buffers. Gemini's calls need no ids: results are matched to calls by name and order
//! where a client sends none.

mod answer;
mod embeddings;
mod list;
pub(crate) mod proto;
mod request;
mod schema;
mod stream;
mod turns;

pub use self::answer::response;
pub use self::embeddings::{BatchEmbedRequest, EmbedRequest, embeddings};
pub use self::list::GenerateList;
pub use self::request::GenerateRequest;
pub use self::stream::GenerateWriter;

/// The reason for an answer's end in Gemini's words.
fn finish_reason(finish: Option<&str>) -> &'static str {
    match finish {
        Some("length") => "MAX_TOKENS",
        Some("content_filter") => "SAFETY",
        _ => "STOP",
    }
}
