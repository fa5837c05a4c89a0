//! The report's sections: each turns the sources into content and says what stands out in it.

pub(super) mod compliance;
pub(super) mod domains;
pub(super) mod duplicates;
pub(super) mod files;
pub(super) mod graph;
pub(super) mod licences;
pub(super) mod limits;
pub(super) mod search;
pub(super) mod skipped;

use super::page::{Rich, Section};
use super::sources::Sources;

/// A section and its candidates for "What stands out".
pub(super) struct Part {
    pub(super) section: Section,
    pub(super) standouts: Vec<Standout>,
}

impl Part {
    fn quiet(section: Section) -> Self {
        Self { section, standouts: Vec::new() }
    }
}

/// A line that may be among the five of "What stands out".
pub(super) struct Standout {
    /// How much a reader would want to know it: 90 and more for danger, 50 to 89 for surprises, 20 to 49
    /// for orientation, below 20 for what is said only where nothing else is to be said.
    pub(super) weight: u32,
    pub(super) text: Rich,
}

impl Standout {
    fn new(weight: u32, text: Rich) -> Self {
        Self { weight, text }
    }
}

/// All sections, in the order of the report.
pub(super) const ALL: [fn(&Sources) -> Part; 9] = [
    files::part,
    licences::part,
    domains::part,
    duplicates::part,
    graph::part,
    compliance::part,
    skipped::part,
    search::part,
    limits::part,
];
