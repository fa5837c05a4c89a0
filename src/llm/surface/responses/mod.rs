//! OpenAI's Responses API: `POST /v1/responses`.
//!
//! Source: OpenAI's API reference "Responses" and "Streaming events". PAS keeps no conversations, so
//! every request brings its whole input (`store` is answered with `false`); tools that run at the vendor
//! are not served. Both are refused by name and not ignored.

mod output;
mod request;
mod stream;

pub use self::output::{Echo, response};
pub use self::request::ResponsesRequest;
pub use self::stream::ResponseWriter;
