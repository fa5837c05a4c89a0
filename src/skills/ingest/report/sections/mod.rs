//! The report's sections: each turns the sources into content and proposes standouts.

pub(super) mod compliance;
pub(super) mod domains;
pub(super) mod duplicates;
pub(super) mod files;
pub(super) mod graph;
pub(super) mod licences;
pub(super) mod limits;
pub(super) mod search;
pub(super) mod skipped;

use super::page::{ReportSection, RichText};
use super::sources::ReportSources;

/// A section, with candidates for the list "What stands out".
pub(super) struct ReportPart {
    pub(super) section: ReportSection,
    pub(super) standouts: Vec<StandoutLine>,
}

impl ReportPart {
    fn quiet(section: ReportSection) -> Self {
        Self { section, standouts: Vec::new() }
    }
}

/// A line that may be among the five of "What stands out".
pub(super) struct StandoutLine {
    /// Relevance to a reader: 90 and more for danger, 50 to 89 for surprises, 20 to 49 for orientation, below
    /// 20 for fillers.
    pub(super) weight: u32,
    pub(super) text: RichText,
}

impl StandoutLine {
    fn new(weight: u32, text: RichText) -> Self {
        Self { weight, text }
    }
}

/// All sections, in the order of the report.
pub(super) const ALL: [fn(&ReportSources) -> ReportPart; 9] = [
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
