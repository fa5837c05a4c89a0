//! Embeddings.

use crate::dialect::VendorRequest;
use crate::embedding::{EmbeddingRequest, EmbeddingResponse};
use crate::failure::VendorFailure;
use crate::vendor::Vendor;
use crate::vendor_error;
use pas_domain::usage::TokenUsage;

/// The request, unchanged.
pub(crate) fn request(_vendor: Vendor, request: &EmbeddingRequest) -> Result<VendorRequest, VendorFailure> {
    VendorRequest::json("/embeddings", request)
}

/// The vectors, unchanged.
pub(crate) fn response(
    vendor: Vendor,
    request: &EmbeddingRequest,
    body: &[u8],
) -> Result<(EmbeddingResponse, Option<TokenUsage>), VendorFailure> {
    let mut response: EmbeddingResponse = serde_json::from_slice(body).map_err(|error| {
        vendor_error::in_answer(vendor, body)
            .unwrap_or_else(|| VendorFailure::malformed(vendor, &error.to_string()))
    })?;
    super::response::fill(&mut response.object, "list");
    super::response::fill(&mut response.model, &request.model);
    let tokens = response.usage.map(|usage| usage.prompt_tokens.max(usage.total_tokens));
    let usage =
        tokens.filter(|tokens| *tokens > 0).map(|input| TokenUsage { input, ..TokenUsage::default() });
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
        assert_eq!(usage, Some(TokenUsage { input: 8, ..TokenUsage::default() }));
        assert!(response(Vendor::OpenAi, &asked, b"{}").is_err());
    }
}
