//! Parses a price table; every error names the line.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use jiff::civil;
use rust_decimal::Decimal;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use toml::value::Datetime;

use super::kept::PriceSource;
use super::{ModelPrice, PriceOrigin, RateSchedule, TokenRates};
use crate::money::NanoUsd;
use crate::time::Timestamp;
use crate::usage::ServiceTier;

/// Highest rate: a million dollars per million tokens. Dearer is a mistake in the unit, and sums of
/// lower rates cannot overflow.
pub(super) const MAX_RATE: u64 = 1_000_000_000_000_000;

/// Why a table of prices was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct PriceTableError {
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    pub what: String,
}

/// A row: a model with its other names, and its price.
#[derive(Debug, Clone)]
pub struct PricedModel {
    pub provider: String,
    /// The vendor's name of the model, or `*`.
    pub model: String,
    pub aliases: Vec<String>,
    /// Tokens of prompt and answer together, where the row states it.
    pub window: Option<u64>,
    /// Whether the row says that the vendor has shut the model down.
    pub is_retired: bool,
    pub price: Arc<ModelPrice>,
}

impl PricedModel {
    /// The model's name and its aliases.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.model).chain(self.aliases.iter().map(String::as_str))
    }
}

/// The rows of a file, and where they come from.
pub(super) struct ParsedPrices {
    pub(super) source: Option<PriceSource>,
    pub(super) rows: Vec<PricedModel>,
    /// Vendors with their fees for a thousand searches, in nano-dollars.
    pub(super) search_fees: Vec<(String, u64)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceFile {
    source: Option<PriceSource>,
    #[serde(default)]
    price: Vec<Spanned<PriceRow>>,
    #[serde(default)]
    search: Vec<Spanned<SearchFeeRow>>,
}

/// The fee for searches of all models of a vendor whose rows state none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchFeeRow {
    provider: String,
    per_thousand: ExactDecimal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceRow {
    provider: String,
    model: String,
    #[serde(default)]
    aliases: Vec<String>,
    window: Option<u64>,
    #[serde(default)]
    retired: bool,
    valid_from: Option<Datetime>,
    valid_to: Option<Datetime>,
    #[serde(default)]
    free: bool,
    input: Option<ExactDecimal>,
    cache_read: Option<ExactDecimal>,
    cache_write_5m: Option<ExactDecimal>,
    cache_write_1h: Option<ExactDecimal>,
    audio_input: Option<ExactDecimal>,
    output: Option<ExactDecimal>,
    search: Option<ExactDecimal>,
    #[serde(default)]
    above: Vec<LongPromptRow>,
    #[serde(default)]
    tier: Vec<ServiceTierRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongPromptRow {
    prompt_tokens: u64,
    input: ExactDecimal,
    cache_read: Option<ExactDecimal>,
    cache_write_5m: Option<ExactDecimal>,
    cache_write_1h: Option<ExactDecimal>,
    audio_input: Option<ExactDecimal>,
    output: ExactDecimal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceTierRow {
    name: TierName,
    input: ExactDecimal,
    cache_read: Option<ExactDecimal>,
    cache_write_5m: Option<ExactDecimal>,
    cache_write_1h: Option<ExactDecimal>,
    audio_input: Option<ExactDecimal>,
    output: ExactDecimal,
    #[serde(default)]
    above: Vec<LongPromptRow>,
}

/// The tiers that a row may price beside the standard one.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum TierName {
    Flex,
    Priority,
    Batch,
}

impl From<TierName> for ServiceTier {
    fn from(name: TierName) -> Self {
        match name {
            TierName::Flex => Self::Flex,
            TierName::Priority => Self::Priority,
            TierName::Batch => Self::Batch,
        }
    }
}

/// A decimal exactly as typed, with or without quotes, never through a binary fraction.
#[derive(Clone, Copy)]
struct ExactDecimal(Decimal);

impl<'de> Deserialize<'de> for ExactDecimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExactVisitor)
    }
}

