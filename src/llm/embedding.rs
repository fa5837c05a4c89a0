//! The canonical form of embeddings: OpenAI's, request and response.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::failure::{VendorFailure, VendorFailureKind};

/// A request for embeddings (`POST /v1/embeddings`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct EmbeddingRequest {
    pub model: String,
    /// One text, a list of texts, or token numbers (which only OpenAI-like vendors take).
    pub input: Value,
    /// `float` (the default) or `base64`: little-endian 32-bit floats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding_format: Option<String>,
    /// Length of the vectors, for models that can shorten them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u64>,
    /// Members that a client of Gemini's form adds to each text (`taskType`, `title`), for that vendor alone.
    #[serde(skip)]
    pub hints: Vec<Map<String, Value>>,
    /// Everything else, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl EmbeddingRequest {
    /// The texts to embed, in order.
    ///
    /// # Errors
    /// [`VendorFailureKind::Unsupported`] when the input is not text: a vendor with another tokenizer cannot
    /// read OpenAI's token numbers.
    pub fn texts(&self) -> Result<Vec<&str>, VendorFailure> {
        let texts = match &self.input {
            Value::String(text) => Some(vec![text.as_str()]),
            Value::Array(items) => items.iter().map(Value::as_str).collect(),
            _ => None,
        };
        texts.ok_or_else(|| {
            VendorFailure::new(
                VendorFailureKind::Unsupported,
                "embeddings: `input` must be a text or a list of texts for this vendor",
            )
        })
    }

    /// Vectors in the form the request asks for.
    #[must_use]
    pub fn respond(&self, vectors: Vec<Vec<f32>>, usage: EmbeddingUsage) -> EmbeddingResponse {
        let as_base64 = self.encoding_format.as_deref() == Some("base64");
        let data = vectors.into_iter().zip(0..).map(|(vector, index)| {
            let embedding = if as_base64 {
                let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                Value::String(STANDARD.encode(bytes))
            } else {
                vector.into()
            };
            EmbeddingItem { object: "embedding".to_owned(), index, embedding }
        });
        EmbeddingResponse {
            object: "list".to_owned(),
            data: data.collect(),
            model: self.model.clone(),
            usage: Some(usage),
            extra: Map::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingResponse {
    /// `list`.
    #[serde(default)]
    pub object: String,
    /// One vector for each text, in order.
    pub data: Vec<EmbeddingItem>,
    /// The model that answered.
    #[serde(default)]
    pub model: String,
    #[serde(default)]
    pub usage: Option<EmbeddingUsage>,
    /// Everything else, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingItem {
    /// `embedding`.
    #[serde(default)]
    pub object: String,
    /// Index of the text.
    #[serde(default)]
    pub index: u64,
    /// Numbers, or their bytes in base64.
    pub embedding: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EmbeddingUsage {
    #[serde(default)]
    pub prompt_tokens: u64,
    #[serde(default)]
    pub total_tokens: u64,
}

impl EmbeddingUsage {
    /// The usage of that many input tokens.
    #[must_use]
    pub const fn of(tokens: u64) -> Self {
        Self { prompt_tokens: tokens, total_tokens: tokens }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn vectors_are_numbers_or_little_endian_bytes() {
        let mut request =
            EmbeddingRequest { model: "m".into(), input: json!(["a", "b"]), ..Default::default() };
        assert_eq!(request.texts().unwrap(), ["a", "b"]);
        let plain = request.respond(vec![vec![1.0, -0.5], vec![0.0]], EmbeddingUsage::of(2));
        assert_eq!(plain.data[0].embedding, json!([1.0, -0.5]));
        assert_eq!(plain.data[1].index, 1);
        request.encoding_format = Some("base64".into());
        let packed = request.respond(vec![vec![1.0, -0.5]], EmbeddingUsage::of(2));
        assert_eq!(packed.data[0].embedding, json!("AACAPwAAAL8="));
    }

    #[test]
    fn token_numbers_are_no_text() {
        let request = EmbeddingRequest { input: json!([1, 2]), ..Default::default() };
        assert_eq!(request.texts().unwrap_err().kind, VendorFailureKind::Unsupported);
    }
}
