//! The dialects, and the vendor of each.
//!
//! Pure: values in, bytes out, and back. Invariant: a request that a dialect cannot express completely is
//! refused ([`VendorFailureKind::Unsupported`](super::VendorFailureKind)), never sent in part; an answer's
//! text, tool calls and usage all reach the canonical form.

use bytes::Bytes;
use hyper::header::HeaderMap;

use super::chat::{ChatRequest, ChatResponse};
use super::embedding::{EmbeddingRequest, EmbeddingResponse};
use super::exact_integers;
use super::failure::VendorFailure;
use super::stream::StreamDecoder;
use super::vendor::Vendor;
use super::{anthropic, catalogue, gemini, ollama, openai};
use pas_domain::time::Timestamp;
use pas_domain::usage::TokenUsage;

/// A request in the vendor's form, without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorRequest {
    /// Below the endpoint's base URL, with its query, beginning with a slash.
    pub path: String,
    /// Headers beside the content type.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The client's own headers that belong to the protocol.
    pub passed: HeaderMap,
    /// JSON.
    pub body: Bytes,
}

/// Room for a small request as JSON: a buffer that grows is copied three times on its way.
const BODY_BYTES: usize = 1_024;

impl VendorRequest {
    /// A question without a body.
    pub(super) fn get(path: &str) -> Self {
        Self { path: path.to_owned(), headers: Vec::new(), passed: HeaderMap::new(), body: Bytes::new() }
    }
}

/// A complete answer and its usage.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    pub response: ChatResponse,
    /// `None`: the vendor reported nothing, and the call is charged its full hold.
    pub usage: Option<TokenUsage>,
}

/// Fields that answers omit and clients expect: filled in from the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnswerDefaults {
    /// The requested model.
    pub model: String,
    /// When, in Unix seconds.
    pub created: i64,
}

impl AnswerDefaults {
    /// For an answer to a request made now.
    pub(super) fn now(model: &str) -> Self {
        Self { model: model.to_owned(), created: Timestamp::now().as_millis() / 1_000 }
    }
}

/// The request for a complete answer, or for a stream.
///
/// # Errors
/// [`Unsupported`](super::VendorFailureKind::Unsupported) when the vendor or model cannot express it,
/// [`BadRequest`](super::VendorFailureKind::BadRequest) when it is inconsistent (a tool's result without its
/// call).
pub fn chat_request(
    vendor: Vendor,
    request: &ChatRequest,
    stream: bool,
) -> Result<VendorRequest, VendorFailure> {
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
/// [`Malformed`](super::VendorFailureKind::Malformed) when the answer is not in the vendor's form, or the
/// failure reported by the vendor.
pub fn chat_response(
    vendor: Vendor,
    asked: &AnswerDefaults,
    body: &[u8],
) -> Result<Completion, VendorFailure> {
    match vendor {
        Vendor::OpenAi | Vendor::Grok => openai::response::chat(vendor, asked, body),
        Vendor::Anthropic => anthropic::response::chat(asked, body),
        Vendor::Gemini => gemini::response::chat(asked, body),
        Vendor::Ollama => ollama::response::chat(asked, body),
    }
}

/// A decoder of the vendor's stream of so many answers.
#[must_use]
pub fn decoder(vendor: Vendor, asked: AnswerDefaults, answers: u64) -> StreamDecoder {
    match vendor {
        Vendor::OpenAi | Vendor::Grok => {
            StreamDecoder::sse(vendor, openai::stream::OpenAiDecoder::new(vendor, asked))
        }
        Vendor::Anthropic => StreamDecoder::sse(vendor, anthropic::stream::AnthropicDecoder::new(asked)),
        Vendor::Gemini => StreamDecoder::sse(vendor, gemini::stream::GeminiDecoder::new(asked, answers)),
        Vendor::Ollama => StreamDecoder::lines(vendor, ollama::stream::OllamaDecoder::new(asked)),
    }
}

/// The request for embeddings.
///
/// # Errors
/// As [`chat_request`]'s; Anthropic has no embeddings.
pub fn embedding_request(vendor: Vendor, request: &EmbeddingRequest) -> Result<VendorRequest, VendorFailure> {
    match vendor {
        Vendor::OpenAi | Vendor::Grok => openai::embedding::request(vendor, request),
        Vendor::Anthropic => Err(VendorFailure::unsupported(vendor, "has no embeddings; use another vendor")),
        Vendor::Gemini => gemini::embedding::request(request),
        Vendor::Ollama => ollama::embedding::request(request),
    }
}

/// The vectors, and their usage if the vendor reports it.
///
/// # Errors
/// As [`chat_response`]'s.
pub fn embedding_response(
    vendor: Vendor,
    request: &EmbeddingRequest,
    body: &[u8],
) -> Result<(EmbeddingResponse, Option<TokenUsage>), VendorFailure> {
    match vendor {
        Vendor::OpenAi | Vendor::Grok => openai::embedding::response(vendor, request, body),
        Vendor::Anthropic => Err(VendorFailure::unsupported(vendor, "has no embeddings; use another vendor")),
        Vendor::Gemini => gemini::embedding::response(request, body),
        Vendor::Ollama => ollama::embedding::response(request, body),
    }
}

/// The path of the vendor's list of models.
#[must_use]
pub fn models_request(vendor: Vendor) -> VendorRequest {
    let (path, headers) = match vendor {
        Vendor::OpenAi | Vendor::Grok => ("/models", Vec::new()),
        Vendor::Anthropic => ("/v1/models?limit=1000", vec![anthropic::VERSION]),
        Vendor::Gemini => ("/models?pageSize=1000", Vec::new()),
        Vendor::Ollama => ("/api/tags", Vec::new()),
    };
    VendorRequest { headers, ..VendorRequest::get(path) }
}

/// The names of the vendor's models, as used in requests.
///
/// # Errors
/// [`Malformed`](super::VendorFailureKind::Malformed) when it is no list of models.
pub fn models_response(vendor: Vendor, body: &[u8]) -> Result<Vec<String>, VendorFailure> {
    match vendor {
        Vendor::OpenAi | Vendor::Grok | Vendor::Anthropic => openai::models::response(vendor, body),
        Vendor::Gemini => gemini::models(body),
        Vendor::Ollama => ollama::models(body),
    }
}

impl VendorRequest {
    /// A request with that body and no headers.
    pub(super) fn json(path: impl Into<String>, body: &impl serde::Serialize) -> Result<Self, VendorFailure> {
        let mut written = Vec::with_capacity(BODY_BYTES);
        serde_json::to_writer(&mut written, body).map_err(|error| {
            VendorFailure::faulty(format!("cannot serialize the request as JSON: {error}"))
        })?;
        Ok(Self {
            path: path.into(),
            headers: Vec::new(),
            passed: HeaderMap::new(),
            body: exact_integers::restored_bytes(written).into(),
        })
    }
}
