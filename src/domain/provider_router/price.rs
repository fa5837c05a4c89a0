//! Prices of one token: exact decimals of US dollars, read from the digits of a JSON number.
//!
//! Invariant: a price registered as `0.0000025` or `2.5e-6` is stored as that decimal, without a binary float
//! in between, and written back with the same digits.

use std::fmt;

use rust_decimal::Decimal;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Input tokens that a cost estimate assumes (the contract).
pub const ESTIMATED_INPUT: u32 = 1000;
/// Output tokens that a cost estimate assumes (the contract).
pub const ESTIMATED_OUTPUT: u32 = 500;
/// Highest price of one token in dollars: far above any, and low enough that no sum can overflow.
pub const MAX_USD: u32 = 1_000_000;
/// Most decimal places of a decimal.
const MAX_PLACES: u32 = 28;
/// Longest number that is read: a double's shortest form takes 24 characters.
const MAX_TEXT: usize = 100;

/// A non-negative price of one token in US dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TokenPrice(Decimal);

/// Why a number is no valid price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenPriceError {
    /// Not a number.
    #[error("must be an amount in US dollars")]
    NotANumber,
    #[error("must be at least 0")]
    Negative,
    /// Above [`MAX_USD`].
    #[error("must be at most {MAX_USD} US dollars")]
    TooHigh,
    /// Above zero, but by less than a decimal can express.
    #[error("must be 0 or at least 1e-28 US dollars")]
    TooSmall,
}

impl TokenPrice {
    pub const FREE: Self = Self(Decimal::ZERO);

    /// Reads a JSON number. Digits beyond the 28th decimal place are rounded.
    ///
    /// # Errors
    /// [`TokenPriceError`].
    pub fn parse(text: &str) -> Result<Self, TokenPriceError> {
        let text = text.trim();
        let starts_well = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if !starts_well || text.len() > MAX_TEXT {
            return Err(TokenPriceError::NotANumber);
        }
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse().map_err(|_| TokenPriceError::NotANumber)?),
            None => (text, 0_i32),
        };
        let digits: Decimal = digits.parse().map_err(|_| TokenPriceError::NotANumber)?;
        if digits.is_zero() {
            return Ok(Self::FREE);
        }
        if digits.is_sign_negative() {
            return Err(TokenPriceError::Negative);
        }
        Self::new(shifted(digits, exponent)?)
    }

    /// From US dollars a token.
    ///
    /// # Errors
    /// [`TokenPriceError`].
    pub fn new(usd: Decimal) -> Result<Self, TokenPriceError> {
        if usd.is_sign_negative() && !usd.is_zero() {
            Err(TokenPriceError::Negative)
        } else if usd > Decimal::from(MAX_USD) {
            Err(TokenPriceError::TooHigh)
        } else {
            Ok(Self(usd.normalize()))
        }
    }

    #[must_use]
    pub const fn usd(self) -> Decimal {
        self.0
    }

    /// The exact price of `tokens` tokens in US dollars.
    #[must_use]
    pub fn of(self, tokens: u32) -> Decimal {
        // At most 10⁶ dollars times 2³² tokens, which fits a decimal; digits that do not fit are rounded.
        self.0.saturating_mul(Decimal::from(tokens))
    }
}

/// `digits` times ten to the `exponent`.
fn shifted(digits: Decimal, exponent: i32) -> Result<Decimal, TokenPriceError> {
    let places = exponent.unsigned_abs();
    let power = (places <= MAX_PLACES).then(|| Decimal::from_i128_with_scale(10_i128.pow(places), 0));
    let grows = exponent >= 0;
    match power {
        Some(power) if grows => digits.checked_mul(power).ok_or(TokenPriceError::TooHigh),
        Some(power) => {
            digits.checked_div(power).filter(|price| !price.is_zero()).ok_or(TokenPriceError::TooSmall)
        }
        None => Err(if grows { TokenPriceError::TooHigh } else { TokenPriceError::TooSmall }),
    }
}

/// The cost estimate for comparing offers: 1000 input and 500 output tokens, in US dollars.
#[must_use]
pub fn estimate(input: TokenPrice, output: TokenPrice) -> Decimal {
    input.of(ESTIMATED_INPUT) + output.of(ESTIMATED_OUTPUT)
}

/// A decimal as a JSON number with exactly the same digits.
///
/// # Errors
/// The serializer's.
pub fn as_number<S: Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::Error as _;
    let text = value.normalize().to_string();
    RawValue::from_string(text).map_err(S::Error::custom)?.serialize(serializer)
}

impl fmt::Display for TokenPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A JSON number on the wire, text in the store.
impl Serialize for TokenPrice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            as_number(&self.0, serializer)
        } else {
            serializer.collect_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for TokenPrice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parsed = if deserializer.is_human_readable() {
            Self::parse(Box::<RawValue>::deserialize(deserializer)?.get())
        } else {
            Self::parse(&String::deserialize(deserializer)?)
        };
        parsed.map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(json: &str) -> Result<String, String> {
        let price: Result<TokenPrice, _> = serde_json::from_str(json);
        price.map(|price| price.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_are_read_digit_by_digit() {
        for (json, exact) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("0.00000125", "0.00000125"),
            ("1.25e-06", "0.00000125"),
            ("125E-8", "0.00000125"),
            ("0.1", "0.1"),
            ("3.3333333333333335e-08", "0.000000033333333333333335"),
            ("1e6", "1000000"),
            ("0e999", "0"),
            ("1e-28", "0.0000000000000000000000000001"),
        ] {
            assert_eq!(read(json).as_deref(), Ok(exact), "{json}");
        }
    }

    #[test]
    fn what_is_no_price_is_told() {
        for (json, told) in [
            ("-1e-9", "at least 0"),
            ("1000000.01", "at most"),
            ("1e29", "at most"),
            ("1e2147483647", "at most"),
            ("1e-29", "1e-28"),
            ("1e-2147483648", "1e-28"),
            ("1e99999999999", "an amount"),
            ("\"0.1\"", "an amount"),
            ("null", "an amount"),
            ("[1]", "an amount"),
        ] {
            assert!(read(json).unwrap_err().contains(told), "{json}: {:?}", read(json));
        }
    }

    proptest! {
        #[test]
        fn a_price_keeps_its_value_on_the_wire(digits in 0_u64..1_000_000_000_000, scale in 6_u32..28) {
            let usd = Decimal::from_i128_with_scale(i128::from(digits), scale);
            let price = TokenPrice::new(usd).unwrap();
            let wire: TokenPrice = serde_json::from_str(&serde_json::to_string(&price).unwrap()).unwrap();
            prop_assert_eq!(wire, price);
        }

        #[test]
        fn an_estimate_is_exact(input in 0_u64..1_000_000_000, output in 0_u64..1_000_000_000) {
            let price = |pico: u64| TokenPrice::new(Decimal::from_i128_with_scale(i128::from(pico), 12)).unwrap();
            let pico = u128::from(input) * 1000 + u128::from(output) * 500;
            let exact = Decimal::from_i128_with_scale(i128::try_from(pico).unwrap(), 12);
            prop_assert_eq!(estimate(price(input), price(output)), exact);
        }
    }
}
