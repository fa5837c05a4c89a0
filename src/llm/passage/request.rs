//! A request as its client sent it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::headers;
use super::members::{MemberSpans, quoted};
use super::protocol::WireProtocol;
use super::translated::{TranslatedRequest, read, translate};
use super::weight::{self, RequestWeight};
use crate::dialect::{AnswerDefaults, VendorRequest};
use crate::inbound::{ApiProblem, ProblemKind, anthropic, with_plain_ids};
use crate::vendor::Vendor;
use crate::{anthropic as anthropic_dialect, gemini, openai};
use pas_domain::usage::ServiceTier;

/// Members of a message that PAS adds to answers, or once did, and OpenAI refuses in requests.
const ADDED_BY_US: [&str; 4] =
    [anthropic::REASONING, anthropic::THINKING_BLOCKS, gemini::EXTRA, "thought_signatures"];
/// The one query that belongs to a protocol (Anthropic's); any other may carry a credential.
const BETA: &str = "beta=true";
/// The header in which a client says which output limit is too low to be of use.
const LEAST_OUTPUT: &str = "x-pas-min-tokens";
/// A shorter answer than this, in tokens, is of no use to an agent.
const SHORT_ANSWER: u64 = 1_024;
/// Members through which the vendor continues what it keeps.
const CONTINUED: [&str; 5] = ["previous_response_id", "conversation", "prompt", "container", "mcp_servers"];

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

/// A member of `thinking`.
#[derive(Deserialize)]
struct ThinkingGlance {
    #[serde(default)]
    budget_tokens: Option<u64>,
}

/// A member of `stream_options`.
#[derive(Deserialize)]
struct StreamOptionsGlance {
    #[serde(default)]
    include_usage: Option<bool>,
}

impl OriginalRequest {
    /// Reads what PAS needs of a request.
    ///
    /// # Errors
    /// [`ApiProblem`] naming the member that cannot be read.
    pub fn read(
        protocol: WireProtocol,
        body: Bytes,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Self, ApiProblem> {
        let broken = |error: &dyn std::fmt::Display| {
            ApiProblem::new(ProblemKind::Invalid, format!("the body is not valid JSON: {error}"))
        };
        if body.is_empty() {
            return Err(ApiProblem::new(ProblemKind::Invalid, "a JSON body is required"));
        }
        let text = std::str::from_utf8(&body).map_err(|error| broken(&error))?;
        let spans = MemberSpans::of(text).map_err(|error| broken(&error))?;
        let seen = RequestGlance { text, spans: &spans };
        seen.check_conversation(protocol)?;
        if seen.member::<bool>("background")? == Some(true) {
            let why = "background answers are not supported; use `stream`";
            return Err(ApiProblem::invalid("background", why));
        }
        let limits = protocol.limits().iter();
        let limit = limits.map(|name| seen.count(name)).find(|limit| !matches!(limit, Ok(None)));
        let options = seen.member::<StreamOptionsGlance>("stream_options")?;
        let mut request = Self {
            protocol,
            model: seen.member::<String>("model")?.unwrap_or_default(),
            is_stream: seen.member::<bool>("stream")?.unwrap_or_default(),
            wants_usage: options.is_some_and(|options| options.include_usage == Some(true)),
            output_limit: limit.transpose()?.flatten(),
            answers: seen.count("n")?.unwrap_or(1).max(1),
            least_output: seen.least_output(headers)?,
            service_tier: seen.service_tier(),
            query: query.filter(|query| *query == BETA).map(str::to_owned),
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

    /// What the request holds, for the bound of its prompt.
    #[must_use]
    pub fn weight(&self) -> RequestWeight {
        weight::of(self.text())
    }

    /// Whether the vendor adds to the prompt what is not in the request (an earlier answer, a search).
    #[must_use]
    pub fn is_added_to(&self) -> bool {
        let is_set = |name: &str| self.spans.get(self.text(), name).is_some_and(|value| value != "null");
        CONTINUED.iter().any(|name| is_set(name)) || weight::is_added_to(self.text())
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
        let made = self.translated.get_or_init(|| translate(self.protocol, &self.body));
        made.as_ref().map_err(Clone::clone)
    }
}

/// The members of a request while it is read.
struct RequestGlance<'t> {
    text: &'t str,
    spans: &'t MemberSpans,
}

impl RequestGlance<'_> {
    /// A member's value; SDKs write unset members as `null`.
    fn member<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ApiProblem> {
        let Some(value) = self.spans.get(self.text, name) else { return Ok(None) };
        serde_json::from_str(value).map_err(|error| {
            let message = error.to_string();
            let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(text, _)| text);
            ApiProblem::invalid(name, format!("{name}: {message}"))
        })
    }

