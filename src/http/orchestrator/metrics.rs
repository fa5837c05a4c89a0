//! `GET /metrics`: the daemon in numbers, in Prometheus' text format (version 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::Orchestrator;
use crate::http::ApiResult;
use crate::supervision::tree::Phase;

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &str, value: u64) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        self.value(name, "", value);
    }
}

pub(super) async fn metrics(State(state): State<Orchestrator>) -> ApiResult<impl IntoResponse> {
    let mut page = Page(String::new());
    actors(&state, &mut page);
    let (written, overwritten) = state.system.ring().counts();
    page.single("pas_trace_records_total", "counter", "Messages recorded.", written);
    page.single(
        "pas_trace_records_overwritten_total",
        "counter",
        "Records the ring has let go.",
        overwritten,
    );
    store(&state, &mut page);
    events(&state, &mut page);
    let mut by_state = BTreeMap::<&str, u64>::new();
    for job in state.jobs.book.active()? {
        *by_state.entry(job.state.as_str()).or_default() += 1;
    }
    page.family("pas_jobs_active", "gauge", "Jobs that have not ended, by state.");
    for (state, count) in by_state {
        page.value("pas_jobs_active", &format!("{{state=\"{state}\"}}"), count);
    }
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.0))
}

fn actors(state: &Orchestrator, page: &mut Page) {
    let nodes = state.system.tree().all();
    let running = nodes.iter().filter(|node| node.state().phase == Phase::Running).count();
    page.single("pas_actors", "gauge", "Actors in the tree, supervisors included.", nodes.len() as u64);
    page.single("pas_actors_running", "gauge", "Actors that are up.", running as u64);
    page.family("pas_actor_restarts_total", "counter", "Unplanned restarts.");
    for node in nodes.iter().filter(|node| node.heartbeat.is_some()) {
        page.value(
            "pas_actor_restarts_total",
            &format!("{{actor=\"{}\"}}", node.name),
            node.state().restarts,
        );
    }
    page.family("pas_actor_mailbox_depth", "gauge", "Messages that wait.");
    for (node, vitals) in nodes.iter().filter_map(|node| Some((node, node.vitals()?))) {
        page.value("pas_actor_mailbox_depth", &format!("{{actor=\"{}\"}}", node.name), vitals.depth as u64);
    }
    page.family("pas_actor_messages_total", "counter", "Messages handled.");
    for (node, vitals) in nodes.iter().filter_map(|node| Some((node, node.vitals()?))) {
        page.value("pas_actor_messages_total", &format!("{{actor=\"{}\"}}", node.name), vitals.handled);
    }
}

fn events(state: &Orchestrator, page: &mut Page) {
    let board = state.events.board();
    page.single(
        "pas_event_clients",
        "gauge",
        "Clients that follow the event stream.",
        board.clients() as u64,
    );
    page.single(
        "pas_event_held_bytes",
        "gauge",
        "Bytes of events in memory and on their way to clients.",
        board.gauge().bytes() as u64,
    );
}

fn store(state: &Orchestrator, page: &mut Page) {
    let metrics = state.jobs.book.store().metrics();
    page.single("pas_store_commits_total", "counter", "Commits (one fsync each).", metrics.durable_commits);
    page.single(
        "pas_store_operations_total",
        "counter",
        "Operations acknowledged.",
        metrics.durable_operations,
    );
}
