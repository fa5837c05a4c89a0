//! Embeddings in Gemini's form: of one text (`embedContent`), or of several (`batchEmbedContents`).

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::proto;
use super::turns::GenerateContent;
use crate::embedding::{EmbeddingRequest, EmbeddingResponse};
use crate::inbound::ApiProblem;

/// The body of `POST …/models/{model}:embedContent`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EmbedRequest {
    content: GenerateContent,
    #[serde(
        default,
        alias = "output_dimensionality",
        rename = "outputDimensionality",
        deserialize_with = "proto::whole"
    )]
    dimensions: Option<u64>,
    #[serde(default, alias = "task_type", rename = "taskType")]
    task: Option<String>,
    #[serde(default)]
    title: Option<String>,
}

/// The body of `POST …/models/{model}:batchEmbedContents`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BatchEmbedRequest {
    #[serde(default, deserialize_with = "proto::list")]
    requests: Vec<EmbedRequest>,
}

impl From<EmbedRequest> for BatchEmbedRequest {
    fn from(request: EmbedRequest) -> Self {
        Self { requests: vec![request] }
    }
}

impl BatchEmbedRequest {
    /// The canonical form; the model stands in the path.
    ///
    /// # Errors
    /// [`ApiProblem`] naming the member that has no word there.
    pub fn into_embedding(self, model: String) -> Result<EmbeddingRequest, ApiProblem> {
        let Some(dimensions) = self.requests.first().map(|first| first.dimensions) else {
            return Err(ApiProblem::invalid("requests", "requests: at least one text is required"));
        };
        let (mut texts, mut hints) = (Vec::new(), Vec::new());
        for (number, request) in self.requests.into_iter().enumerate() {
            if request.dimensions != dimensions {
                let place = format!("requests[{number}].outputDimensionality");
                let why = format!("{place}: all texts of a call get vectors of one length here");
                return Err(ApiProblem::invalid(place, why));
            }
            texts.push(request.content.into_text("content")?);
            let said = [("taskType", request.task), ("title", request.title)];
            let said = said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?))));
            hints.push(said.collect::<Map<String, Value>>());
        }
        Ok(EmbeddingRequest { model, input: json!(texts), dimensions, hints, ..EmbeddingRequest::default() })
    }
}

/// The vectors in the form of `batchEmbedContents`, or of `embedContent`.
#[must_use]
pub fn embeddings(answer: EmbeddingResponse, is_batch: bool) -> Value {
    let mut vectors = answer.data.into_iter().map(|item| json!({ "values": item.embedding }));
    if is_batch {
        json!({ "embeddings": vectors.collect::<Vec<_>>() })
    } else {
        json!({ "embedding": vectors.next() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Result<EmbeddingRequest, ApiProblem> {
        serde_json::from_value::<BatchEmbedRequest>(body).unwrap().into_embedding("m".to_owned())
    }

    #[test]
    fn every_request_of_a_batch_is_a_text() {
        let of = |text: &str| {
            json!({ "model": "models/m", "content": { "parts": [{ "text": text }] }, "taskType": "RETRIEVAL_QUERY",
                "outputDimensionality": "256" })
        };
        let found = read(json!({ "requests": [of("a"), of("b")] })).unwrap();
        assert_eq!((found.input, found.dimensions), (json!(["a", "b"]), Some(256)));
        assert_eq!(found.hints[1]["taskType"], "RETRIEVAL_QUERY");
        let mut other = of("c");
        other["outputDimensionality"] = json!(128);
        let wrong = read(json!({ "requests": [of("a"), other] })).unwrap_err();
        assert_eq!(wrong.param.as_deref(), Some("requests[1].outputDimensionality"));
        assert_eq!(read(json!({ "requests": [] })).unwrap_err().param.as_deref(), Some("requests"));
        let picture =
            json!({ "content": { "parts": [{ "inlineData": { "mimeType": "image/png", "data": "" } }] } });
        assert_eq!(read(json!({ "requests": picture })).unwrap_err().param.as_deref(), Some("content"));
    }

    #[test]
    fn vectors_go_out_in_the_form_of_the_question() {
        let asked = EmbeddingRequest { input: json!(["a", "b"]), ..EmbeddingRequest::default() };
        let answer = asked.respond(vec![vec![0.5], vec![1.0]], crate::embedding::EmbeddingUsage::of(2));
        let wanted = json!({ "embeddings": [{ "values": [0.5] }, { "values": [1.0] }] });
        assert_eq!(embeddings(answer.clone(), true), wanted);
        assert_eq!(embeddings(answer, false), json!({ "embedding": { "values": [0.5] } }));
    }
}
