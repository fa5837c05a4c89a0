//! The dialect of Google's Gemini API: `generateContent` and its stream.
//!
//! Choices of ours. *Version*: paths go to `/v1beta`, which has had tools and schemas longest; a base URL
//! that ends in a version is taken as it is. *Calls* come without ids: ours are made of the answer's id
//! and their number. *Thought signatures* travel as `thought_signatures` (by call id) in the message. A
//! *blocked prompt* is an answer without text that ended by `content_filter`, since the vendor counts its
//! tokens. Pictures at an address are refused: the API reads only files that were uploaded to it.
//! `parallel_tool_calls` has no counterpart.

pub(super) mod embedding;
pub(super) mod request;
pub(super) mod response;
mod schema;
pub(super) mod stream;

use serde::Deserialize;

use super::failure::Failure;
use super::vendor::Vendor;

/// Message field that carries the signatures of thoughts through the canonical form.
const SIGNATURES: &str = "thought_signatures";

/// The path of a model's method; names come with and without their collection.
fn path(model: &str, method: &str) -> String {
    format!("/models/{}:{method}", model.strip_prefix("models/").unwrap_or(model))
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    name: String,
}

/// The names of the models, without their collection.
pub(super) fn models(body: &[u8]) -> Result<Vec<String>, Failure> {
    let list: List = serde_json::from_slice(body)
        .map_err(|error| Failure::malformed(Vendor::Gemini, &error.to_string()))?;
    let bare = |name: String| name.strip_prefix("models/").map(str::to_owned).unwrap_or(name);
    Ok(list.models.into_iter().map(|model| bare(model.name)).collect())
}
