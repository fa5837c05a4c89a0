//! OpenAI's Responses API: `POST /v1/responses`.
//!
//! Source: OpenAI's API reference "Responses" and "Streaming events". This is the translation, for vendors
//! without Responses ([`crate::passage`] is the way to OpenAI). PAS keeps no conversations, so every
//! request brings its whole input (`store` is answered with `false`); tools that run at the vendor are not
//! supported. Both are refused by name, not ignored.

mod output;
mod request;
mod stream;

pub use self::output::{ResponsesEcho, response};
pub use self::request::ResponsesRequest;
pub use self::stream::ResponsesWriter;
