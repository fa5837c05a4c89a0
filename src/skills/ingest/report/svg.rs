//! Pictures as inline SVG.
//!
//! Bars, columns and rectangles are placed in percent of the width, so that they follow the window while
//! their text keeps its size; only the graph, whose sole text is numbers, is scaled as a whole. Invariants:
//! colours come from the style sheet by class; every picture has a title or stands beside the numbers drawn.

use maud::{Markup, html};

use super::page::{ChartDatum, NetworkNode, ReportNetwork};
use super::treemap::{self, TreemapRect};

/// Height of the columns' picture: the columns, with a line of text above and below.
const COLUMNS_HEIGHT: u64 = 220;
const COLUMN_ROOM: u64 = 170;
const BASE_LINE: u64 = 195;
/// More columns than this have room for every second name only on a phone.
const CROWDED: usize = 8;
/// The treemap's frame: the width stands for 100%, the height is in pixels.
const TREEMAP: TreemapRect = TreemapRect { x: 0.0, y: 0.0, width: 860.0, height: 340.0 };
/// Rectangles smaller than this have no room for a readable label.
const LABEL_WIDTH: f64 = 76.0;
const LABEL_HEIGHT: f64 = 36.0;
/// The graph's own coordinates.
const NETWORK: (f64, f64) = (900.0, 600.0);
/// Room for the dots at the sides.
const MARGIN: f64 = 26.0;
/// Radius of a dot without weight, and the addition for full weight.
const DOT: f64 = 4.5;
const DOT_WEIGHT: f64 = 15.0;
/// Smallest dot with room for a number of two digits.
const NUMBERED_DOT: f64 = 11.0;

/// `part` of `whole` in percent with two decimals; never nothing for something.
fn percent(part: u64, whole: u64) -> String {
    let hundredths = u128::from(part) * 10_000 / u128::from(whole.max(1));
    let hundredths = if part > 0 { hundredths.max(40) } else { hundredths };
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// The bar of one row; the numbers are beside the bar.
pub(super) fn bar(datum: &ChartDatum, most: u64) -> Markup {
    html! {
        svg.bar width="100%" height="12" aria-hidden="true" {
            rect.(datum.tone.class()) width=(percent(datum.value, most)) height="12" rx="3" {}
        }
    }
}

/// One bar divided among all values.
pub(super) fn share(data: &[ChartDatum], caption: &str) -> Markup {
    let total: u64 = data.iter().map(|datum| datum.value).fold(0, u64::saturating_add);
    let starts = data.iter().scan(0_u64, |sum, datum| {
        let start = *sum;
        *sum = sum.saturating_add(datum.value);
        Some(start)
    });
    html! {
        svg.share width="100%" height="26" role="img" aria-label=(caption) {
            @for (datum, start) in data.iter().zip(starts) {
                rect.(datum.tone.class()) x=(offset(start, total)) width=(percent(datum.value, total)) height="26" {
                    title { (datum.label.plain()) ": " (datum.shown) }
                }
            }
        }
    }
}

fn offset(part: u64, whole: u64) -> String {
    let hundredths = u128::from(part) * 10_000 / u128::from(whole.max(1));
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// Columns side by side with their values above and their names below.
pub(super) fn columns(data: &[ChartDatum], caption: &str) -> Markup {
    let most = data.iter().map(|datum| datum.value).max().unwrap_or(0).max(1);
    let count = data.len().max(1) as u64;
    let crowded = data.len() > CROWDED;
    html! {
        svg.columns width="100%" height=(COLUMNS_HEIGHT) role="img" aria-label=(caption) {
            line.axis x1="0" x2="100%" y1=(BASE_LINE) y2=(BASE_LINE) {}
            @for (at, datum) in data.iter().enumerate() {
                @let height = column_height(datum.value, most);
                @let centre = offset(2 * at as u64 + 1, 2 * count);
                rect.(datum.tone.class()) x=(offset(100 * at as u64 + 12, 100 * count)) y=(BASE_LINE - height)
                    width=(offset(76, 100 * count)) height=(height) rx="3" {
                    title { (datum.label.plain()) ": " (datum.shown) }
                }
                @if datum.value > 0 {
                    text.value x=(centre) y=(BASE_LINE - height - 6) text-anchor="middle" { (datum.shown) }
                }
                text.label.spare[crowded && at % 2 == 1] x=(centre) y=(BASE_LINE + 16) text-anchor="middle" { (datum.label.plain()) }
            }
        }
    }
}

fn column_height(value: u64, most: u64) -> u64 {
    let height = u128::from(value) * u128::from(COLUMN_ROOM) / u128::from(most);
    u64::try_from(height).unwrap_or(COLUMN_ROOM).max(2 * u64::from(value > 0))
}

/// Rectangles of the values' areas; `data` falls. Labels are cut at the rectangle's side.
pub(super) fn treemap(data: &[ChartDatum], caption: &str) -> Markup {
    let values: Vec<u64> = data.iter().map(|datum| datum.value).collect();
    let rects = treemap::squarify(&values, TREEMAP);
    let across = |length: f64| format!("{:.2}%", length / TREEMAP.width * 100.0);
    html! {
        svg.treemap width="100%" height=(TREEMAP.height) role="img" aria-label=(caption) {
            @for (datum, rect) in data.iter().zip(rects) {
                svg x=(across(rect.x)) y=(format!("{:.1}", rect.y)) width=(across(rect.width))
                    height=(format!("{:.1}", rect.height)) {
                    title { (datum.label.plain()) ": " (datum.shown) }
                    rect.tile.(datum.tone.class()) width="100%" height="100%" {}
                    @if rect.width >= LABEL_WIDTH && rect.height >= LABEL_HEIGHT {
                        text.name x="7" y="18" { (datum.label.plain()) }
                        text.size x="7" y="33" { (datum.shown) }
                    }
                }
            }
        }
    }
}

pub(super) fn network(network: &ReportNetwork) -> Markup {
    let nodes = &network.nodes;
    let (width, height) = NETWORK;
    html! {
        svg.network viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(network.caption) {
            @for edge in &network.edges {
                @if let (Some(a), Some(b)) = (nodes.get(edge.from), nodes.get(edge.to)) {
                    line.edge.faint[edge.faint] x1=(across(a)) y1=(down(a)) x2=(across(b)) y2=(down(b)) {}
                }
            }
            // Numbered dots last, so that none is hidden.
            @for node in nodes.iter().filter(|node| node.number.is_none()) { (dot(node)) }
            @for node in nodes.iter().filter(|node| node.number.is_some()) { (dot(node)) }
        }
    }
}

fn dot(node: &NetworkNode) -> Markup {
    let radius = DOT + DOT_WEIGHT * node.weight.sqrt();
    let radius = if node.number.is_some() { radius.max(NUMBERED_DOT) } else { radius.min(NUMBERED_DOT) };
    html! {
        circle.(node.tone.class()) cx=(across(node)) cy=(down(node)) r=(format!("{radius:.1}")) {
            title { (node.name.plain()) }
        }
        @if let Some(number) = node.number {
            text.number x=(across(node)) y=(down(node)) text-anchor="middle" dominant-baseline="central" { (number) }
        }
    }
}

fn across(node: &NetworkNode) -> String {
    format!("{:.1}", MARGIN + node.x * (NETWORK.0 - 2.0 * MARGIN))
}

fn down(node: &NetworkNode) -> String {
    format!("{:.1}", MARGIN + node.y * (NETWORK.1 - 2.0 * MARGIN))
}
