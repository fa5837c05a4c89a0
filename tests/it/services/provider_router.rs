//! The provider router over HTTP: registrations taken and refused, durability, choices, and learning.

use std::time::Duration;

use pas::actors::provider_router::{
    CallLimits, CallRequirements, ObservedCall, ProviderPermit, RoutingOptimization,
};
use pas::llm::VendorFailureKind;
use pas::llm::catalogue::MODELS;
use serde_json::{Value, json};

use super::{PROVIDERS, Swarm, start, with};

/// An offer that costs `cents` for 1000 input and 500 output tokens and promises `latency_ms`.
fn offer(name: &str, cents: f64, latency_ms: u32) -> Value {
    json!({
        "name": name, "model": "gpt-x", "context_window": 128_000, "endpoint": "http://localhost:8100",
        "cost_per_input_token": cents / 100.0 / 1000.0, "cost_per_output_token": 0,
        "features": ["tools", "streaming"], "slo": { "latency_p95_ms": latency_ms },
    })
}

fn observed(total_ms: u64, failure: Option<VendorFailureKind>) -> ObservedCall {
    let total = Duration::from_millis(total_ms);
    ObservedCall { ok: failure.is_none(), first_byte: Some(total / 4), total, failure, retry_after: None }
}

impl Swarm {
    async fn offer(&self, body: Value) -> (u16, Value) {
        self.ask(PROVIDERS, "POST", "/register", body).await
    }

    /// The choice and its alternatives, by name.
    async fn chosen(&self, question: Value) -> Vec<String> {
        let (status, body) = self.ask(PROVIDERS, "POST", "/select", question).await;
        assert_eq!(status, 200, "{body}");
        let name = |provider: &Value| provider["name"].as_str().unwrap().to_owned();
        let alternatives = body["alternatives"].as_array().unwrap().iter().map(name);
        [name(&body["selected_provider"])].into_iter().chain(alternatives).collect()
    }
}

fn asking(model: &str, optimization: &str) -> Value {
    json!({ "requirements": { "model": model }, "optimization": optimization })
}

#[tokio::test(start_paused = true)]
async fn a_provider_registers_is_updated_deleted_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let (status, done) = swarm.offer(offer("a", 1.0, 100)).await;
    assert_eq!((status, &done["action"], &done["provider"]), (200, &json!("registered"), &json!("a")));
    let first = swarm.get(PROVIDERS, "/providers/a").await;
    let (_, done) = swarm.offer(with(offer("a", 2.0, 100), "features", Value::Null)).await;
    assert_eq!(done["action"], "updated");
    let second = swarm.get(PROVIDERS, "/providers/a").await;
    assert_eq!(
        (&second["registered_at"], &second["features"], &second["estimated_cost_usd"]),
        (&first["registered_at"], &json!([]), &json!(0.02))
    );
    let (status, done) = swarm.ask(PROVIDERS, "DELETE", "/providers/a", Value::Null).await;
    assert_eq!((status, &done["action"]), (200, &json!("deactivated")));
    assert_eq!(swarm.ask(PROVIDERS, "DELETE", "/providers/a", Value::Null).await.0, 404, "only once");
    assert_eq!(swarm.get(PROVIDERS, "/providers").await["count"], 0);
    let (status, gone) = swarm.ask(PROVIDERS, "GET", "/providers/a", Value::Null).await;
    assert!(status == 404 && gone["detail"].as_str().unwrap().contains("no active provider `a`"), "{gone}");
    assert_eq!(swarm.get(PROVIDERS, "/stats").await["inactive_providers"], 1, "its record is kept");
    assert_eq!(swarm.ask(PROVIDERS, "POST", "/select", asking("gpt-x", "cost")).await.0, 404);
    assert_eq!(swarm.offer(offer("a", 1.0, 100)).await.1["action"], "updated");
    assert_eq!(swarm.chosen(asking("gpt-x", "cost")).await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn prices_keep_every_digit_from_registration_to_listing() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    for (text, shown) in [
        ("0.00000125", "0.00000125"),
        ("1.25e-6", "0.00000125"),
        ("0.123456789012345678901234", "0.123456789012345678901234"),
    ] {
        let body = with(offer("exact", 1.0, 100), "cost_per_input_token", json!(7_777)).to_string();
        let body = body.replace("7777", text);
        let answer = swarm.raw(PROVIDERS, "POST", "/register", &body).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let shown = format!("\"cost_per_input_token\":{shown},");
        let listing = swarm.raw(PROVIDERS, "GET", "/providers", "").await;
        assert!(listing.contains(&shown), "{text}: {listing}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_break_the_contract_name_the_field() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let good = offer("a", 1.0, 100);
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("x".repeat(101))),
        ("model", json!("")),
        ("context_window", json!(0)),
        ("context_window", json!(2_000_001)),
        ("context_window", json!(1.5)),
        ("cost_per_input_token", json!(-0.000_001)),
        ("cost_per_input_token", json!("0.1")),
        ("cost_per_output_token", Value::Null),
        ("cost_per_output_token", json!(1e9)),
        ("endpoint", json!("localhost:8100")),
        ("endpoint", json!("http://10.0.0.7/v1")),
        ("endpoint", json!("file:///etc/passwd")),
        ("features", json!("tools")),
        ("slo", json!({ "availability_percent": 101 })),
        ("slo", json!({ "latency_p95_ms": -1 })),
        ("metadata", json!([])),
        ("metadata", json!({ "text": "x".repeat(40_000) })),
    ] {
        let (status, body) = swarm.offer(with(good.clone(), field, value.clone())).await;
        assert_eq!(status, 422, "{field}: {value}: {body}");
        assert_eq!(body["detail"][0]["loc"][1], field, "{value}: {body}");
    }
    for field in
        ["name", "model", "context_window", "cost_per_input_token", "cost_per_output_token", "endpoint"]
    {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(field);
        let (status, body) = swarm.offer(body).await;
        assert_eq!((status, &body["detail"][0]["loc"]), (422, &json!(["body", field])));
    }
    assert_eq!(swarm.offer(with(good, "endpoint", json!("http://gpu-box.lan:8000"))).await.0, 200, "listed");
    for question in [
        json!({}),
        json!({ "requirements": {} }),
        asking("", "cost"),
        asking("gpt-x", "size"),
        with(asking("gpt-x", "cost"), "max_cost_usd", json!(-1)),
        with(asking("gpt-x", "cost"), "max_latency_ms", json!(-1)),
        json!({ "requirements": { "model": "gpt-x", "context_window": 0 } }),
    ] {
        assert_eq!(swarm.ask(PROVIDERS, "POST", "/select", question.clone()).await.0, 422, "{question}");
    }
    assert_eq!(swarm.ask(PROVIDERS, "GET", "/providers?min_context=many", Value::Null).await.0, 422);
}

