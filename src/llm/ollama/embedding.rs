//! Embeddings: `/api/embed`.

use serde::Deserialize;
use serde_json::json;

use crate::domain::usage::Usage;
use crate::llm::dialect::WireRequest;
use crate::llm::embedding::{EmbeddingRequest, EmbeddingResponse, EmbeddingUsage};
use crate::llm::failure::Failure;
use crate::llm::refusal;
use crate::llm::vendor::Vendor;

/// All texts in one request.
pub(in crate::llm) fn request(request: &EmbeddingRequest) -> Result<WireRequest, Failure> {
    let mut body = json!({"model": request.model, "input": request.texts()?});
    if let Some(dimensions) = request.dimensions {
        body["dimensions"] = dimensions.into();
    }
    WireRequest::json("/api/embed", &body)
}

#[derive(Deserialize)]
struct Answer {
    embeddings: Vec<Vec<f32>>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
}

pub(in crate::llm) fn response(
    request: &EmbeddingRequest,
    body: &[u8],
) -> Result<(EmbeddingResponse, Option<Usage>), Failure> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| {
        refusal::in_answer(Vendor::Ollama, body)
            .unwrap_or_else(|| Failure::malformed(Vendor::Ollama, &error.to_string()))
    })?;
    let usage = answer.prompt_eval_count.map(|input| Usage { input, ..Usage::default() });
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
            ("/api/embed", &br#"{"input":["a"],"model":"nomic-embed-text"}"#[..])
        );
        let (answer, usage) = response(&asked, br#"{"embeddings":[[0.5,1]],"prompt_eval_count":4}"#).unwrap();
        assert_eq!(answer.data[0].embedding, json!([0.5, 1.0]));
        assert_eq!(usage, Some(Usage { input: 4, ..Usage::default() }));
    }
}
