//! An agent's limits on context, machine and time.
//!
//! Invariants: both ratios of a [`TokenBudget`] are in 0..=1, with target ≤ hard maximum; intervals and
//! resources are never zero.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The allowed use of an agent's context, as fractions of the model's context window.
///
/// From `target_ratio` the context is watched closely; from `hard_max_ratio` the agent's state is saved, the
/// context cleared and the work resumed. Both are 0 for an agent that calls no model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawBudget")]
pub struct TokenBudget {
    target_ratio: f64,
    hard_max_ratio: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBudget {
    target_ratio: f64,
    hard_max_ratio: f64,
}

/// Why two ratios are no valid token budget.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidBudget {
    /// A ratio outside 0..=1, or not a number.
    #[error("token_budget: {field} is {value}; a ratio lies between 0 and 1")]
    OutOfRange {
        /// Which of the two.
        field: &'static str,
        value: f64,
    },
    /// The target above the hard maximum.
    #[error("token_budget: target_ratio {target} is above hard_max_ratio {hard_max}")]
    TargetAboveMaximum { target: f64, hard_max: f64 },
}

impl TokenBudget {
    /// The contract's default: watch from half a window on, clear from three quarters on.
    pub const DEFAULT: Self = Self { target_ratio: 0.5, hard_max_ratio: 0.75 };

    /// A budget of two ratios.
    ///
    /// # Errors
    /// [`InvalidBudget`] when one is outside 0..=1, or the target above the hard maximum.
    pub fn new(target_ratio: f64, hard_max_ratio: f64) -> Result<Self, InvalidBudget> {
        for (field, value) in [("target_ratio", target_ratio), ("hard_max_ratio", hard_max_ratio)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(InvalidBudget::OutOfRange { field, value });
            }
        }
        if target_ratio > hard_max_ratio {
            return Err(InvalidBudget::TargetAboveMaximum { target: target_ratio, hard_max: hard_max_ratio });
        }
        Ok(Self { target_ratio, hard_max_ratio })
    }

    /// The part of the window to stay under.
    #[must_use]
    pub fn target_ratio(self) -> f64 {
        self.target_ratio
    }

    /// The part of the window that must not be reached.
    #[must_use]
    pub fn hard_max_ratio(self) -> f64 {
        self.hard_max_ratio
    }
}

impl TryFrom<RawBudget> for TokenBudget {
    type Error = InvalidBudget;
    fn try_from(raw: RawBudget) -> Result<Self, InvalidBudget> {
        Self::new(raw.target_ratio, raw.hard_max_ratio)
    }
}

/// An agent's heartbeat interval: whole seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HeartbeatInterval(NonZeroU32);

impl HeartbeatInterval {
    /// An interval of `seconds`; `None` for 0.
    #[must_use]
    pub const fn from_seconds(seconds: u32) -> Option<Self> {
        match NonZeroU32::new(seconds) {
            Some(seconds) => Some(Self(seconds)),
            None => None,
        }
    }

    /// In seconds.
    #[must_use]
    pub fn seconds(self) -> u32 {
        self.0.get()
    }

    #[must_use]
    pub fn as_duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0.get()))
    }
}

/// Processor cores, at least one.
pub type CpuCores = NonZeroU32;

/// Memory in megabytes, at least one.
pub type MemoryMb = NonZeroU32;

/// The machine resources of an agent at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentResources {
    pub cpu_cores: CpuCores,
    /// Memory in megabytes.
    pub memory_mb: MemoryMb,
    #[serde(default)]
    pub gpus: u32,
    /// Memory of the accelerators, in megabytes.
    #[serde(default)]
    pub gpu_memory_mb: u32,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_budget_is_taken_exactly_when_it_is_sound(target in any::<f64>(), hard in any::<f64>()) {
            let sound = (0.0..=1.0).contains(&target) && (0.0..=1.0).contains(&hard) && target <= hard;
            prop_assert_eq!(TokenBudget::new(target, hard).is_ok(), sound);
        }

        #[test]
        fn ordered_ratios_are_always_taken(a in 0.0..=1.0f64, b in 0.0..=1.0f64) {
            let budget = TokenBudget::new(a.min(b), a.max(b)).unwrap();
            prop_assert_eq!((budget.target_ratio(), budget.hard_max_ratio()), (a.min(b), a.max(b)));
        }
    }

    #[test]
    fn not_a_number_is_no_ratio() {
        assert!(TokenBudget::new(f64::NAN, 0.5).is_err());
        assert!(TokenBudget::new(0.1, f64::NAN).is_err());
        assert!(TokenBudget::new(0.0, f64::INFINITY).is_err());
    }

    #[test]
    fn an_interval_is_never_zero() {
        assert_eq!(HeartbeatInterval::from_seconds(0), None);
        assert_eq!(HeartbeatInterval::from_seconds(30).unwrap().as_duration(), Duration::from_secs(30));
    }
}
