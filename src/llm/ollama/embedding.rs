//! Embeddings: `/api/embed`.

use serde::Deserialize;
use serde_json::json;

use crate::dialect::VendorRequest;
use crate::embedding::{EmbeddingRequest, EmbeddingResponse, EmbeddingUsage};
use crate::failure::VendorFailure;
use crate::vendor::Vendor;
use crate::vendor_error;
use pas_domain::usage::TokenUsage;

/// All texts in one request.
pub(crate) fn request(request: &EmbeddingRequest) -> Result<VendorRequest, VendorFailure> {
    let mut body = json!({"model": request.model, "input": request.texts()?});
    if let Some(dimensions) = request.dimensions {
        body["dimensions"] = dimensions.into();
    }
    VendorRequest::json("/api/embed", &body)
}

#[derive(Deserialize)]
struct OllamaEmbeddings {
    embeddings: Vec<Vec<f32>>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
}

pub(crate) fn response(
    request: &EmbeddingRequest,
    body: &[u8],
) -> Result<(EmbeddingResponse, Option<TokenUsage>), VendorFailure> {
    let answer: OllamaEmbeddings = serde_json::from_slice(body).map_err(|error| {
        vendor_error::in_answer(Vendor::Ollama, body)
            .unwrap_or_else(|| VendorFailure::malformed(Vendor::Ollama, &error.to_string()))
    })?;
    let usage = answer.prompt_eval_count.map(|input| TokenUsage { input, ..TokenUsage::default() });
    let tokens = EmbeddingUsage::of(answer.prompt_eval_count.unwrap_or(0));
    Ok((request.respond(answer.embeddings, tokens), usage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_go_out_together_and_come_back_in_order() {
        let asked =
            EmbeddingRequest { model: "nomic-embed-text".into(), input: json!("a"), ..Default::default() };
        let wire = request(&asked).unwrap();
        assert_eq!(
            (&*wire.path, &*wire.body),
            ("/api/embed", &br#"{"model":"nomic-embed-text","input":["a"]}"#[..])
        );
        let (answer, usage) = response(&asked, br#"{"embeddings":[[0.5,1]],"prompt_eval_count":4}"#).unwrap();
        assert_eq!(answer.data[0].embedding, json!([0.5, 1.0]));
        assert_eq!(usage, Some(TokenUsage { input: 4, ..TokenUsage::default() }));
    }
}
