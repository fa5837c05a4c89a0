//! Alerts for an operator: one form for missed heartbeats, budgets and clients' broadcasts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::SwarmEvent;
use crate::heartbeat::HeartbeatAlert;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertSeverity {
    Info,
    /// Worth a look soon.
    Warning,
    /// Something does not work.
    Error,
    /// Something must be done.
    Critical,
}

/// An alert. Source of the first four fields: the HMI's contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HmiAlert {
    /// The kind of alert: `service_down`, `budget`, …
    #[serde(rename = "type")]
    pub kind: String,
    pub severity: AlertSeverity,
    pub message: String,
    /// Time of the event (ISO 8601).
    pub timestamp: String,
    /// The subject, if named.
    pub target: Option<String>,
}

impl HmiAlert {
    /// The alert in an event of the kind `alert`. Missing fields are derived from the others, so that an
    /// alert of any client is readable.
    #[must_use]
    pub fn of(event: &SwarmEvent) -> Self {
        let data = &event.data;
        let kind = text(data, &["alert_type", "type"]).unwrap_or("alert").to_owned();
        let target = text(data, &["target", "service_name", "agent", "job_id", "scope", "service_id"]);
        let count = count(event);
        let target = target.filter(|_| count.is_none());
        let told = || match count {
            Some(count) => sentence_about_many(&kind, count),
            None => sentence(&kind, target, data),
        };
        let message = text(data, &["message"]).map_or_else(told, str::to_owned);
        let timestamp =
            text(data, &["timestamp"]).map_or_else(|| event.server_timestamp.to_string(), str::to_owned);
        Self { severity: severity(&kind, data), message, timestamp, target: target.map(str::to_owned), kind }
    }
}

/// All alerts of one cause as one, which is at what the newest of them tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlertGroup {
    #[serde(flatten)]
    pub newest: HmiAlert,
    /// How many alerts it was.
    pub times: usize,
    /// Time of the first of them.
    pub since: String,
    /// Whether the trouble lasts, as far as anything tells.
    #[serde(rename = "open")]
    pub is_open: bool,
}

impl AlertGroup {
    /// Alerts, newest first, by cause: one service, however it came down and back, or one kind of trouble with
    /// one subject. What is said with each is the caller's for the newest of the group.
    pub fn of_all<T>(alerts: impl IntoIterator<Item = (T, HmiAlert)>) -> Vec<(T, Self)> {
        let mut groups: Vec<(T, Self)> = Vec::new();
        let mut known: HashMap<(String, String), usize> = HashMap::new();
        for (with, alert) in alerts {
            match known.entry(cause(&alert)) {
                Entry::Occupied(group) => {
                    let (_, group) = &mut groups[*group.get()];
                    group.times += 1;
                    group.since = alert.timestamp;
                }
                Entry::Vacant(place) => {
                    place.insert(groups.len());
                    let (since, is_open) = (alert.timestamp.clone(), alert.severity != AlertSeverity::Info);
                    groups.push((with, Self { newest: alert, times: 1, since, is_open }));
                }
            }
        }
        groups
    }
}

/// By what alerts are one: the trouble, and its subject or, where none is named, what is said.
fn cause(alert: &HmiAlert) -> (String, String) {
    let is_of_service = SERVICE_ALERTS.contains(&&*alert.kind);
    let trouble = if is_of_service { "service" } else { &alert.kind };
    (trouble.to_owned(), alert.target.as_ref().unwrap_or(&alert.message).clone())
}

/// The stages of a service that comes down and back.
const SERVICE_ALERTS: [&str; 4] =
    ["heartbeat_miss", "service_down", "service_deregistered", "heartbeat_restored"];

fn text<'d>(data: &'d Map<String, Value>, names: &[&str]) -> Option<&'d str> {
    names.iter().find_map(|name| data.get(*name)?.as_str())
}

/// The number of services, for the daemon's alert about many. A client's `count` counts whatever it likes.
fn count(event: &SwarmEvent) -> Option<u64> {
    let count = event.data.get("count").and_then(Value::as_u64);
    count.filter(|count| *count > 1 && HeartbeatAlert::is_of_many(event))
}

fn severity(kind: &str, data: &Map<String, Value>) -> AlertSeverity {
    match (text(data, &["severity", "level"]), kind) {
        (Some("critical"), _) => AlertSeverity::Critical,
        (Some("error"), _) => AlertSeverity::Error,
        (Some("warning" | "caution"), _) => AlertSeverity::Warning,
        (Some("info"), _) | (_, "heartbeat_restored") => AlertSeverity::Info,
        (_, "service_down" | "service_deregistered") => AlertSeverity::Error,
        _ => AlertSeverity::Warning,
    }
}

fn sentence(kind: &str, target: Option<&str>, data: &Map<String, Value>) -> String {
    let who = target.unwrap_or("somebody");
    let missed = data.get("missed_beats").and_then(Value::as_u64).unwrap_or(0);
    let beats = if missed == 1 { "beat" } else { "beats" };
    match kind {
        "heartbeat_miss" => format!("{who} has missed {missed} {beats}"),
        "service_down" => format!("{who} is down: {missed} {beats} missed"),
        "service_deregistered" => format!("{who} was deregistered: {missed} {beats} missed"),
        "heartbeat_restored" => format!("{who} is back"),
        other => format!("{who}: {}", other.replace('_', " ")),
    }
}