    /// A whole number; clients in languages without integers write `100.0`.
    fn count(&self, name: &str) -> Result<Option<u64>, ApiProblem> {
        let Some(number) = self.member::<serde_json::Number>(name)? else { return Ok(None) };
        let whole = number.as_u64().or_else(|| {
            let value = number.as_f64().filter(|value| value.fract() == 0.0 && *value >= 0.0)?;
            format!("{value:.0}").parse().ok()
        });
        let wrong = || ApiProblem::invalid(name, format!("{name}: a whole number of at least 0 is required"));
        whole.map(Some).ok_or_else(wrong)
    }

    /// What the client says in a header, or enough for an answer after the thinking that was asked for.
    fn least_output(&self, headers: &HeaderMap) -> Result<u64, ApiProblem> {
        if let Some(value) = headers.get(LEAST_OUTPUT) {
            let said = value.to_str().ok().and_then(|text| text.trim().parse().ok());
            let wrong = || ApiProblem::invalid(LEAST_OUTPUT, format!("{LEAST_OUTPUT}: a number of tokens"));
            return said.ok_or_else(wrong);
        }
        let thinking = || self.member::<ThinkingGlance>("thinking").ok().flatten();
        let thought = thinking().and_then(|thinking| thinking.budget_tokens).unwrap_or_default();
        Ok(thought.saturating_add(SHORT_ANSWER))
    }

    /// Anything but a known word is left to the vendor to judge.
    fn service_tier(&self) -> ServiceTier {
        let word = self.member::<String>("service_tier").ok().flatten();
        word.as_deref().map_or(ServiceTier::Standard, ServiceTier::from_word)
    }

    fn check_conversation(&self, protocol: WireProtocol) -> Result<(), ApiProblem> {
        let name = protocol.conversation();
        let value = self.spans.get(self.text, name).filter(|value| *value != "null");
        let is_given = match (protocol, value) {
            (WireProtocol::Responses, Some(_)) => return Ok(()),
            // A stored prompt or an earlier answer may stand in for the input.
            (WireProtocol::Responses, None) => {
                CONTINUED.iter().any(|name| self.spans.get(self.text, name).is_some())
            }
            (_, None) => false,
            (_, Some(value)) if !value.starts_with('[') => {
                return Err(ApiProblem::invalid(name, format!("{name}: a list is required")));
            }
            (_, Some(value)) => !value[1..].trim_start().starts_with(']'),
        };
        let missing = || ApiProblem::invalid(name, format!("{name}: at least one message is required"));
        is_given.then_some(()).ok_or_else(missing)
    }
}

/// A request on its way to one vendor of its protocol.
#[derive(Debug, Clone)]
pub struct PassedRequest {
    pub original: Arc<OriginalRequest>,
    /// The vendor's name of the model.
    pub model: String,
    /// The limit of output tokens to set, in place of the client's or where it set none.
    pub limit: Option<u64>,
}

impl PassedRequest {
    #[must_use]
    pub fn protocol(&self) -> WireProtocol {
        self.original.protocol
    }

    /// What answers leave out is filled in from this.
    pub(crate) fn defaults(&self) -> AnswerDefaults {
        AnswerDefaults::now(&self.model)
    }

    /// The request in the vendor's form: the client's bytes but for the members that must differ.
    #[must_use]
    pub fn wire(&self, vendor: Vendor) -> VendorRequest {
        self.wire_at(vendor, self.protocol().path())
    }

    /// The request for a count of its tokens.
    #[must_use]
    pub fn count_wire(&self, vendor: Vendor) -> VendorRequest {
        self.wire_at(vendor, &format!("{}/count_tokens", self.protocol().path()))
    }

