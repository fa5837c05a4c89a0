//! The choice among offers: filter by the requirements, then rank.
//!
//! Ranks, smallest first; ties by the other figure, then by name, so that the choice is deterministic:
//!
//! ```text
//! cost      the estimate C for 1000 input and 500 output tokens
//! latency   L = p95 / (1 − e), expected 95th percentile over the share of calls that succeed
//! balanced  (C − C_best) / C_worst + (L − L_best) / L_worst
//! ```
//!
//! In `balanced` each excess over the best is a share of the worst, so that neither unit dominates; a
//! provider beaten by another in both figures is never chosen. Where latency matters (`latency`, `balanced`,
//! or a limit on latency), an unknown latency ranks after every known one, by cost: an unknown value must not
//! win over a kept promise.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::Deserialize;

use super::feature;
use super::measured::CallForecast;
use super::model_name::ModelName;
use super::optimization::RoutingOptimization;
use super::provider::RegisteredProvider;
use crate::json::or_default;

/// Alternatives returned beside the choice (the contract).
pub const MAX_ALTERNATIVES: usize = 2;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CallRequirements {
    /// A model, `provider/model`, or `auto`.
    pub model: String,
    /// Tokens that must fit.
    #[serde(default)]
    pub context_window: Option<u64>,
    #[serde(default, deserialize_with = "or_default")]
    pub features: Vec<String>,
}

/// Limits on a call's cost and latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallLimits {
    /// US dollars, for the estimate.
    pub max_cost_usd: Option<Decimal>,
    /// On the expected 95th percentile; an unknown one passes, but ranks after the known ones.
    pub max_latency: Option<Duration>,
}

/// An active provider with the current forecast and circuit.
#[derive(Debug, Clone)]
pub struct ProviderCandidate {
    pub provider: Arc<RegisteredProvider>,
    pub expected: CallForecast,
    /// How long the circuit stays open.
    pub open_for: Option<Duration>,
}

/// The chosen provider, and alternatives.
#[derive(Debug, Clone)]
pub struct ProviderSelection {
    pub chosen: Arc<RegisteredProvider>,
    /// The next best, at most [`MAX_ALTERNATIVES`].
    pub alternatives: Vec<Arc<RegisteredProvider>>,
    pub reason: SelectionReason,
    /// The criterion that decided.
    pub optimization: RoutingOptimization,
}

/// No match: how many offers each requirement excluded, in the order of checking.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NoProviderFits {
    /// The requested model.
    pub model: String,
    pub considered: usize,
    pub other_model: usize,
    /// With too small a context window.
    pub too_small: usize,
    pub lacking: usize,
    pub too_dear: usize,
    pub too_slow: usize,
    /// Matching, but the circuit is open after failures or a `Retry-After`.
    pub resting: usize,
    /// When the first of those can be called again.
    pub retry_after: Option<Duration>,
}

impl std::error::Error for NoProviderFits {}

impl fmt::Display for NoProviderFits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.considered == 0 {
            return f.write_str(
                "no active provider is registered: set a vendor's key (OPENAI_API_KEY, ANTHROPIC_API_KEY, \
                 GEMINI_API_KEY, GROK_API_KEY) and start again, run Ollama on this machine, or register a \
                 provider with POST /register on port 6103",
            );
        }
        write!(f, "none of {} active provider(s) fits `{}`:", self.considered, self.model)?;
        let counts = [
            (self.other_model, "serve(s) another model"),
            (self.too_small, "has too small a context window"),
            (self.lacking, "lack(s) a feature"),
            (self.too_dear, "exceed(s) the cost limit"),
            (self.too_slow, "exceed(s) the latency limit"),
            (self.resting, "blocked by an open circuit"),
        ];
        let told = counts.iter().filter(|(count, _)| *count > 0).map(|(n, what)| format!(" {n} {what}"));
        f.write_str(&told.collect::<Vec<_>>().join(","))
    }
}

