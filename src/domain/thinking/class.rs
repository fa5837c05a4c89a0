//! The reach of a tool call's effects, which decides whether the call may be run again after a crash.

use serde::{Deserialize, Serialize};

/// The class of one call, by tool and arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallClass {
    /// It changes nothing: run again at will.
    Pure,
    /// All its effects lie in the working tree, which is rolled back before it is run again.
    Tree,
    /// It acts on the world outside: never repeated without a person's word.
    Outward,
}

impl CallClass {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pure => "pure",
            Self::Tree => "tree",
            Self::Outward => "outward",
        }
    }

    #[must_use]
    pub const fn is_outward(self) -> bool {
        matches!(self, Self::Outward)
    }
}
