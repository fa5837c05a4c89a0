//! A whole answer that is passed on, and its usage.

use bytes::Bytes;
use hyper::header::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::members::{MemberSpans, quoted};
use super::protocol::WireProtocol;
use super::searches;
use crate::anthropic::response::AnthropicUsage;
use crate::chat::{CompletionDetails, PromptDetails, UsageReport};
use crate::dialect::AnswerDefaults;
use crate::failure::VendorFailure;
use crate::gemini::response::GeminiUsage;
use crate::vendor::Vendor;
use crate::{openai, vendor_error};
use pas_domain::usage::{ServiceTier, TokenUsage};

/// A vendor's answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedAnswer {
    pub body: Bytes,
    /// The headers that belong to the protocol.
    pub headers: HeaderMap,
}

/// The members by which an answer of each protocol is recognised.
#[derive(Deserialize)]
struct AnswerGlance<'a> {
    #[serde(borrow, default)]
    choices: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    candidates: Option<&'a RawValue>,
    #[serde(rename = "promptFeedback", borrow, default)]
    prompt_feedback: Option<&'a RawValue>,
    #[serde(rename = "usageMetadata", borrow, default)]
    usage_metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<&'a RawValue>,
}

/// The kind of a completion of a text, and of its chunks.
pub(super) const TEXT_COMPLETION: &str = "text_completion";

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The answer to pass on, and its usage; `None`: the vendor reported none.
pub(crate) fn usage(
    protocol: WireProtocol,
    vendor: Vendor,
    asked: &AnswerDefaults,
    body: Vec<u8>,
) -> Result<(Bytes, Option<TokenUsage>), VendorFailure> {
    let json = body.strip_prefix(BOM).unwrap_or(&body);
    let unread = |what: &str| {
        vendor_error::in_answer(vendor, json).unwrap_or_else(|| VendorFailure::malformed(vendor, what))
    };
    let text = std::str::from_utf8(json).map_err(|error| unread(&error.to_string()))?;
    let glance: AnswerGlance<'_> = serde_json::from_str(text).map_err(|error| unread(&error.to_string()))?;
    let (name, content) = match protocol {
        WireProtocol::Chat | WireProtocol::Completions => ("choices", glance.choices),
        WireProtocol::Messages => ("content", glance.content),
        WireProtocol::Responses => ("output", glance.output),
        WireProtocol::Generate => ("candidates", glance.candidates),
    };
    let is_answer = content.is_some_and(|list| list.get().starts_with('['));
    // A prompt that Gemini's filter blocks has no candidates, and is an answer.
    let is_blocked = protocol == WireProtocol::Generate && glance.prompt_feedback.is_some();
    if !is_answer && !is_blocked {
        return Err(unread(&format!("it has no `{name}`")));
    }
    let report = if protocol == WireProtocol::Generate { glance.usage_metadata } else { glance.usage };
    let usage = report.and_then(|report| report_of(protocol, report.get()));
    let usage = usage.map(|usage| in_said_tier(usage, glance.service_tier));
    let listed = content.map(RawValue::get).unwrap_or_default();
    let searches = match protocol {
        WireProtocol::Responses => searches::of_output(listed),
        WireProtocol::Generate => searches::of_candidates(&asked.model, listed),
        WireProtocol::Chat => openai::searches_of(&asked.model),
        WireProtocol::Messages | WireProtocol::Completions => 0,
    };
    let usage = usage.map(|usage| usage.with_searches(searches));
    let object = if protocol == WireProtocol::Chat { "chat.completion" } else { TEXT_COMPLETION };
    if protocol.has_choices()
        && let Some(filled) = filled(text, object, asked)
    {
        return Ok((filled.into(), usage));
    }
    let begins = body.len() - json.len();
    Ok((Bytes::from(body).slice(begins..), usage))
}

/// The usage in the tier that an answer names; Anthropic and Gemini name it within the usage.
pub(super) fn in_said_tier(usage: TokenUsage, member: Option<&RawValue>) -> TokenUsage {
    let word = member.and_then(|member| serde_json::from_str::<&str>(member.get()).ok());
    word.map_or(usage, |word| usage.in_tier(ServiceTier::from_word(word)))
}

/// A usage report in disjoint classes; `None` when it counts nothing.
pub(super) fn report_of(protocol: WireProtocol, report: &str) -> Option<TokenUsage> {
    match protocol {
        WireProtocol::Chat | WireProtocol::Completions => counted(read::<UsageReport>(report)?.to_usage()),
        WireProtocol::Generate => counted(read::<GeminiUsage>(report)?.usage()?),
        WireProtocol::Messages => counted(read::<AnthropicUsage>(report)?.usage()?),
        WireProtocol::Responses => counted(UsageReport::from(read::<ResponsesUsage>(report)?).to_usage()),
    }
}

/// All zeros count as no usage: a model reads at least one token.
fn counted(usage: TokenUsage) -> Option<TokenUsage> {
    (usage.total() > 0).then_some(usage)
}

fn read<T: DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json).ok()
}

/// Usage as Responses has it.
#[derive(Deserialize)]
struct ResponsesUsage {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
    #[serde(default)]
    input_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    output_tokens_details: Option<CompletionDetails>,
}

impl From<ResponsesUsage> for UsageReport {
    fn from(usage: ResponsesUsage) -> Self {
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
            prompt_tokens_details: usage.input_tokens_details,
            completion_tokens_details: usage.output_tokens_details,
            num_sources_used: 0,
        }
    }
}

