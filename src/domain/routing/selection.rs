//! The choice among offers: first leave out what does not fit, then rank what is left.
//!
//! Ranks, the smallest first; equal ones by the other figure, then by name, so that the choice is
//! always the same:
//!
//! ```text
//! cost      the estimate C for 1000 input and 500 output tokens
//! latency   L = p95 / (1 − e), expected 95th percentile over the share of calls that succeed
//! balanced  (C − C_best) / C_worst + (L − L_best) / L_worst
//! ```
//!
//! In `balanced` each excess over the field's best is a share of its worst, so that neither unit
//! outweighs the other; a provider that another beats in both is never chosen. Where latency matters
//! (`latency`, `balanced`, or a limit on it), an unknown one comes after every known one, by cost: a
//! promise that nobody has made is not preferred to one that holds.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::Deserialize;

use super::feature;
use super::measured::Expected;
use super::model_name::ModelName;
use super::optimization::Optimization;
use super::provider::Provider;
use crate::domain::json::or_default;

/// Alternatives told beside the choice (the contract).
pub const MAX_ALTERNATIVES: usize = 2;

/// What a call needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Requirements {
    /// A model, `provider/model`, or `auto`.
    pub model: String,
    /// Tokens that must fit.
    #[serde(default)]
    pub context_window: Option<u64>,
    /// What the provider must be able to do.
    #[serde(default, deserialize_with = "or_default")]
    pub features: Vec<String>,
}

/// What a call may cost and take at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// US dollars, for the estimate.
    pub max_cost_usd: Option<Decimal>,
    /// For the expected 95th percentile; an unknown one is not over it, but comes after the known ones.
    pub max_latency: Option<Duration>,
}

/// An active provider with what is known of it now.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub provider: Arc<Provider>,
    /// What may be expected of a call.
    pub expected: Expected,
    /// For how long its circuit still rests.
    pub rests: Option<Duration>,
}

/// Who is to serve, and who else could.
#[derive(Debug, Clone)]
pub struct Choice {
    pub chosen: Arc<Provider>,
    /// The next best, at most [`MAX_ALTERNATIVES`].
    pub alternatives: Vec<Arc<Provider>>,
    pub reason: Reason,
    /// By what it was ranked in the end.
    pub optimization: Optimization,
}

/// Nobody fits: how many offers each requirement left out, in the order in which they were asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NoneFits {
    /// The wish for a model.
    pub model: String,
    pub considered: usize,
    pub other_model: usize,
    /// With too small a context window.
    pub too_small: usize,
    pub lacking: usize,
    pub too_dear: usize,
    pub too_slow: usize,
    /// Fit, but rest after failures or at their own wish.
    pub resting: usize,
    /// When the first of those may be asked again.
    pub retry_after: Option<Duration>,
}

impl std::error::Error for NoneFits {}

impl fmt::Display for NoneFits {
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
            (self.too_dear, "cost(s) too much"),
            (self.too_slow, "take(s) too long"),
            (self.resting, "rest(s) after failures"),
        ];
        let told = counts.iter().filter(|(count, _)| *count > 0).map(|(n, what)| format!(" {n} {what}"));
        f.write_str(&told.collect::<Vec<_>>().join(","))
    }
}

/// Chooses.
///
/// # Errors
/// [`NoneFits`].
pub fn select(
    candidates: impl IntoIterator<Item = Candidate>,
    requirements: &Requirements,
    optimization: Optimization,
    limits: Limits,
) -> Result<Choice, NoneFits> {
    let name = ModelName::parse(&requirements.model);
    let optimization = match name {
        ModelName::Auto(Some(stated)) => stated,
        _ => optimization,
    };
    let mut left_out = NoneFits { model: requirements.model.clone(), ..NoneFits::default() };
    let mut field: Vec<Ranked> = candidates
        .into_iter()
        .filter_map(|candidate| left_out.sieve(candidate, name, requirements, limits))
        .collect();
    rank(&mut field, optimization, limits.max_latency.is_some());
    let fit = field.len();
    let reason = |best: &Ranked| Reason { optimization, fit, cost: best.cost, latency: best.latency };
    let reason = field.first().map(reason);
    let mut ranked = field.into_iter().map(|ranked| ranked.provider);
    match (ranked.next(), reason) {
        (Some(chosen), Some(reason)) => {
            let alternatives = ranked.take(MAX_ALTERNATIVES).collect();
            Ok(Choice { chosen, alternatives, reason, optimization })
        }
        _ => Err(left_out),
    }
}

