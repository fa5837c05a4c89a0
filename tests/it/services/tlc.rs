//! The TLC domain classifier over HTTP: embedded, through a model, and without one; and its registration.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use pas::skills::tlc::TextModel;
use serde_json::{Value, json};

use super::{REGISTRY, Swarm, TLC, start, with};

/// A model that answers according to the prompt, unless the question asks for a failure.
#[derive(Debug)]
pub(super) struct Scripted;

impl TextModel for Scripted {
    fn name(&self) -> String {
        "scripted".to_owned()
    }

    fn complete(&self, prompt: String) -> BoxFuture<'_, Result<String, String>> {
        let question = prompt.rsplit("Question: ").next().unwrap().to_owned();
        let answer = match question.split_whitespace().next() {
            Some("refuse") => Err("out of memory".to_owned()),
            Some("babble") => Ok("I think it is about stars.".to_owned()),
            Some("hang") => return std::future::pending().boxed(),
            _ if prompt.contains("task:") => {
                Ok(r#"{"task": "VERIFY", "method": "GRAPH", "domain": "LAW"}"#.to_owned())
            }
            _ => Ok(r#"Here: [{"domain": "LAW", "confidence": 0.75}]"#.to_owned()),
        };
        std::future::ready(answer).boxed()
    }
}

impl Swarm {
    async fn tlc(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(TLC, "POST", path, body).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_has_domains_and_a_method() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let query = json!({ "query": "How does photosynthesis work in plants?" });
    let (_, body) = swarm.tlc("/classify_domain", query.clone()).await;
    assert_eq!((&body["primary_domain"], &body["query"]), (&json!("BIOLOGY"), &query["query"]));
    assert_eq!(body["domains"].as_array().unwrap().len(), 3, "the default");
    assert_eq!(body["metadata"]["model_used"], "embedded-lexicon");
    for top in [1, 10] {
        let (_, body) = swarm.tlc("/classify_domain", with(query.clone(), "top_k", json!(top))).await;
        let shares: Vec<f64> =
            body["domains"].as_array().unwrap().iter().map(|d| d["confidence"].as_f64().unwrap()).collect();
        assert_eq!(shares.len(), top);
        assert!(shares.iter().rev().is_sorted() && shares.iter().sum::<f64>() <= 1.001, "{shares:?}");
    }
    let vague = json!({ "query": "What does this mean?", "context_docs": ["The court ruled that the tenant had a right of appeal under the statute."] });
    assert_eq!(swarm.tlc("/classify_domain", vague.clone()).await.1["primary_domain"], "LAW");
    assert_eq!(swarm.tlc("/extract_tmd", vague).await.1["tmd"]["domain"], "LAW");
    let compare = json!({ "query": "Compare the supply chains of Apple and Samsung", "context_docs": null });
    let (_, body) = swarm.tlc("/extract_tmd", compare.clone()).await;
    assert_eq!((&body["tmd"]["task"], &body["tmd"]["method"]), (&json!("COMPARE"), &json!("GRAPH")));
    let (_, body) = swarm.tlc("/extract_tmd", with(compare, "method_hint", json!("DENSE"))).await;
    assert_eq!((&body["tmd"]["method"], &body["confidence"]["method"]), (&json!("DENSE"), &json!(1.0)));
    let info = swarm.get(TLC, "/info").await;
    assert!(info["performance"]["avg_latency_ms"].is_number(), "{info}");
    let health = swarm.get(TLC, "/health").await;
    assert_eq!((&health["status"], &health["model_loaded"]), (&json!("healthy"), &json!(true)));
    assert!(health["last_request_ms"].is_number());
}

#[tokio::test(start_paused = true)]
async fn requests_that_break_the_contract_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    for (path, body) in [
        ("/classify_domain", json!({})),
        ("/classify_domain", json!({ "query": "" })),
        ("/classify_domain", json!({ "query": "  \n" })),
        ("/classify_domain", json!({ "query": "x".repeat(20_001) })),
        ("/classify_domain", json!({ "query": "x", "top_k": 0 })),
        ("/classify_domain", json!({ "query": "x", "top_k": 11 })),
        ("/classify_domain", json!({ "query": "x", "context_docs": "y" })),
        ("/classify_domain", json!({ "query": "x", "context_docs": vec!["y"; 51] })),
        ("/classify_domain?backend=oracle", json!({ "query": "x" })),
        ("/extract_tmd", json!({ "query": 7 })),
        ("/extract_tmd", json!({ "query": "x", "method_hint": "dense" })),
    ] {
        assert_eq!(swarm.tlc(path, body.clone()).await.0, 422, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_answers_where_it_is_asked_and_its_failures_are_told_or_covered() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    for backend in ["model", "auto"] {
        let path = format!("/classify_domain?backend={backend}");
        let (_, body) = swarm.tlc(&path, json!({ "query": "why is the sky blue" })).await;
        assert_eq!(
            (&body["primary_domain"], &body["metadata"]["model_used"]),
            (&json!("LAW"), &json!("scripted"))
        );
        let (_, body) =
            swarm.tlc(&format!("/extract_tmd?backend={backend}"), json!({ "query": "why" })).await;
        assert_eq!(body["tmd"], json!({ "task": "VERIFY", "method": "GRAPH", "domain": "LAW" }));
    }
    for query in ["refuse this", "babble on"] {
        let (status, body) = swarm.tlc("/classify_domain?backend=model", json!({ "query": query })).await;
        assert!(status == 503 && body["detail"].as_str().unwrap().contains("scripted"), "{body}");
        let (status, body) = swarm.tlc("/classify_domain?backend=auto", json!({ "query": query })).await;
        assert_eq!((status, &body["metadata"]["model_used"]), (200, &json!("embedded-lexicon")));
    }
    let hanging = swarm.tlc("/classify_domain?backend=model", json!({ "query": "hang" }));
    let time = async {
        // The request must have reached the model before the clock moves.
        while swarm.get(TLC, "/health").await["status"] != "healthy" {}
        tokio::time::advance(Duration::from_secs(31)).await;
    };
    let ((status, body), ()) = tokio::join!(hanging, time);
    assert!(status == 503 && body["detail"].as_str().unwrap().contains("within 30s"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn the_registry_lists_it_as_a_model_and_the_agents_stay_fifty() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let announced = swarm.announce_tlc().await;
    let record = swarm.get(REGISTRY, "/services/agent-tlc_domain_classifier").await;
    assert_eq!((&record["type"], &record["labels"]["tier"]), (&json!("model"), &json!("2")));
    assert_eq!(record["caps"], json!(["domain_classification", "tmd_extraction", "domain_validation"]));
    assert_eq!(swarm.ids("?type=agent").await.len(), 50);
    assert_eq!(swarm.ids("?cap=tmd_extraction").await, ["agent-tlc_domain_classifier"]);
    // Deregistered by somebody, the classifier is back with the next heartbeat; and heartbeats keep it
    // listed.
    let end = json!({ "service_id": "agent-tlc_domain_classifier" });
    assert_eq!(swarm.ask(REGISTRY, "POST", "/deregister", end).await.0, 200);
    swarm.pass(Duration::from_secs(31)).await;
    swarm.known("agent-tlc_domain_classifier").await;
    swarm.pass(Duration::from_secs(300)).await;
    assert_eq!(swarm.status_of("agent-tlc_domain_classifier").await, "ok");
    announced.shutdown().await;
}
