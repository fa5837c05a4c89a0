//! `GET /api/alerts`: the alerts of the last day, one for each cause, from the event stream.

use std::cmp::Reverse;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::HmiApi;
use crate::actors::event_stream::EventStreamHandle;
use crate::domain::hmi::{AlertGroup, AlertSeverity, HmiAlert};
use crate::domain::time::Timestamp;
use crate::http::ApiResult;
use crate::http::extract::ContractQuery;
use crate::http::list::{ListLimits, ListParams};

const SHOWN: Duration = Duration::from_secs(24 * 3600);
/// Most alerts in the live snapshot: as many as a person could read.
const MOST: usize = 100;
/// Default page of the list.
const LIMITS: ListLimits = ListLimits { default: MOST, ..ListLimits::USUAL };

/// The newest alerts, newest first, and how many there are in all.
pub(super) fn newest(events: &EventStreamHandle, now: Timestamp) -> (Vec<AlertGroup>, usize) {
    let all = by_cause(events, now);
    let total = all.len();
    (all.into_iter().take(MOST).map(|(_, group)| group).collect(), total)
}

/// The alerts by cause, each with the number of its newest event.
fn by_cause(events: &EventStreamHandle, now: Timestamp) -> Vec<(u64, AlertGroup)> {
    let all = events.cache().alerts(since(now), usize::MAX);
    let told = all.iter().filter_map(|sent| sent.event()).map(|event| (event.seq, HmiAlert::of(&event)));
    AlertGroup::of_all(told)
}

fn since(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.as_millis() - i64::try_from(SHOWN.as_millis()).unwrap_or(i64::MAX))
}

/// The filters of `GET /api/alerts`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertFilter {
    #[serde(rename = "limit")]
    _limit: Option<IgnoredAny>,
    #[serde(rename = "cursor")]
    _cursor: Option<IgnoredAny>,
    #[serde(rename = "type")]
    kind: Option<String>,
    severity: Option<AlertSeverity>,
}

impl AlertFilter {
    fn matches(&self, alert: &HmiAlert) -> bool {
        self.kind.as_ref().is_none_or(|kind| *kind == alert.kind)
            && self.severity.is_none_or(|severity| severity == alert.severity)
    }
}

pub(super) async fn alerts(
    State(hmi): State<HmiApi>,
    params: ListParams,
    ContractQuery(filter): ContractQuery<AlertFilter>,
) -> ApiResult<Json<Value>> {
    let mut matching = by_cause(&hmi.events, Timestamp::now());
    matching.retain(|(_, group)| filter.matches(&group.newest));
    let page = params.cut(LIMITS, matching, |(seq, _)| Reverse(*seq))?;
    Ok(Json(page.map(|(_, group)| group).answer("alerts")))
}
