//! Model vendors: the canonical chat form, and one thin dialect a vendor around one HTTP client.
//!
//! The canonical form is OpenAI's chat completion ([`chat`]). A dialect maps a request to its vendor's
//! wire form, the answer and its stream back, and the vendor's figures to a [`crate::domain::usage::Usage`].
//! This layer knows no actor and no store. Failure policy: every way a call can fail is a [`Failure`]
//! that says whether to try again, whether another provider may do better, and whether the vendor may
//! have begun to work (and so must be paid).

mod anthropic;
pub mod catalogue;
pub mod chat;
pub mod client;
pub mod dialect;
pub mod embedding;
pub mod endpoint;
pub mod failure;
mod gemini;
mod ollama;
mod openai;
mod refusal;
pub mod sse;
pub mod stream;
pub mod surface;
pub mod text_writer;
pub mod tls;
mod translate;
pub mod vendor;

pub use client::{ChunkStream, Client, Deadlines};
pub use dialect::Completion;
pub use endpoint::Endpoint;
pub use failure::{Failure, FailureKind};
pub use vendor::Vendor;