#[tokio::test(start_paused = true)]
async fn cost_latency_and_balance_choose_differently_and_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    for (name, cents, latency) in
        [("cheap", 0.1, 9000), ("fast", 10.0, 400), ("middle", 0.4, 900), ("bad", 10.0, 9000)]
    {
        swarm.offer(offer(name, cents, latency)).await;
    }
    assert_eq!(swarm.chosen(asking("gpt-x", "cost")).await, ["cheap", "middle", "fast"]);
    assert_eq!(swarm.chosen(asking("gpt-x", "latency")).await, ["fast", "middle", "cheap"]);
    assert_eq!(swarm.chosen(asking("gpt-x", "balanced")).await[0], "middle");
    assert_eq!(swarm.chosen(asking("auto:latency", "cost")).await[0], "fast");
    assert_eq!(swarm.chosen(asking("bad/gpt-x", "cost")).await, ["bad"]);
    assert_eq!(
        swarm.chosen(json!({ "requirements": { "model": "gpt-x" } })).await[0],
        "cheap",
        "the default"
    );
    let limited = with(asking("gpt-x", "cost"), "max_latency_ms", json!(1000));
    assert_eq!(swarm.chosen(limited).await, ["middle", "fast"]);
    let promises_nothing = with(offer("silent", 0.01, 1), "slo", Value::Null);
    swarm.offer(promises_nothing).await;
    let limited = with(asking("gpt-x", "cost"), "max_latency_ms", json!(1000));
    assert_eq!(swarm.chosen(limited).await, ["middle", "fast", "silent"], "an unknown latency comes last");
    assert_eq!(swarm.chosen(asking("gpt-x", "balanced")).await[0], "middle");
    assert_eq!(swarm.chosen(asking("gpt-x", "cost")).await[0], "silent");
    swarm.ask(PROVIDERS, "DELETE", "/providers/silent", Value::Null).await;
    let limited = with(asking("gpt-x", "latency"), "max_cost_usd", json!(0.004));
    assert_eq!(swarm.chosen(limited).await, ["middle", "cheap"], "exactly the limit is within it");
    let (_, body) = swarm.ask(PROVIDERS, "POST", "/select", asking("gpt-x", "cost")).await;
    let reason = body["selection_reason"].as_str().unwrap();
    assert!(reason.contains("cheapest of 4") && reason.contains("0.001 USD"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_fit_is_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let (_, none) = swarm.ask(PROVIDERS, "POST", "/select", asking("gpt-x", "cost")).await;
    assert!(none["detail"].as_str().unwrap().contains("no active provider"), "{none}");
    swarm.offer(offer("a", 1.0, 100)).await;
    swarm.offer(with(offer("b", 1.0, 100), "model", json!("other"))).await;
    swarm.offer(with(offer("c", 1.0, 100), "context_window", json!(8_000))).await;
    for (requirements, told) in [
        (json!({ "model": "none" }), "3 serve(s) another model"),
        (json!({ "model": "gpt-x", "context_window": 500_000 }), "2 has too small a context window"),
        (json!({ "model": "gpt-x", "features": ["vision"] }), "2 lack(s) a feature"),
    ] {
        let question = json!({ "requirements": requirements });
        let (status, none) = swarm.ask(PROVIDERS, "POST", "/select", question).await;
        assert!(status == 404 && none["detail"].as_str().unwrap().contains(told), "{none}");
    }
    for word in ["tools", "function_calling", "Tool-Use"] {
        let wide =
            json!({ "requirements": { "model": "gpt-x", "context_window": 8_001, "features": [word] } });
        assert_eq!(swarm.chosen(wide).await, ["a"], "{word}");
    }
    assert_eq!(swarm.get(PROVIDERS, "/providers?model=other").await["count"], 1);
    assert_eq!(swarm.get(PROVIDERS, "/providers?min_context=8001").await["count"], 2);
    let first = swarm.get(PROVIDERS, "/providers?min_context=8001&limit=1").await;
    assert_eq!((&first["providers"][0]["name"], &first["total"]), (&json!("a"), &json!(2)));
    let next = format!("/providers?min_context=8001&cursor={}", first["next_cursor"].as_str().unwrap());
    let rest = swarm.get(PROVIDERS, &next).await;
    assert_eq!((&rest["providers"][0]["name"], &rest["next_cursor"]), (&json!("b"), &Value::Null));
    swarm.ask(PROVIDERS, "DELETE", "/providers/b", Value::Null).await;
    let stats = swarm.get(PROVIDERS, "/stats").await;
    let expected = json!({
        "active_providers": 2, "inactive_providers": 1, "unique_models": ["gpt-x"], "total_models": 1,
    });
    assert_eq!(stats, expected);
    let health = swarm.get(PROVIDERS, "/health").await;
    assert_eq!((&health["status"], &health["registry_stats"]), (&json!("ok"), &expected));
}

#[tokio::test(start_paused = true)]
async fn measurements_overrule_a_promise_and_failures_open_the_circuit() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    swarm.offer(offer("boaster", 1.0, 100)).await;
    swarm.offer(offer("honest", 1.0, 500)).await;
    assert_eq!(swarm.chosen(asking("gpt-x", "latency")).await[0], "boaster", "promises count at first");
    for _ in 0..40 {
        swarm.providers.report("boaster", &observed(2_000, None));
        swarm.providers.report("honest", &observed(450, None));
    }
    assert_eq!(swarm.chosen(asking("gpt-x", "latency")).await[0], "honest");
    let seen = swarm.get(PROVIDERS, "/providers/boaster").await;
    let p50 = seen["measured"]["latency_p50_ms"].as_f64().unwrap();
    assert!((1_600.0..2_400.0).contains(&p50) && seen["measured"]["calls"] == 40, "{seen}");

    for _ in 0..5 {
        assert!(matches!(swarm.providers.admit("honest"), ProviderPermit::Allowed));
        swarm.providers.report("honest", &observed(0, Some(VendorFailureKind::Server)));
    }
    assert!(matches!(swarm.providers.admit("honest"), ProviderPermit::Rejected { .. }));
    assert_eq!(swarm.get(PROVIDERS, "/providers/honest").await["circuit"], "open");
    assert_eq!(swarm.chosen(asking("gpt-x", "cost")).await, ["boaster"]);
    let question = asking("honest/gpt-x", "cost").to_string();
    let none = swarm.raw(PROVIDERS, "POST", "/select", &question).await;
    assert!(none.starts_with("HTTP/1.1 404") && none.to_lowercase().contains("retry-after: 5"), "{none}");

    tokio::time::advance(Duration::from_secs(5)).await;
    for _ in 0..2 {
        let ProviderPermit::Probe(probe) = swarm.providers.admit("honest") else { panic!("no trial") };
        assert!(
            matches!(swarm.providers.admit("honest"), ProviderPermit::Rejected { .. }),
            "one trial at a time"
        );
        swarm.providers.report("honest", &observed(0, None));
        drop(probe);
    }
    assert!(matches!(swarm.providers.admit("honest"), ProviderPermit::Allowed));
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_and_faulty_requests_hurt_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    swarm.offer(offer("a", 1.0, 100)).await;
    for kind in
        [VendorFailureKind::BadRequest, VendorFailureKind::ContextTooLong, VendorFailureKind::Cancelled]
    {
        for _ in 0..20 {
            swarm.providers.report("a", &observed(1, Some(kind)));
        }
    }
    assert!(matches!(swarm.providers.admit("a"), ProviderPermit::Allowed));
    let limited = ObservedCall {
        retry_after: Some(Duration::from_secs(7)),
        ..observed(10, Some(VendorFailureKind::RateLimited))
    };
    swarm.providers.report("a", &limited);
    let ProviderPermit::Rejected { until } = swarm.providers.admit("a") else { panic!("not held off") };
    assert_eq!(until - tokio::time::Instant::now(), Duration::from_secs(7));
    let requirements = CallRequirements { model: "auto".into(), context_window: None, features: Vec::new() };
    let none =
        swarm.providers.select(&requirements, RoutingOptimization::Cost, CallLimits::default()).unwrap_err();
    assert_eq!((none.resting, none.retry_after), (1, Some(Duration::from_secs(7))));
    tokio::time::advance(Duration::from_secs(7)).await;
    assert!(matches!(swarm.providers.admit("a"), ProviderPermit::Allowed), "at its limit is not broken");
}

