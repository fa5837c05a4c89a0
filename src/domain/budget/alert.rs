//! Alerts: how full a budget is, told once a level and in order.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::scope::Scope;
use crate::domain::money::NanoUsd;
use crate::domain::time::Timestamp;

/// How full a budget is. Source of the levels: the gateway's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertLevel {
    /// Below 75 % of the cap is spent.
    #[default]
    Ok,
    /// 75 % is spent.
    Caution,
    /// 90 % is spent.
    Warning,
    /// All of it is spent.
    Critical,
}

impl AlertLevel {
    /// The levels that raise an alert, the lowest first.
    pub const RAISED: [Self; 3] = [Self::Caution, Self::Warning, Self::Critical];

    /// The share of the cap, in per cent, from which the level is reached.
    #[must_use]
    pub const fn percent(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Caution => 75,
            Self::Warning => 90,
            Self::Critical => 100,
        }
    }

    /// The level of `spent` out of `cap`. A cap of nothing is used up from the start.
    #[must_use]
    pub fn of(spent: NanoUsd, cap: NanoUsd) -> Self {
        let reached =
            |level: &Self| u128::from(spent.0) * 100 >= u128::from(cap.0) * u128::from(level.percent());
        Self::RAISED.into_iter().rev().find(reached).unwrap_or_default()
    }

    /// As the wire writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Caution => "caution",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for AlertLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A budget has reached a level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub scope: Scope,
    /// Which setting of its cap, and for the day's budget which day: alerts are raised once for each.
    pub generation: u64,
    pub level: AlertLevel,
    pub cap: NanoUsd,
    /// What was spent when it was reached.
    pub spent: NanoUsd,
    pub at: Timestamp,
}

impl Alert {
    /// The same for the same alert, also when it is raised again after a crash: whoever shows alerts
    /// drops what it has seen.
    #[must_use]
    pub fn id(&self) -> String {
        format!("budget-{}-{}-{}", self.scope, self.generation, self.level.percent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_begin_exactly_at_their_share() {
        let level = |spent, cap| AlertLevel::of(NanoUsd(spent), NanoUsd(cap));
        assert_eq!(level(749, 1000), AlertLevel::Ok);
        assert_eq!(level(750, 1000), AlertLevel::Caution);
        assert_eq!(level(899, 1000), AlertLevel::Caution);
        assert_eq!(level(900, 1000), AlertLevel::Warning);
        assert_eq!(level(999, 1000), AlertLevel::Warning);
        assert_eq!(level(1000, 1000), AlertLevel::Critical);
        assert_eq!(level(u64::MAX, u64::MAX), AlertLevel::Critical);
        assert_eq!(level(0, 0), AlertLevel::Critical);
    }
}