/// An offer that fits, with the figures it is ranked by.
struct Ranked {
    provider: Arc<Provider>,
    cost: Decimal,
    /// Microseconds.
    latency: Option<u64>,
    score: Decimal,
}

impl NoneFits {
    /// Passes on an offer that fits, or counts why it does not.
    fn sieve(
        &mut self,
        candidate: Candidate,
        name: ModelName<'_>,
        requirements: &Requirements,
        limits: Limits,
    ) -> Option<Ranked> {
        self.considered += 1;
        if !name.fits(&candidate.provider) {
            self.other_model += 1;
            return None;
        }
        let Candidate { provider, expected, rests } = candidate;
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
            return Some(Ranked { provider, cost, latency: expected.effective_us(), score: Decimal::ZERO });
        };
        *count += 1;
        None
    }
}

fn rank(field: &mut [Ranked], optimization: Optimization, is_latency_limited: bool) {
    let wants_known = is_latency_limited || optimization != Optimization::Cost;
    if optimization == Optimization::Balanced {
        weigh(field);
    }
    let by_cost = |a: &Ranked, b: &Ranked| a.cost.cmp(&b.cost);
    let by_latency =
        |a: &Ranked, b: &Ranked| a.latency.unwrap_or(u64::MAX).cmp(&b.latency.unwrap_or(u64::MAX));
    let by_name = |a: &Ranked, b: &Ranked| a.provider.name.cmp(&b.provider.name);
    let by_knowledge = |a: &Ranked, b: &Ranked| match wants_known {
        true => a.latency.is_none().cmp(&b.latency.is_none()),
        false => Ordering::Equal,
    };
    field.sort_by(|a, b| -> Ordering {
        let first = match optimization {
            Optimization::Cost => by_cost(a, b),
            Optimization::Latency => by_latency(a, b),
            Optimization::Balanced => a.score.cmp(&b.score),
        };
        let first = by_knowledge(a, b).then(first);
        first.then_with(|| by_cost(a, b)).then_with(|| by_latency(a, b)).then_with(|| by_name(a, b))
    });
}

/// Gives everyone of known latency its balanced score, among each other.
fn weigh(field: &mut [Ranked]) {
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
    // A worst of nothing leaves no excess.
    (value - best).checked_div(worst).unwrap_or_default()
}

/// Why the best was chosen; its words quote the deciding figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    optimization: Optimization,
    fit: usize,
    cost: Decimal,
    /// Microseconds.
    latency: Option<u64>,
}

