//! The dialect of Google's Gemini API: `generateContent` and its stream.
//!
//! Our choices. *Version*: paths go to `/v1beta`, which has had tools and schemas longest; a base URL that
//! ends in a version is kept. *Tool calls* come without ids: ours are made of the answer's id and the call's
//! number. *Thought signatures* travel as `thought_signatures` (by call id) in the message. A *blocked
//! prompt* becomes an answer without text that ended by `content_filter`, since the vendor counts its tokens.
//! Images by URL are refused: the API reads only uploaded files. `parallel_tool_calls` has no counterpart.

pub(super) mod embedding;
pub(super) mod request;
pub(super) mod response;
mod schema;
pub(super) mod stream;

use serde::Deserialize;

use super::failure::VendorFailure;
use super::vendor::Vendor;

/// Message field that carries the signatures of thoughts through the canonical form.
const SIGNATURES: &str = "thought_signatures";
/// Message field for pictures of an answer, as other gateways of the chat form name it.
const IMAGES: &str = "images";

/// The path of a model's method; names come with and without their collection.
fn path(model: &str, method: &str) -> String {
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
