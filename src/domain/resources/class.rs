//! Classes of agents of which only so many work at once, whatever the machine could bear.
//!
//! Training fills a machine beyond what amounts express (bandwidth, thermal limits, accelerators that
//! are not shared), so the contract counts heads: one trainer, two embedders.

use std::num::NonZeroU32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    Trainer,
    Embedder,
}

impl Class {
    /// The class of an agent, by what it offers or, for agents that only outside callers know, by its name:
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

/// How many reservations of each class may be held at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassLimits {
    pub trainers: NonZeroU32,
    pub embedders: NonZeroU32,
}

impl ClassLimits {
    /// The limit of one class.
    #[must_use]
    pub const fn of(&self, class: Class) -> u32 {
        match class {
            Class::Trainer => self.trainers.get(),
            Class::Embedder => self.embedders.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_known_by_capability_or_name() {
        assert_eq!(Class::of("anything", ["evaluation", "model_training"]), Some(Class::Trainer));
        assert_eq!(Class::of("Q-Tower-Trainer", []), Some(Class::Trainer));
        assert_eq!(Class::of("my_embedder", []), Some(Class::Embedder));
        assert_eq!(Class::of("embed-indexer", []), Some(Class::Embedder));
        assert_eq!(Class::of("constrainer", []), None, "only whole words count");
        assert_eq!(Class::of("corpus-auditor", ["source_checking"]), None);
    }
}
