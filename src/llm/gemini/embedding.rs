//! Embeddings: `batchEmbedContents`. The vendor reports no usage.

use serde::Deserialize;
use serde_json::{Value, json};

use super::path;
use crate::dialect::VendorRequest;
use crate::embedding::{EmbeddingRequest, EmbeddingResponse, EmbeddingUsage};
use crate::failure::VendorFailure;
use crate::vendor::Vendor;
use crate::vendor_error;
use pas_domain::usage::TokenUsage;

/// All texts in one request.
pub(crate) fn request(request: &EmbeddingRequest) -> Result<VendorRequest, VendorFailure> {
    let model = request.model.strip_prefix("models/").unwrap_or(&request.model);
    let one = |(number, text): (usize, &str)| {
        let mut one = json!({"model": format!("models/{model}"), "content": {"parts": [{"text": text}]}});
        if let Some(dimensions) = request.dimensions {
            one["outputDimensionality"] = dimensions.into();
        }
        for (name, value) in request.hints.get(number).into_iter().flatten() {
            one[name] = value.clone();
        }
        one
    };
    let requests: Vec<Value> = request.texts()?.into_iter().enumerate().map(one).collect();
    VendorRequest::json(path(model, "batchEmbedContents"), &json!({"requests": requests}))
}

#[derive(Deserialize)]
struct GeminiEmbeddings {
    embeddings: Vec<GeminiVector>,
}

#[derive(Deserialize)]
struct GeminiVector {
    values: Vec<f32>,
}

pub(crate) fn response(
    request: &EmbeddingRequest,
    body: &[u8],
) -> Result<(EmbeddingResponse, Option<TokenUsage>), VendorFailure> {
    let answer: GeminiEmbeddings = serde_json::from_slice(body).map_err(|error| {
        vendor_error::in_answer(Vendor::Gemini, body)
            .unwrap_or_else(|| VendorFailure::malformed(Vendor::Gemini, &error.to_string()))
    })?;
    let vectors = answer.embeddings.into_iter().map(|vector| vector.values).collect();
    Ok((request.respond(vectors, EmbeddingUsage::default()), None))
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    #[test]
    fn every_text_is_a_request_of_the_batch() {
        let asked = EmbeddingRequest {
            model: "gemini-embedding-001".into(),
            input: json!(["a", "b"]),
            dimensions: Some(2),
            hints: vec![Map::new(), Map::from_iter([("taskType".to_owned(), json!("CLUSTERING"))])],
            ..Default::default()
        };
        let wire = request(&asked).unwrap();
        assert_eq!(wire.path, "/models/gemini-embedding-001:batchEmbedContents");
        let body: Value = serde_json::from_slice(&wire.body).unwrap();
        assert_eq!(
            body["requests"][1],
            json!({"model": "models/gemini-embedding-001",
            "content": {"parts": [{"text": "b"}]}, "outputDimensionality": 2, "taskType": "CLUSTERING"})
        );
        let (answer, usage) =
            response(&asked, br#"{"embeddings":[{"values":[0.5,1]},{"values":[0,0]}]}"#).unwrap();
        assert_eq!((&answer.data[0].embedding, answer.data.len(), usage), (&json!([0.5, 1.0]), 2, None));
    }
}
