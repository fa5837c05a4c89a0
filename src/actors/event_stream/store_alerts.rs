//! Two alerts for each fault of the store: when writes begin to be refused, and when they are taken again.

use std::time::Duration;

use serde_json::json;

use super::EventStreamHandle;
use crate::domain::event::{SwarmEventDraft, kind};
use crate::domain::time::Timestamp;
use crate::store::{Store, StoreStatus};

/// A shorter fault is only in the log; an alert would report something already over.
const TOLD_AFTER: Duration = Duration::from_millis(500);

/// Publishes the store's faults for as long as the event stream lives. The alerts also reach watchers while
/// the disk takes no writes: they appear once their line is written, late if need be.
pub(super) async fn watch(events: EventStreamHandle, store: Store) {
    let mut status = store.status();
    loop {
        let refusing = status.wait_for(|status| matches!(status, StoreStatus::Refusing { .. })).await;
        let refusing = refusing.map(|status| status.clone());
        let Ok(StoreStatus::Refusing { since, .. }) = refusing else { return };
        let over = |status: &StoreStatus| !matches!(status, StoreStatus::Refusing { .. });
        if tokio::time::timeout(TOLD_AFTER, status.wait_for(over)).await.is_err() {
            let reason = match &*status.borrow() {
                StoreStatus::Refusing { reason, .. } => reason.clone(),
                StoreStatus::Writable | StoreStatus::Closed => String::new(),
            };
            events.publish(began(since, &reason));
            if !matches!(status.wait_for(over).await.as_deref(), Ok(StoreStatus::Writable)) {
                return;
            }
            events.publish(ended(since, Timestamp::now()));
        }
    }
}

fn began(since: Timestamp, reason: &str) -> SwarmEventDraft {
    let data = json!({
        "alert_type": "store", "severity": "critical", "state": "refusing", "since": since, "reason": reason,
        "timestamp": Timestamp::now(),
        "message": format!(
            "the store takes no writes: {reason}; reading goes on, work waits and goes on by itself once the \
             cause is gone (on a full disk: free some space)"
        ),
    });
    SwarmEventDraft::new(kind::ALERT, data).once(format!("store-{}-began", since.as_millis()))
}

fn ended(since: Timestamp, now: Timestamp) -> SwarmEventDraft {
    let data = json!({
        "alert_type": "store", "severity": "info", "state": "writable", "since": since, "timestamp": now,
        "message": "the store takes writes again; the work that waited goes on",
    });
    SwarmEventDraft::new(kind::ALERT, data).once(format!("store-{}-ended", since.as_millis()))
}
