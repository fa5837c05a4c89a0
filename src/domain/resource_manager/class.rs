//! Classes of agents with a limited number at work, independent of free resources.
//!
//! Training loads a machine in ways that amounts do not express (bandwidth, thermal limits, accelerators that
//! are not shared), so the contract counts heads: one trainer, two embedders.

use std::num::NonZeroU32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResourceClass {
    Trainer,
    Embedder,
}

impl ResourceClass {
    /// The class of an agent, by capability or, for agents unknown to the roster, by name:
    /// `qtower-trainer`, `embed-indexer`, `my_embedder`.
    #[must_use]
    pub fn of<'c>(agent: &str, capabilities: impl IntoIterator<Item = &'c str>) -> Option<Self> {
        let by_capability = capabilities.into_iter().find_map(|capability| match capability {
            "model_training" => Some(Self::Trainer),
            "embedding_generation" => Some(Self::Embedder),
            _ => None,
        });
        let name = agent.to_ascii_lowercase();
        let by_name = || {
            name.split(|c: char| !c.is_ascii_alphanumeric()).find_map(|word| match word {
                "trainer" => Some(Self::Trainer),
                "embed" | "embedder" => Some(Self::Embedder),
                _ => None,
            })
        };
        by_capability.or_else(by_name)
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trainer => "trainer",
            Self::Embedder => "embedder",
        }
    }

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Trainer => 0,
            Self::Embedder => 1,
        }
    }
}

/// The limits on concurrent reservations by class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassLimits {
    pub trainers: NonZeroU32,
    pub embedders: NonZeroU32,
}

impl ClassLimits {
    /// The limit of one class.
    #[must_use]
    pub const fn of(&self, class: ResourceClass) -> u32 {
        match class {
            ResourceClass::Trainer => self.trainers.get(),
            ResourceClass::Embedder => self.embedders.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_known_by_capability_or_name() {
        assert_eq!(
            ResourceClass::of("anything", ["evaluation", "model_training"]),
            Some(ResourceClass::Trainer)
        );
        assert_eq!(ResourceClass::of("Q-Tower-Trainer", []), Some(ResourceClass::Trainer));
        assert_eq!(ResourceClass::of("my_embedder", []), Some(ResourceClass::Embedder));
        assert_eq!(ResourceClass::of("embed-indexer", []), Some(ResourceClass::Embedder));
        assert_eq!(ResourceClass::of("constrainer", []), None, "only whole words count");
        assert_eq!(ResourceClass::of("corpus-auditor", ["source_checking"]), None);
    }
}
