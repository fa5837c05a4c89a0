//! Money: whole nano-dollars internally, decimal US dollars at the edge.
//!
//! Invariant: no amount is ever a binary float. One nano-dollar is 10⁻⁹ USD, so the largest amount is some 18
//! billion dollars.

use std::fmt;
use std::iter::Sum;

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

/// Decimal places of a nano-dollar.
const NANO_PLACES: u32 = 9;
/// Decimal places of amounts on the wire: micro-dollars, as clients of the contract know them.
pub const WIRE_PLACES: u32 = 6;

/// A non-negative amount of money in nano-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoUsd(pub u64);

/// Why a decimal is no valid amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not an amount in dollars: use 0 to 18 billion")]
pub struct NotAnAmount(pub Decimal);

impl NanoUsd {
    pub const ZERO: Self = Self(0);
    /// The greatest amount; as a cap: no limit.
    pub const MAX: Self = Self(u64::MAX);

    /// From dollars, rounded half up to the nano-dollar.
    ///
    /// # Errors
    /// [`NotAnAmount`] when negative or too large.
    pub fn from_usd(usd: Decimal) -> Result<Self, NotAnAmount> {
        let nanos = usd.checked_mul(Decimal::from(1_000_000_000_u64));
        let nanos = nanos.map(|n| n.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero));
        nanos.and_then(|nanos| nanos.to_u64()).map(Self).ok_or(NotAnAmount(usd))
    }

    #[must_use]
    pub fn usd(self) -> Decimal {
        Decimal::from_i128_with_scale(i128::from(self.0), NANO_PLACES)
    }

    /// Dollars on the wire: a JSON number with at most six decimal places, rounded half up.
    #[must_use]
    pub fn wire(self) -> serde_json::Number {
        let text = self
            .usd()
            .round_dp_with_strategy(WIRE_PLACES, RoundingStrategy::MidpointAwayFromZero)
            .normalize()
            .to_string();
        // The decimal's digits are the nearest double's shortest form, so JSON prints the exact amount.
        serde_json::from_str(&text).unwrap_or_else(|_| 0.into())
    }

    /// For people: `$0.000005`, to the micro-dollar like [`Self::wire`], never with an exponent.
    #[must_use]
    pub fn shown(self) -> String {
        let usd = self.usd().round_dp_with_strategy(WIRE_PLACES, RoundingStrategy::MidpointAwayFromZero);
        format!("${}", usd.normalize())
    }

    /// Saturating sum.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Saturating difference.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for NanoUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} USD", self.usd().normalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_become_nano_dollars_and_back() {
        let amount = NanoUsd::from_usd("0.054399".parse().unwrap()).unwrap();
        assert_eq!(amount, NanoUsd(54_399_000));
        assert_eq!(amount.usd(), "0.054399".parse().unwrap());
        assert_eq!(amount.to_string(), "0.054399 USD");
    }

    #[test]
    fn the_wire_shows_micro_dollars_as_a_number() {
        assert_eq!(NanoUsd(54_399_499).wire().to_string(), "0.054399");
        assert_eq!(NanoUsd(54_399_500).wire().to_string(), "0.0544");
        assert_eq!(NanoUsd::ZERO.wire().to_string(), "0");
    }

    #[test]
    fn a_negative_or_huge_sum_is_no_amount() {
        assert!(NanoUsd::from_usd((-1).into()).is_err());
        assert!(NanoUsd::from_usd(Decimal::MAX).is_err());
    }
}