/// Fills in the members that OpenAI-like servers leave out and clients expect; `None` when none is missing.
pub(super) fn filled(text: &str, object: &str, asked: &AnswerDefaults) -> Option<String> {
    let spans = MemberSpans::of(text).ok()?;
    let is_missing =
        |name: &str, unset: &str| spans.get(text, name).is_none_or(|value| value == "null" || value == unset);
    let mut changes = Vec::new();
    if is_missing("id", "\"\"") && spans.get(text, "id") != Some("\"\"") {
        changes.push(("id", quoted("")));
    }
    if is_missing("object", "\"\"") {
        changes.push(("object", quoted(object)));
    }
    if is_missing("created", "0") {
        changes.push(("created", asked.created.to_string()));
    }
    if is_missing("model", "\"\"") {
        changes.push(("model", quoted(&asked.model)));
    }
    (!changes.is_empty()).then(|| spans.with(text, &changes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> AnswerDefaults {
        AnswerDefaults { model: "m".into(), created: 9 }
    }

    fn read(protocol: WireProtocol, body: &str) -> (String, Option<TokenUsage>) {
        let (body, usage) = usage(protocol, Vendor::OpenAi, &asked(), body.into()).unwrap();
        (String::from_utf8(body.to_vec()).unwrap(), usage)
    }

    #[test]
    fn an_answer_passes_byte_for_byte_and_its_usage_is_read() {
        let chat = r#" {"new": {"b":1,"a":12345678901234567890123}, "id":"c", "object":"chat.completion","created":1.5,
            "model":"m", "choices":[{}], "usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,
            "prompt_tokens_details":{"cached_tokens":5}}}"#;
        let usage = TokenUsage { input: 4, cache_read: 5, output: 4, ..TokenUsage::default() };
        assert_eq!(read(WireProtocol::Chat, chat), (chat.to_owned(), Some(usage)));
        let messages = r#"{"content":[{"type":"x"}],"usage":{"input_tokens":1,"cache_creation_input_tokens":7,
            "cache_read_input_tokens":3,"output_tokens":2}}"#;
        let usage =
            TokenUsage { input: 1, cache_write_5m: 7, cache_read: 3, output: 2, ..TokenUsage::default() };
        assert_eq!(read(WireProtocol::Messages, messages), (messages.to_owned(), Some(usage)));
        let responses = r#"{"output":[],"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":5},
            "output_tokens":4,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":13}}"#;
        let usage = TokenUsage { input: 4, cache_read: 5, output: 4, reasoning: 3, ..TokenUsage::default() };
        assert_eq!(read(WireProtocol::Responses, responses), (responses.to_owned(), Some(usage)));
        assert_eq!(
            read(WireProtocol::Messages, "\u{FEFF}{\"content\":[]}"),
            ("{\"content\":[]}".into(), None)
        );
    }

    #[test]
    fn the_tier_that_answered_is_read_wherever_it_stands() {
        let tier = |protocol, body: &str| read(protocol, body).1.unwrap().tier;
        let chat = r#"{"choices":[],"usage":{"prompt_tokens":9},"service_tier":"priority"}"#;
        assert_eq!(tier(WireProtocol::Chat, chat), ServiceTier::Priority);
        assert_eq!(tier(WireProtocol::Chat, &chat.replace("priority", "default")), ServiceTier::Standard);
        assert_eq!(tier(WireProtocol::Chat, &chat.replace("\"priority\"", "null")), ServiceTier::Standard);
        let responses = r#"{"output":[],"usage":{"input_tokens":9},"service_tier":"flex"}"#;
        assert_eq!(tier(WireProtocol::Responses, responses), ServiceTier::Flex);
        let messages =
            r#"{"content":[],"usage":{"input_tokens":9,"output_tokens":1,"service_tier":"batch"}}"#;
        assert_eq!(tier(WireProtocol::Messages, messages), ServiceTier::Batch);
        let gemini = r#"{"candidates":[],"usageMetadata":{"promptTokenCount":9,"serviceTier":"priority"}}"#;
        assert_eq!(tier(WireProtocol::Generate, gemini), ServiceTier::Priority);
        let nothing = r#"{"candidates":[],"usageMetadata":null,"promptFeedback":null}"#;
        assert_eq!(read(WireProtocol::Generate, nothing), (nothing.to_owned(), None));
    }

    #[test]
    fn what_a_server_leaves_out_is_filled_in_and_nothing_else_changes() {
        let (text, _) = read(WireProtocol::Chat, r#"{"choices":[],"model":"", "x" : 1}"#);
        assert_eq!(
            text,
            r#"{"choices":[],"model":"m", "x" : 1,"id":"","object":"chat.completion","created":9}"#
        );
    }

    #[test]
    fn an_error_or_another_thing_is_no_answer() {
        for (body, word) in [
            (r#"{"error":{"message":"no","type":"overloaded_error"}}"#, "no"),
            ("{}", "choices"),
            ("<html>", "cannot be read"),
            (r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#, "choices"),
            (r#"{"choices":{}}"#, "choices"),
        ] {
            let failure = usage(WireProtocol::Chat, Vendor::OpenAi, &asked(), body.into()).unwrap_err();
            assert!(failure.may_cost && failure.message.contains(word), "{failure}");
        }
    }
}
