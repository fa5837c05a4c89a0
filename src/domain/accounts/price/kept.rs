//! The vendors' models and prices as others keep them: the data of the crate `genai-prices`, converted.
//!
//! The crate itself is not asked: it gives no prices but sums in binary fractions, and neither retirements nor its
//! data's date. So its data stand in `config/models.toml`, in the form of our own price rows, and the arithmetic is
//! ours; a test compares both. Parsed once, when first needed.

use std::sync::LazyLock;

use serde::Deserialize;
use toml::value::Datetime;

use super::PriceOrigin;
use super::rows::{self, PriceTableError, PricedModel};

const TEXT: &str = include_str!("../../../../config/models.toml");

static KEPT: LazyLock<Result<KeptPrices, PriceTableError>> = LazyLock::new(|| {
    let parsed = rows::parse("config/models.toml (built in)", TEXT, PriceOrigin::Kept)?;
    Ok(KeptPrices { source: parsed.source, rows: parsed.rows })
});

/// Where a file of prices comes from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceSource {
    pub name: String,
    pub version: String,
    /// The day of its publication.
    pub date: Datetime,
    pub licence: String,
}

/// The kept rows, with their source.
#[derive(Debug)]
pub struct KeptPrices {
    source: Option<PriceSource>,
    rows: Vec<PricedModel>,
}

impl KeptPrices {
    /// The kept prices.
    ///
    /// # Errors
    /// [`PriceTableError`]: the built-in file is broken, which a test rules out.
    pub fn get() -> Result<&'static Self, PriceTableError> {
        KEPT.as_ref().map_err(Clone::clone)
    }

    #[must_use]
    pub fn rows(&self) -> &[PricedModel] {
        &self.rows
    }

    #[must_use]
    pub const fn source(&self) -> Option<&PriceSource> {
        self.source.as_ref()
    }

    /// The source with its version and date.
    #[must_use]
    pub fn source_text(&self) -> String {
        self.source.as_ref().map_or_else(String::new, |source| {
            format!("{} {} of {}", source.name, source.version, source.date)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use genai_prices::{Calculator, PriceRequest, Usage, UsageKey};

    use super::*;
    use crate::accounts::price::{ModelPrice, RateSchedule, TokenRates};
    use crate::time::Timestamp;
    use crate::usage::{ServiceTier, TokenUsage};

    /// The crate's names of the vendors, and of the contexts in which our tiers are priced.
    const VENDORS: [(&str, &str); 4] =
        [("openai", "openai"), ("anthropic", "anthropic"), ("gemini", "google"), ("grok", "x-ai")];
    const TIERS: [(ServiceTier, Option<(&str, &str)>); 4] = [
        (ServiceTier::Standard, None),
        (ServiceTier::Flex, Some(("service_tier", "flex"))),
        (ServiceTier::Priority, Some(("service_tier", "priority"))),
        (ServiceTier::Batch, Some(("processing", "batch"))),
    ];
    /// Sizes of prompts on either side of every threshold in the data.
    const PROMPTS: [u64; 6] = [1_000, 99_000, 120_000, 150_000, 250_000, 300_000];
    /// The crate computes in binary fractions, and we round to the nano-dollar.
    const DIFFERENCE: f64 = 2e-9;

    /// Usage in classes that the row prices by themselves: tokens of any other class are input to us.
    fn usage(rates: &TokenRates, prompt: u64) -> TokenUsage {
        let part = |rate: u64| if rate == rates.input { 0 } else { prompt / 8 };
        // The crate wants to know which cached tokens are audio; so a prompt has either.
        let is_heard = (prompt / 1_000).is_multiple_of(2);
        let mut usage = TokenUsage {
            cache_read: if is_heard && part(rates.audio_input) > 0 { 0 } else { part(rates.cache_read) },
            cache_write_5m: part(rates.cache_write_5m),
            cache_write_1h: part(rates.cache_write_1h),
            audio_input: if is_heard { part(rates.audio_input) } else { 0 },
            output: if rates.output == 0 { 0 } else { 777 },
            ..TokenUsage::default()
        };
        usage.input = prompt - usage.prompt();
        usage
    }

    fn of_crate(usage: &TokenUsage) -> Usage {
        let written = usage.cache_write_5m + usage.cache_write_1h;
        let counts = [
            (UsageKey::INPUT_TOKENS, usage.prompt()),
            (UsageKey::CACHE_READ_TOKENS, usage.cache_read),
            (UsageKey::CACHE_WRITE_TOKENS, written),
            (UsageKey::CACHE_WRITE_1H_TOKENS, usage.cache_write_1h),
            (UsageKey::INPUT_AUDIO_TOKENS, usage.audio_input),
            (UsageKey::OUTPUT_TOKENS, usage.output),
        ];
        let stated = counts.into_iter().filter(|(_, count)| *count > 0);
        stated.fold(Usage::new(), |mut all, (key, count)| {
            all.insert(key, u32::try_from(count).unwrap().into());
            all
        })
    }

    fn schedule(price: &ModelPrice, tier: ServiceTier) -> &RateSchedule {
        price.schedule(tier)
    }

    #[test]
    fn every_kept_price_is_what_the_crate_computes() {
        let (kept, calculator) = (KeptPrices::get().unwrap(), Calculator::bundled());
        let mut compared = 0;
        for at in ["2026-11-20T00:00:00Z", "2026-12-15T00:00:00Z", "2027-02-01T00:00:00Z"] {
            let at: Timestamp = at.parse().unwrap();
            let then = SystemTime::UNIX_EPOCH + Duration::from_millis(at.as_millis().unsigned_abs());
            for row in kept.rows().iter().filter(|row| row.price.applies_at(at)) {
                let vendor = VENDORS.iter().find(|(ours, _)| *ours == row.provider).unwrap().1;
                for (tier, context) in TIERS {
                    for prompt in PROMPTS {
                        let rates = schedule(&row.price, tier).rates(prompt);
                        let usage = usage(rates, prompt).in_tier(tier);
                        let theirs = of_crate(&usage);
                        let mut request = PriceRequest::new(&row.model, &theirs)
                            .with_provider_id(vendor)
                            .with_timestamp(then);
                        if let Some((key, value)) = context {
                            request = request.with_price_context(key, value);
                        }
                        let theirs = calculator.calculate(&request).unwrap().total_price;
                        let ours: f64 = row.price.cost(&usage).usd().to_string().parse().unwrap();
                        let place = format!("{} at {prompt} in {tier:?}: {ours} {theirs}", row.model);
                        assert!((ours - theirs).abs() < DIFFERENCE, "{place}");
                        compared += 1;
                    }
                }
            }
        }
        assert!(compared > 3_000, "{compared}");
    }

    #[test]
    fn the_source_says_its_version_and_its_day() {
        let source = KeptPrices::get().unwrap().source().unwrap().clone();
        let lock = include_str!("../../../../Cargo.lock");
        let locked = lock.split_once("name = \"genai-prices\"\nversion = \"").unwrap().1;
        assert!(
            locked.starts_with(&format!("{}\"", source.version)),
            "run scripts/models.py after an update of the crate"
        );
        let day: jiff::civil::Date = source.date.to_string().parse().unwrap();
        assert!(day >= jiff::civil::date(2026, 10, 30), "{day}");
        assert!(KeptPrices::get().unwrap().source_text().contains(&source.date.to_string()));
    }
}
