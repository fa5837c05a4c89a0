//! A provider that somebody registered at a port of this same daemon: one call, one receipt, on the caller's
//! run, agent and budget, at the price of the model's vendor.

use pas::daemon::RunningDaemon;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Stage, chat};
use crate::support::Place;
use crate::vendor::Vendor;

/// Registers an offer that is cheaper than all others of its model.
async fn register(stage: &Stage, name: &str, model: &str, port: u16) -> u16 {
    let offer = json!({
        "name": name, "model": model, "context_window": 16_000, "endpoint": stage.url(port, ""),
        "cost_per_input_token": 1e-12, "cost_per_output_token": 1e-12,
    });
    stage.post(6103, "/register", offer).await.status
}

/// All requests and all money of the last hour.
async fn totals(stage: &Stage) -> (u64, f64) {
    let metrics = stage.get(6120, "/metrics?window=hour").await.body;
    (metrics["total_requests"].as_u64().unwrap(), metrics["total_cost_usd"].as_f64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_at_a_port_of_ours_is_one_call_with_one_receipt_of_the_caller() {
    let stage = Stage::open().await;
    for (port, vendor, model) in [
        (8100, Vendor::OpenAi, "gpt-4-turbo"),
        (8101, Vendor::Anthropic, "claude-haiku-4-5"),
        (6120, Vendor::OpenAi, "gpt-3.5-turbo"),
    ] {
        let (name, run) = (format!("mirror-{port}"), format!("run-{port}"));
        assert_eq!(register(&stage, &name, model, port).await, 200);
        let budget = stage.put(6120, &format!("/budgets/run:{run}"), json!({ "budget_usd": 5 })).await;
        assert_eq!(budget.status, 200, "{}", budget.body);
        let (before, calls) = (totals(&stage).await, stage.vendors.get(vendor).calls());
        let question = json!({
            "request_id": name, "run_id": run, "agent": "corpus-auditor", "requirements": { "model": model },
            "optimization": "cost", "payload": chat(model),
        });
        let answer = stage.post(6120, "/route", question).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(stage.vendors.get(vendor).calls(), calls + 1, "the vendor was asked once");
        let receipts = stage.receipts(&run).await;
        let [receipt] = receipts.as_slice() else { panic!("one receipt, not {receipts:#?}") };
        assert_eq!(
            ["provider", "model", "agent", "status"].map(|field| receipt[field].clone()),
            [json!(name), json!(model), json!("corpus-auditor"), json!("success")]
        );
        let cost = receipt["cost_usd"].as_f64().unwrap();
        assert!(cost > 1e-6, "the vendor's price, not that of the offer: {cost}");
        assert_eq!(stage.get(6120, &format!("/budget/{run}")).await.body["spent_usd"], receipt["cost_usd"]);
        let after = totals(&stage).await;
        assert_eq!(after.0, before.0 + 1, "no second receipt anywhere");
        assert!((after.1 - before.1 - cost).abs() < 1e-9);
    }
    let others = stage.receipts("default").await;
    assert!(others.is_empty(), "nothing was paid by another run: {others:#?}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_ours_that_serves_no_model_is_no_provider() {
    let stage = Stage::open().await;
    for port in [6100, 6105, 6121] {
        let offer = json!({
            "name": "nobody", "model": "m", "context_window": 100, "endpoint": stage.url(port, "/v1"),
            "cost_per_input_token": 0, "cost_per_output_token": 0,
        });
        let refused = stage.post(6103, "/register", offer).await;
        assert_eq!(refused.status, 422, "{}", refused.body);
        assert!(refused.body.to_string().contains("serves no model"), "{}", refused.body);
    }
    assert_eq!(stage.get(6103, "/providers/nobody").await.status, 404);
    // The gateway knows nobody but itself to ask for it, so nobody is asked.
    assert_eq!(register(&stage, "circle", "a-model-of-nobody", 6120).await, 200);
    let answer = stage.chat("a-model-of-nobody", "circle").await;
    assert_eq!((answer.status, stage.receipts("circle").await), (404, Vec::<Value>::new()));
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_whose_address_is_a_port_of_ours_is_refused_at_the_start() {
    let place = Place::with_documents(1);
    let address = format!("http://localhost:{}/v1", 8100 + place.offset);
    let place = place.setting("OPENAI_API_KEY", "sk-test").setting("OPENAI_BASE_URL", &address);
    let error =
        RunningDaemon::start(place.config(), CancellationToken::new()).await.err().expect("it is refused");
    assert!(error.to_string().contains(&format!("{address}, is port")), "{error}");
}
