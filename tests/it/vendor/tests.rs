//! The test servers themselves.

use serde_json::{Value, json};

use super::{Fault, KEY, Vendor, Vendors};

fn client() -> reqwest::Client {
    // Already there after the first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn post(url: &str, body: &Value) -> reqwest::Response {
    client().post(url).bearer_auth(KEY).json(body).send().await.unwrap()
}

fn hello(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "Hello, vendor of words" }] })
}

#[tokio::test]
async fn openai_answers_a_chat() {
    let vendors = Vendors::start().await;
    let url = format!("{}/chat/completions", vendors.url(Vendor::OpenAi));
    let body: Value = post(&url, &hello("gpt-4-turbo")).await.json().await.unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "You said: Hello, vendor of words");
    assert_eq!(body["usage"]["total_tokens"], vendors.get(Vendor::OpenAi).billed().total());
    assert_eq!(vendors.get(Vendor::OpenAi).calls(), 1);
}

#[tokio::test]
async fn openai_streams_a_chat() {
    let vendors = Vendors::start().await;
    let openai = vendors.get(Vendor::OpenAi);
    openai.script([Fault::None]);
    let mut body = hello("gpt-4-turbo");
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    let text = post(&format!("{}/chat/completions", openai.url()), &body).await.text().await.unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(text.matches("data: ").count(), 10, "{text}");
}
