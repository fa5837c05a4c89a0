//! By which figures offers of models are ranked.

use serde::{Deserialize, Serialize};

/// By what offers are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimization {
    #[default]
    Cost,
    Latency,
    Balanced,
}

impl Optimization {
    /// The word of the contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Latency => "latency",
            Self::Balanced => "balanced",
        }
    }
}
