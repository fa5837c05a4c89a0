//! The gateway and the adapters of a whole daemon, against servers that speak the vendors' protocols.

mod completions;
mod faults;
mod generate;
mod keys;
mod kill;
mod leaving;
mod limits;
mod lists;
mod models;
mod money;
mod own_ports;
mod passage;
mod reach;
mod searches;
mod servers;
mod summary;
mod surfaces;
mod translation;
mod wiring;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Place, Swarm, http_client, until};
use crate::vendor::Vendors;

/// A daemon whose providers are test servers.
pub(crate) struct Stage {
    pub(crate) place: Place,
    pub(crate) vendors: Vendors,
    pub(crate) swarm: Swarm,
    http: reqwest::Client,
}

/// A status, the answer's headers and its body.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

/// A place whose daemon calls these servers.
pub(crate) fn place(vendors: &Vendors) -> Place {
    let variables = vendors.variables().into_iter();
    variables.fold(Place::with_documents(1), |place, (name, value)| place.setting(name, value))
}

impl Stage {
    pub(crate) async fn open() -> Self {
        Self::open_with(&[]).await
    }

    /// The same with settings of its own, as environment variables.
    pub(crate) async fn open_with(settings: &[(&str, &str)]) -> Self {
        Self::open_on(Place::with_documents(1), settings).await
    }

    /// The same in a place of its own.
    pub(crate) async fn open_on(place: Place, settings: &[(&str, &str)]) -> Self {
        let vendors = Vendors::start().await;
        let is_set = |name: &str| settings.iter().any(|(own, _)| *own == name);
        let place = settings.iter().fold(place, |place, (name, value)| place.setting(name, value));
        let others = vendors.variables().into_iter().filter(|(name, _)| !is_set(name));
        let place = others.fold(place, |place, (name, value)| place.setting(name, value));
        let swarm = place.start().await;
        let stage = Self { place, vendors, swarm, http: http_client() };
        // The local models are offered last, where there are any.
        let last = if is_set("OLLAMA_HOST") { "openai-gpt-4-turbo" } else { "ollama-llama3-1-8b" };
        let offered = async || {
            let providers = stage.get(6103, "/providers").await.body;
            let is_there =
                |name| providers["providers"].as_array()?.iter().find(|p| p["name"] == name).cloned();
            is_there(last)
        };
        until("the adapters have registered", offered).await;
        stage
    }

    pub(crate) async fn close(self) {
        self.swarm.stop().await;
    }

    pub(crate) fn url(&self, port: u16, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", port + self.place.offset)
    }

    async fn reply(request: reqwest::RequestBuilder) -> Reply {
        let response = request.timeout(Duration::from_secs(60)).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Reply { status, headers, body: serde_json::from_slice(&bytes).unwrap_or_else(|_| text()) }
    }

    pub(crate) async fn get(&self, port: u16, path: &str) -> Reply {
        Self::reply(self.http.get(self.url(port, path))).await
    }

    pub(crate) async fn post(&self, port: u16, path: &str, body: Value) -> Reply {
        self.post_as(port, path, body, "").await
    }

    /// The same, paid by a run.
    pub(crate) async fn post_as(&self, port: u16, path: &str, body: Value, run: &str) -> Reply {
        let request = self.http.post(self.url(port, path)).json(&body).header("x-pas-run-id", run);
        Self::reply(request).await
    }

    pub(crate) async fn put(&self, port: u16, path: &str, body: Value) -> Reply {
        Self::reply(self.http.put(self.url(port, path)).json(&body)).await
    }

    pub(crate) async fn delete(&self, port: u16, path: &str) -> Reply {
        Self::reply(self.http.delete(self.url(port, path))).await
    }

    /// The events of a kind, as the files of the event stream have them.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        let log = self.place.dir.path().join("artifacts/hmi/events");
        let files = std::fs::read_dir(log).unwrap().map(|file| file.unwrap().path());
        let text: String = files.filter_map(|file| std::fs::read_to_string(file).ok()).collect();
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter(|event| event["event_type"] == kind).collect()
    }

    /// A chat with a model of the gateway, paid by a run.
    pub(crate) async fn chat(&self, model: &str, run: &str) -> Reply {
        self.post_as(6120, "/v1/chat/completions", chat(model), run).await
    }

    /// All receipts of a run.
    pub(crate) async fn receipts(&self, run: &str) -> Vec<Value> {
        self.get(6120, &format!("/receipts/{run}")).await.body["receipts"].as_array().unwrap().clone()
    }
}

/// The body of a small chat.
pub(crate) fn chat(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "Say hello." }], "max_tokens": 50 })
}

/// The same as a stream.
pub(crate) fn streamed(model: &str) -> Value {
    let mut body = chat(model);
    body["stream"] = json!(true);
    body
}
