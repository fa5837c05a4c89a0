//! A request on its way to one vendor of its protocol.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::value::RawValue;

use super::OriginalRequest;
use crate::dialect::{AnswerDefaults, VendorRequest};
use crate::inbound::{anthropic, with_plain_ids};
use crate::passage::generate;
use crate::passage::members::{MemberSpans, quoted};
use crate::passage::protocol::WireProtocol;
use crate::vendor::Vendor;
use crate::{anthropic as anthropic_dialect, gemini, openai};

/// Members of a message that PAS adds to answers, or once did, and OpenAI refuses in requests.
const ADDED_BY_US: [&str; 4] =
    [anthropic::REASONING, anthropic::THINKING_BLOCKS, gemini::EXTRA, "thought_signatures"];

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

    /// The values for members that answers leave out.
    pub(crate) fn defaults(&self) -> AnswerDefaults {
        AnswerDefaults::now(&self.model)
    }

    /// The request in the vendor's form: the client's bytes but for the members that must differ.
    #[must_use]
    pub fn wire(&self, vendor: Vendor) -> VendorRequest {
        let path = match self.protocol() {
            WireProtocol::Chat => "/chat/completions".to_owned(),
            WireProtocol::Completions => "/completions".to_owned(),
            WireProtocol::Responses => "/responses".to_owned(),
            WireProtocol::Messages => "/v1/messages".to_owned(),
            WireProtocol::Generate => {
                let is_stream = self.original.is_stream;
                gemini::path(&self.model, if is_stream { gemini::STREAM } else { gemini::WHOLE })
            }
        };
        self.wire_at(vendor, &path)
    }

    /// The request for a count of its tokens.
    #[must_use]
    pub fn count_wire(&self, vendor: Vendor) -> VendorRequest {
        let path = match self.protocol() {
            WireProtocol::Generate => gemini::path(&self.model, "countTokens"),
            _ => "/v1/messages/count_tokens".to_owned(),
        };
        self.wire_at(vendor, &path)
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
        let is_generate = original.protocol == WireProtocol::Generate;
        let model = quoted(&self.model);
        if !is_generate && member("model") != Some(&model) {
            changes.push(("model", model));
        }
        if let Some(limit) = self.limit.filter(|_| is_generate) {
            changes.push(generate::limited(text, spans, limit));
        } else if let Some(limit) = self.limit {
            let names = original.protocol.limits();
            let name = names.iter().find(|name| member(name).is_some()).unwrap_or(&names[0]);
            changes.push((*name, limit.to_string()));
        }
        if original.protocol.has_choices() && original.is_stream && !original.wants_usage {
            changes.push(("stream_options", with_usage(member("stream_options"))));
        }
        if original.protocol == WireProtocol::Chat {
            if vendor == Vendor::OpenAi
                && !openai::request::keeps_extra_content(&self.model)
                && let Some(messages) = member("messages").and_then(without_ours)
            {
                changes.push(("messages", messages));
            }
        } else if original.protocol.has_signed_ids()
            && let Some(plain) = member(original.protocol.conversation()).and_then(with_plain_ids)
        {
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

/// An object without the members that PAS added.
fn without_members(object: &str) -> String {
    match MemberSpans::of(object) {
        Ok(spans) if ADDED_BY_US.iter().any(|name| spans.get(object, name).is_some()) => {
            spans.without(object, &ADDED_BY_US)
        }
        _ => object.to_owned(),
    }
}
