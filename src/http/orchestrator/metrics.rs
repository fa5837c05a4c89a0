//! `GET /metrics`: the daemon's metrics in Prometheus' text format (version 0.0.4).
//!
//! All values are read at scrape time from their owners. Counters are named here without the suffix
//! `_total`, which the encoder adds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, prometheus_text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::OrchestratorApi;
use crate::actors::event_stream::EventStreamHandle;
use crate::http::{ApiError, ApiResult};
use crate::store::StoreMetrics;
use crate::supervision::ActorSystem;
use crate::supervision::tree::{ActorNode, ActorPhase};

pub(super) async fn metrics(State(state): State<OrchestratorApi>) -> ApiResult<impl IntoResponse> {
    let mut jobs = BTreeMap::<&'static str, u64>::new();
    for job in state.jobs.book.active()? {
        *jobs.entry(job.state.as_str()).or_default() += 1;
    }
    let mut registry = Registry::default();
    registry.register_collector(Box::new(ActorFigures::read(&state.system)));
    registry.register_collector(Box::new(TraceFigures(state.system.ring().counts())));
    registry.register_collector(Box::new(StoreFigures(state.store.metrics())));
    registry.register_collector(Box::new(EventFigures::read(&state.events)));
    registry.register_collector(Box::new(JobFigures(jobs)));
    let mut page = String::new();
    prometheus_text::encode(&mut page, &registry).map_err(|error| ApiError::internal(&error))?;
    Ok(([(CONTENT_TYPE, prometheus_text::CONTENT_TYPE)], page))
}

/// One metric without labels.
fn single(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// One metric for each value of a label.
fn family<L: AsRef<str>, M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    metrics: impl Iterator<Item = (L, M)>,
) -> fmt::Result {
    let mut metrics = metrics.peekable();
    let Some((_, first)) = metrics.peek() else { return Ok(()) };
    let mut family = encoder.encode_descriptor(name, help, None, first.metric_type())?;
    for (value, metric) in metrics {
        metric.encode(family.encode_family(&[(label, value.as_ref())])?)?;
    }
    Ok(())
}

#[derive(Debug)]
struct ActorFigure {
    name: Arc<str>,
    /// For workers under liveness checks.
    restarts: Option<u64>,
    /// Queued and handled messages of an actor with a mailbox.
    mailbox: Option<(u64, u64)>,
}

#[derive(Debug)]
struct ActorFigures {
    all: u64,
    running: u64,
    each: Vec<ActorFigure>,
}

impl ActorFigures {
    fn read(system: &ActorSystem) -> Self {
        let nodes = system.tree().all();
        let figure = |node: &Arc<ActorNode>| ActorFigure {
            name: Arc::clone(&node.name),
            restarts: node.heartbeat.map(|_| node.state().restarts),
            mailbox: node.vitals().map(|vitals| (vitals.depth as u64, vitals.handled)),
        };
        let running = nodes.iter().filter(|node| node.state().phase == ActorPhase::Running).count();
        Self { all: nodes.len() as u64, running: running as u64, each: nodes.iter().map(figure).collect() }
    }
}

impl Collector for ActorFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let all = ConstGauge::new(self.all);
        single(encoder, "pas_actors", "Actors in the tree, supervisors included.", &all)?;
        single(encoder, "pas_actors_running", "Actors that are up.", &ConstGauge::new(self.running))?;
        let restarts = self.each.iter().filter_map(|actor| Some((&actor.name, actor.restarts?)));
        let restarts = restarts.map(|(name, count)| (name, ConstCounter::new(count)));
        family(encoder, "pas_actor_restarts", "Unplanned restarts.", "actor", restarts)?;
        let mailboxes = || self.each.iter().filter_map(|actor| Some((&actor.name, actor.mailbox?)));
        let depths = mailboxes().map(|(name, (depth, _))| (name, ConstGauge::new(depth)));
        family(encoder, "pas_actor_mailbox_depth", "Messages waiting in the mailbox.", "actor", depths)?;
        let handled = mailboxes().map(|(name, (_, handled))| (name, ConstCounter::new(handled)));
        family(encoder, "pas_actor_messages", "Messages handled.", "actor", handled)
    }
}