fn sentence_about_many(kind: &str, count: u64) -> String {
    match kind {
        "heartbeat_miss" => format!("{count} services have missed a beat"),
        "service_down" => format!("{count} services are down"),
        "service_deregistered" => format!("{count} services were deregistered: no beats"),
        "heartbeat_restored" => format!("{count} services are back"),
        other => format!("{count} services: {}", other.replace('_', " ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::{SwarmEventDraft, kind};
    use crate::heartbeat::{HeartbeatAction, HeartbeatAlertType};
    use crate::time::Timestamp;

    fn alert(data: Value) -> HmiAlert {
        HmiAlert::of(&SwarmEventDraft::new(kind::ALERT, data).numbered(1, Timestamp::from_millis(0)))
    }

    #[test]
    fn the_daemons_alerts_read_well() {
        let beat = |kind: &str, missed: u32| {
            alert(
                json!({ "alert_type": kind, "service_id": "agent-x", "service_name": "x", "missed_beats": missed }),
            )
        };
        let down = beat("service_down", 2);
        assert_eq!((down.severity, &*down.message), (AlertSeverity::Error, "x is down: 2 beats missed"));
        assert_eq!((down.target.as_deref(), &*down.timestamp), (Some("x"), "1970-01-01T00:00:00.000Z"));
        assert_eq!(beat("heartbeat_miss", 1).message, "x has missed 1 beat");
        assert_eq!(beat("heartbeat_restored", 3).severity, AlertSeverity::Info);
        let budget = alert(json!({
            "alert_type": "budget", "scope": "run r1", "level": "critical", "message": "used up",
            "timestamp": "2026-11-22T16:00:00.000Z",
        }));
        assert_eq!((budget.severity, &*budget.message), (AlertSeverity::Critical, "used up"));
        assert_eq!((&*budget.kind, &*budget.timestamp), ("budget", "2026-11-22T16:00:00.000Z"));
    }

    #[test]
    fn only_the_daemons_own_alert_is_about_many_services() {
        let many = HeartbeatAlert {
            alert_type: HeartbeatAlertType::ServiceDeregistered,
            service_id: "tool-x".into(),
            service_name: "x".into(),
            missed_beats: 3,
            last_seen: None,
            action: HeartbeatAction::Deregistered,
            ts: Timestamp::from_millis(0),
            parent: None,
            count: Some(6000),
            service_ids: Vec::new(),
        };
        let data = serde_json::to_value(&many).unwrap();
        let own = SwarmEventDraft::new(kind::ALERT, data.clone()).once(many.id_of_many().unwrap());
        let own = HmiAlert::of(&own.numbered(1, Timestamp::from_millis(0)));
        assert_eq!((&*own.message, own.target), ("6000 services were deregistered: no beats", None));
        let told = alert(data);
        assert_eq!(
            (&*told.message, told.target.as_deref()),
            ("x was deregistered: 3 beats missed", Some("x"))
        );
        let full = alert(json!({ "alert_type": "queue_full", "target": "mailer", "count": 41 }));
        assert_eq!((&*full.message, full.target.as_deref()), ("mailer: queue full", Some("mailer")));
        let one = HeartbeatAlert { count: None, ..many };
        assert_eq!(one.id_of_many(), None);
    }

    #[test]
    fn a_service_that_comes_down_is_one_alert_until_it_is_back() {
        let told = |kind: &str, service: &str, second: i64| {
            let data = json!({ "alert_type": kind, "service_name": service, "missed_beats": 1 });
            let event = SwarmEventDraft::new(kind::ALERT, data);
            HmiAlert::of(&event.numbered(1, Timestamp::from_millis(second * 1000)))
        };
        let disk = alert(json!({ "alert_type": "disk", "message": "the disk is full" }));
        let mut alerts = vec![
            told("service_deregistered", "x", 9),
            told("service_down", "y", 8),
            disk.clone(),
            told("service_down", "x", 6),
            told("heartbeat_miss", "y", 5),
            alert(json!({ "alert_type": "disk", "message": "the disk is slow" })),
            told("heartbeat_miss", "x", 3),
            disk,
        ];
        let groups = |alerts: &[HmiAlert]| AlertGroup::of_all(alerts.iter().cloned().enumerate());
        let found = groups(&alerts);
        let shown: Vec<_> =
            found.iter().map(|(first, one)| (*first, &*one.newest.kind, one.times, one.is_open)).collect();
        let expected = [
            (0, "service_deregistered", 3, true),
            (1, "service_down", 2, true),
            (2, "disk", 2, true),
            (5, "disk", 1, true),
        ];
        assert_eq!(shown, expected);
        assert_eq!(found[0].1.since, "1970-01-01T00:00:03.000Z");
        alerts.insert(0, told("heartbeat_restored", "y", 12));
        let found = groups(&alerts);
        assert_eq!((found.len(), found[0].1.times, found[0].1.is_open), (4, 3, false), "y is back");
    }

    #[test]
    fn whatever_a_client_sends_can_be_read() {
        let odd = alert(json!({ "level": 7, "alert_type": "disk_full", "message": ["no", "text"] }));
        assert_eq!((odd.severity, &*odd.message), (AlertSeverity::Warning, "somebody: disk full"));
        assert_eq!(alert(Value::Null).kind, "alert");
    }
}
