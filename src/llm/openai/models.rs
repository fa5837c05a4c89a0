//! The list of models: `{"data": [{"id": …}]}`, which Anthropic has too.

use serde::Deserialize;

use crate::llm::failure::Failure;
use crate::llm::vendor::Vendor;

#[derive(Deserialize)]
struct List {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

pub(in crate::llm) fn response(vendor: Vendor, body: &[u8]) -> Result<Vec<String>, Failure> {
    let list: List =
        serde_json::from_slice(body).map_err(|error| Failure::malformed(vendor, &error.to_string()))?;
    Ok(list.data.into_iter().map(|model| model.id).collect())
}
