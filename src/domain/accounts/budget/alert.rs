//! Budget alerts: one per level, in ascending order.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::scope::BudgetScope;
use crate::money::NanoUsd;
use crate::time::Timestamp;

/// A budget's alert level. Source: the gateway's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BudgetAlertLevel {
    /// Below 75 % of the cap is spent.
    #[default]
    Ok,
    /// 75 % is spent.
    Caution,
    /// 90 % is spent.
    Warning,
    /// The whole cap is spent.
    Critical,
}

impl BudgetAlertLevel {
    /// The levels that raise an alert, lowest first.
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

    /// The level of `spent` out of `cap`. A cap of 0 is used up from the start.
    #[must_use]
    pub fn of(spent: NanoUsd, cap: NanoUsd) -> Self {
        let reached =
            |level: &Self| u128::from(spent.0) * 100 >= u128::from(cap.0) * u128::from(level.percent());
        Self::RAISED.into_iter().rev().find(reached).unwrap_or_default()
    }

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

impl fmt::Display for BudgetAlertLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A budget has reached a level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetAlert {
    pub scope: BudgetScope,
    /// Number of the cap's setting, combined with the day for the day's budget; each value raises its alerts
    /// once.
    pub generation: u64,
    pub level: BudgetAlertLevel,
    pub cap: NanoUsd,
    /// The sum spent at that moment.
    pub spent: NanoUsd,
    pub at: Timestamp,
}

impl BudgetAlert {
    /// Stable for the same alert, even when raised again after a crash, so that readers can drop duplicates.
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
        let level = |spent, cap| BudgetAlertLevel::of(NanoUsd(spent), NanoUsd(cap));
        assert_eq!(level(749, 1000), BudgetAlertLevel::Ok);
        assert_eq!(level(750, 1000), BudgetAlertLevel::Caution);
        assert_eq!(level(899, 1000), BudgetAlertLevel::Caution);
        assert_eq!(level(900, 1000), BudgetAlertLevel::Warning);
        assert_eq!(level(999, 1000), BudgetAlertLevel::Warning);
        assert_eq!(level(1000, 1000), BudgetAlertLevel::Critical);
        assert_eq!(level(u64::MAX, u64::MAX), BudgetAlertLevel::Critical);
        assert_eq!(level(0, 0), BudgetAlertLevel::Critical);
    }
}
