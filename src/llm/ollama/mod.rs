//! The dialect of Ollama: `/api/chat` with lines of JSON, `/api/embed`, `/api/tags`.
//!
//! Our choices. *Window*: Ollama silently cuts a prompt to its default window, so a request that may be
//! longer than [`request::DEFAULT_WINDOW`] asks for a larger one (`num_ctx`). *Images* must be in the
//! request; URLs are refused. *Tool calls*: older servers give no ids, so ours are made of the answer's time
//! and the call's number; a `tool_choice` that forces a call is refused, as Ollama cannot force one. The
//! caller's `options`, `keep_alive` and `think` pass unchanged.

pub(super) mod embedding;
pub(super) mod request;
pub(super) mod response;
pub(super) mod stream;

use serde::Deserialize;

use super::failure::VendorFailure;
use super::vendor::Vendor;

#[derive(Deserialize)]
struct OllamaTags {
    #[serde(default)]
    models: Vec<OllamaModel>,
}

#[derive(Deserialize)]
struct OllamaModel {
    name: String,
}

/// The names of the installed models.
pub(super) fn models(body: &[u8]) -> Result<Vec<String>, VendorFailure> {
    let tags: OllamaTags = serde_json::from_slice(body)
        .map_err(|error| VendorFailure::malformed(Vendor::Ollama, &error.to_string()))?;
    Ok(tags.models.into_iter().map(|model| model.name).collect())
}
