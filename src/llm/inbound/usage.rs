//! Disjoint token classes in the forms that clients know.
//!
//! OpenAI and Gemini count cached tokens as part of the prompt, Anthropic beside it; reasoning is part of the
//! output, but at Gemini.

use serde_json::{Value, json};

use super::super::chat::{CompletionDetails, PromptDetails, UsageReport};
use pas_domain::usage::TokenUsage;

/// In the form of OpenAI's chat completions.
#[must_use]
pub fn chat(usage: &TokenUsage) -> UsageReport {
    UsageReport {
        prompt_tokens: usage.prompt(),
        completion_tokens: usage.output,
        total_tokens: usage.total(),
        prompt_tokens_details: Some(PromptDetails {
            cached_tokens: usage.cache_read,
            audio_tokens: usage.audio_input,
            cache_write_tokens: 0,
        }),
        completion_tokens_details: Some(CompletionDetails { reasoning_tokens: usage.reasoning }),
        num_sources_used: 0,
    }
}

/// In the form of OpenAI's Responses.
#[must_use]
pub fn responses(usage: &TokenUsage) -> Value {
    json!({
        "input_tokens": usage.prompt(),
        "input_tokens_details": { "cached_tokens": usage.cache_read },
        "output_tokens": usage.output,
        "output_tokens_details": { "reasoning_tokens": usage.reasoning },
        "total_tokens": usage.total(),
    })
}

/// In the form of Anthropic's messages.
#[must_use]
pub fn anthropic(usage: &TokenUsage) -> Value {
    json!({
        "input_tokens": usage.input.saturating_add(usage.audio_input),
        "cache_creation_input_tokens": usage.cache_write_5m.saturating_add(usage.cache_write_1h),
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.output,
    })
}

/// In the form of Gemini's answers.
#[must_use]
pub fn gemini(usage: &TokenUsage) -> Value {
    json!({
        "promptTokenCount": usage.prompt(),
        "cachedContentTokenCount": usage.cache_read,
        "candidatesTokenCount": usage.output.saturating_sub(usage.reasoning),
        "thoughtsTokenCount": usage.reasoning,
        "totalTokenCount": usage.total(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_are_inside_for_openai_and_beside_for_anthropic() {
        let usage = TokenUsage {
            input: 100,
            cache_read: 1000,
            cache_write_5m: 20,
            cache_write_1h: 3,
            audio_input: 7,
            output: 50,
            reasoning: 30,
            ..TokenUsage::default()
        };
        let chat = chat(&usage);
        assert_eq!((chat.prompt_tokens, chat.completion_tokens, chat.total_tokens), (1130, 50, 1180));
        assert_eq!(chat.prompt_tokens_details.unwrap().cached_tokens, 1000);
        assert_eq!(responses(&usage)["output_tokens_details"]["reasoning_tokens"], 30);
        let anthropic = anthropic(&usage);
        assert_eq!(anthropic["input_tokens"], 107);
        assert_eq!(anthropic["cache_creation_input_tokens"], 23);
        assert_eq!(anthropic["cache_read_input_tokens"], 1000);
    }
}
