//! A whole answer in Gemini's form.

use serde_json::{Value, json};

use super::finish_reason;
use crate::chat::{ChatChoice, ChatContent, ChatResponse};
use crate::gemini::{EXTRA, IMAGES, signature_in};
use crate::inbound::anthropic::REASONING;
use crate::inbound::{tools, usage};
use pas_domain::usage::TokenUsage;

/// The answer as candidates; without a usage from the vendor it has none.
#[must_use]
pub fn response(response: &ChatResponse, used: Option<&TokenUsage>) -> Value {
    let mut answer = json!({
        "candidates": response.choices.iter().map(candidate).collect::<Vec<_>>(),
        "modelVersion": response.model,
        "responseId": response.id,
    });
    if let Some(used) = used {
        answer["usageMetadata"] = usage::gemini(used);
    }
    answer
}

fn candidate(choice: &ChatChoice) -> Value {
    let finish = finish_reason(choice.finish_reason.as_deref());
    let content = json!({ "role": "model", "parts": parts(choice) });
    json!({ "index": choice.index, "content": content, "finishReason": finish })
}

fn parts(choice: &ChatChoice) -> Vec<Value> {
    let message = &choice.message;
    let thought = message.extra.get(REASONING).and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut parts: Vec<Value> = thought.map(thought_part).into_iter().collect();
    let said = message.content.as_ref().map(ChatContent::to_text).unwrap_or_default();
    let refusal = message.refusal.as_deref().unwrap_or_default();
    for text in [said.as_str(), refusal].into_iter().filter(|text| !text.is_empty()) {
        parts.push(json!({ "text": text }));
    }
    if let (Some(last), Some(extra)) = (parts.last_mut(), message.extra.get(EXTRA)) {
        sign(last, Some(extra));
    }
    parts.extend(message.extra.get(IMAGES).and_then(Value::as_array).into_iter().flatten().filter_map(image));
    for call in &message.tool_calls {
        let args = tools::to_object(&call.function.arguments);
        parts.push(call_part(&call.id, &call.function.name, &args, call.extra_content.as_ref()));
    }
    parts
}

pub(super) fn thought_part(text: &str) -> Value {
    json!({ "text": text, "thought": true })
}

pub(super) fn call_part(id: &str, name: &str, args: &Value, extra: Option<&Value>) -> Value {
    let mut part = json!({ "functionCall": { "id": id, "name": name, "args": args } });
    sign(&mut part, extra);
    part
}

fn sign(part: &mut Value, extra: Option<&Value>) {
    if let Some(signature) = extra.and_then(signature_in) {
        part["thoughtSignature"] = json!(signature);
    }
}

/// A picture of the chat form.
pub(super) fn image(image: &Value) -> Option<Value> {
    let url = image.pointer("/image_url/url")?.as_str()?.strip_prefix("data:")?;
    let (kind, data) = url.split_once(";base64,")?;
    Some(json!({ "inlineData": { "mimeType": kind, "data": data } }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::testing::answer;

    #[test]
    fn thought_text_pictures_and_signed_calls_become_parts_in_this_order() {
        let extra = json!({ "google": { "thought_signature": "sig" } });
        let call = json!({ "id": "c1", "type": "function", "extra_content": extra,
            "function": { "name": "weather", "arguments": "{\"city\":\"Bern\"}" } });
        let image = json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==" } });
        let said = json!({ "role": "assistant", "content": "Let me look.", "tool_calls": [call],
            "reasoning_content": "hm", "images": [image] });
        let used = TokenUsage { input: 10, cache_read: 90, output: 5, reasoning: 2, ..TokenUsage::default() };
        let found = response(&answer(said, "tool_calls"), Some(&used));
        assert_eq!(
            found["candidates"][0]["content"],
            json!({ "role": "model", "parts": [
                { "text": "hm", "thought": true },
                { "text": "Let me look." },
                { "inlineData": { "mimeType": "image/png", "data": "AA==" } },
                { "functionCall": { "id": "c1", "name": "weather", "args": { "city": "Bern" } },
                    "thoughtSignature": "sig" },
            ] })
        );
        assert_eq!(
            (&found["candidates"][0]["finishReason"], &found["responseId"]),
            (&json!("STOP"), &json!("chatcmpl-1"))
        );
        let usage = &found["usageMetadata"];
        let counts = [
            "promptTokenCount",
            "cachedContentTokenCount",
            "candidatesTokenCount",
            "thoughtsTokenCount",
            "totalTokenCount",
        ];
        assert_eq!(counts.map(|name| usage[name].as_u64().unwrap()), [100, 90, 3, 2, 105]);
    }

    #[test]
    fn reasons_to_stop_are_geminis_words() {
        for (ours, theirs) in [("stop", "STOP"), ("length", "MAX_TOKENS"), ("content_filter", "SAFETY")] {
            let found = response(&answer(json!({ "role": "assistant", "content": "x" }), ours), None);
            assert_eq!(found["candidates"][0]["finishReason"], theirs);
        }
    }
}
