//! The usage of an answer in OpenAI's form, with conversion to and from disjoint classes.

use serde::{Deserialize, Serialize};

use super::null_as_default;
use pas_domain::usage::{TokenUsage, is_no_search};

/// Usage in OpenAI's form: cached tokens are part of `prompt_tokens`, reasoning of `completion_tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UsageReport {
    #[serde(default, deserialize_with = "null_as_default")]
    pub prompt_tokens: u64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub completion_tokens: u64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub total_tokens: u64,
    /// Classes of the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_details: Option<PromptDetails>,
    /// Classes of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens_details: Option<CompletionDetails>,
    /// Grok's count of the sources that it searched, each of which it bills.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_no_search")]
    pub num_sources_used: u32,
}

/// Classes of input tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PromptDetails {
    /// Read from the vendor's cache.
    #[serde(default, deserialize_with = "null_as_default")]
    pub cached_tokens: u64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub audio_tokens: u64,
    /// Written to the vendor's cache; models that bill it count it.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_zero")]
    pub cache_write_tokens: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Classes of output tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CompletionDetails {
    #[serde(default, deserialize_with = "null_as_default")]
    pub reasoning_tokens: u64,
}

impl UsageReport {
    /// The same in disjoint classes. Reasoning that a vendor counts beside the output (as the total shows)
    /// becomes part of the output.
    #[must_use]
    pub fn to_usage(&self) -> TokenUsage {
        let details = self.prompt_tokens_details.unwrap_or_default();
        let cache_read = details.cached_tokens.min(self.prompt_tokens);
        let audio_input = details.audio_tokens.min(self.prompt_tokens - cache_read);
        let cache_write_5m = details.cache_write_tokens.min(self.prompt_tokens - cache_read - audio_input);
        let reasoning = self.completion_tokens_details.unwrap_or_default().reasoning_tokens;
        let both = self.completion_tokens.saturating_add(reasoning);
        let counted_beside = self.total_tokens == self.prompt_tokens.saturating_add(both);
        let output = if counted_beside { both } else { self.completion_tokens.max(reasoning) };
        let input = self.prompt_tokens - cache_read - audio_input - cache_write_5m;
        TokenUsage {
            input,
            cache_read,
            cache_write_5m,
            audio_input,
            output,
            reasoning,
            searches: self.num_sources_used,
            ..TokenUsage::default()
        }
    }
}

impl From<TokenUsage> for UsageReport {
    fn from(usage: TokenUsage) -> Self {
        let input = PromptDetails {
            cached_tokens: usage.cache_read,
            audio_tokens: usage.audio_input,
            cache_write_tokens: 0,
        };
        let output = CompletionDetails { reasoning_tokens: usage.reasoning };
        Self {
            prompt_tokens: usage.prompt(),
            completion_tokens: usage.output,
            total_tokens: usage.total(),
            prompt_tokens_details: (input != PromptDetails::default()).then_some(input),
            completion_tokens_details: (output != CompletionDetails::default()).then_some(output),
            num_sources_used: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn usage(report: Value) -> TokenUsage {
        serde_json::from_value::<UsageReport>(report).unwrap().to_usage()
    }

    #[test]
    fn cached_audio_and_reasoning_tokens_are_counted_once() {
        let report = json!({
            "prompt_tokens": 1_000, "completion_tokens": 300, "total_tokens": 1_300,
            "prompt_tokens_details": {"cached_tokens": 600, "audio_tokens": 100},
            "completion_tokens_details": {"reasoning_tokens": 200, "audio_tokens": null},
        });
        let found = usage(report);
        let wanted = TokenUsage {
            input: 300,
            cache_read: 600,
            audio_input: 100,
            output: 300,
            reasoning: 200,
            ..TokenUsage::default()
        };
        assert_eq!(found, wanted);
        assert_eq!(UsageReport::from(found).to_usage(), found);
    }

    #[test]
    fn reasoning_counted_beside_the_output_is_not_free() {
        let report = json!({
            "prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
            "completion_tokens_details": {"reasoning_tokens": 94},
        });
        assert_eq!(
            usage(report),
            TokenUsage { input: 32, output: 103, reasoning: 94, ..TokenUsage::default() }
        );
    }

    #[test]
    fn details_larger_than_their_sum_make_no_negative_class() {
        let report =
            json!({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9, "audio_tokens": 9}});
        assert_eq!(usage(report), TokenUsage { cache_read: 5, ..TokenUsage::default() });
    }
}
