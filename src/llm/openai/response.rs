//! The complete answer.

use serde_json::{Map, Value};

use super::{repair, searches_of};
use crate::chat::{ChatResponse, UsageReport};
use crate::dialect::{AnswerDefaults, Completion};
use crate::failure::VendorFailure;
use crate::vendor::Vendor;
use crate::vendor_error;
use pas_domain::usage::{ServiceTier, TokenUsage};

/// Parses the answer, and fills in members that OpenAI-like servers omit.
pub(crate) fn chat(vendor: Vendor, asked: &AnswerDefaults, body: &[u8]) -> Result<Completion, VendorFailure> {
    let mut response: ChatResponse = serde_json::from_slice(body).map_err(|error| {
        vendor_error::in_answer(vendor, body)
            .unwrap_or_else(|| VendorFailure::malformed(vendor, &error.to_string()))
    })?;
    fill(&mut response.object, "chat.completion");
    fill(&mut response.model, &asked.model);
    if response.created == 0 {
        response.created = asked.created;
    }
    repair::finish(&mut response);
    let usage = known_usage(&mut response.usage).map(|usage| in_tier(usage, &response.extra));
    let usage = usage.map(|usage| usage.with_searches(searches_of(&asked.model)));
    Ok(Completion { response, usage })
}

/// The usage in the tier that the answer names.
pub(super) fn in_tier(usage: TokenUsage, extra: &Map<String, Value>) -> TokenUsage {
    let word = extra.get("service_tier").and_then(Value::as_str);
    word.map_or(usage, |word| usage.in_tier(ServiceTier::from_word(word)))
}

pub(super) fn fill(field: &mut String, default: &str) {
    if field.is_empty() {
        default.clone_into(field);
    }
}

/// The usage, normalized to OpenAI's way of counting. All zeros count as no usage: a model reads at least one
/// token.
pub(super) fn known_usage(report: &mut Option<UsageReport>) -> Option<TokenUsage> {
    let report = report.as_mut()?;
    let usage = report.to_usage();
    report.completion_tokens = usage.output;
    report.total_tokens = usage.total();
    (usage.total() > 0).then_some(usage)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::VendorFailureKind;

    fn answer(body: &Value) -> Result<Completion, VendorFailure> {
        let asked = AnswerDefaults { model: "m".into(), created: 5 };
        chat(Vendor::OpenAi, &asked, body.to_string().as_bytes())
    }

    #[test]
    fn an_answer_passes_whole_and_its_usage_is_known() {
        let body = json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-5-codex-2026-01-01",
            "choices": [{"index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {
                "role": "assistant", "refusal": null, "content": null, "annotations": [],
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                ]}}],
            "usage": {"prompt_tokens": 2_006, "completion_tokens": 300, "total_tokens": 2_306,
                "prompt_tokens_details": {"cached_tokens": 1_920, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 256, "audio_tokens": 0,
                    "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}},
            "service_tier": "default", "system_fingerprint": null,
        });
        let found = answer(&body).unwrap();
        let usage =
            TokenUsage { input: 86, cache_read: 1_920, output: 300, reasoning: 256, ..TokenUsage::default() };
        assert_eq!(found.usage, Some(usage));
        assert_eq!(found.response.choices[0].message.tool_calls.len(), 2);
        assert_eq!(found.response.extra["service_tier"], "default");
        assert_eq!(found.response.created, 1);
    }

    #[test]
    fn no_usage_is_not_a_usage_of_nothing() {
        for usage in [Value::Null, json!({}), json!({"prompt_tokens": 0, "completion_tokens": 0})] {
            let body =
                json!({"choices": [{"message": {"role": "assistant", "content": "a"}}], "usage": usage});
            let found = answer(&body).unwrap();
            assert_eq!((found.usage, found.response.created, &*found.response.model), (None, 5, "m"));
        }
    }

    #[test]
    fn garbage_is_malformed_and_an_error_keeps_its_kind() {
        let kind =
            |body: Value| answer(&body).map_err(|failure| (failure.kind, failure.may_cost)).unwrap_err();
        assert_eq!(kind(json!({"id": "x"})), (VendorFailureKind::Malformed, true));
        assert_eq!(kind(json!([1])), (VendorFailureKind::Malformed, true));
        let error = json!({"error": {"message": "busy", "type": "rate_limit_error"}});
        assert_eq!(kind(error), (VendorFailureKind::RateLimited, true));
    }
}
