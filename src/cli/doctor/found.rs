//! Servers of models on this machine that are not in the settings: llama.cpp, vLLM and LM Studio at their usual
//! addresses. They are only reported, not used: anything may listen there.

use std::time::Duration;

use futures_util::future::join_all;

use super::DoctorCheck;
use crate::config::SwarmConfig;
use crate::domain::provider_router::endpoint::port_here;
use crate::llm::{CallDeadlines, VendorClient, VendorEndpoint};

/// Names for the sections, and the usual ports.
const USUAL: [(&str, &str, u16); 3] =
    [("llamacpp", "llama.cpp", 8080), ("vllm", "vLLM", 8000), ("lmstudio", "LM Studio", 1234)];
/// A server on this machine answers within milliseconds.
const LOOK: Duration = Duration::from_millis(500);
const LOOKING: CallDeadlines = CallDeadlines::all(LOOK);

/// One check for each server that answers and is not in the settings.
pub(super) async fn check(config: &SwarmConfig) -> Vec<DoctorCheck> {
    at(config, &USUAL, &LOOKING).await
}

async fn at(config: &SwarmConfig, places: &[(&str, &str, u16)], looking: &CallDeadlines) -> Vec<DoctorCheck> {
    let configured: Vec<u16> =
        config.providers.compatible.iter().filter_map(|server| port_here(&server.base_url)).collect();
    let client = VendorClient::new();
    let found = places.iter().filter(|(_, _, port)| !configured.contains(port)).map(async |(name, title, port)| {
        let address = format!("http://127.0.0.1:{port}");
        let models = client.listed_models(&VendorEndpoint::compatible(name, &address, None), looking).await;
        let models = models.ok().filter(|models| !models.is_empty())?;
        let names: Vec<&str> = models.iter().take(3).map(|model| &*model.id).collect();
        let saw = format!(
            "a server of OpenAI's protocol (as {title} usually) answers at {address} with {}",
            names.join(", ")
        );
        let todo = format!(
            "to use it, add to pas.toml: [[providers.compatible]] name = \"{name}\", base_url = \"{address}\", free \
             = true (each on a line of its own)"
        );
        Some(DoctorCheck { todo: Some(todo), ..DoctorCheck::ok("servers", saw) })
    });
    join_all(found).await.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use axum::{Json, Router};
    use serde_json::json;

    use super::*;
    use crate::config::ConfigSources;

    /// A busy machine is no absent server.
    const PATIENT: CallDeadlines = CallDeadlines::all(Duration::from_secs(60));

    #[tokio::test]
    async fn a_server_at_its_usual_address_is_found_unless_it_is_configured() {
        let models = json!({ "object": "list", "data": [{ "id": "smollm2" }] });
        let app = Router::new().route("/v1/models", get(move || async move { Json(models) }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let runtime = tokio::runtime::Handle::current();
        let server = runtime.spawn(async move { axum::serve(listener, app).await });
        let places = [("llamacpp", "llama.cpp", port)];
        let mut config = SwarmConfig::load(&ConfigSources::default()).unwrap();
        let checks = at(&config, &places, &PATIENT).await;
        assert_eq!(checks.len(), 1);
        assert!(checks[0].saw.contains("smollm2") && checks[0].todo.as_deref().unwrap().contains("llamacpp"));
        config.providers.compatible = vec![crate::config::CompatibleConfig {
            name: "box".into(),
            base_url: format!("http://localhost:{port}/v1"),
            key_env: None,
            models: Vec::new(),
            free: true,
            key: None,
        }];
        assert!(at(&config, &places, &PATIENT).await.is_empty());
        server.abort();
    }
}
