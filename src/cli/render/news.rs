//! Supervision events and job events as sentences.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{one_line, units};
use crate::cli::wire::{WireJobEvent, WireSupervisionEvent};
use crate::domain::time::Timestamp;

/// Longest crash message in a sentence; `pas crashes` shows the whole.
const MESSAGE: usize = 60;

/// Turns supervision events into sentences. Remembers which agents are down and why, so that the sentence for
/// a restart has cause and duration.
#[derive(Debug, Default)]
pub struct SupervisionNews {
    down: HashMap<String, (String, Timestamp)>,
}

impl SupervisionNews {
    /// The sentence for the next event; `None` for a first start or a normal exit.
    pub fn sentence_for(&mut self, event: &WireSupervisionEvent) -> Option<String> {
        let agent = one_line(&event.agent);
        match &*event.event {
            "crashed" | "killed" => {
                let why = reason(&event.detail, &event.event);
                let sentence = format!("{agent} {why}");
                self.down.insert(event.agent.clone(), (why, event.at));
                Some(sentence)
            }
            "restarted" => Some(self.restarted(event, &agent)),
            "hung" => {
                let silent = event.detail.get("silent_ms").and_then(Value::as_u64);
                let silent = silent.map(|ms| units::duration(std::time::Duration::from_millis(ms)));
                let silent = silent.map(|time| format!(" (silent for {time})")).unwrap_or_default();
                Some(format!("{agent} hangs{silent}; killing it"))
            }
            "spinning" => Some(format!("{agent} was killed but does not yield: its handler spins")),
            "planned_restart" => Some(format!("{agent} is restarted as planned")),
            "escalated" => Some(format!("{agent} gave up after too many restarts; its parent decides")),
            "paused" => Some(format!("{agent} is paused; its messages are queued")),
            "resumed" => Some(format!("{agent} resumed")),
            _ => None,
        }
    }

    fn restarted(&mut self, event: &WireSupervisionEvent, agent: &str) -> String {
        let life = event.detail.get("incarnation").and_then(Value::as_u64);
        let life = life.map(|number| format!(" as incarnation {number}")).unwrap_or_default();
        match self.down.remove(&event.agent) {
            Some((why, since)) => {
                let took = units::duration(event.at.since(since));
                format!("{agent} {why}, restarted{life} after {took}")
            }
            None => format!("{agent} restarted{life}"),
        }
    }
}

/// `killed`, `crashed: index out of bounds`, …; the wire has a word, the supervision events have a pair.
fn reason(detail: &Map<String, Value>, event: &str) -> String {
    let reason = detail.get("reason").unwrap_or(&Value::Null);
    let word = reason.as_str().or_else(|| reason["reason"].as_str()).unwrap_or(event);
    let word = match word {
        "panic" => "panicked",
        "error" => "crashed",
        "hung" => "hung and was killed",
        "start_failed" => "failed to start",
        other => other,
    };
    let message = reason["detail"].as_str().or_else(|| detail.get("message").and_then(Value::as_str));
    match message {
        Some(message) => format!("{word}: {}", super::fit(&one_line(message), MESSAGE)),
        None => word.to_owned(),
    }
}

/// The sentence for a job event; `None` for progress, which the bars show.
#[must_use]
pub fn of_job(event: &WireJobEvent) -> Option<String> {
    let (agent, job) = (one_line(&event.agent), one_line(&event.job_id));
    let text = |field: &str| event.detail[field].as_str().map(one_line);
    let why = ["error", "reason", "note"].iter().find_map(|field| text(field));
    let why = why.map(|why| format!(": {}", super::fit(&why, MESSAGE))).unwrap_or_default();
    let said = match &*event.event {
        "started" => "started",
        "completed" => "done",
        "failed" => "failed",
        "quarantined" => "quarantined",
        "retrying" => "is retried",
        "escalated" => "is escalated",
        "reassigned" => "was reassigned; starts from the beginning",
        "soft_timeout" => "is slow; still running",
        "hard_timeout" => "timed out; stopping it",
        "awaiting_approval" => "waits for approval",
        "approved" => "was approved",
        "rejected" => "was rejected",
        "paused" => "paused",
        "resumed" => "resumed",
        "cancel_requested" => "is being cancelled",
        "cancelled" => "cancelled",
        "progress" if event.detail["resources"]["status"] == "waiting" => "waits for resources",
        _ => return None,
    };
    let step = job.split_once('.').map_or(&*job, |(_, step)| step);
    Some(format!("{agent}: {step} {said}{why}"))
}

/// Whether an event is out of the ordinary.
#[must_use]
pub fn is_remarkable(event: &WireJobEvent) -> bool {
    !matches!(&*event.event, "accepted" | "started" | "progress" | "completed")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(seq: u64, at_ms: i64, event: &str, detail: &Value) -> WireSupervisionEvent {
        let at = Timestamp::from_millis(1_795_363_200_000 + at_ms);
        serde_json::from_value(
            json!({"seq": seq, "at": at, "agent": "manager-data", "event": event, "detail": detail}),
        )
        .unwrap()
    }

    #[test]
    fn a_restart_is_told_with_its_cause_and_time() {
        let mut news = SupervisionNews::default();
        let told: Vec<_> = [
            event(1, 0, "started", &json!({"incarnation": 1})),
            event(2, 100, "crashed", &json!({"incarnation": 1, "reason": "killed"})),
            event(3, 103, "restarted", &json!({"incarnation": 2, "restarts": 1})),
            event(4, 200, "crashed", &json!({"reason": {"reason": "crashed", "detail": "out of\nbounds"}})),
            event(5, 203, "restarted", &json!({"incarnation": 3})),
            event(6, 300, "restarted", &json!({})),
            event(7, 400, "hung", &json!({"silent_ms": 120_000})),
            event(8, 500, "invented_later", &json!({})),
        ]
        .iter()
        .filter_map(|event| news.sentence_for(event))
        .collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        manager-data killed
        manager-data killed, restarted as incarnation 2 after 3.0 ms
        manager-data crashed: out of bounds
        manager-data crashed: out of bounds, restarted as incarnation 3 after 3.0 ms
        manager-data restarted
        manager-data hangs (silent for 2 min 00 s); killing it
        ");
    }

    #[test]
    fn every_event_of_the_contract_is_told_or_known_as_quiet() {
        let schema = crate::http::contract::read("schemas/status_update.json").unwrap();
        let kinds = schema["properties"]["event"]["enum"].as_array().unwrap().clone();
        for kind in kinds {
            let event: WireJobEvent = serde_json::from_value(json!({
                "seq": 1, "job_id": "ingest-x.data.audit", "agent": "corpus-auditor", "event": kind,
                "detail": {"reason": "because"},
            }))
            .unwrap();
            let quiet = ["accepted", "progress"].contains(&&*event.event);
            assert_eq!(of_job(&event).is_none(), quiet, "{kind}");
        }
    }
}
