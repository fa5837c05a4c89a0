//! Publishes receipts and budget alerts as events, each once (by id).
//!
//! A lone receipt is an event of its own. Receipts of one booking with the same run, job, agent, provider,
//! model and status become one event with their sums: thousands of calls a second would otherwise push
//! everything else off the stream. Invariant: the same booking gives the same events.

use std::sync::Arc;

use serde_json::json;

use crate::actors::accounts::AccountsObserver;
use crate::actors::event_stream::EventStreamHandle;
use crate::domain::accounts::budget::BudgetAlert;
use crate::domain::accounts::receipt::Receipt;
use crate::domain::event::{SwarmEventDraft, kind};
use crate::domain::money::NanoUsd;

/// Publishes to the event stream.
pub(super) struct MoneyEventPublisher(pub(super) EventStreamHandle);

impl AccountsObserver for MoneyEventPublisher {
    fn alert(&self, alert: &BudgetAlert) {
        let (scope, level) = (alert.scope.to_string(), alert.level.to_string());
        tracing::warn!(scope, level, cap = %alert.cap, spent = %alert.spent, "a budget has reached a level");
        let percent = alert.level.percent();
        let data = json!({
            "alert_type": "budget", "scope": scope, "level": level, "percent": percent,
            "cap_usd": alert.cap.wire(), "spent_usd": alert.spent.wire(), "timestamp": alert.at,
            "message": format!("the budget of {scope} has reached {percent} %: {} of {}", alert.spent, alert.cap),
        });
        self.0.publish(SwarmEventDraft::new(kind::ALERT, data).once(alert.id()));
    }

    fn booked(&self, receipts: &[Arc<Receipt>]) {
        for group in groups(receipts) {
            self.0.publish(group.draft());
        }
    }
}

/// Receipts that share an event.
struct ReceiptGroup<'r> {
    first: &'r Receipt,
    last: &'r Receipt,
    calls: u64,
    input_tokens: u64,
    output_tokens: u64,
    cost: NanoUsd,
    latency_ms: u64,
}

/// The groups of a booking, in the order of their first receipts.
fn groups(receipts: &[Arc<Receipt>]) -> Vec<ReceiptGroup<'_>> {
    let mut groups: Vec<ReceiptGroup<'_>> = Vec::new();
    for receipt in receipts {
        match groups.iter_mut().find(|group| is_alike(group.first, receipt)) {
            Some(group) => group.add(receipt),
            None => groups.push(ReceiptGroup::of(receipt)),
        }
    }
    groups
}

fn is_alike(one: &Receipt, other: &Receipt) -> bool {
    let (a, b) = (&one.wanted, &other.wanted);
    (&a.run, &a.job, &a.agent, &a.provider, &a.model) == (&b.run, &b.job, &b.agent, &b.provider, &b.model)
        && one.outcome.status == other.outcome.status
}

impl<'r> ReceiptGroup<'r> {
    fn of(receipt: &'r Receipt) -> Self {
        let cost = NanoUsd::ZERO;
        let mut group = Self {
            first: receipt,
            last: receipt,
            calls: 0,
            input_tokens: 0,
            output_tokens: 0,
            cost,
            latency_ms: 0,
        };
        group.add(receipt);
        group
    }

    fn add(&mut self, receipt: &'r Receipt) {
        let outcome = &receipt.outcome;
        self.last = receipt;
        self.calls += 1;
        self.input_tokens = self.input_tokens.saturating_add(outcome.usage.prompt());
        self.output_tokens = self.output_tokens.saturating_add(outcome.usage.output);
        self.cost = self.cost.saturating_add(outcome.cost);
        self.latency_ms = self.latency_ms.saturating_add(outcome.latency_ms);
    }

    /// The event's draft: sums, the mean latency, and the request's name where there is only one request.
    fn draft(&self) -> SwarmEventDraft {
        let (wanted, outcome) = (&self.first.wanted, &self.first.outcome);
        let mut data = json!({
            "run_id": wanted.run, "agent": wanted.agent, "provider": wanted.provider, "model": wanted.model,
            "calls": self.calls, "input_tokens": self.input_tokens, "output_tokens": self.output_tokens,
            "cost_usd": self.cost.wire(), "status": outcome.status,
            "latency_ms": self.latency_ms / self.calls, "timestamp": self.last.outcome.at,
        });
        if let Some(job) = &wanted.job {
            data["job_id"] = json!(job);
        }
        let (first, last) = (self.first.seq, self.last.seq);
        let id = if self.calls == 1 {
            data["request_id"] = json!(wanted.call.request_id);
            format!("receipt-{first}")
        } else {
            format!("receipts-{first}-{last}")
        };
        SwarmEventDraft::new(kind::COST_UPDATE, data).once(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::accounts::budget::{CallKey, HoldId, RunName, ScopeLabel, SpendRequest};
    use crate::domain::accounts::receipt::ReceiptOutcome;
    use crate::domain::time::Timestamp;

    fn receipt(seq: u64, run: &str, cost: u64) -> Arc<Receipt> {
        let wanted = SpendRequest {
            call: CallKey { request_id: format!("r-{seq}"), attempt: 1 },
            run: RunName::new(run).unwrap(),
            job: None,
            agent: ScopeLabel::new("coder").unwrap(),
            lane: None,
            provider: "p".into(),
            model: "m".into(),
            worst: NanoUsd(cost),
        };
        let outcome = ReceiptOutcome::unknown(NanoUsd(cost), Timestamp::from_millis(0), 3 * seq, "");
        Arc::new(Receipt::new(seq, HoldId(seq), wanted, outcome))
    }

    #[test]
    fn receipts_alike_are_one_event_with_their_sums_and_a_lone_one_keeps_its_name() {
        let booked =
            [receipt(4, "a", 1_000), receipt(5, "b", 7_000), receipt(6, "a", 3_000), receipt(8, "a", 5_000)];
        let told: Vec<SwarmEventDraft> = groups(&booked).iter().map(ReceiptGroup::draft).collect();
        let ids: Vec<_> = told.iter().map(|draft| draft.id.as_deref().unwrap()).collect();
        assert_eq!(ids, ["receipts-4-8", "receipt-5"]);
        let [many, one] = &*told else { panic!("{told:?}") };
        assert_eq!((&many.data["calls"], &many.data["cost_usd"]), (&json!(3), &NanoUsd(9_000).wire().into()));
        assert_eq!((&many.data["latency_ms"], many.data.get("request_id")), (&json!(18), None));
        assert_eq!((&one.data["calls"], &one.data["request_id"]), (&json!(1), &json!("r-5")));
    }
}
