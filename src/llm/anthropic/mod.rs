//! The dialect of Anthropic's messages.
//!
//! Choices of ours. *Version*: `2026-10-21` refuses `temperature`, `top_p` and `top_k`, so a request with
//! one of them goes out under `2023-06-01`, which takes them; all others go out under the newer one.
//! `temperature` ends at 1 here, so a higher one becomes 1 (as in Anthropic's OpenAI-compatible endpoint).
//! *Limit*: `max_tokens` is required, see [`catalogue::output_limit`](super::catalogue::output_limit).
//! *Thinking* comes as `reasoning_content`, and its signed blocks as `thinking_blocks`, which a client
//! that continues the conversation sends back.

pub(super) mod request;
pub(super) mod response;
pub(super) mod stream;

const VERSION_HEADER: &str = "anthropic-version";
/// The version of every request that does not need the older one.
pub(super) const VERSION: (&str, &str) = (VERSION_HEADER, "2026-10-21");
/// The version that takes sampling parameters.
pub(super) const SAMPLING_VERSION: (&str, &str) = (VERSION_HEADER, "2023-06-01");

/// Message fields that carry signed thinking through the canonical form.
const THINKING_BLOCKS: &str = "thinking_blocks";

/// The finish reason in OpenAI's words.
fn finish_reason(stop_reason: &str) -> &'static str {
    match stop_reason {
        "max_tokens" | "model_context_window_exceeded" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        _ => "stop",
    }
}
