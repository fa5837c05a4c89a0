//! `GET /api/alerts`: what went wrong in the last day, out of the event stream.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Hmi;
use crate::actors::event_stream::Events;
use crate::domain::hmi::Alert;
use crate::domain::time::Timestamp;

/// How far back alerts are shown.
const SHOWN: Duration = Duration::from_secs(24 * 3600);
/// Most that are shown: what a person could read.
const MOST: usize = 100;

/// The newest alerts, newest first.
pub(super) fn newest(events: &Events, now: Timestamp) -> Vec<Alert> {
    let since =
        Timestamp::from_millis(now.as_millis() - i64::try_from(SHOWN.as_millis()).unwrap_or(i64::MAX));
    events.board().alerts(since, MOST).iter().map(|sent| Alert::of(&sent.event)).collect()
}

pub(super) async fn alerts(State(hmi): State<Hmi>) -> Json<Value> {
    Json(json!({ "alerts": newest(&hmi.events, Timestamp::now()) }))
}
