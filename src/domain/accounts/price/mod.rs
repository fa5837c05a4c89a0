//! Prices of models by day, and the cost of a call.
//!
//! Owns the table and the computation. Rows of the user go before ours (`config/prices.toml`), and these before
//! the ones that others keep (`config/models.toml`); the first that is valid on the day counts. Invariants: amounts are integers throughout (a rate is nano-dollars per million tokens); a sum is rounded
//! once, half up, to the nano-dollar; a class of tokens without its own rate is charged as ordinary input, so
//! nothing is free by mistake: a free model is declared free. Failure policy: an invalid table is refused
//! with the line; an unlisted model has no price, and the caller refuses the call.

pub mod kept;
mod rows;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rust_decimal::Decimal;

use crate::money::NanoUsd;
use crate::time::Timestamp;
use crate::usage::{ServiceTier, TokenUsage};

pub use rows::{PriceTableError, PricedModel};
pub use table::{PriceOrigin, PriceTable};

/// The built-in rows, as text.
pub const BUILT_IN: &str = include_str!("../../../../config/prices.toml");

/// Matches every model of a provider without its own row.
pub const ANY_MODEL: &str = "*";

/// Rates are per this many tokens.
const TOKENS: u128 = 1_000_000;

/// Fees of searches are per this many.
const SEARCHES: u128 = 1_000;

/// The fee for searches of a model whose price states none, in nano-dollars: the dearest of the vendors' lists, so
/// that nothing is free by mistake.
pub(super) const ASSUMED_SEARCH: u64 = 35_000_000_000;

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

/// The rates of one service tier, by the size of the prompt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct RateSchedule {
    base: TokenRates,
    /// Above so many prompt tokens these rates hold for the whole call. Ascending.
    above: Vec<(u64, TokenRates)>,
}

impl RateSchedule {
    fn rates(&self, prompt: u64) -> &TokenRates {
        let reached = self.above.iter().rev().find(|(above, _)| prompt > *above);
        reached.map_or(&self.base, |(_, rates)| rates)
    }

    /// In nano-dollars times [`TOKENS`], for any split of the prompt into classes.
    fn worst(&self, prompt: u64, output: u64) -> u128 {
        let reachable = self.above.iter().filter(|(above, _)| prompt > *above).map(|(_, rates)| rates);
        let most = |rates: &TokenRates| {
            u128::from(prompt) * u128::from(rates.dearest_input())
                + u128::from(output) * u128::from(rates.output)
        };
        reachable.chain([&self.base]).map(most).fold(0, u128::max)
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
    standard: RateSchedule,
    /// Service tiers with rates of their own.
    tiers: Arc<[(ServiceTier, RateSchedule)]>,
    /// Nano-dollars for a thousand searches of the vendor's own; `None`: no source states it.
    search: Option<u64>,
    /// The tier that a caller asked for: a hold covers it too.
    asked: ServiceTier,
    origin: PriceOrigin,
}

impl ModelPrice {
    /// The price of a model from dollars per input and output token alone. `None` when a rate is negative,
    /// too high, or finer than a nano-dollar per million tokens.
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
        Some(Self::of(input == 0 && output == 0, RateSchedule { base, above: Vec::new() }))
    }

    /// The price of a model that costs nothing, because the settings say so.
    #[must_use]
    pub fn nothing() -> Self {
        Self::of(true, RateSchedule::default())
    }

    fn of(free: bool, standard: RateSchedule) -> Self {
        Self {
            from: None,
            until: None,
            free,
            standard,
            tiers: Arc::default(),
            search: None,
            asked: ServiceTier::Standard,
            origin: PriceOrigin::Registration,
        }
    }

    /// The same for a call that asks for a tier: [`ModelPrice::worst`] covers both it and the standard tier, since
    /// the vendor decides which one answers.
    #[must_use]
    pub fn asked_in(self, tier: ServiceTier) -> Self {
        Self { asked: tier, ..self }
    }

    /// The cost of a call by the tier that answered it, rounded half up to the nano-dollar.
    #[must_use]
    pub fn cost(&self, usage: &TokenUsage) -> NanoUsd {
        let tokens = self.schedule(usage.tier).rates(usage.prompt()).sum(usage);
        rounded(tokens.saturating_add(self.fees(usage.searches)))
    }

    /// The most that a call can cost with at most these tokens in and out and so many searches, for any split into
    /// classes; rounded up.
    #[must_use]
    pub fn worst(&self, prompt_at_most: u64, output_at_most: u64, searches_at_most: u32) -> NanoUsd {
        let of = |tier| self.schedule(tier).worst(prompt_at_most, output_at_most);
        let tokens = of(ServiceTier::Standard).max(of(self.asked));
        let nanos = tokens.saturating_add(self.fees(searches_at_most)).div_ceil(TOKENS);
        NanoUsd(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// In nano-dollars times [`TOKENS`].
    fn fees(&self, searches: u32) -> u128 {
        u128::from(searches) * u128::from(self.search_fee()) * (TOKENS / SEARCHES)
    }

    /// Whether the model was declared free.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.free
    }

    /// Where the price stands.
    #[must_use]
    pub const fn origin(&self) -> PriceOrigin {
        self.origin
    }

    /// US dollars per million ordinary input tokens of a short prompt.
    #[must_use]
    pub fn input_per_million(&self) -> Decimal {
        NanoUsd(self.standard.base.input).usd()
    }

    /// US dollars per million tokens read from a cache, of a short prompt.
    #[must_use]
    pub fn cache_read_per_million(&self) -> Decimal {
        NanoUsd(self.standard.base.cache_read).usd()
    }

    /// US dollars per million output tokens after a short prompt.
    #[must_use]
    pub fn output_per_million(&self) -> Decimal {
        NanoUsd(self.standard.base.output).usd()
    }

    /// US dollars per thousand searches of the vendor's own.
    #[must_use]
    pub fn per_thousand_searches(&self) -> Decimal {
        NanoUsd(self.search_fee()).usd()
    }

    /// Whether the fee for searches is an assumption, because no source states it.
    #[must_use]
    pub const fn assumes_search_fee(&self) -> bool {
        self.search.is_none() && !self.free
    }

    fn search_fee(&self) -> u64 {
        let assumed = if self.free { 0 } else { ASSUMED_SEARCH };
        self.search.unwrap_or(assumed)
    }

    /// The tiers with rates of their own: US dollars per million tokens in and out.
    pub fn service_tiers(&self) -> impl Iterator<Item = (ServiceTier, Decimal, Decimal)> {
        let usd = |rate| NanoUsd(rate).usd();
        self.tiers.iter().map(move |(tier, rates)| (*tier, usd(rates.base.input), usd(rates.base.output)))
    }

    /// The rates above sizes of the prompt: tokens, and US dollars per million tokens in and out.
    pub fn long_prompts(&self) -> impl Iterator<Item = (u64, Decimal, Decimal)> {
        let usd = |rate| NanoUsd(rate).usd();
        self.standard.above.iter().map(move |(size, rates)| (*size, usd(rates.input), usd(rates.output)))
    }

    /// A tier without rates of its own costs as usual: the vendor does not sell it for this model.
    fn schedule(&self, tier: ServiceTier) -> &RateSchedule {
        let own = self.tiers.iter().find(|(known, _)| *known == tier);
        own.map_or(&self.standard, |(_, rates)| rates)
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
