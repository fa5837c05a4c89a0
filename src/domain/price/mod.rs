//! Prices: what a model costs on a day, and what a call costs by them.
//!
//! Owns the table (`config/prices.toml`, built in, under rows of the user's own) and the computation.
//! Invariants: amounts are whole numbers throughout (a rate is nano-dollars per million tokens); a sum is
//! rounded once, half up, to the nano-dollar; a class of tokens without a rate of its own is charged as
//! ordinary input, so nothing is free by mistake: what is free says so. Failure policy: a table that
//! cannot be understood is refused with its line; a model that is not in it has no price, and whoever
//! asked refuses the call.

mod rows;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use rust_decimal::Decimal;

use super::money::NanoUsd;
use super::time::Timestamp;
use super::usage::Usage;

pub use rows::PriceError;

/// The built-in rows, as text.
pub const BUILT_IN: &str = include_str!("../../../config/prices.toml");

/// Stands for every model of a provider that has no row of its own.
pub const ANY_MODEL: &str = "*";

/// Rates are per this many tokens.
const TOKENS: u128 = 1_000_000;

/// What a million tokens of each class cost, in nano-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Rates {
    input: u64,
    cache_read: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
    audio_input: u64,
    output: u64,
}

impl Rates {
    /// In nano-dollars times [`TOKENS`]. Five products of 64-bit numbers with rates below 2⁵⁰ cannot
    /// overflow.
    fn sum(&self, usage: &Usage) -> u128 {
        let of = |tokens: u64, rate: u64| u128::from(tokens) * u128::from(rate);
        of(usage.input, self.input)
            + of(usage.cache_read, self.cache_read)
            + of(usage.cache_write_5m, self.cache_write_5m)
            + of(usage.cache_write_1h, self.cache_write_1h)
            + of(usage.audio_input, self.audio_input)
            + of(usage.output, self.output)
    }

    /// The dearest class of input.
    fn dearest_input(&self) -> u64 {
        [self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h, self.audio_input]
            .into_iter()
            .fold(0, u64::max)
    }
}

/// What one model costs during some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// First moment of it; `None`: always.
    from: Option<Timestamp>,
    /// First moment after it; `None`: until further notice.
    until: Option<Timestamp>,
    free: bool,
    base: Rates,
    /// By prompt size: above so many tokens these rates hold for the whole call. Ascending.
    tiers: Vec<(u64, Rates)>,
}

impl Price {
    /// The price of a model of which only this is known: dollars per token in and out. `None` when a rate
    /// is negative, too high, or finer than a nano-dollar per million tokens.
    #[must_use]
    pub fn per_token(input: Decimal, output: Decimal) -> Option<Self> {
        let rate = |usd: Decimal| rows::exact_rate(usd.checked_mul(TOKENS.into())?);
        let (input, output) = (rate(input)?, rate(output)?);
        let base = Rates {
            input,
            cache_read: input,
            cache_write_5m: input,
            cache_write_1h: input,
            audio_input: input,
            output,
        };
        Some(Self { from: None, until: None, free: input == 0 && output == 0, base, tiers: Vec::new() })
    }

    /// What a call costs, to the nano-dollar, half up.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        rounded(self.rates(usage.prompt()).sum(usage))
    }

    /// The most that a call can cost with at most these tokens in and out, whatever their classes;
    /// rounded up.
    #[must_use]
    pub fn worst(&self, prompt_at_most: u64, output_at_most: u64) -> NanoUsd {
        let reachable =
            self.tiers.iter().filter(|(above, _)| prompt_at_most > *above).map(|(_, rates)| rates);
        let most = |rates: &Rates| {
            u128::from(prompt_at_most) * u128::from(rates.dearest_input())
                + u128::from(output_at_most) * u128::from(rates.output)
        };
        let nanos = reachable.chain([&self.base]).map(most).fold(0, u128::max).div_ceil(TOKENS);
        NanoUsd(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Whether it was declared to cost nothing.
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

    fn rates(&self, prompt: u64) -> &Rates {
        let reached = self.tiers.iter().rev().find(|(above, _)| prompt > *above);
        reached.map_or(&self.base, |(_, rates)| rates)
    }

    fn holds(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }
}

/// A sum of tokens times rates as nano-dollars, half up; the greatest amount where it would be larger.
fn rounded(sum: u128) -> NanoUsd {
    let nanos = sum.checked_add(TOKENS / 2).and_then(|sum| u64::try_from(sum / TOKENS).ok());
    nanos.map_or(NanoUsd::MAX, NanoUsd)
}

type ByModel = HashMap<String, Vec<Arc<Price>>>;

/// All prices that are known.
#[derive(Debug, Clone, Default)]
pub struct Prices {
    by_provider: HashMap<String, ByModel>,
}

impl Prices {
    /// The built-in rows, with the user's own (their file's name and its text) before them.
    ///
    /// # Errors
    /// [`PriceError`] with file and line.
    pub fn new(own: Option<(&str, &str)>) -> Result<Self, PriceError> {
        let mut prices = Self::default();
        for (file, text) in own.into_iter().chain([("config/prices.toml (built in)", BUILT_IN)]) {
            for (provider, model, price) in rows::parse(file, text)? {
                prices.by_provider.entry(provider).or_default().entry(model).or_default().push(price);
            }
        }
        Ok(prices)
    }

    /// What a vendor's model costs at a time; `None` when nobody has said so.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str, at: Timestamp) -> Option<&Price> {
        let models = self.by_provider.get(provider)?;
        let valid =
            |model: &str| models.get(model)?.iter().find(|price| price.holds(at)).map(|price| &**price);
        valid(model).or_else(|| valid(ANY_MODEL))
    }
}
