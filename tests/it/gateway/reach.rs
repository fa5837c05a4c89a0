//! How clients reach the ports of models: base URLs with and without a version, pages of other origins, embeddings
//! in each form.

use serde_json::{Value, json};

use super::{Stage, chat};
use crate::support::http_client;

/// An origin that is let in, and one that is not.
const PLUGIN: &str = "app://obsidian.md";
const STRANGER: &str = "https://elsewhere.example";

#[tokio::test(flavor = "multi_thread")]
async fn a_base_url_may_end_in_the_version_or_not() {
    let stage = Stage::open().await;
    let message = || json!({ "model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{ "role": "user", "content": "x" }] });
    for (path, body) in [
        ("/chat/completions", chat("gpt-5.4-mini")),
        ("/completions", json!({ "model": "gpt-3.5-turbo", "prompt": "x" })),
        ("/responses", json!({ "model": "gpt-5.4-mini", "input": "x" })),
        ("/embeddings", json!({ "model": "text-embedding-3-small", "input": "x" })),
        ("/messages", message()),
    ] {
        for whole in [path.to_owned(), format!("/v1{path}")] {
            let mut body = body.clone();
            if path == "/chat/completions" {
                let limit = body.as_object_mut().unwrap().remove("max_tokens").unwrap();
                body["max_completion_tokens"] = limit;
            }
            let reply = stage.post(6120, &whole, body).await;
            assert_eq!(reply.status, 200, "{whole}: {}", reply.body);
        }
    }
    let listed = async |path: &str| stage.get(6120, path).await.body["data"].as_array().map(Vec::len);
    assert!(listed("/models").await > Some(10) && listed("/models").await == listed("/v1/models").await);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_an_allowed_origin_use_the_ports_of_models_and_no_others() {
    let allowed = format!("[\"{PLUGIN}\"]");
    let stage = Stage::open_with(&[("PAS_HTTP__ALLOWED_ORIGINS", allowed.as_str())]).await;
    let ask = async |port: u16, path: &str, origin: &str| {
        let request = http_client().post(stage.url(port, path)).header("origin", origin);
        let reply = request.json(&chat("claude-haiku-4-5")).send().await.unwrap();
        let shown = reply.headers().get("access-control-allow-origin").cloned();
        (reply.status().as_u16(), shown)
    };
    let plugin = Some(PLUGIN.parse().unwrap());
    assert_eq!(ask(6120, "/v1/chat/completions", PLUGIN).await, (200, plugin.clone()));
    assert_eq!(ask(8101, "/v1/chat/completions", PLUGIN).await, (200, plugin.clone()));
    assert_eq!(ask(6120, "/v1/chat/completions", STRANGER).await, (403, None));
    assert_eq!(ask(6100, "/jobs", PLUGIN).await.0, 403, "jobs are no models");
    let preflight = http_client().request(reqwest::Method::OPTIONS, stage.url(6120, "/v1/chat/completions"));
    let preflight = preflight.header("origin", PLUGIN).header("access-control-request-method", "POST");
    let preflight = preflight.header("access-control-request-headers", "authorization, content-type");
    let answered = preflight.send().await.unwrap();
    assert!(answered.status().is_success(), "{answered:?}");
    assert_eq!(answered.headers().get("access-control-allow-origin"), plugin.as_ref());
    let headers = answered.headers()["access-control-allow-headers"].to_str().unwrap().to_lowercase();
    assert!(headers.contains("authorization") && headers.contains("content-type"), "{headers}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_have_ollama_s_two_forms() {
    let stage = Stage::open().await;
    let many = json!({ "model": "llama3.1:8b", "input": ["Elbe", "Oder"] });
    let many = stage.post(8050, "/api/embed", many).await.body;
    let vectors = many["embeddings"].as_array().unwrap_or_else(|| panic!("{many}"));
    assert!(vectors.len() == 2 && vectors[0] != vectors[1], "{many}");
    let one = json!({ "model": "llama3.1:8b", "prompt": "Elbe" });
    let one = stage.post(8050, "/api/embeddings", one).await;
    assert_eq!((one.status, &one.body["embedding"]), (200, &vectors[0]), "the old form: {}", one.body);
    let broken = stage.post(8050, "/api/embeddings", json!({ "model": "llama3.1:8b", "prompt": 7 })).await;
    assert!(broken.status == 400 && broken.body["error"].is_string(), "{}", broken.body);
    let without: Value = json!({ "model": "no-such-model", "prompt": "x" });
    assert!(stage.post(8050, "/api/embeddings", without).await.status >= 400);
    stage.close().await;
}