impl Reason {
    /// In one sentence about the provider of this name.
    #[must_use]
    pub fn sentence(&self, name: &str) -> String {
        let Self { fit, cost, .. } = self;
        let what = match self.optimization {
            Optimization::Cost => "the cheapest",
            Optimization::Latency => "the fastest",
            Optimization::Balanced => "the best balance of cost and latency",
        };
        let latency = self.latency.map_or_else(
            || "unknown latency".to_owned(),
            |us| format!("{} ms expected at the 95th percentile", us / 1000),
        );
        let cost = cost.normalize();
        format!(
            "`{name}` is {what} of {fit} that fit: {cost} USD for 1000 input and 500 output tokens, {latency}"
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::routing::price::TokenPrice;
    use crate::domain::routing::testing::provider;

    fn candidate(name: &str, micro_usd: u64, p95_ms: Option<f64>) -> Candidate {
        let mut offer = provider(name, "m");
        let usd = Decimal::from_i128_with_scale(i128::from(micro_usd), 9);
        offer.cost_per_input_token = TokenPrice::new(usd).unwrap();
        offer.cost_per_output_token = TokenPrice::FREE;
        Candidate { provider: Arc::new(offer), expected: Expected { p95_ms, error_rate: 0.0 }, rests: None }
    }

    fn ask(candidates: &[Candidate], optimization: Optimization) -> Choice {
        let wanted = Requirements { model: "auto".into(), context_window: None, features: Vec::new() };
        select(candidates.iter().cloned(), &wanted, optimization, Limits::default()).unwrap()
    }

    fn best(candidates: &[Candidate], optimization: Optimization) -> String {
        ask(candidates, optimization).chosen.name.clone()
    }

    #[test]
    fn balance_weighs_both_in_both_directions() {
        let balanced = |candidates: &[Candidate]| best(candidates, Optimization::Balanced);
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
        assert_eq!(best(&field, Optimization::Latency), "known");
        assert_eq!(best(&field, Optimization::Cost), "known");
        let cheap = [candidate("unknown", 1, None), candidate("known", 100, Some(1000.0))];
        assert_eq!(best(&cheap, Optimization::Balanced), "known");
        assert_eq!(best(&cheap, Optimization::Cost), "unknown", "latency does not matter there");
        let both_unknown = [candidate("dear", 2, None), candidate("cheap", 1, None)];
        assert_eq!(best(&both_unknown, Optimization::Balanced), "cheap");
        let odd = [
            candidate("a", 10, Some(100.0)),
            candidate("b", 12, Some(60.0)),
            candidate("c", 1_000_000, None),
        ];
        assert_eq!(best(&odd, Optimization::Balanced), "b", "the unknown one does not shift the balance");
    }

    #[test]
    fn a_limit_on_latency_prefers_who_is_known_to_keep_it() {
        let wanted = Requirements { model: "auto".into(), context_window: None, features: Vec::new() };
        let limits = Limits { max_latency: Some(Duration::from_millis(500)), ..Limits::default() };
        let chosen = |field: &[Candidate]| {
            let choice = select(field.iter().cloned(), &wanted, Optimization::Cost, limits);
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
        assert_eq!(best(&field, Optimization::Latency), "steady");
    }

    #[test]
    fn who_rests_is_not_chosen() {
        let mut resting = candidate("a", 1, Some(1.0));
        resting.rests = Some(Duration::from_secs(3));
        let field = [resting.clone(), candidate("b", 9, Some(9.0))];
        assert_eq!(best(&field, Optimization::Cost), "b");
        let wanted = Requirements { model: "m".into(), context_window: None, features: Vec::new() };
        let none = select([resting], &wanted, Optimization::Cost, Limits::default()).unwrap_err();
        assert_eq!((none.resting, none.retry_after), (1, Some(Duration::from_secs(3))));
    }

    fn field() -> impl Strategy<Value = Vec<Candidate>> {
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
            for optimization in [Optimization::Cost, Optimization::Latency, Optimization::Balanced] {
                let choice = ask(&field, optimization);
                let mut turned = field.clone();
                turned.rotate_left(turn % field.len());
                prop_assert_eq!(&ask(&turned, optimization).chosen.name, &choice.chosen.name);
                prop_assert_eq!(choice.alternatives.len(), MAX_ALTERNATIVES.min(field.len() - 1));
                let figures = |c: &Candidate| (c.provider.estimate(), c.expected.effective_us().unwrap_or(u64::MAX));
                let chosen = field.iter().find(|c| c.provider.name == choice.chosen.name).unwrap();
                let (cost, latency) = figures(chosen);
                for other in &field {
                    let (c, l) = figures(other);
                    prop_assert!(!(c < cost && l < latency), "{} beats {}", other.provider.name, choice.chosen.name);
                    if optimization == Optimization::Cost {
                        prop_assert!(c >= cost);
                    }
                    if optimization == Optimization::Latency {
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
            prop_assert_eq!(best(&field, Optimization::Balanced), best(&scaled, Optimization::Balanced));
        }
    }
}
