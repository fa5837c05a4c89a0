//! A request as its client sent it.

mod glance;
mod passed;

use std::sync::OnceLock;

use bytes::Bytes;
use hyper::header::HeaderMap;
use serde::de::DeserializeOwned;

use self::glance::{RequestGlance, StreamOptionsGlance};
pub use self::passed::PassedRequest;
use super::generate::{self, GenerateTarget};
use super::headers;
use super::members::MemberSpans;
use super::protocol::WireProtocol;
use super::searches;
use super::translated::{TranslatedRequest, read, translate};
use super::weight::{self, RequestWeight};
use crate::inbound::{ApiProblem, ProblemKind};
use pas_domain::usage::ServiceTier;

/// The one query that belongs to a protocol (Anthropic's); any other may carry a credential.
const BETA: &str = "beta=true";
/// Members through which the vendor continues a conversation that it keeps.
const CONTINUED: [&str; 7] = [
    "previous_response_id",
    "conversation",
    "prompt",
    "container",
    "mcp_servers",
    "cachedContent",
    "cached_content",
];

/// A request in its client's protocol, byte for byte.
#[derive(Debug)]
pub struct OriginalRequest {
    protocol: WireProtocol,
    /// UTF-8.
    body: Bytes,
    spans: MemberSpans,
    query: Option<String>,
    headers: HeaderMap,
    model: String,
    is_stream: bool,
    wants_usage: bool,
    output_limit: Option<u64>,
    answers: u64,
    least_output: u64,
    service_tier: ServiceTier,
    translated: OnceLock<Result<TranslatedRequest, ApiProblem>>,
}

impl OriginalRequest {
    /// Reads the members that PAS needs.
    ///
    /// # Errors
    /// [`ApiProblem`] naming the member that cannot be read.
    pub fn read(
        protocol: WireProtocol,
        body: Bytes,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Self, ApiProblem> {
        let request = Self::read_members(protocol, body, headers)?;
        let query = query.filter(|query| *query == BETA).map(str::to_owned);
        Ok(Self { query, ..request })
    }

    /// The same of a request for Gemini, whose path names the model.
    ///
    /// # Errors
    /// [`ApiProblem`] naming the member that cannot be read.
    pub fn read_generate(
        target: GenerateTarget,
        body: Bytes,
        headers: &HeaderMap,
    ) -> Result<Self, ApiProblem> {
        let request = Self::read_members(WireProtocol::Generate, body, headers)?;
        let GenerateTarget { model, is_stream } = target;
        Ok(Self { model, is_stream, ..request })
    }

    fn read_members(protocol: WireProtocol, body: Bytes, headers: &HeaderMap) -> Result<Self, ApiProblem> {
        let broken = |error: &dyn std::fmt::Display| {
            ApiProblem::new(ProblemKind::Invalid, format!("the body is not valid JSON: {error}"))
        };
        if body.is_empty() {
            return Err(ApiProblem::new(ProblemKind::Invalid, "a JSON body is required"));
        }
        let text = std::str::from_utf8(&body).map_err(|error| broken(&error))?;
        let spans = MemberSpans::of(text).map_err(|error| broken(&error))?;
        if protocol == WireProtocol::Generate {
            generate::check_spellings(text, &spans)?;
        }
        let seen = RequestGlance { text, spans: &spans };
        seen.check_conversation(protocol)?;
        if seen.member::<bool>("background")? == Some(true) {
            let why = "background answers are not supported; use `stream`";
            return Err(ApiProblem::invalid("background", why));
        }
        let options = seen.member::<StreamOptionsGlance>("stream_options")?;
        let mut request = Self {
            protocol,
            model: seen.member::<String>("model")?.unwrap_or_default(),
            is_stream: seen.member::<bool>("stream")?.unwrap_or_default(),
            wants_usage: options.is_some_and(|options| options.include_usage == Some(true)),
            output_limit: seen.output_limit(protocol)?,
            answers: seen.answers(protocol)?,
            least_output: seen.least_output(headers)?,
            service_tier: seen.service_tier(protocol),
            query: None,
            headers: headers::of_request(headers),
            translated: OnceLock::new(),
            body: Bytes::new(),
            spans: MemberSpans::default(),
        };
        (request.spans, request.body) = (spans, body);
        Ok(request)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }

    #[must_use]
    pub const fn protocol(&self) -> WireProtocol {
        self.protocol
    }

    /// The model asked for, as the client named it; empty: none.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The same request for another model.
    #[must_use]
    pub fn for_model(self, model: String) -> Self {
        Self { model, ..self }
    }

    #[must_use]
    pub const fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Whether the client of a stream of chat chunks asked for its usage.
    #[must_use]
    pub const fn wants_usage(&self) -> bool {
        self.wants_usage
    }

    /// The limit of output tokens that the client set.
    #[must_use]
    pub const fn output_limit(&self) -> Option<u64> {
        self.output_limit
    }

    /// The number of answers asked for (OpenAI's `n`).
    #[must_use]
    pub const fn answers(&self) -> u64 {
        self.answers
    }

    /// The service tier asked for.
    #[must_use]
    pub const fn service_tier(&self) -> ServiceTier {
        self.service_tier
    }

    /// The fewest output tokens that are of use to the client.
    #[must_use]
    pub const fn least_output(&self) -> u64 {
        self.least_output
    }

    /// The most searches that a model runs for it and its vendor bills.
    #[must_use]
    pub fn searches(&self, model: &str) -> u32 {
        let each = searches::allowed(self.protocol, model, |name| self.spans.get(self.text(), name));
        each.saturating_mul(u32::try_from(self.answers).unwrap_or(u32::MAX))
    }

    /// The request's content, for the bound of its prompt.
    #[must_use]
    pub fn weight(&self) -> RequestWeight {
        weight::of(self.text())
    }

    /// Whether the vendor adds to the prompt (an earlier answer, the results of a search).
    #[must_use]
    pub fn is_added_to(&self) -> bool {
        let is_set = |name: &str| self.spans.get(self.text(), name).is_some_and(|value| value != "null");
        let is_continued = |name: &&str| *name != self.protocol.conversation() && is_set(name);
        CONTINUED.iter().any(is_continued) || weight::is_added_to(self.text())
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body in a form of ours.
    ///
    /// # Errors
    /// [`ApiProblem`] naming the member that is not of that form.
    pub fn read_as<T: DeserializeOwned>(&self) -> Result<T, ApiProblem> {
        read(&self.body)
    }

    /// The canonical form, for a vendor of another protocol; made once.
    ///
    /// # Errors
    /// [`ApiProblem`] naming the member that has no word in the canonical form.
    pub fn translated(&self) -> Result<&TranslatedRequest, ApiProblem> {
        let made = self.translated.get_or_init(|| translate(self));
        made.as_ref().map_err(Clone::clone)
    }
}

#[cfg(test)]
mod tests;
