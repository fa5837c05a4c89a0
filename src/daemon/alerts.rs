//! Alerts of budgets on their way to the event stream, each once by its id.

use serde_json::json;

use crate::actors::accounts::AlertSink;
use crate::actors::event_stream::Events;
use crate::domain::budget::Alert;
use crate::domain::event::{Draft, kind};

/// Tells the event stream.
pub(super) struct BudgetAlerts(pub(super) Events);

impl AlertSink for BudgetAlerts {
    fn alert(&self, alert: &Alert) {
        let (scope, level) = (alert.scope.to_string(), alert.level.to_string());
        tracing::warn!(scope, level, cap = %alert.cap, spent = %alert.spent, "a budget has reached a level");
        let percent = alert.level.percent();
        let data = json!({
            "alert_type": "budget", "scope": scope, "level": level, "percent": percent,
            "cap_usd": alert.cap.wire(), "spent_usd": alert.spent.wire(), "timestamp": alert.at,
            "message": format!("the budget of {scope} is used to {percent} % and more: {} of {}", alert.spent, alert.cap),
        });
        self.0.publish(Draft::new(kind::ALERT, data).once(alert.id()));
    }
}
