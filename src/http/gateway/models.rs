//! The list of models, in OpenAI's form, or in Anthropic's for its clients.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Port;
use crate::actors::gateway::Gateway;
use crate::actors::provider_router::Listing;
use crate::domain::routing::{ModelName, Provider};
use crate::domain::time::Timestamp;
use crate::http::model::problem;
use crate::llm::surface::{Form, Problem, ProblemKind};

/// A model that can be asked for.
struct Model {
    id: String,
    owner: String,
    since: Timestamp,
}

impl Model {
    fn of(provider: &Provider) -> Self {
        let owner = provider.vendor().unwrap_or(&provider.name).to_owned();
        Self { id: provider.model.clone(), owner, since: provider.registered_at }
    }

    fn json(&self, form: Form) -> Value {
        match form {
            Form::Anthropic => json!({
                "type": "model", "id": self.id, "display_name": self.id, "created_at": self.since,
            }),
            _ => json!({
                "id": self.id, "object": "model", "created": self.since.as_millis() / 1_000,
                "owned_by": self.owner,
            }),
        }
    }
}

/// Each model once, by name.
fn models(gateway: &Gateway) -> Vec<Model> {
    let seen = gateway.router().providers(&Listing::default());
    let found: BTreeMap<String, Model> =
        seen.iter().map(|seen| (seen.provider.model.clone(), Model::of(&seen.provider))).collect();
    found.into_values().collect()
}

/// Anthropic's clients say so in a header that all of their calls carry.
fn form_of(headers: &HeaderMap) -> Form {
    if headers.contains_key("anthropic-version") { Form::Anthropic } else { Form::OpenAi }
}

pub(super) async fn list(State(port): State<Port>, headers: HeaderMap) -> Json<Value> {
    let (models, form) = (models(&port.gateway), form_of(&headers));
    let data: Vec<Value> = models.iter().map(|model| model.json(form)).collect();
    Json(match form {
        Form::Anthropic => json!({
            "data": data, "has_more": false, "first_id": models.first().map(|model| &model.id),
            "last_id": models.last().map(|model| &model.id),
        }),
        _ => json!({ "object": "list", "data": data }),
    })
}

pub(super) async fn one(State(port): State<Port>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let form = form_of(&headers);
    let seen = port.gateway.router().providers(&Listing::default());
    let name = ModelName::parse(&id);
    match seen.iter().find(|seen| name.fits(&seen.provider)) {
        Some(seen) => Json(Model::of(&seen.provider).json(form)).into_response(),
        None => {
            let text = format!("no provider serves `{id}`; GET /v1/models lists what is served");
            problem(&Problem::new(ProblemKind::NoModel, text), form)
        }
    }
}
