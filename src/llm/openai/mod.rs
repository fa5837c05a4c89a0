//! The dialect of OpenAI, and of xAI's Grok, which speaks the same: chat completions, embeddings, models.
//!
//! The canonical form is this dialect's, so requests pass unchanged except for three fields: a limit of
//! output tokens is always set, streams always ask for their usage, and reasoning models get the limit under
//! the one name they accept. Unknown fields pass unchanged in both directions.

pub(super) mod embedding;
pub(super) mod models;
mod repair;
pub(super) mod request;
pub(super) mod response;
pub(super) mod stream;

pub use self::models::ServedModel;

/// The searches in a chat with a model: those that search do so once, and their usage does not count it.
#[must_use]
pub(super) fn searches_of(model: &str) -> u32 {
    u32::from(model.contains("-search-preview") || model.contains("-search-api"))
}
