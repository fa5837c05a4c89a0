//! Servers of the user's that speak OpenAI's protocol: providers like others.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use super::{Stage, chat, streamed};
use crate::support::{PATIENCE, Place, until};
use crate::vendor::{KEY, Server, Vendor};

const VARIABLE: &str = "TEST_SERVER_KEY";

/// A daemon with this list of servers.
async fn with_servers(list: &str, prices: &str) -> Stage {
    let place = Place::with_documents(1);
    std::fs::write(place.dir.path().join("mine.toml"), prices).unwrap();
    let settings = [("PAS_PROVIDERS__COMPATIBLE", list), ("PAS_PRICES__FILE", "mine.toml"), (VARIABLE, KEY)];
    Stage::open_on(place, &settings).await
}

async fn provider(stage: &Stage, name: &str) -> Option<Value> {
    let providers = stage.get(6103, "/providers?limit=1000").await.body;
    providers["providers"].as_array()?.iter().find(|provider| provider["name"] == name).cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_s_own_models_are_called_billed_listed_and_shown() {
    let server = Server::start(Vendor::OpenAi).await;
    server.offer("meta/smollm2", 8_192);
    let list = format!(
        r#"[{{ name = "box", base_url = "{0}", key_env = "{VARIABLE}", free = true }},
            {{ name = "dear", base_url = "{0}", key_env = "{VARIABLE}", models = ["meta/smollm2", "unpriced"] }}]"#,
        server.url()
    );
    let row = "[[price]]\nprovider = \"dear\"\nmodel = \"meta/smollm2\"\ninput = 1\noutput = 2\n";
    let stage = with_servers(&list, row).await;
    until("the server's models are registered", async || provider(&stage, "box-meta-smollm2").await).await;
    for name in ["box/meta/smollm2", "meta/smollm2"] {
        let answer = stage.chat(name, "free").await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
        assert_eq!(answer.headers["x-pas-provider"], "box-meta-smollm2", "the cheaper of both");
    }
    let events = stage.post_as(6120, "/v1/chat/completions", streamed("box/meta/smollm2"), "free").await.body;
    assert!(events.as_str().unwrap().ends_with("data: [DONE]\n\n"), "{events}");
    let receipts = stage.receipts("free").await;
    assert!(
        receipts.len() == 3 && receipts.iter().all(|receipt| receipt["cost_usd"] == json!(0)),
        "{receipts:#?}"
    );
    let heard = server.seen().pop().unwrap();
    assert_eq!(heard.body["model"], "meta/smollm2");
    assert_eq!(heard.header("authorization"), format!("Bearer {KEY}"));

    let answer = stage.chat("dear/meta/smollm2", "dear").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let receipt = stage.receipts("dear").await.pop().unwrap();
    let tokens = |name: &str| receipt[name].as_u64().unwrap();
    let cost = tokens("input_tokens") * 1_000 + tokens("output_tokens") * 2_000;
    assert_eq!(
        (&receipt["metadata"]["cost_nano_usd"], &receipt["provider"]),
        (&json!(cost), &json!("dear-meta-smollm2"))
    );
    let refused = stage.chat("dear/unpriced", "").await;
    let why = refused.body["error"]["message"].as_str().unwrap().to_owned();
    assert!(refused.status == 404 && why.contains("provider = \"dear\"\nmodel = \"unpriced\""), "{why}");
    assert!(why.contains("mine.toml"), "{why}");

    let catalogue = stage.get(6120, "/catalogue").await.body;
    let state = catalogue["providers"].as_array().unwrap().iter().find(|provider| provider["name"] == "box");
    assert_eq!(state.unwrap()["ready"], true);
    let listed = stage.get(6120, "/v1/models").await.body;
    assert!(listed["data"].as_array().unwrap().iter().any(|model| model["id"] == "meta/smollm2"), "{listed}");
    let doctor = Command::from(stage.place.command(&["doctor", "--json"])).output().await.unwrap();
    let told: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let checks = told["checks"].as_array().unwrap().iter().filter(|check| check["name"] == "servers");
    let saw: Vec<&str> = checks.map(|check| check["saw"].as_str().unwrap()).collect();
    assert!(saw.iter().any(|saw| saw.starts_with("box at ")), "{saw:?}");
    assert!(saw.iter().any(|saw| saw.contains("2 models, 1 with a price")), "{saw:?}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_gives_way_to_the_next_and_is_told_by_its_own_name() {
    let (first, second) = (Server::start(Vendor::OpenAi).await, Server::start(Vendor::OpenAi).await);
    let list = format!(
        r#"[{{ name = "alpha", base_url = "{}", key_env = "{VARIABLE}", models = ["gpt-3.5-turbo"], free = true }},
            {{ name = "beta", base_url = "{}", key_env = "{VARIABLE}", models = ["gpt-3.5-turbo"], free = true }}]"#,
        first.url(),
        second.url()
    );
    let stage = with_servers(&list, "").await;
    for name in ["alpha-gpt-3-5-turbo", "beta-gpt-3-5-turbo"] {
        until("it is registered", async || provider(&stage, name).await).await;
    }
    first.down().await;
    let answer = stage.chat("gpt-3.5-turbo", "next").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.headers["x-pas-provider"], "beta-gpt-3-5-turbo");
    let receipts = stage.receipts("next").await;
    let why = receipts[0]["error_message"].as_str().unwrap();
    assert!(
        receipts[0]["provider"] == "alpha-gpt-3-5-turbo" && why.contains("alpha") && !why.contains("OpenAI"),
        "{why}"
    );
    assert_eq!(receipts.last().unwrap()["fallback_from"], "alpha-gpt-3-5-turbo");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_the_daemon_itself_is_refused() {
    let place = Place::with_documents(1);
    let own = format!(
        r#"[{{ name = "loop", base_url = "http://localhost:{}/v1", free = true }}]"#,
        6120 + place.offset
    );
    let place = place.setting("PAS_PROVIDERS__COMPATIBLE", own);
    let mut command = Command::from(place.command(&["up"]));
    let ended = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).output();
    let ended = timeout(PATIENCE, ended).await.expect("it does not start").unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success(), "{said}");
    assert!(said.contains("`loop`") && said.contains("of this daemon itself"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_of_a_server_without_a_key_and_without_a_version_in_its_address_works() {
    let server = Server::start(Vendor::OpenAi).await;
    let bare = server.url().trim_end_matches("/v1").to_owned();
    let list =
        format!(r#"[{{ name = "bare", base_url = "{bare}", models = ["gpt-4-turbo"], free = true }}]"#);
    let stage = with_servers(&list, "").await;
    until("it is registered", async || provider(&stage, "bare-gpt-4-turbo").await).await;
    let refused = stage.post(6120, "/v1/chat/completions", chat("bare/gpt-4-turbo")).await;
    // This server wants a key; it got the placeholder, at the address with its version.
    assert_eq!(refused.status, 502, "{}", refused.body);
    let heard =
        server.seen().into_iter().rev().find(|heard| heard.path.ends_with("/chat/completions")).unwrap();
    assert_eq!((heard.path.as_str(), heard.header("authorization")), ("/v1/chat/completions", "Bearer none"));
    stage.close().await;
}
