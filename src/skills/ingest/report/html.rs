//! The report as one self-contained page: no scripts, no external fonts or images; opens with a double click.
//!
//! Invariants: all text from files passes through maud's escaping; the only unescaped text is the style
//! sheet, a constant; a policy in the head forbids loading anything.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::page::{
    ChartShape, ReportBlock, ReportChart, ReportNetwork, ReportPage, ReportSection, ReportTable, RichText,
    TextSpan,
};
use super::svg;

/// The style sheet of every report.
pub const STYLE: &str = include_str!("style.css");
/// Nothing may be loaded and no script may run, whatever a path contains.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

pub(super) fn render(page: &ReportPage) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title.plain()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(page))
                main {
                    (standouts(&page.standouts))
                    @for part in &page.sections { (section(part)) }
                }
                footer { p { "Written by PAS, the Polyglot Agent Swarm, from the files of this run." } }
            }
        }
    };
    let mut text = markup.into_string();
    text.push('\n');
    text
}

fn header(page: &ReportPage) -> Markup {
    html! {
        header {
            h1 { (rich(&page.title)) }
            @for paragraph in &page.lead { p.lead { (rich(paragraph)) } }
            @if !page.figures.is_empty() {
                dl.figures {
                    @for figure in &page.figures {
                        div { dt { (figure.label) } dd { (figure.value) } }
                    }
                }
            }
            nav aria-label="Sections" {
                @for part in &page.sections { a href=(format!("#{}", part.id)) { (part.title) } }
            }
        }
    }
}

fn standouts(lines: &[RichText]) -> Markup {
    html! {
        @if !lines.is_empty() {
            section #standouts {
                h2 { "What stands out" }
                ol { @for line in lines { li { (rich(line)) } } }
            }
        }
    }
}

fn section(section: &ReportSection) -> Markup {
    html! {
        section id=(section.id) {
            h2 { (section.title) }
            @for block in &section.blocks {
                @match block {
                    ReportBlock::Para(text) => p { (rich(text)) },
                    ReportBlock::Command(command) => pre { code { (command) } },
                    ReportBlock::Chart(chart) => (charted(chart)),
                    ReportBlock::Table(table) => (tabled(table)),
                    ReportBlock::Network(network) => (networked(network)),
                }
            }
        }
    }
}

fn charted(chart: &ReportChart) -> Markup {
    html! {
        figure {
            figcaption { (chart.caption) }
            @match chart.shape {
                ChartShape::Bars => (bars(chart)),
                ChartShape::Columns => { (svg::columns(&chart.data, chart.caption)) (numbers(chart)) },
                ChartShape::Treemap => { (svg::treemap(&chart.data, chart.caption)) (numbers(chart)) },
                ChartShape::Share => { (svg::share(&chart.data, chart.caption)) (legend(chart)) },
            }
            (note(&chart.note))
        }
    }
}

fn bars(chart: &ReportChart) -> Markup {
    let most = chart.data.iter().map(|datum| datum.value).max().unwrap_or(0);
    html! {
        table.bars {
            thead.hidden { tr { th scope="col" { (chart.head[0]) } th scope="col" { "Bar" } th scope="col" { (chart.head[1]) } } }
            tbody {
                @for datum in &chart.data {
                    tr {
                        th scope="row" { (rich(&datum.label)) }
                        td { (svg::bar(datum, most)) }
                        td.figure { (datum.shown) }
                    }
                }
            }
        }
    }
}

fn legend(chart: &ReportChart) -> Markup {
    html! {
        ul.legend {
            @for datum in &chart.data {
                li { span.swatch.(datum.tone.class()) {} (rich(&datum.label)) " " b { (datum.shown) } }
            }
        }
    }
}

/// The numbers of a picture, folded away.
fn numbers(chart: &ReportChart) -> Markup {
    html! {
        details {
            summary { "The numbers" }
            table {
                thead { tr { @for head in &chart.head { th scope="col" { (head) } } } }
                tbody {
                    @for datum in &chart.data {
                        tr { td { (rich(&datum.label)) } td { (datum.shown) } }
                    }
                }
            }
        }
    }
}

fn tabled(table: &ReportTable) -> Markup {
    html! {
        div.table {
            table {
                caption { (table.caption) }
                thead { tr { @for head in &table.head { th scope="col" { (head) } } } }
                tbody {
                    @for row in &table.rows {
                        tr { @for (cell, head) in row.iter().zip(&table.head) { td data-head=(head) { (cell_content(cell, head)) } } }
                    }
                }
            }
            (note(&table.note))
        }
    }
}

/// Severities get a coloured badge; everything else is text.
fn cell_content(cell: &RichText, head: &str) -> Markup {
    html! {
        @if head == "Severity" { span.badge.(cell.plain()) { (rich(cell)) } }
        @else { (rich(cell)) }
    }
}

fn networked(network: &ReportNetwork) -> Markup {
    html! {
        figure {
            figcaption { (network.caption) }
            (svg::network(network))
            ul.legend {
                @for (tone, name) in &network.legend {
                    li { span.swatch.(tone.class()) {} (rich(name)) }
                }
            }
        }
    }
}

fn note(note: &str) -> Markup {
    html! { @if !note.is_empty() { p.note { (note) } } }
}

fn rich(text: &RichText) -> Markup {
    html! {
        @for span in &text.0 {
            @match span {
                TextSpan::Text(text) => (text),
                TextSpan::Code(text) => code { (text) },
            }
        }
    }
}
