//! The report as content, the source of both renderings (Markdown and HTML).
//!
//! Invariant: all text from files (paths, labels, hosts) is plain text here, escaped by each rendering.
//! Characters that could mislead a reader are made visible on entry.

use pas_domain::shown_text::turns_direction;

#[derive(Debug, Clone, Default)]
pub(super) struct ReportPage {
    pub(super) title: RichText,
    pub(super) lead: Vec<RichText>,
    pub(super) figures: Vec<ReportFigure>,
    /// The standouts, most striking first.
    pub(super) standouts: Vec<RichText>,
    pub(super) sections: Vec<ReportSection>,
}

/// One big number below the headline.
#[derive(Debug, Clone)]
pub(super) struct ReportFigure {
    pub(super) value: String,
    pub(super) label: &'static str,
}

/// A part of the report with a heading.
#[derive(Debug, Clone)]
pub(super) struct ReportSection {
    /// Anchor: lower-case letters and hyphens.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) blocks: Vec<ReportBlock>,
}

impl ReportSection {
    /// An empty section, with the reason.
    pub(super) fn absent(id: &'static str, title: &'static str, reason: &str) -> Self {
        Self { id, title, blocks: vec![ReportBlock::Para(RichText::new().text(reason))] }
    }
}

/// The content of a section.
#[derive(Debug, Clone)]
pub(super) enum ReportBlock {
    Para(RichText),
    /// A command to type.
    Command(String),
    Chart(ReportChart),
    Table(ReportTable),
    Network(ReportNetwork),
}

/// Values with their names, and how to draw them.
#[derive(Debug, Clone)]
pub(super) struct ReportChart {
    pub(super) shape: ChartShape,
    pub(super) caption: &'static str,
    /// Headings of the columns: the things counted, and the unit.
    pub(super) head: [&'static str; 2],
    pub(super) data: Vec<ChartDatum>,
    /// A remark on omitted entries; empty without any.
    pub(super) note: String,
}

/// How a chart is drawn where pictures can be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChartShape {
    /// A row with a bar for each value.
    Bars,
    /// Columns side by side, for a distribution.
    Columns,
    /// One bar divided among all.
    Share,
    /// Rectangles of the values' areas.
    Treemap,
}

#[derive(Debug, Clone)]
pub(super) struct ChartDatum {
    pub(super) label: RichText,
    pub(super) value: u64,
    /// The value as people read it.
    pub(super) shown: String,
    pub(super) tone: ReportTone,
}

/// Colours by meaning; the style sheet gives each one for light and one for dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReportTone {
    Accent,
    Muted,
    Good,
    Mild,
    Warn,
    Bad,
    /// One of [`CATEGORIES`] colours without further meaning.
    Category(usize),
}

/// Number of distinguishable colours.
pub(super) const CATEGORIES: usize = 8;

impl ReportTone {
    /// The class of the style sheet.
    pub(super) fn class(self) -> String {
        match self {
            Self::Accent => "accent".to_owned(),
            Self::Muted => "muted".to_owned(),
            Self::Good => "good".to_owned(),
            Self::Mild => "mild".to_owned(),
            Self::Warn => "warn".to_owned(),
            Self::Bad => "bad".to_owned(),
            Self::Category(index) => format!("cat{index}"),
        }
    }
}

/// A table with a heading row.
#[derive(Debug, Clone, Default)]
pub(super) struct ReportTable {
    pub(super) caption: &'static str,
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<RichText>>,
    /// A remark on omitted entries; empty without any.
    pub(super) note: String,
}

/// The picture of the graph, laid out in the unit square.
#[derive(Debug, Clone, Default)]
pub(super) struct ReportNetwork {
    pub(super) caption: String,
    pub(super) nodes: Vec<NetworkNode>,
    pub(super) edges: Vec<NetworkEdge>,
    /// Names of the communities that have a colour of their own.
    pub(super) legend: Vec<(ReportTone, RichText)>,
}

/// A dot of the picture.
#[derive(Debug, Clone)]
pub(super) struct NetworkNode {
    pub(super) x: f64,
    pub(super) y: f64,
    /// 0 to 1, for the size of the dot.
    pub(super) weight: f64,
    pub(super) tone: ReportTone,
    pub(super) name: RichText,
    /// The dot's number in the table of most referenced documents.
    pub(super) number: Option<usize>,
}

/// A line of the picture, between positions in [`ReportNetwork::nodes`].
#[derive(Debug, Clone, Copy)]
pub(super) struct NetworkEdge {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Likeness rather than reference.
    pub(super) faint: bool,
}

/// Running text with literal parts (paths, commands).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RichText(pub(super) Vec<TextSpan>);

/// A piece of running text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TextSpan {
    Text(String),
    Code(String),
}

impl RichText {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn text(mut self, text: impl AsRef<str>) -> Self {
        self.0.push(TextSpan::Text(visible(text.as_ref())));
        self
    }

    /// Adds something literal, such as a path; cut in the middle when longer than [`MAX_LITERAL`].
    pub(super) fn code(mut self, text: impl AsRef<str>) -> Self {
        self.0.push(TextSpan::Code(shorten(&visible(text.as_ref()))));
        self
    }

    /// The bare text, for places without any markup.
    pub(super) fn plain(&self) -> String {
        self.0.iter().map(|(TextSpan::Text(text) | TextSpan::Code(text))| text.as_str()).collect()
    }
}

impl From<&str> for RichText {
    fn from(text: &str) -> Self {
        Self::new().text(text)
    }
}

impl From<String> for RichText {
    fn from(text: String) -> Self {
        Self::new().text(text)
    }
}

/// Longest literal shown, in characters: two lines of a phone's width. Paths may have 4,096 bytes.
const MAX_LITERAL: usize = 96;

fn shorten(text: &str) -> String {
    let length = text.chars().count();
    if length <= MAX_LITERAL {
        return text.to_owned();
    }
    let head: String = text.chars().take(MAX_LITERAL / 3).collect();
    let tail: String = text.chars().skip(length - (MAX_LITERAL - MAX_LITERAL / 3 - 1)).collect();
    format!("{head}…{tail}")
}

/// Control characters and marks that turn the direction of text around are shown as U+FFFD: they would
/// make a path look like another.
fn visible(text: &str) -> String {
    let misleading = |c: char| c.is_control() || turns_direction(c) || matches!(c, '\u{2028}' | '\u{2029}');
    text.chars().map(|c| if misleading(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_paths_keep_their_beginning_and_their_end() {
        let path = format!("start/{}/end.md", "ü".repeat(4000));
        let shown = RichText::new().code(&path).plain();
        assert_eq!(shown.chars().count(), MAX_LITERAL);
        assert!(shown.starts_with("start/") && shown.ends_with("/end.md") && shown.contains('…'));
    }

    #[test]
    fn marks_that_mislead_become_visible() {
        assert_eq!(RichText::new().code("a\u{202e}gpj.\n").plain(), "a\u{fffd}gpj.\u{fffd}");
    }
}
