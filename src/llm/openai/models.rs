//! The list of models: `{"data": [{"id": …}]}`, also Anthropic's form.

use serde::Deserialize;

use crate::llm::failure::VendorFailure;
use crate::llm::vendor::Vendor;

#[derive(Deserialize)]
struct OpenAiModels {
    data: Vec<OpenAiModel>,
}

#[derive(Deserialize)]
struct OpenAiModel {
    id: String,
}

pub(in crate::llm) fn response(vendor: Vendor, body: &[u8]) -> Result<Vec<String>, VendorFailure> {
    let list: OpenAiModels =
        serde_json::from_slice(body).map_err(|error| VendorFailure::malformed(vendor, &error.to_string()))?;
    Ok(list.data.into_iter().map(|model| model.id).collect())
}
