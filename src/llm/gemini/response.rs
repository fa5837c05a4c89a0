//! The answer (a stream sends many) and the vendor's usage.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{EXTRA, IMAGES, service_tier, signed};
use crate::chat::null_as_default;
use crate::dialect::{AnswerDefaults, Completion};
use crate::exact_integers;
use crate::failure::VendorFailure;
use crate::message_parts::{AssistantMessage, ChunkHead};
use crate::vendor::Vendor;
use crate::vendor_error;
use pas_domain::usage::TokenUsage;

const VENDOR: Vendor = Vendor::Gemini;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GeminiResponse {
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) candidates: Vec<GeminiCandidate>,
    #[serde(default)]
    pub(super) prompt_feedback: Option<GeminiFeedback>,
    #[serde(default)]
    pub(super) usage_metadata: Option<GeminiUsage>,
    #[serde(default)]
    pub(super) model_version: Option<String>,
    #[serde(default)]
    pub(super) response_id: Option<String>,
}

impl GeminiResponse {
    /// Parses an answer. One without candidates must have a block reason.
    pub(super) fn read(body: &[u8]) -> Result<Self, VendorFailure> {
        let broken = |what: &str| {
            vendor_error::in_answer(VENDOR, body).unwrap_or_else(|| VendorFailure::malformed(VENDOR, what))
        };
        let answer: Self = exact_integers::read(body).map_err(|error| broken(&error.to_string()))?;
        let says_nothing =
            answer.candidates.is_empty() && !answer.is_blocked() && answer.usage_metadata.is_none();
        if says_nothing { Err(broken("it has no candidates")) } else { Ok(answer) }
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.prompt_feedback.as_ref().is_some_and(|feedback| feedback.block_reason.is_some())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GeminiFeedback {
    #[serde(default)]
    block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GeminiCandidate {
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) index: u32,
    #[serde(default)]
    content: Option<GeminiContent>,
    #[serde(default)]
    pub(super) finish_reason: Option<String>,
}

impl GeminiCandidate {
    pub(super) fn parts(&mut self) -> Vec<GeminiPart> {
        self.content.take().map(|content| content.parts).unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct GeminiContent {
    #[serde(default, deserialize_with = "null_as_default")]
    parts: Vec<GeminiPart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GeminiPart {
    #[serde(default)]
    pub(super) text: Option<String>,
    /// Whether the text is thought rather than answer.
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) thought: bool,
    #[serde(default)]
    pub(super) thought_signature: Option<String>,
    #[serde(default)]
    pub(super) function_call: Option<GeminiFunctionCall>,
    /// A picture that the model made.
    #[serde(default)]
    pub(super) inline_data: Option<GeminiBlob>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GeminiBlob {
    mime_type: String,
    data: String,
}

impl GeminiBlob {
    /// The picture in the chat form, as an element of [`IMAGES`].
    pub(super) fn image(&self) -> Value {
        let url = format!("data:{};base64,{}", self.mime_type, self.data);
        serde_json::json!({ "type": "image_url", "image_url": { "url": url } })
    }
}

#[derive(Deserialize)]
pub(super) struct GeminiFunctionCall {
    #[serde(default)]
    pub(super) id: Option<String>,
    pub(super) name: String,
    #[serde(default)]
    pub(super) args: Option<Value>,
}

/// The vendor's usage: cached tokens are part of the prompt, thoughts are beside the candidates.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GeminiUsage {
    prompt_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    service_tier: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    prompt_tokens_details: Vec<GeminiModality>,
    #[serde(default, deserialize_with = "null_as_default")]
    cache_tokens_details: Vec<GeminiModality>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GeminiModality {
    #[serde(default, deserialize_with = "null_as_default")]
    modality: String,
    #[serde(default, deserialize_with = "null_as_default")]
    token_count: u64,
}

impl GeminiUsage {
    /// In disjoint classes; `None` when even the prompt has no count.
    pub(crate) fn usage(&self) -> Option<TokenUsage> {
        let prompt = self.prompt_token_count?;
        let cache_read = self.cached_content_token_count.unwrap_or(0).min(prompt);
        let audio = audio(&self.prompt_tokens_details).saturating_sub(audio(&self.cache_tokens_details));
        let audio_input = audio.min(prompt - cache_read);
        let reasoning = self.thoughts_token_count.unwrap_or(0);
        Some(TokenUsage {
            input: (prompt - cache_read - audio_input)
                .saturating_add(self.tool_use_prompt_token_count.unwrap_or(0)),
            cache_read,
            audio_input,
            output: self.candidates_token_count.unwrap_or(0).saturating_add(reasoning),
            reasoning,
            tier: self.service_tier.as_deref().map(service_tier).unwrap_or_default(),
            ..TokenUsage::default()
        })
    }
}

fn audio(details: &[GeminiModality]) -> u64 {
    details.iter().filter(|one| one.modality == "AUDIO").map(|one| one.token_count).sum()
}

/// The id of a call: the vendor's, or made of the answer's and the call's number.
pub(super) fn call_id(call: &GeminiFunctionCall, answer: &str, number: usize) -> String {
    call.id.clone().unwrap_or_else(|| format!("call_{answer}_{number}"))
}

/// The finish reason in OpenAI's words.
pub(super) fn finish_reason(reason: &str, has_calls: bool) -> &'static str {
    match reason {
        "MAX_TOKENS" => "length",
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII"
        | "IMAGE_SAFETY" => "content_filter",
        _ if has_calls => "tool_calls",
        _ => "stop",
    }
}

/// Whether the vendor ended an answer because it could not read the model's output: such an answer counts as none.
pub(super) fn is_aborted(reason: &str) -> bool {
    matches!(
        reason,
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS" | "MALFORMED_RESPONSE"
    )
}

/// The failure of an answer that [`is_aborted`]: made and counted.
pub(super) fn aborted(reason: &str, used: Option<TokenUsage>) -> VendorFailure {
    let what = format!("the model's call could not be read ({reason}); ask again, or simplify the tools");
    let used = used.map(Box::new);
    VendorFailure { used, ..VendorFailure::malformed(VENDOR, &what) }
}

pub(crate) fn chat(asked: &AnswerDefaults, body: &[u8]) -> Result<Completion, VendorFailure> {
    let answer = GeminiResponse::read(body)?;
    let is_blocked = answer.is_blocked();
    let usage = answer.usage_metadata.and_then(|usage| usage.usage());
    let mut head = ChunkHead { id: answer.response_id.unwrap_or_default(), asked: asked.clone() };
    head.model(answer.model_version.unwrap_or_default());
    let mut choices = Vec::new();
    for mut candidate in answer.candidates {
        let mut said = AssistantMessage::default();
        for part in candidate.parts() {
            add(part, &head.id, &mut said);
        }
        let has_calls = !said.calls.is_empty();
        let reason = candidate.finish_reason.as_deref().unwrap_or_default();
        if is_aborted(reason) {
            return Err(aborted(reason, usage));
        }
        let reason = finish_reason(reason, has_calls);
        choices.push(said.choice(candidate.index, reason));
    }
    if choices.is_empty() && is_blocked {
        choices.push(AssistantMessage::default().choice(0, "content_filter"));
    }
    if choices.is_empty() {
        return Err(VendorFailure::malformed(VENDOR, "it has no candidates"));
    }
    Ok(head.completion(choices, usage))
}

fn add(part: GeminiPart, answer: &str, said: &mut AssistantMessage) {
    let extra = part.thought_signature.as_deref().map(signed);
    match part.text {
        Some(text) if part.thought => said.reasoning.push_str(&text),
        Some(text) => said.text.push_str(&text),
        None => {}
    }
    if let Some(blob) = part.inline_data {
        let images = said.extra.entry(IMAGES).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(images) = images {
            images.push(blob.image());
        }
    }
    if let Some(call) = part.function_call {
        let id = call_id(&call, answer, said.calls.len());
        said.call(id, call.name, &call.args.unwrap_or_else(|| Value::Object(Map::new())));
        if let Some(call) = said.calls.last_mut() {
            call.extra_content = extra;
        }
    } else if let Some(extra) = extra {
        said.extra.insert(EXTRA.to_owned(), extra);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::VendorFailureKind;
    use crate::chat::ChatContent as Text;
    use pas_domain::usage::ServiceTier;

    fn read(body: &Value) -> Result<Completion, VendorFailure> {
        chat(&AnswerDefaults { model: "m".into(), created: 1 }, body.to_string().as_bytes())
    }

    #[test]
    fn text_thoughts_calls_and_usage_all_arrive() {
        let found = read(&json!({
            "responseId": "r1", "modelVersion": "gemini-2.5-pro",
            "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [
                {"text": "thinking", "thought": true}, {"text": "I "}, {"text": "call.", "thoughtSignature": "of the text"},
                {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "sig"},
                {"functionCall": {"name": "g"}}]}}],
            "usageMetadata": {"promptTokenCount": 1_000, "candidatesTokenCount": 50, "thoughtsTokenCount": 200,
                "cachedContentTokenCount": 400, "toolUsePromptTokenCount": 10, "totalTokenCount": 1_260,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 700}, {"modality": "AUDIO", "tokenCount": 300}],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 100}, {"modality": "TEXT", "tokenCount": 300}]},
        }))
        .unwrap();
        let choice = &found.response.choices[0];
        assert_eq!(choice.finish_reason.as_deref(), Some("tool_calls"));
        assert_eq!(choice.message.content, Some(Text::Text("I call.".into())));
        let calls: Vec<_> =
            choice.message.tool_calls.iter().map(|call| (&*call.id, &*call.function.arguments)).collect();
        assert_eq!(calls, [("call_r1_0", r#"{"a":1}"#), ("call_r1_1", "{}")]);
        let signatures: Vec<_> =
            choice.message.tool_calls.iter().map(|call| call.extra_content.clone()).collect();
        assert_eq!(signatures, [Some(json!({"google": {"thought_signature": "sig"}})), None]);
        assert_eq!(choice.message.extra["extra_content"]["google"]["thought_signature"], "of the text");
        let usage = TokenUsage {
            input: 410,
            cache_read: 400,
            audio_input: 200,
            output: 250,
            reasoning: 200,
            ..TokenUsage::default()
        };
        assert_eq!(found.usage, Some(usage));
        assert_eq!(usage.total(), 1_260);
    }

    #[test]
    fn a_blocked_prompt_is_an_answer_that_the_filter_ended() {
        let found = read(&json!({"promptFeedback": {"blockReason": "SAFETY"},
            "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9}}))
        .unwrap();
        assert_eq!(found.response.choices[0].finish_reason.as_deref(), Some("content_filter"));
        assert_eq!(found.usage, Some(TokenUsage { input: 9, ..TokenUsage::default() }));
        let stopped = read(&json!({"candidates": [{"finishReason": "SAFETY"}]})).unwrap();
        assert_eq!(stopped.response.choices[0].finish_reason.as_deref(), Some("content_filter"));
        assert_eq!(stopped.usage, None);
    }

    #[test]
    fn a_picture_in_the_answer_arrives_beside_the_text() {
        let body = json!({"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "here"},
            {"inlineData": {"mimeType": "image/png", "data": "IMG="}}]}}]});
        let message = &read(&body).unwrap().response.choices[0].message;
        assert_eq!(message.extra["images"][0]["image_url"]["url"], "data:image/png;base64,IMG=");
    }

    #[test]
    fn an_aborted_answer_is_a_failure_that_costs_what_was_counted() {
        let body = json!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "content": {"parts": []}}],
            "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 20}});
        let failure = read(&body).unwrap_err();
        let used = TokenUsage { input: 100, output: 20, ..TokenUsage::default() };
        assert_eq!((failure.kind, failure.used.as_deref()), (VendorFailureKind::Malformed, Some(&used)));
    }

    #[test]
    fn members_that_are_null_are_absent() {
        let body = json!({"promptFeedback": null, "modelVersion": null,
            "candidates": [{"index": null, "groundingMetadata": null, "finishReason": "STOP", "content": {"parts": [
                {"text": "x", "thought": null, "functionCall": null}]}}, {"index": 1, "content": {"parts": null}}],
            "usageMetadata": {"promptTokenCount": 9, "promptTokensDetails": null, "cacheTokensDetails": [
                {"modality": null, "tokenCount": null}], "serviceTier": "SERVICE_TIER_FLEX"}});
        let found = read(&body).unwrap();
        assert_eq!(found.response.choices[0].message.content, Some(Text::Text("x".into())));
        let usage = TokenUsage { input: 9, tier: ServiceTier::Flex, ..TokenUsage::default() };
        assert_eq!(found.usage, Some(usage));
        let without =
            json!({"candidates": null, "usageMetadata": null, "promptFeedback": {"blockReason": "OTHER"}});
        assert_eq!(read(&without).unwrap().usage, None);
    }

    #[test]
    fn nothing_is_malformed() {
        for body in [json!({}), json!({"candidates": 1}), json!({"usageMetadata": {"promptTokenCount": 1}})] {
            assert_eq!(read(&body).unwrap_err().kind, VendorFailureKind::Malformed, "{body}");
        }
    }
}
