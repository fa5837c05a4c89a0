//! What a dialect is, and which vendor speaks which.
//!
//! Everything here is pure: values in, bytes out, and back. Invariant: a request that a dialect cannot
//! express whole is refused ([`FailureKind::Unsupported`](super::FailureKind)), never sent in part; an
//! answer's text, tool calls and usage all reach the canonical form.

use super::chat::{ChatRequest, ChatResponse};
use super::embedding::{EmbeddingRequest, EmbeddingResponse};
use super::failure::Failure;
use super::stream::Decoder;
use super::vendor::Vendor;
use super::{anthropic, catalogue, gemini, ollama, openai};
use crate::domain::usage::Usage;

/// A request as its vendor wants it, without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireRequest {
    /// Below the endpoint's base URL, with its query, beginning with a slash.
    pub path: String,
    /// Headers beside the content type.
    pub headers: Vec<(&'static str, &'static str)>,
    /// JSON.
    pub body: Vec<u8>,
}

/// Room for a small request as JSON: a buffer that grows is copied three times on its way.
const BODY_BYTES: usize = 1_024;

impl WireRequest {
    /// A question without a body.
    pub(super) fn get(path: &str) -> Self {
        Self { path: path.to_owned(), headers: Vec::new(), body: Vec::new() }
    }
}

/// A whole answer and what it used.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    pub response: ChatResponse,
    /// What it used; `None`: the vendor said nothing, and the call is charged at its hold.
    pub usage: Option<Usage>,
}

/// What answers leave out, and clients want to know: filled in from the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// The model that was asked.
    pub model: String,
    /// When, in Unix seconds.
    pub created: i64,
}

/// The request for a whole answer, or for a stream.
///
/// # Errors
/// [`Unsupported`](super::FailureKind::Unsupported) when the vendor or model cannot express it,
/// [`BadRequest`](super::FailureKind::BadRequest) when it makes no sense (a tool's result without its call).
pub fn chat_request(vendor: Vendor, request: &ChatRequest, stream: bool) -> Result<WireRequest, Failure> {
    catalogue::check(vendor, request)?;
    match vendor {
        Vendor::OpenAi | Vendor::Grok => openai::request::chat(vendor, request, stream),
        Vendor::Anthropic => anthropic::request::chat(request, stream),
        Vendor::Gemini => gemini::request::chat(request, stream),
        Vendor::Ollama => ollama::request::chat(request, stream),
    }
}

/// The answer to a [`chat_request`] without stream.
///
/// # Errors
/// [`Malformed`](super::FailureKind::Malformed) when it is not the vendor's form, or what the vendor says
/// went wrong.
pub fn chat_response(vendor: Vendor, asked: &Asked, body: &[u8]) -> Result<Completion, Failure> {
    match vendor {
        Vendor::OpenAi | Vendor::Grok => openai::response::chat(vendor, asked, body),
        Vendor::Anthropic => anthropic::response::chat(asked, body),
        Vendor::Gemini => gemini::response::chat(asked, body),
        Vendor::Ollama => ollama::response::chat(asked, body),
    }
}

/// What an answer to a [`chat_request`] without stream used that is in OpenAI's form already and needs no
/// change; `None` where it must be read.
#[must_use]
pub fn usage_at_a_glance(vendor: Vendor, body: &[u8]) -> Option<Usage> {
    if vendor.is_openai_like() { openai::response::usage_at_a_glance(body) } else { None }
}

/// A decoder of the vendor's stream. With `verbatim`, what is in OpenAI's form already and needs no change
/// passes as it came.
#[must_use]
pub fn decoder(vendor: Vendor, asked: Asked, verbatim: bool) -> Decoder {
    match vendor {
        Vendor::OpenAi | Vendor::Grok => {
            Decoder::sse(vendor, openai::stream::Events::new(vendor, asked, verbatim))
        }
        Vendor::Anthropic => Decoder::sse(vendor, anthropic::stream::Events::new(asked)),
        Vendor::Gemini => Decoder::sse(vendor, gemini::stream::Events::new(asked)),
        Vendor::Ollama => Decoder::lines(vendor, ollama::stream::Events::new(asked)),
    }
}

/// The request for embeddings.
///
/// # Errors
/// As [`chat_request`]'s; Anthropic has no embeddings.
pub fn embedding_request(vendor: Vendor, request: &EmbeddingRequest) -> Result<WireRequest, Failure> {
    match vendor {
        Vendor::OpenAi | Vendor::Grok => openai::embedding::request(vendor, request),
        Vendor::Anthropic => Err(Failure::unsupported(vendor, "has no embeddings; ask another vendor")),
        Vendor::Gemini => gemini::embedding::request(request),
        Vendor::Ollama => ollama::embedding::request(request),
    }
}

/// The vectors, and what they used if the vendor says so.
///
/// # Errors
/// As [`chat_response`]'s.
pub fn embedding_response(
    vendor: Vendor,
    request: &EmbeddingRequest,
    body: &[u8],
) -> Result<(EmbeddingResponse, Option<Usage>), Failure> {
    match vendor {
        Vendor::OpenAi | Vendor::Grok => openai::embedding::response(vendor, request, body),
        Vendor::Anthropic => Err(Failure::unsupported(vendor, "has no embeddings; ask another vendor")),
        Vendor::Gemini => gemini::embedding::response(request, body),
        Vendor::Ollama => ollama::embedding::response(request, body),
    }
}

/// Where the names of the vendor's models are read.
#[must_use]
pub fn models_request(vendor: Vendor) -> WireRequest {
    let (path, headers) = match vendor {
        Vendor::OpenAi | Vendor::Grok => ("/models", Vec::new()),
        Vendor::Anthropic => ("/v1/models?limit=1000", vec![anthropic::VERSION]),
        Vendor::Gemini => ("/models?pageSize=1000", Vec::new()),
        Vendor::Ollama => ("/api/tags", Vec::new()),
    };
    WireRequest { path: path.to_owned(), headers, body: Vec::new() }
}

/// The names of the vendor's models, as its requests take them.
///
/// # Errors
/// [`Malformed`](super::FailureKind::Malformed) when it is no list of models.
pub fn models_response(vendor: Vendor, body: &[u8]) -> Result<Vec<String>, Failure> {
    match vendor {
        Vendor::OpenAi | Vendor::Grok | Vendor::Anthropic => openai::models::response(vendor, body),
        Vendor::Gemini => gemini::models(body),
        Vendor::Ollama => ollama::models(body),
    }
}

impl WireRequest {
    /// A request with that body and no headers.
    pub(super) fn json(path: impl Into<String>, body: &impl serde::Serialize) -> Result<Self, Failure> {
        let mut written = Vec::with_capacity(BODY_BYTES);
        serde_json::to_writer(&mut written, body)
            .map_err(|error| Failure::faulty(format!("the request cannot be written as JSON: {error}")))?;
        Ok(Self { path: path.into(), headers: Vec::new(), body: written })
    }
}
