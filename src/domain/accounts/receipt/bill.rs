//! Totals of receipts, overall and by model. Pure sums.
//!
//! Invariant: the lines add up to the totals, and both to the receipts' exact amounts; only the form on the
//! wire is rounded (to micro-dollars).

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::Receipt;
use crate::money::NanoUsd;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ReceiptTotals {
    /// US dollars on the wire.
    #[serde(serialize_with = "wire")]
    pub cost_usd: NanoUsd,
    /// Attempts that have a receipt.
    pub calls: u64,
    /// Tokens of the prompts, cached ones included.
    pub input_tokens: u64,
    /// Tokens of the answers, reasoning included.
    pub output_tokens: u64,
    /// The same by provider and model: most expensive first, then by name.
    pub models: Vec<ModelTotals>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelTotals {
    /// The provider's name in the router.
    pub provider: String,
    /// The vendor's name of the model.
    pub model: String,
    /// US dollars on the wire.
    #[serde(serialize_with = "wire")]
    pub cost_usd: NanoUsd,
    /// Attempts that have a receipt.
    pub calls: u64,
    /// Tokens of the prompts.
    pub input_tokens: u64,
    /// Tokens of the answers.
    pub output_tokens: u64,
}

impl ReceiptTotals {
    #[must_use]
    pub fn of<'a>(receipts: impl IntoIterator<Item = &'a Receipt>) -> Self {
        let mut bill = Self::default();
        let mut lines: BTreeMap<(&str, &str), ModelTotals> = BTreeMap::new();
        for Receipt { wanted, outcome, .. } in receipts {
            let line = lines.entry((&wanted.provider, &wanted.model)).or_insert_with(|| ModelTotals {
                provider: wanted.provider.clone(),
                model: wanted.model.clone(),
                cost_usd: NanoUsd::ZERO,
                calls: 0,
                input_tokens: 0,
                output_tokens: 0,
            });
            let (input, output) = (outcome.usage.prompt(), outcome.usage.output);
            line.cost_usd = line.cost_usd.saturating_add(outcome.cost);
            line.calls += 1;
            line.input_tokens = line.input_tokens.saturating_add(input);
            line.output_tokens = line.output_tokens.saturating_add(output);
            bill.cost_usd = bill.cost_usd.saturating_add(outcome.cost);
            bill.calls += 1;
            bill.input_tokens = bill.input_tokens.saturating_add(input);
            bill.output_tokens = bill.output_tokens.saturating_add(output);
        }
        bill.models = lines.into_values().collect();
        bill.models.sort_by_key(|line| std::cmp::Reverse(line.cost_usd));
        bill
    }

    /// As text: `$0.012345, 1 call, 1200 tokens in, 240 out, claude-haiku-4-5`; several models each with
    /// their share.
    #[must_use]
    pub fn in_words(&self) -> String {
        if self.calls == 0 {
            return "$0 (no model was called)".to_owned();
        }
        let calls = if self.calls == 1 { "call" } else { "calls" };
        let models: Vec<String> = match self.models.as_slice() {
            [only] => vec![only.model.clone()],
            several => {
                several.iter().map(|line| format!("{} {}", line.model, line.cost_usd.shown())).collect()
            }
        };
        format!(
            "{}, {} {calls}, {} tokens in, {} out, {}",
            self.cost_usd.shown(),
            self.calls,
            self.input_tokens,
            self.output_tokens,
            models.join(", ")
        )
    }
}

fn wire<S: Serializer>(amount: &NanoUsd, serializer: S) -> Result<S::Ok, S::Error> {
    amount.wire().serialize(serializer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::accounts::budget::{CallKey, HoldId, RunName, ScopeLabel, SpendRequest};
    use crate::accounts::receipt::ReceiptOutcome;
    use crate::time::Timestamp;
    use crate::usage::TokenUsage;

    fn receipt(seq: u64, model: &str, cost: u64) -> Receipt {
        let wanted = SpendRequest {
            call: CallKey { request_id: format!("req-{seq}"), attempt: 1 },
            run: RunName::new("run-1").unwrap(),
            job: None,
            agent: ScopeLabel::new("writer").unwrap(),
            lane: None,
            provider: format!("vendor-{model}"),
            model: model.into(),
            worst: NanoUsd(cost),
        };
        let mut outcome = ReceiptOutcome::unknown(NanoUsd(cost), Timestamp::from_millis(0), 5, "");
        outcome.usage = TokenUsage { input: 100, cache_read: 20, output: 30, ..TokenUsage::default() };
        Receipt::new(seq, HoldId(seq), wanted, outcome)
    }

    #[test]
    fn lines_add_up_to_the_totals_and_the_dearest_stands_first() {
        let receipts = [receipt(1, "a", 400), receipt(2, "b", 900_000), receipt(3, "a", 200)];
        let bill = ReceiptTotals::of(&receipts);
        assert_eq!((bill.cost_usd, bill.calls), (NanoUsd(900_600), 3));
        assert_eq!((bill.input_tokens, bill.output_tokens), (360, 90));
        let lines: Vec<_> = bill.models.iter().map(|l| (l.model.as_str(), l.cost_usd.0, l.calls)).collect();
        assert_eq!(lines, [("b", 900_000, 1), ("a", 600, 2)]);
        assert_eq!(bill.in_words(), "$0.000901, 3 calls, 360 tokens in, 90 out, b $0.0009, a $0.000001");
        assert_eq!(serde_json::to_value(&bill).unwrap()["models"][0]["cost_usd"], json!(0.0009));
    }

    #[test]
    fn one_model_is_named_and_none_is_said() {
        let one = ReceiptTotals::of(&[receipt(1, "claude-haiku-4-5", 12_300_000)]);
        assert_eq!(one.in_words(), "$0.0123, 1 call, 120 tokens in, 30 out, claude-haiku-4-5");
        assert_eq!(ReceiptTotals::default().in_words(), "$0 (no model was called)");
        let free = ReceiptTotals::of(&[receipt(1, "llama3.1:8b", 0)]);
        assert_eq!(free.in_words(), "$0, 1 call, 120 tokens in, 30 out, llama3.1:8b");
    }
}
