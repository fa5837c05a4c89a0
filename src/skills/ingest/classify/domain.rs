//! The 21 domains that the classifier knows, with their names on the wire.
//!
//! Invariant: the order of [`KnowledgeDomain::ALL`] is the order of the contract, and breaks ties.

use std::fmt;
use std::str::FromStr;

macro_rules! domains {
    ($($variant:ident $name:literal $lexicon:literal,)*) => {
        /// The subject of a text or a question.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum KnowledgeDomain {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl KnowledgeDomain {
            /// All domains, in the order of the contract.
            pub const ALL: [Self; 21] = [$(Self::$variant,)*];

            /// The name on the wire.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The embedded lexicon; `super::lexicon` documents the form.
            pub(super) fn lexicon(self) -> &'static str {
                match self { $(Self::$variant => include_str!(concat!("lexicon/", $lexicon, ".txt")),)* }
            }
        }
    };
}

domains! {
    FactoidWiki "FACTOIDWIKI" "factoidwiki",
    ArtificialIntelligence "ARTIFICIAL_INTELLIGENCE" "artificial_intelligence",
    Medicine "MEDICINE" "medicine",
    Biology "BIOLOGY" "biology",
    Physics "PHYSICS" "physics",
    Chemistry "CHEMISTRY" "chemistry",
    Mathematics "MATHEMATICS" "mathematics",
    ComputerScience "COMPUTER_SCIENCE" "computer_science",
    Engineering "ENGINEERING" "engineering",
    History "HISTORY" "history",
    Literature "LITERATURE" "literature",
    Philosophy "PHILOSOPHY" "philosophy",
    Law "LAW" "law",
    Economics "ECONOMICS" "economics",
    Business "BUSINESS" "business",
    Psychology "PSYCHOLOGY" "psychology",
    Sociology "SOCIOLOGY" "sociology",
    Geography "GEOGRAPHY" "geography",
    Sports "SPORTS" "sports",
    Entertainment "ENTERTAINMENT" "entertainment",
    Other "OTHER" "other",
}

impl KnowledgeDomain {
    /// Whether the domain is recognised by a text's manner (asking, chatting) rather than by the subject.
    pub(super) fn by_manner(self) -> bool {
        matches!(self, Self::FactoidWiki | Self::Other)
    }
}

impl fmt::Display for KnowledgeDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is none of the 21.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a domain; the 21 names are in upper case, such as COMPUTER_SCIENCE")]
pub struct UnknownDomain(pub String);

impl FromStr for KnowledgeDomain {
    type Err = UnknownDomain;

    fn from_str(name: &str) -> Result<Self, UnknownDomain> {
        Self::ALL
            .into_iter()
            .find(|domain| domain.name() == name)
            .ok_or_else(|| UnknownDomain(name.chars().take(60).collect()))
    }
}