struct ExactVisitor;

impl Visitor<'_> for ExactVisitor {
    type Value = ExactDecimal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<ExactDecimal, E> {
        Ok(ExactDecimal(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<ExactDecimal, E> {
        // The shortest text that gives this double: the digits that were typed, up to 15 of them.
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ExactDecimal, E> {
        text.parse().map(ExactDecimal).map_err(|_| E::custom(format!("`{text}` is no decimal number")))
    }
}

/// The rows of a file; each name of a model has one price a day.
pub(super) fn parse(file: &str, text: &str, origin: PriceOrigin) -> Result<ParsedPrices, PriceTableError> {
    let error = |span: Range<usize>, what: String| {
        let line = text.bytes().take(span.start).filter(|&byte| byte == b'\n').count() + 1;
        PriceTableError { file: file.to_owned(), line, what }
    };
    let parsed: PriceFile = toml::from_str(text)
        .map_err(|e| error(e.span().unwrap_or_default(), e.message().trim().replace('\n', " ")))?;
    let mut known: HashMap<(String, String), Vec<Arc<ModelPrice>>> = HashMap::new();
    let mut rows = Vec::with_capacity(parsed.price.len());
    for row in parsed.price {
        let span = row.span();
        let row = row.into_inner();
        let price = Arc::new(row.price(origin).map_err(|what| error(span.clone(), what))?);
        let PriceRow { provider, model, aliases, window, retired, .. } = row;
        let row = PricedModel { provider, model, aliases, window, is_retired: retired, price };
        for name in row.names() {
            let same = known.entry((row.provider.clone(), name.to_owned())).or_default();
            if same.iter().any(|other| overlap(other, &row.price)) {
                let what = format!("`{name}` of {} has two prices on the same day", row.provider);
                return Err(error(span, what));
            }
            same.push(Arc::clone(&row.price));
        }
        rows.push(row);
    }
    let mut search_fees = Vec::with_capacity(parsed.search.len());
    for row in parsed.search {
        let span = row.span();
        let SearchFeeRow { provider, per_thousand } = row.into_inner();
        let fee = rate("per_thousand", per_thousand).map_err(|what| error(span, what))?;
        search_fees.push((provider, fee));
    }
    Ok(ParsedPrices { source: parsed.source, rows, search_fees })
}

fn overlap(a: &ModelPrice, b: &ModelPrice) -> bool {
    let begins_before_end = |a: &ModelPrice, b: &ModelPrice| match (a.from, b.until) {
        (Some(from), Some(until)) => from < until,
        _ => true,
    };
    begins_before_end(a, b) && begins_before_end(b, a)
}

impl PriceRow {
    fn price(&self, origin: PriceOrigin) -> Result<ModelPrice, String> {
        let from = self.valid_from.as_ref().map(|day| start_of(day, 0)).transpose()?;
        let until = self.valid_to.as_ref().map(|day| start_of(day, 1)).transpose()?;
        if let (Some(from), Some(until)) = (from, until)
            && from >= until
        {
            return Err("`valid_to` is before `valid_from`".to_owned());
        }
        let standard = if self.free { self.nothing()? } else { self.rates()? };
        let tiers = self.tier.iter().map(ServiceTierRow::rates).collect::<Result<Vec<_>, String>>()?;
        if tiers.iter().enumerate().any(|(at, (tier, _))| tiers[..at].iter().any(|(other, _)| other == tier))
        {
            return Err("a `tier` stands there twice".to_owned());
        }
        let search = self.search.map(|usd| rate("search", usd)).transpose()?;
        let tiers = tiers.into();
        Ok(ModelPrice { from, until, tiers, search, origin, ..ModelPrice::of(self.free, standard) })
    }

    fn nothing(&self) -> Result<RateSchedule, String> {
        let stated = [self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h];
        let others = [self.audio_input, self.output, self.search];
        let stated = stated.into_iter().chain(others).any(|rate| rate.is_some());
        if stated || !self.above.is_empty() || !self.tier.is_empty() {
            return Err("a model is either `free = true` or has rates, not both".to_owned());
        }
        Ok(RateSchedule::default())
    }

    fn rates(&self) -> Result<RateSchedule, String> {
        let (Some(input), Some(output)) = (self.input, self.output) else {
            return Err("`input` and `output` are needed, or `free = true`".to_owned());
        };
        let classes = [self.cache_read, self.cache_write_5m, self.cache_write_1h, self.audio_input];
        let base = rates(input, output, classes)?;
        if base.dearest_input() == 0 && base.output == 0 {
            return Err("a model that costs nothing says `free = true`".to_owned());
        }
        Ok(RateSchedule { base, above: above(&self.above)? })
    }
}

impl ServiceTierRow {
    fn rates(&self) -> Result<(ServiceTier, RateSchedule), String> {
        let classes = [self.cache_read, self.cache_write_5m, self.cache_write_1h, self.audio_input];
        let base = rates(self.input, self.output, classes)?;
        Ok((self.name.into(), RateSchedule { base, above: above(&self.above)? }))
    }
}

fn above(rows: &[LongPromptRow]) -> Result<Vec<(u64, TokenRates)>, String> {
    let of_row = |row: &LongPromptRow| {
        let classes = [row.cache_read, row.cache_write_5m, row.cache_write_1h, row.audio_input];
        Ok((row.prompt_tokens, rates(row.input, row.output, classes)?))
    };
    let found = rows.iter().map(of_row).collect::<Result<Vec<_>, String>>()?;
    let is_ascending = found.is_sorted_by(|a, b| a.0 < b.0);
    is_ascending
        .then_some(found)
        .ok_or_else(|| "the rows of `above` must ascend by `prompt_tokens`".to_owned())
}

fn rates(
    input: ExactDecimal,
    output: ExactDecimal,
    classes: [Option<ExactDecimal>; 4],
) -> Result<TokenRates, String> {
    let [cache_read, cache_write_5m, cache_write_1h, audio_input] = classes;
    let class = |name: &str, stated: Option<ExactDecimal>| rate(name, stated.unwrap_or(input));
    Ok(TokenRates {
        input: rate("input", input)?,
        cache_read: class("cache_read", cache_read)?,
        cache_write_5m: class("cache_write_5m", cache_write_5m)?,
        cache_write_1h: class("cache_write_1h", cache_write_1h)?,
        audio_input: class("audio_input", audio_input)?,
        output: rate("output", output)?,
    })
}

fn rate(name: &str, ExactDecimal(usd): ExactDecimal) -> Result<u64, String> {
    exact_rate(usd).ok_or_else(|| {
        format!(
            "`{name}` is {usd}: a rate lies between 0 and a million dollars and has at most 9 decimal places"
        )
    })
}

/// Dollars per million tokens as nano-dollars per million tokens, exactly.
pub(super) fn exact_rate(usd: Decimal) -> Option<u64> {
    let nanos = NanoUsd::from_usd(usd).ok().filter(|nanos| nanos.usd() == usd && nanos.0 <= MAX_RATE);
    nanos.map(|nanos| nanos.0)
}

/// Midnight UTC at the beginning of the day that is `days` after a date.
fn start_of(date: &Datetime, days: i64) -> Result<Timestamp, String> {
    let wrong = || format!("`{date}` is no day; write it as 2026-11-22");
    let Datetime { date: Some(day), time: None, offset: None } = date else { return Err(wrong()) };
    let number = |n: u8| i8::try_from(n).map_err(|_| wrong());
    let year = i16::try_from(day.year).map_err(|_| wrong())?;
    let day = civil::Date::new(year, number(day.month)?, number(day.day)?).map_err(|_| wrong())?;
    let day = day.checked_add(jiff::Span::new().days(days)).map_err(|_| wrong())?;
    let start = day.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong())?;
    Ok(Timestamp::from_millis(start.timestamp().as_millisecond()))
}