    fn wire_at(&self, vendor: Vendor, path: &str) -> VendorRequest {
        let original = &*self.original;
        let (text, changes) = (original.text(), self.changes(vendor));
        let body = match changes.as_slice() {
            [] => original.body.clone(),
            changes => original.spans.with(text, changes).into(),
        };
        let body = self.with_limit_named(vendor, body);
        let mut passed = original.headers.clone();
        if self.protocol() == WireProtocol::Messages {
            let (name, version) = anthropic_dialect::SAMPLING_VERSION;
            let version = HeaderValue::from_static(version);
            passed.entry(HeaderName::from_static(name)).or_insert(version);
        }
        let query = original.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
        VendorRequest { path: format!("{path}{query}"), headers: Vec::new(), passed, body }
    }

    /// OpenAI's reasoning models refuse `max_tokens`; a client that was given such a model by `auto`, or is
    /// older than they are, cannot know.
    fn with_limit_named(&self, vendor: Vendor, body: Bytes) -> Bytes {
        let [new, old] = self.protocol().limits() else { return body };
        let is_new = self.original.spans.get(self.original.text(), new).is_some();
        if vendor != Vendor::OpenAi || is_new || !openai::request::is_reasoning(&self.model) {
            return body;
        }
        let text = std::str::from_utf8(&body).unwrap_or_default();
        let renamed = MemberSpans::of(text).ok().and_then(|spans| spans.renamed(text, old, new));
        renamed.map_or(body, Bytes::from)
    }

    /// The members that must differ for this vendor.
    fn changes(&self, vendor: Vendor) -> Vec<(&'static str, String)> {
        let original = &*self.original;
        let (text, spans) = (original.text(), &original.spans);
        let member = |name| spans.get(text, name).filter(|value| *value != "null");
        let mut changes = Vec::new();
        let model = quoted(&self.model);
        if member("model") != Some(&model) {
            changes.push(("model", model));
        }
        if let Some(limit) = self.limit {
            let names = original.protocol.limits();
            let name = names.iter().find(|name| member(name).is_some()).unwrap_or(&names[0]);
            changes.push((*name, limit.to_string()));
        }
        if original.protocol == WireProtocol::Chat {
            if original.is_stream && !original.wants_usage {
                changes.push(("stream_options", with_usage(member("stream_options"))));
            }
            if vendor == Vendor::OpenAi
                && !openai::request::keeps_extra_content(&self.model)
                && let Some(messages) = member("messages").and_then(without_ours)
            {
                changes.push(("messages", messages));
            }
        } else if let Some(plain) = member(original.protocol.conversation()).and_then(with_plain_ids) {
            changes.push((original.protocol.conversation(), plain));
        }
        changes
    }
}

/// Stream options that ask for the usage, whatever else they ask for.
fn with_usage(options: Option<&str>) -> String {
    let options = options.unwrap_or("{}");
    let asked = [("include_usage", "true".to_owned())];
    MemberSpans::of(options).map_or_else(|_| options.to_owned(), |spans| spans.with(options, &asked))
}

/// The messages without the members that PAS added to earlier answers; `None` when there are none.
fn without_ours(messages: &str) -> Option<String> {
    let holds = |name: &str| memchr::memmem::find(messages.as_bytes(), name.as_bytes()).is_some();
    if !ADDED_BY_US.iter().any(|name| holds(name)) {
        return None;
    }
    each(messages, &|message| {
        let message = without_members(message);
        let calls = |spans: &MemberSpans| {
            let calls = spans.get(&message, "tool_calls").filter(|calls| calls.starts_with('['))?;
            Some(spans.with(&message, &[("tool_calls", each(calls, &without_members)?)]))
        };
        MemberSpans::of(&message).ok().and_then(|spans| calls(&spans)).unwrap_or(message)
    })
}

/// A list with each of its objects changed.
fn each(list: &str, change: &dyn Fn(&str) -> String) -> Option<String> {
    let list: Vec<&RawValue> = serde_json::from_str(list).ok()?;
    let changed: Vec<String> = list.iter().map(|one| change(one.get())).collect();
    Some(format!("[{}]", changed.join(",")))
}

/// An object without what PAS added.
fn without_members(object: &str) -> String {
    match MemberSpans::of(object) {
        Ok(spans) if ADDED_BY_US.iter().any(|name| spans.get(object, name).is_some()) => {
            spans.without(object, &ADDED_BY_US)
        }
        _ => object.to_owned(),
    }
}

#[cfg(test)]
mod tests;
