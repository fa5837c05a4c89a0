//! Prices of models by day, and the cost of a call.
//!
//! Owns the table (`config/prices.toml`, built in, overridden by the user's rows) and the computation.
//! Invariants: amounts are integers throughout (a rate is nano-dollars per million tokens); a sum is rounded
//! once, half up, to the nano-dollar; a class of tokens without its own rate is charged as ordinary input, so
//! nothing is free by mistake: a free model is declared free. Failure policy: an invalid table is refused
//! with the line; an unlisted model has no price, and the caller refuses the call.

mod rows;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use rust_decimal::Decimal;

use crate::domain::money::NanoUsd;
use crate::domain::time::Timestamp;
use crate::domain::usage::TokenUsage;

pub use rows::PriceTableError;

/// The built-in rows, as text.
pub const BUILT_IN: &str = include_str!("../../../../config/prices.toml");

/// Matches every model of a provider without its own row.
pub const ANY_MODEL: &str = "*";

/// Rates are per this many tokens.
const TOKENS: u128 = 1_000_000;

/// The rates of each class, in nano-dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct TokenRates {
    input: u64,
    cache_read: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
    audio_input: u64,
    output: u64,
}

impl TokenRates {
    /// In nano-dollars times [`TOKENS`]. Five products of 64-bit numbers with rates below 2⁵⁰ cannot
    /// overflow.
    fn sum(&self, usage: &TokenUsage) -> u128 {
        let of = |tokens: u64, rate: u64| u128::from(tokens) * u128::from(rate);
        of(usage.input, self.input)
            + of(usage.cache_read, self.cache_read)
            + of(usage.cache_write_5m, self.cache_write_5m)
            + of(usage.cache_write_1h, self.cache_write_1h)
            + of(usage.audio_input, self.audio_input)
            + of(usage.output, self.output)
    }

    /// The highest input rate.
    fn dearest_input(&self) -> u64 {
        [self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h, self.audio_input]
            .into_iter()
            .fold(0, u64::max)
    }
}

/// The price of one model in a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPrice {
    /// Start, inclusive; `None`: always.
    from: Option<Timestamp>,
    /// End, exclusive; `None`: until further notice.
    until: Option<Timestamp>,
    free: bool,
    base: TokenRates,
    /// By prompt size: above so many tokens these rates hold for the whole call. Ascending.
    tiers: Vec<(u64, TokenRates)>,
}

impl ModelPrice {
    /// The price of a model of which only this is known: dollars per token in and out. `None` when a rate
    /// is negative, too high, or finer than a nano-dollar per million tokens.
    #[must_use]
    pub fn per_token(input: Decimal, output: Decimal) -> Option<Self> {
        let rate = |usd: Decimal| rows::exact_rate(usd.checked_mul(TOKENS.into())?);
        let (input, output) = (rate(input)?, rate(output)?);
        let base = TokenRates {
            input,
            cache_read: input,
            cache_write_5m: input,
            cache_write_1h: input,
            audio_input: input,
            output,
        };
        Some(Self { from: None, until: None, free: input == 0 && output == 0, base, tiers: Vec::new() })
    }

    /// The cost of a call, rounded half up to the nano-dollar.
    #[must_use]
    pub fn cost(&self, usage: &TokenUsage) -> NanoUsd {
        rounded(self.rates(usage.prompt()).sum(usage))
    }

    /// The most that a call can cost with at most these tokens in and out, for any split into classes;
    /// rounded up.
    #[must_use]
    pub fn worst(&self, prompt_at_most: u64, output_at_most: u64) -> NanoUsd {
        let reachable =
            self.tiers.iter().filter(|(above, _)| prompt_at_most > *above).map(|(_, rates)| rates);
        let most = |rates: &TokenRates| {
            u128::from(prompt_at_most) * u128::from(rates.dearest_input())
                + u128::from(output_at_most) * u128::from(rates.output)
        };
        let nanos = reachable.chain([&self.base]).map(most).fold(0, u128::max).div_ceil(TOKENS);
        NanoUsd(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Whether the model was declared free.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.free
    }

    /// US dollars per million ordinary input tokens of a short prompt.
    #[must_use]
    pub fn input_per_million(&self) -> Decimal {
        NanoUsd(self.base.input).usd()
    }

    /// US dollars per million output tokens after a short prompt.
    #[must_use]
    pub fn output_per_million(&self) -> Decimal {
        NanoUsd(self.base.output).usd()
    }

    fn rates(&self, prompt: u64) -> &TokenRates {
        let reached = self.tiers.iter().rev().find(|(above, _)| prompt > *above);
        reached.map_or(&self.base, |(_, rates)| rates)
    }

    fn applies_at(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }
}

/// A sum of tokens times rates as nano-dollars, half up, saturating.
fn rounded(sum: u128) -> NanoUsd {
    let nanos = sum.checked_add(TOKENS / 2).and_then(|sum| u64::try_from(sum / TOKENS).ok());
    nanos.map_or(NanoUsd::MAX, NanoUsd)
}

type ModelPrices = HashMap<String, Vec<Arc<ModelPrice>>>;

/// All known prices.
#[derive(Debug, Clone, Default)]
pub struct PriceTable {
    by_provider: HashMap<String, ModelPrices>,
}

impl PriceTable {
    /// The built-in rows, with the user's own (their file's name and its text) before them.
    ///
    /// # Errors
    /// [`PriceTableError`] with file and line.
    pub fn new(own: Option<(&str, &str)>) -> Result<Self, PriceTableError> {
        let mut prices = Self::default();
        for (file, text) in own.into_iter().chain([("config/prices.toml (built in)", BUILT_IN)]) {
            for (provider, model, price) in rows::parse(file, text)? {
                prices.by_provider.entry(provider).or_default().entry(model).or_default().push(price);
            }
        }
        Ok(prices)
    }

    /// The price of a vendor's model at a time; `None` when unknown.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str, at: Timestamp) -> Option<&ModelPrice> {
        let models = self.by_provider.get(provider)?;
        let valid =
            |model: &str| models.get(model)?.iter().find(|price| price.applies_at(at)).map(|price| &**price);
        valid(model).or_else(|| valid(ANY_MODEL))
    }
}
