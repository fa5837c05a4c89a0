//! The dialect of Ollama: `/api/chat` with lines of JSON, `/api/embed`, `/api/tags`.
//!
//! Choices of ours. *Window*: Ollama cuts a prompt silently to its default window, so a request that may
//! be longer than [`request::DEFAULT_WINDOW`] asks for a larger one (`num_ctx`). *Pictures* must be in the
//! request; their addresses are refused. *Calls*: older servers give no ids, so ours are made of the
//! answer's time and the call's number; `tool_choice` that forces a call is refused, as nothing forces it
//! there. What the caller puts into `options`, `keep_alive` or `think` passes as it is.

pub(super) mod embedding;
pub(super) mod request;
pub(super) mod response;
pub(super) mod stream;

use serde::Deserialize;

use super::failure::Failure;
use super::vendor::Vendor;

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    name: String,
}

/// The names of the models that are there.
pub(super) fn models(body: &[u8]) -> Result<Vec<String>, Failure> {
    let tags: Tags = serde_json::from_slice(body)
        .map_err(|error| Failure::malformed(Vendor::Ollama, &error.to_string()))?;
    Ok(tags.models.into_iter().map(|model| model.name).collect())
}
