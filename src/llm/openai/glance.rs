//! A quick check whether an answer may pass unchanged (complete JSON in our form), and its usage. Parsing and
//! rewriting the whole answer takes three times the instructions.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::usage::TokenUsage;
use crate::llm::chat::UsageReport;

/// Required members of every answer and chunk.
#[derive(Deserialize)]
pub(super) struct ResponseGlance<'a> {
    id: &'a str,
    object: &'a str,
    created: i64,
    model: &'a str,
    #[serde(borrow)]
    choices: &'a RawValue,
    #[serde(default)]
    pub(super) usage: Option<UsageReport>,
}

impl<'a> ResponseGlance<'a> {
    /// `None` when a member must be filled in, or only a full parse can name the fault.
    pub(super) fn at(json: &'a [u8]) -> Option<Self> {
        let glance: Self = serde_json::from_str(std::str::from_utf8(json).ok()?).ok()?;
        let is_whole = ![glance.id, glance.object, glance.model].contains(&"") && glance.created != 0;
        (is_whole && glance.choices.get().starts_with('[')).then_some(glance)
    }

    /// The usage, if the vendor's own sums agree.
    pub(super) fn plain_usage(&self) -> Option<TokenUsage> {
        let report = self.usage.as_ref()?;
        let usage = report.to_usage();
        let is_plain = report.completion_tokens == usage.output && report.total_tokens == usage.total();
        (is_plain && usage.total() > 0).then_some(usage)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn answer(usage: &Value) -> Value {
        json!({ "id": "c", "object": "chat.completion", "created": 7, "model": "m",
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": "é" } }], "usage": usage })
    }

    #[test]
    fn what_lacks_nothing_passes() {
        let text =
            answer(&json!({ "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7 })).to_string();
        let usage = ResponseGlance::at(text.as_bytes()).unwrap().plain_usage();
        assert_eq!(usage, Some(TokenUsage { input: 3, output: 4, ..TokenUsage::default() }));
        let text = answer(&Value::Null).to_string();
        assert!(ResponseGlance::at(text.as_bytes()).unwrap().usage.is_none());
    }

    #[test]
    fn what_must_be_filled_in_or_explained_is_read() {
        for (member, value) in [
            ("id", json!("")),
            ("object", Value::Null),
            ("created", json!(0)),
            ("model", json!("a\nb")),
            ("choices", Value::Null),
            ("choices", json!({})),
        ] {
            let mut answer = answer(&Value::Null);
            answer[member] = value;
            assert!(ResponseGlance::at(answer.to_string().as_bytes()).is_none(), "{answer}");
        }
        for text in ["", "{", "[]", "{} x", "{\"error\": {}}"] {
            assert!(ResponseGlance::at(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn sums_that_differ_from_ours_are_no_plain_usage() {
        let beside = json!({ "prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
            "completion_tokens_details": { "reasoning_tokens": 94 } });
        let text = answer(&beside).to_string();
        assert_eq!(ResponseGlance::at(text.as_bytes()).unwrap().plain_usage(), None);
    }
}