#[tokio::test(start_paused = true)]
async fn providers_survive_a_restart_and_measurements_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    swarm.offer(offer("a", 1.0, 100)).await;
    swarm.offer(offer("b", 1.0, 100)).await;
    swarm.ask(PROVIDERS, "DELETE", "/providers/b", Value::Null).await;
    swarm.providers.report("a", &observed(100, None));
    let before = swarm.get(PROVIDERS, "/providers/a").await;
    swarm.system.kill("the-provider-router").await.unwrap();
    assert_eq!(swarm.get(PROVIDERS, "/providers/a").await, before, "reads go on meanwhile");
    assert_eq!(swarm.offer(offer("c", 1.0, 100)).await.0, 200);
    assert_eq!(swarm.get(PROVIDERS, "/providers/a").await, before);
    swarm.stop().await;

    let swarm = start(dir.path()).await;
    let after = swarm.get(PROVIDERS, "/providers/a").await;
    assert_eq!(after["registered_at"], before["registered_at"]);
    assert_eq!(after["cost_per_input_token"], before["cost_per_input_token"]);
    assert_eq!(after["measured"]["calls"], 0, "measurements are soft state");
    assert_eq!(swarm.ask(PROVIDERS, "GET", "/providers/b", Value::Null).await.0, 404);
    let stats = swarm.get(PROVIDERS, "/stats").await;
    assert_eq!((&stats["active_providers"], &stats["inactive_providers"]), (&json!(2), &json!(1)));
}

#[tokio::test(start_paused = true)]
async fn a_models_window_is_the_providers_or_else_the_catalogues() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    for facts in MODELS.iter() {
        assert_eq!(
            swarm.providers.context_window(facts.model),
            Some(facts.context_window),
            "{}",
            facts.model
        );
    }
    let model = "claude-haiku-4-5";
    for (name, window) in [("narrow", 50_000), ("wide", 150_000)] {
        let offer = with(with(offer(name, 1.0, 100), "model", json!(model)), "context_window", json!(window));
        assert_eq!(swarm.offer(offer).await.0, 200);
    }
    assert_eq!(swarm.providers.context_window(model), Some(50_000), "what fits whoever serves it");
    assert_eq!(swarm.providers.context_window("wide/claude-haiku-4-5"), Some(150_000));
    for name in ["narrow", "wide"] {
        swarm.ask(PROVIDERS, "DELETE", &format!("/providers/{name}"), Value::Null).await;
    }
    assert_eq!(swarm.providers.context_window(model), Some(200_000));
    assert_eq!(swarm.providers.context_window("auto"), None);
}
