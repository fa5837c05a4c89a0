//! The list of models: `{"data": [{"id": …}]}`, also Anthropic's form.

use serde::Deserialize;

use crate::failure::VendorFailure;
use crate::vendor::Vendor;

#[derive(Deserialize)]
struct OpenAiModels {
    data: Vec<OpenAiModel>,
}

/// A model, with the windows as servers of this protocol state them: vLLM, OpenRouter, llama.cpp.
#[derive(Deserialize)]
struct OpenAiModel {
    id: String,
    #[serde(default)]
    max_model_len: Option<u64>,
    #[serde(default)]
    context_length: Option<u64>,
    #[serde(default)]
    meta: Option<ModelMeta>,
}

#[derive(Deserialize)]
struct ModelMeta {
    #[serde(default)]
    n_ctx: Option<u64>,
    #[serde(default)]
    n_ctx_train: Option<u64>,
}

/// A model that a server lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedModel {
    pub id: String,
    /// Tokens of prompt and answer together, where the server states them.
    pub window: Option<u64>,
}

pub(crate) fn response(vendor: Vendor, body: &[u8]) -> Result<Vec<String>, VendorFailure> {
    Ok(listed(vendor, body)?.into_iter().map(|model| model.id).collect())
}

pub(crate) fn listed(vendor: Vendor, body: &[u8]) -> Result<Vec<ServedModel>, VendorFailure> {
    let list: OpenAiModels =
        serde_json::from_slice(body).map_err(|error| VendorFailure::malformed(vendor, &error.to_string()))?;
    let model = |model: OpenAiModel| {
        let trained = model.meta.and_then(|meta| meta.n_ctx.or(meta.n_ctx_train));
        let window = model.max_model_len.or(model.context_length).or(trained).filter(|window| *window > 0);
        ServedModel { id: model.id, window }
    };
    Ok(list.data.into_iter().map(model).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_as_each_server_states_them() {
        let body = br#"{"object":"list","data":[{"id":"a","max_model_len":1},{"id":"b","context_length":2},
            {"id":"c","meta":{"n_ctx_train":3}},{"id":"d","meta":{"n_ctx":4,"n_ctx_train":9}},{"id":"e","meta":null}]}"#;
        let windows: Vec<_> =
            listed(Vendor::OpenAi, body).unwrap().into_iter().map(|model| model.window).collect();
        assert_eq!(windows, [Some(1), Some(2), Some(3), Some(4), None]);
    }
}
