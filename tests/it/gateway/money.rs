//! Budgets at the gateway: refusals with what is left, windows.

use pas::domain::ids::AgentName;
use pas::domain::usage::TokenUsage;
use serde_json::json;

use super::{Stage, chat};
use crate::support::until;
use crate::vendor::Vendor;

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_refuses_what_it_cannot_hold_and_says_what_is_left() {
    let stage = Stage::open().await;
    let set = stage.post(6120, "/budget?run_id=poor&budget_usd=0.000001", json!({})).await;
    assert_eq!((set.status, &set.body["status"]), (200, &json!("Budget set successfully")), "{}", set.body);
    let refused = stage.chat("gpt-4-turbo", "poor").await;
    assert_eq!((refused.status, &refused.body["error"]["code"]), (429, &json!("insufficient_quota")));
    assert_eq!(refused.body["error"]["remaining_usd"], json!(0.000001));
    assert_eq!(refused.headers["x-should-retry"], "false");
    assert_eq!(stage.vendors.get(Vendor::OpenAi).calls(), 0, "nothing was sent");
    let message =
        json!({ "model": "gpt-4-turbo", "max_tokens": 9, "messages": [{ "role": "user", "content": "x" }] });
    let refused = stage.post_as(6120, "/v1/messages", message, "poor").await;
    assert_eq!((refused.status, &refused.body["error"]["type"]), (429, &json!("billing_error")));
    let free = stage.chat("llama3.1:8b", "poor").await;
    assert_eq!(free.status, 200, "what is free is always granted");
    assert_eq!(stage.post(6120, "/budget?run_id=poor&budget_usd=0", json!({})).await.status, 400);
    assert_eq!(stage.get(6120, "/budget/nobody").await.body["budget_set"], false);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_level_s_budget_is_set_kept_and_lifted_over_http() {
    const AGENT: &str = "corpus-auditor";
    let stage = Stage::open().await;
    let as_agent = async || {
        let request = reqwest_post(&stage, &chat("gpt-4-turbo"), "levels");
        Stage::reply(request.header("x-pas-agent", AGENT).header("x-pas-job-id", "levels.step")).await
    };
    let lane = lane_of(&stage, AGENT);
    let scopes = ["run:levels", "job:levels.step", "agent:corpus-auditor", &format!("lane:{lane}"), "day"];
    // The bill is what is held, so four calls fill their budgets to 75 and to 100 per cent.
    let held = {
        let first = stage.chat("gpt-4-turbo", "before").await;
        assert_eq!(first.status, 200, "{}", first.body);
        stage.receipts("before").await[0]["metadata"]["hold_nano_usd"].as_u64().unwrap()
    };
    // 30 dollars a million out, 10 in.
    let (output, input) = (held / 30_000, held % 30_000 / 10_000);
    let bill = TokenUsage { input, output, ..TokenUsage::default() };
    stage.vendors.get(Vendor::OpenAi).bill(Some(bill));
    let spent = stage.get(6120, "/budgets/day").await.body["spent_usd"].as_f64().unwrap();
    for scope in scopes {
        let before = if scope == "day" { spent } else { 0.0 };
        let cap = json!({ "budget_usd": (held * 4) as f64 / 1e9 + before });
        let set = stage.put(6120, &format!("/budgets/{scope}"), cap).await;
        assert_eq!((set.status, &set.body["alert_level"]), (200, &json!("ok")), "{}", set.body);
    }
    for call in 1..=4 {
        assert_eq!(as_agent().await.status, 200, "call {call}");
    }
    let refused = as_agent().await;
    assert_eq!(
        (refused.status, &refused.body["error"]["remaining_usd"]),
        (429, &json!(0)),
        "{}",
        refused.body
    );
    for scope in scopes {
        let told =
            until("its alerts are told", async || Some(alerts(&stage, scope)).filter(|a| a.len() >= 3)).await;
        assert_eq!(told, [75, 90, 100], "{scope}");
        let full = stage.get(6120, &format!("/budgets/{scope}")).await.body;
        assert_eq!(
            (&full["alert_level"], &full["can_proceed"]),
            (&json!("critical"), &json!(false)),
            "{full}"
        );
    }
    assert_eq!(stage.get(6120, "/budgets").await.body["count"], 5);
    for scope in scopes {
        let lifted = stage.delete(6120, &format!("/budgets/{scope}")).await;
        assert_eq!((lifted.status, &lifted.body["budget_set"]), (200, &json!(false)), "{}", lifted.body);
    }
    assert_eq!(as_agent().await.status, 200, "no budget is left");
    for (path, status) in [("/budgets/team:x", 422), ("/budgets/run:", 422), ("/budgets/day", 400)] {
        let answer = stage.put(6120, path, json!({ "budget_usd": 0 })).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
    }
    stage.close().await;
}

fn lane_of(stage: &Stage, agent: &str) -> String {
    let roster = stage.swarm.jobs.agents.roster();
    roster.lane_of(&AgentName::new(agent).unwrap()).unwrap().name.to_string()
}

/// The levels in per cent of a scope's alerts, as the event stream has them.
fn alerts(stage: &Stage, scope: &str) -> Vec<u64> {
    let events = stage.events("alert").into_iter();
    let own = events.filter(|event| event["data"]["scope"] == scope);
    own.map(|event| event["data"]["percent"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_spent_is_in_budget_windows_and_file() {
    let stage = Stage::open().await;
    stage.post(6120, "/budget?run_id=rich&budget_usd=10", json!({})).await;
    let mut routed = json!({ "request_id": "r-1", "run_id": "rich", "agent": "architect",
        "requirements": { "model": "openai/gpt-4-turbo" } });
    routed["payload"] = json!({ "messages": chat("")["messages"], "max_tokens": 50 });
    let answer = stage.post(6120, "/route", routed).await;
    assert_eq!(
        (answer.status, &answer.body["provider"]),
        (200, &json!("openai-gpt-4-turbo")),
        "{}",
        answer.body
    );
    let cost = &answer.body["cost"]["cost_usd"];
    let budget = stage.get(6120, "/budget/rich").await.body;
    assert_eq!((&budget["spent_usd"], &budget["held_usd"]), (cost, &json!(0)), "{budget}");
    let metrics = stage.get(6120, "/metrics?window=hour").await.body;
    assert_eq!((&metrics["total_cost_usd"], &metrics["total_requests"]), (cost, &json!(1)), "{metrics}");
    assert_eq!(stage.get(6120, "/metrics?window=year").await.status, 400);
    let file = stage.place.dir.path().join("artifacts/costs/rich.jsonl");
    let line: serde_json::Value =
        serde_json::from_str(std::fs::read_to_string(file).unwrap().trim()).unwrap();
    assert_eq!((&line["cost_usd"], &line["request_id"]), (cost, &json!("r-1")));
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_vendor_counts_beyond_its_hold_is_booked_whole_and_held_from_then_on() {
    let stage = Stage::open().await;
    stage.post(6120, "/budget?run_id=beyond&budget_usd=0.5", json!({})).await;
    let bill = TokenUsage { input: 100_000, output: 10, ..TokenUsage::default() };
    stage.vendors.get(Vendor::OpenAi).bill(Some(bill));
    assert_eq!(stage.chat("gpt-4-turbo", "beyond").await.status, 200);
    let hold = |receipt: &serde_json::Value| receipt["metadata"]["hold_nano_usd"].as_u64().unwrap();
    let first = stage.receipts("beyond").await.remove(0);
    assert_eq!(first["metadata"]["cost_nano_usd"], json!(100_000 * 10_000 + 10 * 30_000), "{first}");
    assert!(hold(&first) < 100_000_000, "{first}");
    let budget = stage.get(6120, "/budget/beyond").await.body;
    assert_eq!((&budget["spent_usd"], &budget["can_proceed"]), (&json!(1.0003), &json!(false)), "{budget}");
    assert_eq!(stage.chat("gpt-4-turbo", "beyond").await.status, 429, "the cap is passed once, by one bill");
    assert_eq!(stage.chat("gpt-4-turbo", "other").await.status, 200);
    let second = stage.receipts("other").await.remove(0);
    assert!(hold(&second) > 4 * hold(&first), "{second}");
    stage.close().await;
}

fn reqwest_post(stage: &Stage, body: &serde_json::Value, run: &str) -> reqwest::RequestBuilder {
    let url = stage.url(6120, "/v1/chat/completions");
    crate::support::http_client().post(url).json(body).header("x-pas-run-id", run)
}
