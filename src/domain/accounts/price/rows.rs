//! Parses a price table; every error has its line.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use jiff::civil;
use rust_decimal::Decimal;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use toml::value::Datetime;

use super::{ModelPrice, TokenRates};
use crate::domain::money::NanoUsd;
use crate::domain::time::Timestamp;

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceFile {
    #[serde(default)]
    price: Vec<Spanned<PriceRow>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceRow {
    provider: String,
    model: String,
    #[serde(default)]
    aliases: Vec<String>,
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
    #[serde(default)]
    above: Vec<PriceTier>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceTier {
    prompt_tokens: u64,
    input: ExactDecimal,
    cache_read: Option<ExactDecimal>,
    cache_write_5m: Option<ExactDecimal>,
    cache_write_1h: Option<ExactDecimal>,
    audio_input: Option<ExactDecimal>,
    output: ExactDecimal,
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

/// The rows of a file: provider, model (each alias by itself), price.
pub(super) fn parse(
    file: &str,
    text: &str,
) -> Result<Vec<(String, String, Arc<ModelPrice>)>, PriceTableError> {
    let error = |span: Range<usize>, what: String| {
        let line = text.bytes().take(span.start).filter(|&byte| byte == b'\n').count() + 1;
        PriceTableError { file: file.to_owned(), line, what }
    };
    let parsed: PriceFile = toml::from_str(text)
        .map_err(|e| error(e.span().unwrap_or_default(), e.message().trim().replace('\n', " ")))?;
    let mut found: Vec<(String, String, Arc<ModelPrice>)> = Vec::new();
    for row in parsed.price {
        let span = row.span();
        let row = row.into_inner();
        let price = Arc::new(row.price().map_err(|what| error(span.clone(), what))?);
        for model in row.aliases.into_iter().chain([row.model]) {
            let twin = |(provider, name, other): &(String, String, Arc<ModelPrice>)| {
                *provider == row.provider && *name == model && overlap(other, &price)
            };
            if found.iter().any(twin) {
                let what = format!("`{}` of {} has two prices on the same day", model, row.provider);
                return Err(error(span, what));
            }
            found.push((row.provider.clone(), model, Arc::clone(&price)));
        }
    }
    Ok(found)
}

fn overlap(a: &ModelPrice, b: &ModelPrice) -> bool {
    let begins_before_end = |a: &ModelPrice, b: &ModelPrice| match (a.from, b.until) {
        (Some(from), Some(until)) => from < until,
        _ => true,
    };
    begins_before_end(a, b) && begins_before_end(b, a)
}

impl PriceRow {
    fn price(&self) -> Result<ModelPrice, String> {
        let from = self.valid_from.as_ref().map(|day| start_of(day, 0)).transpose()?;
        let until = self.valid_to.as_ref().map(|day| start_of(day, 1)).transpose()?;
        if let (Some(from), Some(until)) = (from, until)
            && from >= until
        {
            return Err("`valid_to` is before `valid_from`".to_owned());
        }
        let (base, tiers) = if self.free { self.nothing()? } else { self.rates()? };
        Ok(ModelPrice { from, until, free: self.free, base, tiers })
    }

    fn nothing(&self) -> Result<(TokenRates, Vec<(u64, TokenRates)>), String> {
        let stated = [self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h];
        let stated = stated.into_iter().chain([self.audio_input, self.output]).any(|r| r.is_some());
        if stated || !self.above.is_empty() {
            return Err("a model is either `free = true` or has rates, not both".to_owned());
        }
        Ok((TokenRates::default(), Vec::new()))
    }

    fn rates(&self) -> Result<(TokenRates, Vec<(u64, TokenRates)>), String> {
        let (Some(input), Some(output)) = (self.input, self.output) else {
            return Err("`input` and `output` are needed, or `free = true`".to_owned());
        };
        let classes = [self.cache_read, self.cache_write_5m, self.cache_write_1h, self.audio_input];
        let base = rates(input, output, classes)?;
        if base.dearest_input() == 0 && base.output == 0 {
            return Err("a model that costs nothing says `free = true`".to_owned());
        }
        let tier = |tier: &PriceTier| {
            let classes = [tier.cache_read, tier.cache_write_5m, tier.cache_write_1h, tier.audio_input];
            Ok((tier.prompt_tokens, rates(tier.input, tier.output, classes)?))
        };
        let tiers = self.above.iter().map(tier).collect::<Result<Vec<_>, String>>()?;
        if !tiers.is_sorted_by(|a, b| a.0 < b.0) {
            return Err("the tiers of `above` must ascend by `prompt_tokens`".to_owned());
        }
        Ok((base, tiers))
    }
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
