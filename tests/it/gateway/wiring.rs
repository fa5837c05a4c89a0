//! The gateway with its neighbours: jobs that are stopped, lanes, contexts, events, local texts.

use futures_util::StreamExt as _;
use pas::domain::accounts::budget::{BudgetScope, ScopeLabel};
use pas::domain::ids::AgentName;
use pas::domain::money::NanoUsd;
use serde_json::{Value, json};

use super::{Reply, Stage, chat, streamed};
use crate::support::{Place, http_client, until};
use crate::vendor::{FOREVER, Fault, Vendor};

/// One of our agents, below the director of a lane.
const AGENT: &str = "corpus-auditor";

/// A chat as somebody, named by headers.
async fn chat_as(stage: &Stage, model: &str, headers: &[(&str, &str)]) -> Reply {
    let request = http_client().post(stage.url(6120, "/v1/chat/completions")).json(&chat(model));
    Stage::reply(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

/// A job that waits, held.
async fn held_job(stage: &Stage) -> String {
    let run = stage.swarm.api.ingest(json!({})).await;
    stage.swarm.api.ask(&format!("/jobs/{run}/pause"), json!({})).await;
    run
}

/// A stream for a job that has begun and stands still.
async fn stalled(stage: &Stage, job: &str) -> impl Future<Output = String> + use<> {
    stage.vendors.get(Vendor::OpenAi).script([Fault::StallAfter(2, FOREVER)]);
    let request = http_client().post(stage.url(6120, "/v1/chat/completions")).json(&streamed("gpt-4-turbo"));
    let mut body = request.header("x-pas-job-id", job).send().await.unwrap().bytes_stream();
    let mut text = String::from_utf8(body.next().await.unwrap().unwrap().to_vec()).unwrap();
    async move {
        while let Some(Ok(bytes)) = body.next().await {
            text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        text
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_job_s_streams_are_closed_however_it_is_stopped() {
    let stage = Stage::open().await;
    let server = stage.vendors.get(Vendor::OpenAi);
    for (number, is_killed) in [(1, false), (2, true)] {
        let run = held_job(&stage).await;
        let below = format!("{run}.data");
        let rest = stalled(&stage, &below).await;
        if is_killed {
            stage.swarm.resources.kill(&run, "too large").await.unwrap();
        } else {
            stage.swarm.api.ask(&format!("/jobs/{run}/cancel"), json!({ "reason": "not needed" })).await;
        }
        let text = rest.await;
        assert!(text.contains("its job was cancelled") && !text.contains("[DONE]"), "{text}");
        until("the vendor's connection is closed", async || (server.left_early() == number).then_some(()))
            .await;
        let receipts = stage.receipts(&run).await;
        assert_eq!((receipts.len(), &receipts[0]["status"]), (1, &json!("error")), "{receipts:#?}");
        let metadata = &receipts[0]["metadata"];
        assert_eq!(metadata["estimated"], true, "{metadata}");
        assert!(metadata["cost_nano_usd"].as_u64() < metadata["hold_nano_usd"].as_u64(), "{metadata}");
        let late = chat_as(&stage, "gpt-4-turbo", &[("x-pas-job-id", &run)]).await;
        assert_eq!((late.status, server.calls()), (503, number), "nothing is begun: {}", late.body);
    }
    stage.close().await;
}

/// More than a debug build audits with one thread within the hard limit of a second.
const MANY_DOCUMENTS: usize = 4_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_takes_too_long_takes_its_streams_along() {
    let place = Place::with_documents(MANY_DOCUMENTS).setting("PAS_JOBS__THREADS", 1);
    let limits = [
        ("PAS_JOBS__STEP_SOFT_TIMEOUT_S", "2"),
        ("PAS_JOBS__STEP_HARD_TIMEOUT_S", "3"),
        ("PAS_JOBS__MAX_ATTEMPTS", "1"),
    ];
    let stage = Stage::open_on(place, &limits).await;
    let api = &stage.swarm.api;
    let run = api.ingest(json!({})).await;
    let step = format!("{run}.data.lane.audit");
    api.works(&step, 1).await;
    let text = stalled(&stage, &step).await.await;
    assert!(text.contains("its job was cancelled") && !text.contains("[DONE]"), "{text}");
    let closed = async || (stage.vendors.get(Vendor::OpenAi).left_early() == 1).then_some(());
    until("the vendor's connection is closed", closed).await;
    let events = api.events(&run).await;
    let is_it = |event: &&Value| event["job_id"] == step && event["event"] == "hard_timeout";
    assert!(events.iter().any(|event| is_it(&event)), "its time was up: {events:#?}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_s_budget_holds_for_its_agents() {
    let stage = Stage::open().await;
    let name = AgentName::new(AGENT).unwrap();
    let lane = ScopeLabel::from(&stage.swarm.jobs.agents.roster().lane_of(&name).unwrap().name);
    let accounts = stage.swarm.gateway.accounts();
    accounts.set_budget(BudgetScope::Lane(lane.clone()), NanoUsd(1)).await.unwrap();
    let refused = chat_as(&stage, "gpt-4-turbo", &[("x-pas-agent", AGENT)]).await;
    let scope = json!(format!("lane:{lane}"));
    assert_eq!((refused.status, &refused.body["error"]["scope"]), (429, &scope), "{}", refused.body);
    assert_eq!(stage.vendors.get(Vendor::OpenAi).calls(), 0, "nothing was sent");
    let stranger = chat_as(&stage, "gpt-4-turbo", &[("x-pas-agent", "somebody-else")]).await;
    assert_eq!(stranger.status, 200, "who is none of ours is in no lane: {}", stranger.body);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_s_call_is_in_its_context() {
    let stage = Stage::open().await;
    let answer = chat_as(&stage, "gpt-4-turbo", &[("x-pas-agent", AGENT), ("x-pas-run-id", "seen")]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let agents = stage.get(6105, &format!("/status?agent={AGENT}")).await.body["agents"].clone();
    let context = &agents[0];
    assert_eq!((&context["agent"], &context["run_id"]), (&json!(AGENT), &json!("seen")), "{agents}");
    assert_eq!(context["ctx_used"], answer.body["usage"]["total_tokens"]);
    assert_eq!(context["ctx_limit"], 128_000, "gpt-4-turbo's");
    stage.chat("gpt-4-turbo", "seen").await;
    let anonymous = stage.get(6105, "/status?agent=client").await.body;
    assert_eq!(anonymous["agents"], json!([]), "a caller without a name has no context");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_receipt_is_an_event_once() {
    let stage = Stage::open().await;
    stage.vendors.get(Vendor::OpenAi).script([Fault::Status(500)]);
    let headers = [("x-pas-run-id", "told"), ("x-pas-request-id", "r-7"), ("x-pas-job-id", "a-job")];
    assert_eq!(chat_as(&stage, "gpt-4-turbo", &headers).await.status, 200);
    let receipts = stage.receipts("told").await;
    let events =
        until("both are told", async || Some(stage.events("cost_update")).filter(|events| events.len() >= 2))
            .await;
    assert_eq!((events.len(), receipts.len()), (2, 2), "{events:#?}");
    for (event, receipt) in events.iter().zip(&receipts) {
        let data = &event["data"];
        for field in [
            "request_id",
            "run_id",
            "agent",
            "provider",
            "model",
            "input_tokens",
            "output_tokens",
            "cost_usd",
            "status",
            "latency_ms",
        ] {
            assert!(!data[field].is_null() && data[field] == receipt[field], "{field}: {event} {receipt}");
        }
        assert_eq!(data["job_id"], "a-job");
        assert_eq!(event["id"], format!("receipt-{}", receipt["metadata"]["seq"]));
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn local_models_classify_and_summarise_while_they_answer() {
    let stage = Stage::open().await;
    let ollama = stage.vendors.get(Vendor::Ollama);
    // The model repeats what it was asked, and so the example of an answer in it.
    let question = json!({ "query": "How do plants live?" });
    let by_model = stage.post(8052, "/classify_domain?backend=model", question.clone()).await;
    assert_eq!(by_model.status, 200, "{}", by_model.body);
    assert_eq!(by_model.body["metadata"]["model_used"], "tinyllama:1.1b");
    assert_eq!(by_model.body["primary_domain"], "PHYSICS");
    assert_eq!(stage.get(8052, "/health").await.body["ollama_backend"], "tinyllama:1.1b");

    let content = "The team looked at the harvest of the orchard and wrote down what it saw. ".repeat(200);
    let wanted = json!({ "agent": AGENT, "run_id": "long", "trigger_reason": "manual",
        "content_to_summarize": content });
    let made = stage.post(6105, "/summarize", wanted.clone()).await.body;
    let method = async |made: &Value| {
        let id = made["summary_id"].as_str().unwrap_or_else(|| panic!("{made}"));
        stage.get(6105, &format!("/summaries/{id}")).await.body["method"].clone()
    };
    assert_eq!(method(&made).await, "llama3.1:8b", "{made}");
    let callers: Vec<Value> =
        stage.receipts("default").await.into_iter().map(|receipt| receipt["agent"].clone()).collect();
    assert_eq!(callers, ["tlc-classifier", "summariser"]);

    ollama.down().await;
    let made = stage.post(6105, "/summarize", wanted).await.body;
    assert_eq!(method(&made).await, "extractive", "{made}");
    let embedded = stage.post(8052, "/classify_domain?backend=auto", question).await.body;
    assert_eq!(embedded["metadata"]["model_used"], "embedded-lexicon");
    stage.close().await;
}