/// Chooses.
///
/// # Errors
/// [`NoProviderFits`].
pub fn select(
    candidates: impl IntoIterator<Item = ProviderCandidate>,
    requirements: &CallRequirements,
    optimization: RoutingOptimization,
    limits: CallLimits,
) -> Result<ProviderSelection, NoProviderFits> {
    let name = ModelName::parse(&requirements.model);
    let optimization = match name {
        ModelName::Auto(Some(stated)) => stated,
        _ => optimization,
    };
    let mut left_out = NoProviderFits { model: requirements.model.clone(), ..NoProviderFits::default() };
    let mut field: Vec<RankedProvider> = candidates
        .into_iter()
        .filter_map(|candidate| left_out.sieve(candidate, name, requirements, limits))
        .collect();
    rank(&mut field, optimization, limits.max_latency.is_some());
    let fit = field.len();
    let reason =
        |best: &RankedProvider| SelectionReason { optimization, fit, cost: best.cost, latency: best.latency };
    let reason = field.first().map(reason);
    let mut ranked = field.into_iter().map(|ranked| ranked.provider);
    match (ranked.next(), reason) {
        (Some(chosen), Some(reason)) => {
            let alternatives = ranked.take(MAX_ALTERNATIVES).collect();
            Ok(ProviderSelection { chosen, alternatives, reason, optimization })
        }
        _ => Err(left_out),
    }
}

/// A matching offer with the ranking figures.
struct RankedProvider {
    provider: Arc<RegisteredProvider>,
    cost: Decimal,
    /// Microseconds.
    latency: Option<u64>,
    score: Decimal,
}

impl NoProviderFits {
    /// Returns a matching offer, or counts the reason for the mismatch.
    fn sieve(
        &mut self,
        candidate: ProviderCandidate,
        name: ModelName<'_>,
        requirements: &CallRequirements,
        limits: CallLimits,
    ) -> Option<RankedProvider> {
        self.considered += 1;
        if !name.fits(&candidate.provider) {
            self.other_model += 1;
            return None;
        }
        let ProviderCandidate { provider, expected, open_for: rests } = candidate;
        let cost = provider.estimate();
        let over = |limit: Duration| expected.p95_ms.is_some_and(|p95| p95 > limit.as_secs_f64() * 1e3);
        let count = if requirements.context_window.is_some_and(|wanted| wanted > provider.context_window) {
            &mut self.too_small
        } else if requirements
            .features
            .iter()
            .any(|feature| !feature::is_offered(&provider.features, feature))
        {
            &mut self.lacking
        } else if limits.max_cost_usd.is_some_and(|limit| cost > limit) {
            &mut self.too_dear
        } else if limits.max_latency.is_some_and(over) {
            &mut self.too_slow
        } else if let Some(rests) = rests {
            self.retry_after = Some(self.retry_after.map_or(rests, |known| known.min(rests)));
            &mut self.resting
        } else {
            return Some(RankedProvider {
                provider,
                cost,
                latency: expected.effective_us(),
                score: Decimal::ZERO,
            });
        };
        *count += 1;
        None
    }
}

fn rank(field: &mut [RankedProvider], optimization: RoutingOptimization, is_latency_limited: bool) {
    let wants_known = is_latency_limited || optimization != RoutingOptimization::Cost;
    if optimization == RoutingOptimization::Balanced {
        weigh(field);
    }
    let by_cost = |a: &RankedProvider, b: &RankedProvider| a.cost.cmp(&b.cost);
    let by_latency = |a: &RankedProvider, b: &RankedProvider| {
        a.latency.unwrap_or(u64::MAX).cmp(&b.latency.unwrap_or(u64::MAX))
    };
    let by_name = |a: &RankedProvider, b: &RankedProvider| a.provider.name.cmp(&b.provider.name);
    let by_knowledge = |a: &RankedProvider, b: &RankedProvider| match wants_known {
        true => a.latency.is_none().cmp(&b.latency.is_none()),
        false => Ordering::Equal,
    };
    field.sort_by(|a, b| -> Ordering {
        let first = match optimization {
            RoutingOptimization::Cost => by_cost(a, b),
            RoutingOptimization::Latency => by_latency(a, b),
            RoutingOptimization::Balanced => a.score.cmp(&b.score),
        };
        let first = by_knowledge(a, b).then(first);
        first.then_with(|| by_cost(a, b)).then_with(|| by_latency(a, b)).then_with(|| by_name(a, b))
    });
}

/// Sets the balanced scores of all offers with known latency, relative to each other.
fn weigh(field: &mut [RankedProvider]) {
    let known = || field.iter().filter_map(|ranked| Some((ranked.latency?, ranked.cost)));
    let (latencies, costs) = (|| known().map(|(latency, _)| latency), || known().map(|(_, cost)| cost));
    let (fastest, slowest) = (latencies().min().unwrap_or(0), latencies().max().unwrap_or(0));
    let (cheapest, dearest) = (costs().min().unwrap_or_default(), costs().max().unwrap_or_default());
    for ranked in field {
        let Some(latency) = ranked.latency else { continue };
        ranked.score =
            excess(ranked.cost, cheapest, dearest) + excess(latency.into(), fastest.into(), slowest.into());
    }
}

