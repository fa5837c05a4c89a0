//! The user's servers of OpenAI's protocol: which answered the last probe, and with which models.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::endpoints::CompatibleServer;
use super::offers::is_here;
use crate::llm::openai::ServedModel;
use crate::llm::{VendorClient, VendorFailure};

/// Most models of one server that are offered: the largest catalogues have some hundreds.
const MAX_LISTED: usize = 500;

/// The result of the last probe of one server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerState {
    pub answers: bool,
    /// Its models, as it listed them or as the settings name them.
    pub models: Vec<ServedModel>,
    /// Why it cannot be called.
    pub problem: Option<String>,
}

/// The results of the last probe, by the servers' names. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ServerReadiness(Arc<Mutex<BTreeMap<String, ServerState>>>);

impl ServerReadiness {
    /// A server's state; the default before its first probe.
    #[must_use]
    pub fn of(&self, name: &str) -> ServerState {
        self.0.lock().get(name).cloned().unwrap_or_default()
    }

    /// Asks a server for its models. One on another machine that is silent for a moment keeps its models: the
    /// circuit breaker judges it by its calls.
    pub(super) async fn probe(&self, client: &VendorClient, server: &CompatibleServer) {
        let found = client.listed_models(&server.endpoint, &super::adapters::LOOKING).await;
        let before = self.of(server.name());
        let now = after(server, &before, found);
        if before.answers != now.answers {
            let (name, address, models) = (server.name(), server.endpoint.base_url(), now.models.len());
            match &now.problem {
                None => tracing::info!(server = name, address, models, "a compatible server answers"),
                Some(why) => {
                    tracing::info!(server = name, address, why, "a compatible server cannot be called");
                }
            }
        }
        self.0.lock().insert(server.name().to_owned(), now);
    }
}

/// A server's state after a probe.
fn after(
    server: &CompatibleServer,
    before: &ServerState,
    found: Result<Vec<ServedModel>, VendorFailure>,
) -> ServerState {
    let named = |id: &String| ServedModel { id: id.clone(), window: None };
    let named: Vec<ServedModel> = server.models.iter().map(named).collect();
    match found {
        Ok(listed) => {
            let window = |id: &str| listed.iter().find(|model| model.id == id).and_then(|model| model.window);
            let mut models: Vec<ServedModel> = if named.is_empty() {
                listed.iter().take(MAX_LISTED).cloned().collect()
            } else {
                named.into_iter().map(|model| ServedModel { window: window(&model.id), ..model }).collect()
            };
            models.dedup_by(|a, b| a.id == b.id);
            ServerState { answers: true, models, problem: None }
        }
        Err(failure) => {
            let kept = if is_here(&server.endpoint) { Vec::new() } else { before.models.clone() };
            let models = if named.is_empty() { kept } else { named };
            ServerState { answers: false, models, problem: Some(failure.named(&server.endpoint).message) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::endpoints::VendorEndpoints;
    use super::*;
    use crate::config::{CompatibleConfig, ConfigSources, SwarmConfig};
    use crate::llm::VendorFailureKind;

    fn server(base_url: &str, models: &[&str]) -> CompatibleServer {
        let mut providers = SwarmConfig::load(&ConfigSources::default()).unwrap().providers;
        let models = models.iter().map(|model| (*model).to_owned()).collect();
        let (name, base_url, key_env, key) = ("box".to_owned(), base_url.to_owned(), None, None);
        providers.compatible = vec![CompatibleConfig { name, base_url, key_env, models, free: true, key }];
        VendorEndpoints::configured(&providers).server("box").unwrap().clone()
    }

    fn models(state: &ServerState) -> Vec<(&str, Option<u64>)> {
        state.models.iter().map(|model| (&*model.id, model.window)).collect()
    }

    #[test]
    fn a_server_s_models_are_those_that_are_named_else_those_that_it_lists() {
        let listed = || {
            let model = |id: &str, window| ServedModel { id: id.into(), window };
            Ok(vec![model("a", Some(9)), model("b", None)])
        };
        let silent = || Err(VendorFailure::new(VendorFailureKind::ConnectTimeout, "silent"));
        let (here, there) = (server("http://127.0.0.1:1", &[]), server("https://router.example/v1", &[]));
        let none = ServerState::default();
        let seen = after(&here, &none, listed());
        assert_eq!((seen.answers, models(&seen)), (true, vec![("a", Some(9)), ("b", None)]));
        let gone = after(&here, &seen, silent());
        assert_eq!((models(&gone), gone.problem.as_deref()), (vec![], Some("silent")));
        let kept = after(&there, &seen, silent());
        assert_eq!((kept.answers, models(&kept)), (false, models(&seen)), "it may only be slow");
        let named = server("http://127.0.0.1:1", &["a", "c"]);
        assert_eq!(models(&after(&named, &none, listed())), [("a", Some(9)), ("c", None)]);
        assert_eq!(models(&after(&named, &none, silent())), [("a", None), ("c", None)]);
    }
}
