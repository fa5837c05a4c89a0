//! The report as Markdown (CommonMark with tables), readable without rendering too.
//!
//! Invariant: text from files can never act as markup.

use std::fmt::Write as _;

use super::page::{ReportBlock, ReportChart, ReportPage, ReportSection, ReportTable, RichText, TextSpan};

/// Width of the bars drawn with characters.
const BAR: u64 = 24;

pub(super) fn render(page: &ReportPage) -> String {
    let mut out = format!("# {}\n\n", inline(&page.title, false));
    for paragraph in &page.lead {
        let _ = writeln!(out, "{}\n", inline(paragraph, false));
    }
    if !page.standouts.is_empty() {
        out.push_str("## What stands out\n\n");
        for (at, line) in page.standouts.iter().enumerate() {
            let _ = writeln!(out, "{}. {}", at + 1, inline(line, false));
        }
        out.push('\n');
    }
    for part in &page.sections {
        section(&mut out, part);
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn section(out: &mut String, section: &ReportSection) {
    let _ = writeln!(out, "## {}\n", section.title);
    for block in &section.blocks {
        match block {
            ReportBlock::Para(text) => {
                let _ = writeln!(out, "{}\n", inline(text, false));
            }
            ReportBlock::Command(command) => {
                let _ = writeln!(out, "```sh\n{command}\n```\n");
            }
            ReportBlock::Chart(chart) => charted(out, chart),
            ReportBlock::Table(table) => tabled(out, table),
            // The tables beside the picture have the same data.
            ReportBlock::Network(_) => {}
        }
    }
}

fn charted(out: &mut String, chart: &ReportChart) {
    let most = chart.data.iter().map(|datum| datum.value).max().unwrap_or(0);
    let _ =
        writeln!(out, "**{}**\n\n| {} | {} | |\n|---|--:|---|", chart.caption, chart.head[0], chart.head[1]);
    for datum in &chart.data {
        let label = inline(&datum.label, true);
        let _ = writeln!(out, "| {label} | {} | {} |", datum.shown, bar(datum.value, most));
    }
    note(out, &chart.note);
}

fn bar(value: u64, most: u64) -> String {
    let cells = u128::from(value) * u128::from(BAR) / u128::from(most.max(1));
    let cells = usize::try_from(cells).unwrap_or(0).max(usize::from(value > 0));
    "█".repeat(cells)
}

fn tabled(out: &mut String, table: &ReportTable) {
    let _ = writeln!(
        out,
        "**{}**\n\n| {} |\n|{}",
        table.caption,
        table.head.join(" | "),
        "---|".repeat(table.head.len())
    );
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|cell| inline(cell, true)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    note(out, &table.note);
}

fn note(out: &mut String, note: &str) {
    let _ = if note.is_empty() { writeln!(out) } else { writeln!(out, "\n{note}\n") };
}

fn inline(text: &RichText, in_table: bool) -> String {
    let span = |span: &TextSpan| match span {
        TextSpan::Text(text) => escape(text),
        TextSpan::Code(text) => code(text, in_table),
    };
    text.0.iter().map(span).collect()
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '&' | '~') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A code span whose fence is longer than any run of backticks inside.
fn code(text: &str, in_table: bool) -> String {
    if text.trim().is_empty() {
        return "(blank)".to_owned();
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    // Tables are cut at bars before code spans are seen.
    let text = if in_table { text.replace('|', "\\|") } else { text.to_owned() };
    format!("{fence}{pad}{text}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag};

    use super::*;

    fn events(markdown: &str) -> Vec<Event<'_>> {
        Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH).collect()
    }

    proptest! {
        #[test]
        fn a_path_stays_one_literal(path in "[a-z`|*_<>\\[\\]&~!# ]{0,12}[a-z`|<]") {
            let table = ReportTable {
                caption: "t",
                head: vec!["Path"],
                rows: vec![vec![RichText::new().code(&path)]],
                note: String::new(),
            };
            let mut markdown = String::new();
            tabled(&mut markdown, &table);
            let codes: Vec<String> = events(&markdown)
                .into_iter()
                .filter_map(|event| if let Event::Code(text) = event { Some(text.to_string()) } else { None })
                .collect();
            prop_assert_eq!(codes, vec![path]);
        }

        #[test]
        fn words_stay_words(text in "[a-z`|*_<>\\[\\]&~!()\\\\:/.]{1,20}") {
            let markdown = format!("x{}", inline(&RichText::from(text.as_str()), false));
            let words = |event: &Event| {
                matches!(event, Event::Text(_) | Event::End(_) | Event::Start(Tag::Paragraph))
            };
            let markup = !events(&markdown).iter().all(words);
            prop_assert!(!markup, "{markdown}");
        }
    }
}