/// How far a value is above the best, as a share of the worst: 0 to 1.
fn excess(value: Decimal, best: Decimal, worst: Decimal) -> Decimal {
    // If the worst is 0, there is no excess.
    (value - best).checked_div(worst).unwrap_or_default()
}

/// Why the best was chosen, with the deciding figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectionReason {
    optimization: RoutingOptimization,
    fit: usize,
    cost: Decimal,
    /// Microseconds.
    latency: Option<u64>,
}

impl SelectionReason {
    /// In one sentence about the provider of this name.
    #[must_use]
    pub fn sentence(&self, name: &str) -> String {
        let Self { fit, cost, .. } = self;
        let what = match self.optimization {
            RoutingOptimization::Cost => "the cheapest",
            RoutingOptimization::Latency => "the fastest",
            RoutingOptimization::Balanced => "the best balance of cost and latency",
        };
        let latency = self.latency.map_or_else(
            || "unknown latency".to_owned(),
            |us| format!("{} ms expected at the 95th percentile", us / 1000),
        );
        let cost = cost.normalize();
        format!(
            "`{name}` is {what} of {fit} matching: {cost} USD for 1000 input and 500 output tokens, {latency}"
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::provider_router::price::TokenPrice;
    use crate::provider_router::testing::provider;

    fn candidate(name: &str, micro_usd: u64, p95_ms: Option<f64>) -> ProviderCandidate {
        let mut offer = provider(name, "m");
        let usd = Decimal::from_i128_with_scale(i128::from(micro_usd), 9);
        offer.cost_per_input_token = TokenPrice::new(usd).unwrap();
        offer.cost_per_output_token = TokenPrice::FREE;
        ProviderCandidate {
            provider: Arc::new(offer),
            expected: CallForecast { p95_ms, error_rate: 0.0 },
            open_for: None,
        }
    }

    fn ask(candidates: &[ProviderCandidate], optimization: RoutingOptimization) -> ProviderSelection {
        let wanted = CallRequirements { model: "auto".into(), context_window: None, features: Vec::new() };
        select(candidates.iter().cloned(), &wanted, optimization, CallLimits::default()).unwrap()
    }

    fn best(candidates: &[ProviderCandidate], optimization: RoutingOptimization) -> String {
        ask(candidates, optimization).chosen.name.clone()
    }

    #[test]
    fn balance_weighs_both_in_both_directions() {
        let balanced = |candidates: &[ProviderCandidate]| best(candidates, RoutingOptimization::Balanced);
        let nearly_as_fast = [candidate("dear", 1000, Some(900.0)), candidate("cheap", 100, Some(1000.0))];
        assert_eq!(balanced(&nearly_as_fast), "cheap");
        let nearly_as_cheap = [candidate("slow", 100, Some(9000.0)), candidate("fast", 120, Some(500.0))];
        assert_eq!(balanced(&nearly_as_cheap), "fast");
        let free = [candidate("free", 0, Some(100.0)), candidate("paid", 100, Some(99.0))];
        assert_eq!(balanced(&free), "free");
        let all_free = [candidate("a", 0, Some(200.0)), candidate("b", 0, Some(100.0))];
        assert_eq!(balanced(&all_free), "b");
    }

    #[test]
    fn who_is_not_known_comes_after_those_who_are() {
        let field = [candidate("unknown", 100, None), candidate("known", 100, Some(60_000.0))];
        assert_eq!(best(&field, RoutingOptimization::Latency), "known");
        assert_eq!(best(&field, RoutingOptimization::Cost), "known");
        let cheap = [candidate("unknown", 1, None), candidate("known", 100, Some(1000.0))];
        assert_eq!(best(&cheap, RoutingOptimization::Balanced), "known");
        assert_eq!(best(&cheap, RoutingOptimization::Cost), "unknown", "latency does not matter there");
        let both_unknown = [candidate("dear", 2, None), candidate("cheap", 1, None)];
        assert_eq!(best(&both_unknown, RoutingOptimization::Balanced), "cheap");
        let odd = [
            candidate("a", 10, Some(100.0)),
            candidate("b", 12, Some(60.0)),
            candidate("c", 1_000_000, None),
        ];
        assert_eq!(
            best(&odd, RoutingOptimization::Balanced),
            "b",
            "the unknown one does not shift the balance"
        );
    }

    #[test]
    fn a_limit_on_latency_prefers_who_is_known_to_keep_it() {
        let wanted = CallRequirements { model: "auto".into(), context_window: None, features: Vec::new() };
        let limits = CallLimits { max_latency: Some(Duration::from_millis(500)), ..CallLimits::default() };
        let chosen = |field: &[ProviderCandidate]| {
            let choice = select(field.iter().cloned(), &wanted, RoutingOptimization::Cost, limits);
            choice.map(|choice| choice.chosen.name.clone())
        };
        let unknown = candidate("unknown", 1, None);
        let field = [unknown.clone(), candidate("known", 100, Some(300.0))];
        assert_eq!(chosen(&field).as_deref(), Ok("known"));
        let field = [unknown, candidate("slow", 1, Some(501.0))];
        assert_eq!(chosen(&field).as_deref(), Ok("unknown"), "nobody else may keep it");
    }

    #[test]
    fn errors_make_slow() {
        let mut flaky = candidate("flaky", 1, Some(600.0));
        flaky.expected.error_rate = 0.5;
        let field = [flaky, candidate("steady", 1, Some(1000.0))];
        assert_eq!(best(&field, RoutingOptimization::Latency), "steady");
    }

    #[test]
    fn who_rests_is_not_chosen() {
        let mut resting = candidate("a", 1, Some(1.0));
        resting.open_for = Some(Duration::from_secs(3));
        let field = [resting.clone(), candidate("b", 9, Some(9.0))];
        assert_eq!(best(&field, RoutingOptimization::Cost), "b");
        let wanted = CallRequirements { model: "m".into(), context_window: None, features: Vec::new() };
        let none = select([resting], &wanted, RoutingOptimization::Cost, CallLimits::default()).unwrap_err();
        assert_eq!((none.resting, none.retry_after), (1, Some(Duration::from_secs(3))));
    }

    fn field() -> impl Strategy<Value = Vec<ProviderCandidate>> {
        let one = (0_u64..2000, prop::option::weighted(0.9, 1_u32..20_000));
        prop::collection::vec(one, 1..12).prop_map(|offers| {
            let named = offers.into_iter().enumerate();
            named.map(|(n, (cost, ms))| candidate(&format!("p{n:02}"), cost, ms.map(f64::from))).collect()
        })
    }

    proptest! {
        #[test]
        fn the_choice_does_not_depend_on_the_order_and_nobody_beats_it_in_both(
            field in field(),
            turn in 0_usize..12,
        ) {
            for optimization in [RoutingOptimization::Cost, RoutingOptimization::Latency, RoutingOptimization::Balanced] {
                let choice = ask(&field, optimization);
                let mut turned = field.clone();
                turned.rotate_left(turn % field.len());
                prop_assert_eq!(&ask(&turned, optimization).chosen.name, &choice.chosen.name);
                prop_assert_eq!(choice.alternatives.len(), MAX_ALTERNATIVES.min(field.len() - 1));
                let figures = |c: &ProviderCandidate| (c.provider.estimate(), c.expected.effective_us().unwrap_or(u64::MAX));
                let chosen = field.iter().find(|c| c.provider.name == choice.chosen.name).unwrap();
                let (cost, latency) = figures(chosen);
                for other in &field {
                    let (c, l) = figures(other);
                    prop_assert!(!(c < cost && l < latency), "{} beats {}", other.provider.name, choice.chosen.name);
                    if optimization == RoutingOptimization::Cost {
                        prop_assert!(c >= cost);
                    }
                    if optimization == RoutingOptimization::Latency {
                        prop_assert!(l >= latency);
                    }
                }
            }
        }

        #[test]
        fn units_do_not_matter_to_the_balance(field in field(), cents in 1_u64..50) {
            let scaled: Vec<_> = field
                .iter()
                .map(|c| {
                    let mut scaled = c.clone();
                    let price = c.provider.cost_per_input_token.usd() * Decimal::from(cents);
                    Arc::make_mut(&mut scaled.provider).cost_per_input_token = TokenPrice::new(price).unwrap();
                    scaled
                })
                .collect();
            prop_assert_eq!(best(&field, RoutingOptimization::Balanced), best(&scaled, RoutingOptimization::Balanced));
        }
    }
}
