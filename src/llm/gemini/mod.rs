//! The dialect of Google's Gemini API: `generateContent` and its stream.
//!
//! Our choices. *Version*: paths go to `/v1beta`, which has had tools and schemas longest; a base URL that
//! ends in a version is kept. *Tool calls* come without ids: ours are made of the answer's id and the call's
//! number. *Thought signatures* travel as `extra_content.google.thought_signature` of the call, or of the message
//! where a text has one, as in Google's own endpoint of OpenAI's form. A *blocked
//! prompt* becomes an answer without text that ended by `content_filter`, since the vendor counts its tokens.
//! Images by URL are refused: the API reads only uploaded files. `parallel_tool_calls` has no counterpart.

pub(super) mod embedding;
pub(super) mod request;
pub(super) mod response;
mod schema;
pub(super) mod stream;

use serde::Deserialize;
use serde_json::{Value, json};

use super::failure::VendorFailure;
use super::vendor::Vendor;
use pas_domain::usage::ServiceTier;

/// Field of a message or call for the additions of one vendor.
pub(super) const EXTRA: &str = "extra_content";

/// What carries a thought's signature through the canonical form.
pub(super) fn signed(signature: &str) -> Value {
    json!({ "google": { "thought_signature": signature } })
}

/// The signature in what [`signed`] made, or Google's own endpoint.
pub(super) fn signature_in(extra_content: &Value) -> Option<&str> {
    extra_content.pointer("/google/thought_signature").and_then(Value::as_str)
}

/// Message field for pictures of an answer, as other gateways of the chat form name it.
pub(super) const IMAGES: &str = "images";

/// The vendor's word for a tier, which it writes in several ways.
pub(super) fn service_tier(word: &str) -> ServiceTier {
    let word = word.to_ascii_lowercase();
    ServiceTier::from_word(word.strip_prefix("service_tier_").unwrap_or(&word))
}

/// The method for a whole answer.
pub(super) const WHOLE: &str = "generateContent";
/// The method for a stream, in the form of server-sent events.
pub(super) const STREAM: &str = "streamGenerateContent?alt=sse";

/// The path of a model's method; names come with and without their collection.
pub(super) fn path(model: &str, method: &str) -> String {
    format!("/models/{}:{method}", model.strip_prefix("models/").unwrap_or(model))
}

#[derive(Deserialize)]
struct GeminiModels {
    #[serde(default)]
    models: Vec<GeminiModel>,
}

#[derive(Deserialize)]
struct GeminiModel {
    name: String,
}

/// The names of the models, without their collection.
pub(super) fn models(body: &[u8]) -> Result<Vec<String>, VendorFailure> {
    let list: GeminiModels = serde_json::from_slice(body)
        .map_err(|error| VendorFailure::malformed(Vendor::Gemini, &error.to_string()))?;
    let bare = |name: String| name.strip_prefix("models/").map(str::to_owned).unwrap_or(name);
    Ok(list.models.into_iter().map(|model| bare(model.name)).collect())
}
