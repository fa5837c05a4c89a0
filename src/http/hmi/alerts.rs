//! `GET /api/alerts`: what went wrong in the last day, out of the event stream.

use std::cmp::Reverse;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;

use super::Hmi;
use crate::actors::event_stream::Events;
use crate::domain::hmi::{Alert, Severity};
use crate::domain::time::Timestamp;
use crate::http::ApiResult;
use crate::http::extract::ContractQuery;
use crate::http::list::{ListLimits, ListParams};

/// How far back alerts are shown.
const SHOWN: Duration = Duration::from_secs(24 * 3600);
/// Most that the live picture has: what a person could read.
const MOST: usize = 100;
/// A page of the list: the same, unless more are asked for.
const LIMITS: ListLimits = ListLimits { default: MOST, ..ListLimits::USUAL };

/// The newest alerts, newest first.
pub(super) fn newest(events: &Events, now: Timestamp) -> Vec<Alert> {
    let alerts = events.board().alerts(since(now), MOST);
    alerts.iter().map(|sent| Alert::of(&sent.event)).collect()
}

fn since(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.as_millis() - i64::try_from(SHOWN.as_millis()).unwrap_or(i64::MAX))
}

/// The filters of `GET /api/alerts`.
#[derive(Debug, Deserialize)]
pub(super) struct AlertFilter {
    #[serde(rename = "type")]
    kind: Option<String>,
    severity: Option<Severity>,
}

impl AlertFilter {
    fn matches(&self, alert: &Alert) -> bool {
        self.kind.as_ref().is_none_or(|kind| *kind == alert.kind)
            && self.severity.is_none_or(|severity| severity == alert.severity)
    }
}

pub(super) async fn alerts(
    State(hmi): State<Hmi>,
    params: ListParams,
    ContractQuery(filter): ContractQuery<AlertFilter>,
) -> ApiResult<Json<Value>> {
    let all = hmi.events.board().alerts(since(Timestamp::now()), usize::MAX);
    let matching = all.iter().map(|sent| (sent.event.seq, Alert::of(&sent.event)));
    let matching = matching.filter(|(_, alert)| filter.matches(alert)).collect();
    let page = params.cut(LIMITS, matching, |(seq, _)| Reverse(*seq))?;
    Ok(Json(page.map(|(_, alert)| alert).answer("alerts")))
}
