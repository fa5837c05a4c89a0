//! Which models can be called, by which names, at which price, and how a refusal helps.

use std::collections::BTreeSet;
use std::process::Output;

use serde_json::{Value, json};

use super::{Stage, chat, streamed};
use crate::contracts::{assert_fits, assert_says_no_more};
use crate::support::{Place, http_client, until};
use crate::vendor::{Vendor, Vendors};
use pas::http::contract::bundled;

/// The name of the user's file of prices, beside the daemon.
const FILE: &str = "mine.toml";

/// A daemon with prices of its user's.
async fn with_prices(rows: &str) -> Stage {
    let place = Place::with_documents(1);
    std::fs::write(place.dir.path().join(FILE), rows).unwrap();
    Stage::open_on(place, &[("PAS_PRICES__FILE", FILE)]).await
}

/// The model that the vendor was asked for last.
fn asked(stage: &Stage, vendor: Vendor) -> Value {
    stage.vendors.get(vendor).seen().last().unwrap().body["model"].clone()
}

fn ids(list: &Value) -> BTreeSet<String> {
    list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

/// Clients ask for the list first, and half a one is taken for the whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_asked_for_as_the_ports_open_is_whole() {
    let vendors = Vendors::start().await;
    let place = super::place(&vendors);
    let swarm = place.start().await;
    let url = |port: u16, path: &str| format!("http://127.0.0.1:{}{path}", port + place.offset);
    let read = async |port, path| {
        let answer = http_client().get(url(port, path)).send().await.unwrap();
        answer.json::<Value>().await.unwrap()
    };
    let (local, all) = tokio::join!(read(8050, "/api/tags"), read(6120, "/v1/models"));
    assert_eq!(local["models"][0]["name"], "llama3.1:8b", "{local}");
    assert_eq!(ids(&all), ids(&read(6120, "/v1/models").await));
    let of_each = ["gpt-5.4-mini", "claude-haiku-4-5", "gemini-3.5-flash", "grok-4.7", "llama3.1:8b"];
    assert!(of_each.iter().all(|model| ids(&all).contains(*model)), "{all}");
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_the_user_s_makes_a_model_callable_and_listed_by_its_bare_name() {
    let row = "[[price]]\nprovider = \"openai\"\nmodel = \"gpt-7\"\ninput = 2.5\noutput = 15\n";
    let stage = with_prices(row).await;
    stage.vendors.get(Vendor::OpenAi).offer("gpt-7", 400_000);
    for name in ["gpt-7", "openai/gpt-7"] {
        let answer = stage.chat(name, "own").await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
        assert_eq!(asked(&stage, Vendor::OpenAi), "gpt-7");
    }
    let receipt = stage.receipts("own").await.pop().unwrap();
    let tokens = |name: &str| receipt[name].as_u64().unwrap();
    let cost = tokens("input_tokens") * 2_500 + tokens("output_tokens") * 15_000;
    assert_eq!(receipt["metadata"]["cost_nano_usd"], cost);
    assert!(ids(&stage.get(6120, "/v1/models").await.body).contains("gpt-7"));
    assert_eq!(stage.get(6120, "/v1/models/gpt-7").await.body["owned_by"], "openai");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dated_names_aliases_and_prefixes_reach_the_vendor_and_count_for_their_model() {
    let stage = Stage::open().await;
    for (vendor, named, sent, provider) in [
        (Vendor::OpenAi, "gpt-5.5", "gpt-5.5", "openai-gpt-5-5"),
        (Vendor::OpenAi, "gpt-5-2025-08-07", "gpt-5-2025-08-07", "openai-gpt-5"),
        (
            Vendor::Anthropic,
            "claude-haiku-4-5-20251001",
            "claude-haiku-4-5-20251001",
            "anthropic-claude-haiku-4-5",
        ),
        (Vendor::Anthropic, "anthropic/claude-opus-4.8", "claude-opus-4-8", "anthropic-claude-opus-4-8"),
        (Vendor::Gemini, "models/gemini-3.8-flash", "gemini-3.8-flash", "gemini-gemini-3-8-flash"),
        (Vendor::Gemini, "google/gemini-flash-latest", "gemini-flash-latest", "gemini-gemini-3-8-flash"),
        (Vendor::Grok, "xai/grok-4.3", "grok-4.3", "grok-grok-4-3"),
        (Vendor::OpenAi, "gpt-4-turbo-2024-04-09", "gpt-4-turbo-2024-04-09", "openai-gpt-4-turbo"),
    ] {
        let answer = stage.chat(named, "names").await;
        assert_eq!(answer.status, 200, "{named}: {}", answer.body);
        let receipt = stage.receipts("names").await.pop().unwrap();
        assert_eq!((&receipt["provider"], &receipt["model"]), (&json!(provider), &json!(sent)), "{named}");
        assert!(receipt["metadata"]["cost_nano_usd"].as_u64().unwrap() > 0, "{named}");
        let heard = stage.vendors.get(vendor).seen();
        let heard = heard.last().unwrap();
        let named_there = heard.body["model"] == sent || heard.path.contains(sent);
        assert!(named_there, "{named}: {} {}", heard.path, heard.body);
    }
    let adapted = stage.post(8102, "/v1/chat/completions", chat("models/gemini-3.8-flash")).await;
    assert_eq!(adapted.status, 200, "{}", adapted.body);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_shows_the_row_or_the_key_that_is_missing() {
    let stage = Stage::open_with(&[("GROK_API_KEY", ""), ("XAI_API_KEY", "")]).await;
    let said = async |model: &str| {
        let refused = stage.chat(model, "").await;
        assert_eq!((refused.status, &refused.body["error"]["code"]), (404, &json!("model_not_found")));
        refused.body["error"]["message"].as_str().unwrap().to_owned()
    };
    for name in ["gpt-99", "openai/gpt-99"] {
        let why = said(name).await;
        for words in ["no price is known", "[prices] file", "provider = \"openai\"\nmodel = \"gpt-99\""] {
            assert!(why.contains(words), "{name}: {why}");
        }
    }
    let why = said("grok-4.7").await;
    assert!(why.contains("GROK_API_KEY"), "{why}");
    let why = said("somebody-elses-model").await;
    assert!(why.contains("pas models"), "{why}");
    assert_eq!(stage.vendors.get(Vendor::OpenAi).calls(), 0, "nothing was sent");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_chooses_a_model_that_has_been_shut_down_and_no_list_shows_one() {
    let stage = Stage::open_with(&[("OLLAMA_HOST", "http://127.0.0.1:9")]).await;
    let catalogue = stage.get(6120, "/catalogue").await.body;
    let models = catalogue["models"].as_array().unwrap();
    let retired: BTreeSet<String> = models
        .iter()
        .filter(|model| model["retired"] == true)
        .map(|model| model["model"].as_str().unwrap().to_owned())
        .collect();
    assert!(retired.contains("gpt-4-turbo") && retired.contains("claude-sonnet-4-5"), "{retired:?}");
    for name in ["auto", "auto:cost", "auto:latency", "auto:balanced"] {
        let answer = stage.chat(name, "auto").await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
        let model = answer.headers["x-pas-model"].to_str().unwrap();
        assert!(!retired.contains(model), "{name} chose {model}");
    }
    let is_callable = |model: &&Value| model["callable"] == true && model["kind"] == "chat";
    // The first probe registers them one after the other.
    let whole = async || {
        let listed = ids(&stage.get(6120, "/v1/models").await.body);
        let mut callable = models.iter().filter(is_callable);
        callable.all(|model| listed.contains(model["model"].as_str().unwrap())).then_some(listed)
    };
    let listed = until("every callable model is listed", whole).await;
    let now = stage.get(6120, "/catalogue").await.body;
    let chosen = now["auto"].as_str().unwrap().split_once('/').unwrap().1;
    let answer = stage.chat("auto", "again").await;
    assert_eq!(answer.headers["x-pas-model"], chosen, "the catalogue says what `auto` chooses");
    assert!(listed.is_disjoint(&retired), "{:?}", listed.intersection(&retired).collect::<Vec<_>>());
    assert!(listed.contains("gpt-5.5") && listed.contains("text-embedding-3-small"), "{listed:?}");
    for port in [8100, 8101, 8102, 8103] {
        let info = stage.get(port, "/info").await.body;
        let default = info["model"]["name"].as_str().unwrap();
        assert!(!default.is_empty() && !retired.contains(default), "{port}: {default}");
        let listed = ids(&stage.get(port, "/v1/models").await.body);
        assert!(listed.contains(default) && listed.is_disjoint(&retired), "{port}: {listed:?}");
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tier_that_answered_decides_the_bill() {
    let stage = Stage::open().await;
    let bill = async |model: &str, tier: &str, streams: bool| {
        let run = format!("{tier}-{streams}");
        let mut body = if streams { streamed(model) } else { chat(model) };
        body.as_object_mut().unwrap().remove("max_tokens");
        body["service_tier"] = json!(tier);
        let answer = stage.post_as(6120, "/v1/chat/completions", body, &run).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let receipt = stage.receipts(&run).await.pop().unwrap();
        let [cost, hold] = ["cost_nano_usd", "hold_nano_usd"].map(|name| receipt["metadata"][name].as_u64());
        (cost.unwrap(), hold.unwrap())
    };
    for streams in [false, true] {
        let usual = bill("gpt-5.1", "default", streams).await;
        let flex = bill("gpt-5.1", "flex", streams).await;
        let priority = bill("gpt-5.1", "priority", streams).await;
        assert_eq!(flex.0 * 2, usual.0, "{streams}");
        assert_eq!(priority.0, usual.0 * 2, "{streams}");
        // The words for the tiers are of different lengths, and the prompt's bound counts them.
        let about = |hold: u64, wanted: u64| hold.abs_diff(wanted) < wanted / 100;
        assert!(
            about(flex.1, usual.1),
            "the vendor may answer a flex call in its usual tier: {flex:?} {usual:?}"
        );
        assert!(about(priority.1, usual.1 * 2), "the hold takes the dearer tier: {priority:?} {usual:?}");
    }
    let body = json!({ "model": "gpt-5.1", "input": "hi", "service_tier": "priority" });
    let answer = stage.post_as(6120, "/v1/responses", body, "responses").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let receipt = stage.receipts("responses").await.pop().unwrap();
    let tokens = |name: &str| receipt[name].as_u64().unwrap();
    let usual = tokens("input_tokens") * 1_250 + tokens("output_tokens") * 10_000;
    let tier = answer.body["service_tier"].as_str().unwrap_or("default");
    assert_eq!(receipt["metadata"]["cost_nano_usd"], if tier == "priority" { 2 * usual } else { usual });
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_fits_its_contract_and_the_command_shows_it() {
    let stage = Stage::open().await;
    let answer = stage.get(6120, "/catalogue").await.body;
    let document = bundled("gateway.json").unwrap();
    let schema =
        &document["paths"]["/catalogue"]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    assert_fits(&document, schema, &answer, "the catalogue");
    assert_says_no_more(&document, schema, &answer, "the catalogue");
    let output = run(&stage.place, &["models", "--vendor", "anthropic"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for words in ["claude-opus-4-8", "kept: genai-prices", "auto: chooses ollama/"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let output = run(&stage.place, &["models", "gpt-5.5", "--json"]).await;
    let names = names_in(&output.stdout);
    assert!(names.contains("gpt-5.5") && !names.contains("gpt-5.4"), "{names:?}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_the_models_are_those_of_the_settings() {
    let output = run(&Place::with_documents(1), &["models", "haiku", "--json"]).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let names = names_in(&output.stdout);
    assert!(names.contains("claude-haiku-4-5") && !names.contains("gpt-5.5"), "{names:?}");
}

async fn run(place: &Place, arguments: &[&str]) -> Output {
    tokio::process::Command::from(place.command(arguments)).output().await.unwrap()
}

/// The models of a `--json` answer.
fn names_in(answer: &[u8]) -> BTreeSet<String> {
    let answer: Value = serde_json::from_slice(answer).unwrap();
    let models = answer["models"].as_array().unwrap().iter();
    models.map(|model| model["model"].as_str().unwrap().to_owned()).collect()
}
