//! Counting by name, with the order every list of the report uses.

use std::collections::BTreeMap;

use super::page::{ChartDatum, ChartShape, ReportChart, ReportTone, RichText};
use super::words;

/// Things counted by name.
#[derive(Debug, Clone, Default)]
pub(super) struct NameTally(BTreeMap<String, u64>);

impl NameTally {
    /// Counts each name once.
    pub(super) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut tally = Self::default();
        for name in names {
            tally.add(name, 1);
        }
        tally
    }

    pub(super) fn add(&mut self, name: &str, amount: u64) {
        *self.0.entry(name.to_owned()).or_default() += amount;
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The sum over all names.
    pub(super) fn sum(&self) -> u64 {
        self.0.values().sum()
    }

    /// Names and counts, largest first, then by name.
    pub(super) fn ranked(&self) -> Vec<(&str, u64)> {
        let mut ranked: Vec<(&str, u64)> =
            self.0.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        ranked
    }

    /// The names with the highest counts in words: `markdown (12), code (5) and text (1)`.
    pub(super) fn in_words(&self, at_most: usize, name: impl Fn(&str) -> String) -> String {
        let items: Vec<String> = self
            .ranked()
            .into_iter()
            .take(at_most)
            .map(|(key, count)| format!("{} ({})", name(key), words::number(count)))
            .collect();
        words::list(&items)
    }

    /// A chart of the highest counts; counts beyond `at_most` are summed up in the note.
    pub(super) fn bars(
        &self,
        caption: &'static str,
        head: [&'static str; 2],
        at_most: usize,
        tone: ReportTone,
    ) -> ReportChart {
        let ranked = self.ranked();
        let datum = |(name, value): &(&str, u64)| ChartDatum {
            label: RichText::from(*name),
            value: *value,
            shown: words::number(*value),
            tone,
        };
        ReportChart {
            shape: ChartShape::Bars,
            caption,
            head,
            data: ranked.iter().take(at_most).map(datum).collect(),
            note: words::rest(ranked.len(), at_most, "kind", "kinds"),
        }
    }
}
