//! The table: measurements, with baseline and aim.

use std::fmt::Write as _;

use crate::machine;

/// The range for a figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// The measured thing.
    pub(crate) what: String,
    /// Ours, with the unit.
    pub(crate) ours: String,
    /// The baseline, with the unit; empty without one.
    pub(crate) baseline: String,
    /// The figure compared with the aim: a ratio, or ours as a number.
    pub(crate) figure: f64,
    /// The unit of `figure`.
    pub(crate) unit: &'static str,
    pub(crate) aim: Option<Aim>,
    /// An explanation of the figure.
    pub(crate) note: String,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, figure: f64, unit: &'static str) -> Self {
        Self {
            what: what.into(),
            ours: String::new(),
            baseline: String::new(),
            figure,
            unit,
            aim: None,
            note: String::new(),
        }
    }

    pub(crate) fn sides(mut self, ours: impl Into<String>, baseline: impl Into<String>) -> Self {
        (self.ours, self.baseline) = (ours.into(), baseline.into());
        self
    }

    pub(crate) fn aim(mut self, aim: Aim) -> Self {
        self.aim = Some(aim);
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn verdict(&self) -> String {
        let missed = |by: f64| format!("**missed** by {:.0} %", by * 100.0);
        match self.aim {
            None => String::new(),
            Some(Aim::AtMost(most)) if self.figure <= most => "met".into(),
            Some(Aim::AtMost(most)) => missed(self.figure / most - 1.0),
            Some(Aim::AtLeast(least)) if self.figure >= least => "met".into(),
            Some(Aim::AtLeast(least)) => missed(1.0 - self.figure / least),
        }
    }

    fn aim_text(&self) -> String {
        match self.aim {
            None => String::new(),
            Some(Aim::AtMost(most)) => format!("≤ {}{}", number(most), self.unit),
            Some(Aim::AtLeast(least)) => format!("≥ {}{}", number(least), self.unit),
        }
    }

    fn cells(&self) -> [String; 6] {
        let figure = format!("{}{}", number(self.figure), self.unit);
        [self.what.clone(), self.ours.clone(), self.baseline.clone(), figure, self.aim_text(), self.verdict()]
    }
}

/// Three significant digits.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The rows as a Markdown table with columns of even width.
pub(crate) fn table(rows: &[Row]) -> String {
    let head = ["what", "PAS", "baseline", "figure", "aim", ""].map(str::to_owned);
    let lines: Vec<[String; 6]> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let mut widths = [3; 6];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for (n, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if n == 0 {
            for width in widths {
                let _ = write!(text, "|{}", "-".repeat(width + 2));
            }
            text.push_str("|\n");
        }
    }
    text
}

/// The whole of `RESULTS.md`.
pub(crate) fn document(rows: &[Row]) -> String {
    let mut text = String::from(
        "# Results of the benches\n\nWritten by `make bench`. A ratio compares PAS with the baseline of \
         the same line, measured in turn in the same run (medians); ratios carry over to other machines, \
         times do not.\n\n",
    );
    let _ = writeln!(text, "{}\n", machine::description());
    text.push_str(&table(rows));
    text.push_str("\n## Notes\n\n");
    for row in rows.iter().filter(|row| !row.note.is_empty()) {
        let _ = writeln!(text, "- **{}**: {}", row.what, row.note);
    }
    text
}
