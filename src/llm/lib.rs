//! Model vendors: the canonical chat form, and one thin dialect per vendor around one HTTP client.
//!
//! The canonical form is OpenAI's chat completion ([`chat`]). A dialect maps a request to its vendor's wire
//! form, the answer and its stream back, and the vendor's figures to a [`pas_domain::usage::TokenUsage`].
//! This layer knows no actor and no store. Failure policy: every failure of a call is a [`VendorFailure`]
//! that states whether to retry, whether another provider may succeed, and whether the vendor may have begun
//! to work (and so must be paid).

mod anthropic;
pub mod catalogue;
pub mod chat;
pub mod client;
pub mod dialect;
pub mod embedding;
pub mod endpoint;
mod exact_integers;
pub mod failure;
mod gemini;
pub mod inbound;
pub mod member_table;
mod message_parts;
pub mod model_caller;
mod ollama;
pub mod openai;
pub mod passage;
pub mod refusal;
mod seen_output;
pub mod sse;
pub mod stream;
pub mod text_writer;
pub mod tls;
pub mod token_estimate;
pub mod vendor;
mod vendor_error;

pub use client::{CallDeadlines, ChunkStream, VendorClient};
pub use dialect::Completion;
pub use endpoint::VendorEndpoint;
pub use failure::{VendorFailure, VendorFailureKind};
pub use refusal::VendorRefusal;
pub use seen_output::{SeenAnswer, SeenOutput};
pub use vendor::Vendor;