/// Records written to the ring, and records overwritten.
#[derive(Debug)]
struct TraceFigures((u64, u64));

impl Collector for TraceFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (written, overwritten) = self.0;
        single(&mut encoder, "pas_trace_records", "Messages recorded.", &ConstCounter::new(written))?;
        let help = "Records overwritten in the ring.";
        single(&mut encoder, "pas_trace_records_overwritten", help, &ConstCounter::new(overwritten))
    }
}

#[derive(Debug)]
struct StoreFigures(StoreMetrics);

impl Collector for StoreFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let commits = ConstCounter::new(self.0.durable_commits);
        single(&mut encoder, "pas_store_commits", "Commits (one fsync each).", &commits)?;
        let operations = ConstCounter::new(self.0.durable_operations);
        single(&mut encoder, "pas_store_operations", "Operations acknowledged.", &operations)
    }
}

#[derive(Debug)]
struct EventFigures {
    clients: u64,
    held_bytes: u64,
}

impl EventFigures {
    fn read(events: &EventStreamHandle) -> Self {
        let board = events.cache();
        Self { clients: board.clients() as u64, held_bytes: board.gauge().bytes() as u64 }
    }
}

impl Collector for EventFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let clients = ConstGauge::new(self.clients);
        single(&mut encoder, "pas_event_clients", "Clients following the event stream.", &clients)?;
        let help = "Bytes of events in memory and in transit to clients.";
        single(&mut encoder, "pas_event_held_bytes", help, &ConstGauge::new(self.held_bytes))
    }
}

/// Active jobs by state.
#[derive(Debug)]
struct JobFigures(BTreeMap<&'static str, u64>);

impl Collector for JobFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts = self.0.iter().map(|(state, count)| (state, ConstGauge::new(*count)));
        family(&mut encoder, "pas_jobs_active", "Active jobs by state.", "state", counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_labels_and_types_are_those_that_scrapers_know() {
        let actor = |name: &str, restarts, mailbox| ActorFigure { name: name.into(), restarts, mailbox };
        let each = vec![actor("coder", Some(2), Some((3, 40))), actor("coder-sup", None, None)];
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ActorFigures { all: 2, running: 1, each }));
        registry.register_collector(Box::new(TraceFigures((7, 5))));
        registry.register_collector(Box::new(JobFigures([("queued", 4), ("running", 1)].into())));
        let mut page = String::new();
        prometheus_text::encode(&mut page, &registry).unwrap();
        let expected = "\
# HELP pas_actors Actors in the tree, supervisors included.
# TYPE pas_actors gauge
pas_actors 2
# HELP pas_actors_running Actors that are up.
# TYPE pas_actors_running gauge
pas_actors_running 1
# HELP pas_actor_restarts_total Unplanned restarts.
# TYPE pas_actor_restarts_total counter
pas_actor_restarts_total{actor=\"coder\"} 2
# HELP pas_actor_mailbox_depth Messages waiting in the mailbox.
# TYPE pas_actor_mailbox_depth gauge
pas_actor_mailbox_depth{actor=\"coder\"} 3
# HELP pas_actor_messages_total Messages handled.
# TYPE pas_actor_messages_total counter
pas_actor_messages_total{actor=\"coder\"} 40
# HELP pas_trace_records_total Messages recorded.
# TYPE pas_trace_records_total counter
pas_trace_records_total 7
# HELP pas_trace_records_overwritten_total Records overwritten in the ring.
# TYPE pas_trace_records_overwritten_total counter
pas_trace_records_overwritten_total 5
# HELP pas_jobs_active Active jobs by state.
# TYPE pas_jobs_active gauge
pas_jobs_active{state=\"queued\"} 4
pas_jobs_active{state=\"running\"} 1
";
        assert_eq!(page, expected);
    }
}
