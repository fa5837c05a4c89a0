//! What the system agents answer for their services.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Agent, AgentMessage};
use crate::actors::crashes;
use crate::domain::ids::RunId;
use crate::domain::resources::ReservationStatus;
use crate::skills::ingest::formats;
use crate::skills::ingest::index;
use crate::store::StoreError;
use crate::supervision::{Context, Reply};

/// Most rows in one answer.
const MAX_ANSWER_ROWS: usize = 100;

type Answer = Reply<Result<Value, String>>;

impl Agent {
    pub(super) fn answer_for_service(
        &self,
        action: &str,
        payload: &Map<String, Value>,
        reply: Answer,
        context: &Context<AgentMessage>,
    ) {
        match (self.me.name.as_str(), action) {
            (_, "") => reply.send(Ok(self.status())),
            ("resource-manager", "quotas") => reply.send(Ok(self.machine())),
            ("resource-manager", "reservations") => self.reservations(reply, context),
            ("experiment-ledger", "runs") => reply.send(self.ledger().map_err(|error| error.to_string())),
            ("error-tracking-recovery", "crashes") => {
                let crashes = crashes::list(self.jobs.book.store(), MAX_ANSWER_ROWS);
                reply.send(
                    crashes.map(|crashes| json!({ "crashes": crashes })).map_err(|error| error.to_string()),
                );
            }
            ("performance-monitor", "messages") => reply.send(Ok(self.message_times())),
            ("backup-recovery-manager", "backup") => self.back_up(reply, context),
            ("knowledge-base-manager", "search") => self.search(payload, reply, context),
            (name, other) => reply.send(Err(format!(
                "`{name}` knows the actions {}, not `{other}`",
                actions_of(name).join(", ")
            ))),
        }
    }

    /// How the machine is shared out now.
    pub(super) fn machine(&self) -> Value {
        let (active, waiting) = self.resources.counts();
        json!({ "quotas": self.resources.quotas(), "active_reservations": active, "waiting": waiting })
    }

    fn reservations(&self, reply: Answer, context: &Context<AgentMessage>) {
        let resources = self.resources.clone();
        context.spawn(async move {
            let active = move || resources.reservations(Some(ReservationStatus::Active));
            let rows = tokio::task::spawn_blocking(active).await;
            reply.send(match rows {
                Ok(Ok(mut rows)) => {
                    rows.truncate(MAX_ANSWER_ROWS);
                    Ok(json!({ "reservations": rows }))
                }
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            });
        });
    }

    fn ledger(&self) -> Result<Value, StoreError> {
        let (rows, _) = self.jobs.book.ledger(None, MAX_ANSWER_ROWS)?;
        let runs: Vec<_> = rows.into_iter().map(|(_, entry)| entry).collect();
        Ok(json!({ "runs": runs }))
    }

    /// Queue and handling times of the messages still in the trace, an actor a row.
    fn message_times(&self) -> Value {
        let mut by_actor = std::collections::BTreeMap::<_, (Vec<u64>, Vec<u64>)>::new();
        for record in self.system.ring().select(|record| record.started_ns > 0) {
            let (queued, ran) = by_actor.entry(record.to).or_default();
            queued.push(record.started_ns.saturating_sub(record.sent_ns));
            ran.push(record.ended_ns.saturating_sub(record.started_ns));
        }
        let rows: Vec<_> = by_actor
            .into_iter()
            .map(|(actor, (mut queued, mut ran))| {
                json!({
                    "actor": self.system.tree().name_of(actor), "messages": ran.len(),
                    "queue_p50_us": percentile(&mut queued, 50) / 1000, "queue_p95_us": percentile(&mut queued, 95) / 1000,
                    "run_p50_us": percentile(&mut ran, 50) / 1000, "run_p95_us": percentile(&mut ran, 95) / 1000,
                })
            })
            .collect();
        json!({ "actors": rows })
    }

    fn back_up(&self, reply: Answer, context: &Context<AgentMessage>) {
        let store = self.jobs.book.store().clone();
        let folder = self.jobs.settings.backups.clone();
        context.spawn(async move {
            let work = move || folder.back_up(&store, None, crate::domain::time::Timestamp::now());
            let report = tokio::task::spawn_blocking(work).await;
            reply.send(match report {
                Ok(Ok(report)) => Ok(json!({
                    "path": report.path, "bytes": report.file_bytes, "tables": report.tables, "rows": report.rows,
                })),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            });
        });
    }

    fn search(&self, payload: &Map<String, Value>, reply: Answer, context: &Context<AgentMessage>) {
        let words = payload.get("q").and_then(Value::as_str).unwrap_or_default().to_owned();
        let run = payload.get("run_id").and_then(Value::as_str).map(RunId::new);
        let Some(Ok(run)) = run else {
            reply.send(Err("`search` needs `q` and the `run_id` of an ingest".to_owned()));
            return;
        };
        let jobs = Arc::clone(&self.jobs);
        context.spawn(async move {
            let folder = jobs.run_dir(&run).join(formats::INDEX);
            let found = tokio::task::spawn_blocking(move || index::search(&folder, &words, 10)).await;
            reply.send(match found {
                Ok(Ok(results)) => Ok(json!({ "results": results })),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            });
        });
    }
}

fn actions_of(agent: &str) -> Vec<&'static str> {
    let mut actions = vec!["`status`"];
    actions.extend(match agent {
        "resource-manager" => return vec!["`status`", "`quotas`", "`reservations`"],
        "experiment-ledger" => Some("`runs`"),
        "error-tracking-recovery" => Some("`crashes`"),
        "performance-monitor" => Some("`messages`"),
        "backup-recovery-manager" => Some("`backup`"),
        "knowledge-base-manager" => Some("`search`"),
        _ => None,
    });
    actions
}

fn percentile(sorted_or_not: &mut [u64], percent: usize) -> u64 {
    sorted_or_not.sort_unstable();
    let position = (sorted_or_not.len() * percent / 100).min(sorted_or_not.len().saturating_sub(1));
    sorted_or_not.get(position).copied().unwrap_or(0)
}
