//! Embeddings.

use crate::domain::usage::Usage;
use crate::llm::dialect::WireRequest;
use crate::llm::embedding::{EmbeddingRequest, EmbeddingResponse};
use crate::llm::failure::Failure;
use crate::llm::refusal;
use crate::llm::vendor::Vendor;

/// The request, as it came.
pub(in crate::llm) fn request(_vendor: Vendor, request: &EmbeddingRequest) -> Result<WireRequest, Failure> {
    WireRequest::json("/embeddings", request)
}

/// The vectors, as they came.
pub(in crate::llm) fn response(
    vendor: Vendor,
    request: &EmbeddingRequest,
    body: &[u8],
) -> Result<(EmbeddingResponse, Option<Usage>), Failure> {
    let mut response: EmbeddingResponse = serde_json::from_slice(body).map_err(|error| {
        refusal::in_answer(vendor, body).unwrap_or_else(|| Failure::malformed(vendor, &error.to_string()))
    })?;
    super::response::fill(&mut response.object, "list");
    super::response::fill(&mut response.model, &request.model);
    let tokens = response.usage.map(|usage| usage.prompt_tokens.max(usage.total_tokens));
    let usage = tokens.filter(|tokens| *tokens > 0).map(|input| Usage { input, ..Usage::default() });
    Ok((response, usage))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn vectors_in_base64_pass_as_they_came() {
        let asked = EmbeddingRequest {
            model: "text-embedding-3-small".into(),
            input: json!("a"),
            ..Default::default()
        };
        let sent = request(Vendor::OpenAi, &asked).unwrap();
        assert_eq!(
            (&*sent.path, &*sent.body),
            ("/embeddings", &br#"{"model":"text-embedding-3-small","input":"a"}"#[..])
        );
        let body = br#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPw=="}],
            "model":"text-embedding-3-small","usage":{"prompt_tokens":8,"total_tokens":8}}"#;
        let (answer, usage) = response(Vendor::OpenAi, &asked, body).unwrap();
        assert_eq!(answer.data[0].embedding, json!("AACAPw=="));
        assert_eq!(usage, Some(Usage { input: 8, ..Usage::default() }));
        assert!(response(Vendor::OpenAi, &asked, b"{}").is_err());
    }
}
