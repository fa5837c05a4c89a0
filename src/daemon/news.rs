//! Receipts and alerts of budgets on their way to the event stream, each once by its id.

use serde_json::json;

use crate::actors::accounts::NewsSink;
use crate::actors::event_stream::Events;
use crate::domain::budget::Alert;
use crate::domain::event::{Draft, kind};
use crate::domain::receipt::Receipt;

/// Tells the event stream.
pub(super) struct MoneyNews(pub(super) Events);

impl NewsSink for MoneyNews {
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

    fn receipt(&self, receipt: &Receipt) {
        let (wanted, outcome) = (&receipt.wanted, &receipt.outcome);
        let mut data = json!({
            "request_id": wanted.call.request_id, "run_id": wanted.run, "agent": wanted.agent,
            "provider": wanted.provider, "model": wanted.model,
            "input_tokens": outcome.usage.prompt(), "output_tokens": outcome.usage.output,
            "cost_usd": outcome.cost.wire(), "status": outcome.status, "latency_ms": outcome.latency_ms,
            "timestamp": outcome.at,
        });
        if let Some(job) = &wanted.job {
            data["job_id"] = json!(job);
        }
        self.0.publish(Draft::new(kind::COST_UPDATE, data).once(format!("receipt-{}", receipt.seq)));
    }
}
