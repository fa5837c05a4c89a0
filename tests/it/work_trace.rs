//! The work of a run is in its trace: each step is a span, and the critical path leads through the steps.

use std::collections::HashMap;

use serde_json::Value;

use crate::support::Place;

fn text<'v>(span: &'v Value, field: &str) -> &'v str {
    span[field].as_str().unwrap_or_default()
}

fn micros(at: &Value) -> i128 {
    let at: jiff::Timestamp = at.as_str().unwrap().parse().unwrap();
    at.as_nanosecond() / 1_000
}

/// From the span that ended last, back through its causes.
fn critical_path(spans: &[Value]) -> Vec<&Value> {
    let known: HashMap<&str, &Value> = spans.iter().map(|span| (text(span, "span_id"), span)).collect();
    let end = |span: &&Value| span["ended_at"].as_str().map(str::to_owned);
    let last = spans.iter().max_by_key(end).unwrap();
    std::iter::successors(Some(last), |span| known.get(text(span, "parent_span_id")).copied()).collect()
}

/// Microseconds that the spans cover together, waits in the mailbox included.
fn covered(spans: &[&Value]) -> i128 {
    let mut times: Vec<(i128, i128)> =
        spans.iter().map(|span| (micros(&span["queued_at"]), micros(&span["ended_at"]))).collect();
    times.sort_unstable();
    let (mut sum, mut reached) = (0, i128::MIN);
    for (from, to) in times {
        sum += (to - from.max(reached)).max(0);
        reached = reached.max(to);
    }
    sum
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_is_a_span_and_the_critical_path_is_the_run() {
    let place = Place::with_documents(200);
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(serde_json::json!({})).await;
    api.done(&run).await;
    let spans = api.get(&format!("/trace?job={run}&limit=10000")).await["spans"].as_array().unwrap().clone();

    let jobs = api.run(&run).await;
    let parents: Vec<&str> = jobs.iter().filter_map(|job| job["parent_job_id"].as_str()).collect();
    let steps: Vec<&Value> = jobs.iter().filter(|job| !parents.contains(&text(job, "job_id"))).collect();
    assert!(steps.len() >= 8, "{steps:#?}");
    for step in steps {
        let is_its = |span: &&Value| text(span, "kind") == text(step, "task") && span["to"] == step["agent"];
        let its: Vec<&Value> = spans.iter().filter(is_its).collect();
        assert_eq!(its.len(), 1, "{} of {}", step["task"], step["agent"]);
        assert_eq!(its[0]["outcome"], "ok");
        let below = |span: &&Value| {
            text(span, "kind") == "wait for resources" && span["parent_span_id"] == its[0]["span_id"]
        };
        assert_eq!(spans.iter().filter(below).count(), 1, "the wait for resources is below the step");
    }

    let path = critical_path(&spans);
    let whole = micros(spans.iter().map(|span| &span["ended_at"]).max_by_key(|at| micros(at)).unwrap())
        - spans.iter().map(|span| micros(&span["queued_at"])).min().unwrap();
    let share = covered(&path) * 100 / whole;
    let kinds: Vec<&str> = path.iter().map(|span| text(span, "kind")).collect();
    assert!(share >= 95, "the critical path covers {share} % of the run: {kinds:?}");
    swarm.stop().await;
}
