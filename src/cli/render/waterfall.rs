//! A trace as a waterfall: each message below its cause, with times and a bar to scale.
//!
//! Successful siblings of one kind are folded into one line (`120 ×`) together with their descendants, so
//! that a trace of ten thousand messages stays readable. A failed span is never folded.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use console::{Alignment, measure_text_width, pad_str, style};

use super::{bars, count, fit, one_line, units, wrap};
use crate::cli::wire::{WireCrash, WireSpan};
use crate::domain::time::Timestamp;

/// Siblings that make a group; fewer are quicker to read one by one.
const FOLD_FROM: usize = 4;
/// Deepest indent, one column a level: about a hand-off through the hierarchy and back.
const DEEPEST: usize = 14;
/// Deeper spans are drawn as siblings: a chain of thousands must not exhaust the stack of the recursion.
const DEEPEST_TREE: usize = 200;
/// Columns of the times and the outcome: start, queue, run, mark.
const TIMES: usize = 9 + 1 + 8 + 1 + 8 + 1 + 1 + 1;
/// Columns of the bar, at 80 columns and beyond.
const BAR: (usize, usize) = (12, 30);
/// A crash record belongs to a span that ended within this time: the record is written right after the span.
const SAME_CRASH: Duration = Duration::from_secs(2);

/// One or more spans drawn as one line.
struct SpanGroup<'a> {
    spans: Vec<&'a WireSpan>,
    below: Vec<SpanGroup<'a>>,
}

/// Draws traces one after the other, each with a title and with crashes below their spans.
#[must_use]
pub fn draw(spans: &[WireSpan], crashes: &[WireCrash], width: usize) -> String {
    let mut order: Vec<&str> = Vec::new();
    let mut by_trace: HashMap<&str, Vec<&WireSpan>> = HashMap::new();
    for span in spans {
        let trace = by_trace.entry(&span.trace_id).or_insert_with(|| {
            order.push(&span.trace_id);
            Vec::new()
        });
        trace.push(span);
    }
    order.sort_by_key(|id| by_trace[id].iter().map(|span| span.queued_at).min());
    let traces = order.iter().map(|id| one(id, &by_trace[id], crashes, width));
    traces.collect::<Vec<_>>().join("\n\n")
}

fn one(id: &str, spans: &[&WireSpan], crashes: &[WireCrash], width: usize) -> String {
    let frame = WaterfallFrame::of(spans, width);
    let mut lines = vec![
        title(id, spans, &frame),
        style(frame.row("+start", "", "queued", "run", " ", "")).dim().to_string(),
    ];
    for group in fold(&forest(spans)) {
        draw_group(&group, None, 0, &frame, crashes, &mut lines);
    }
    lines.join("\n")
}

fn title(id: &str, spans: &[&WireSpan], frame: &WaterfallFrame) -> String {
    let bad = spans.iter().filter(|span| !matches!(&*span.outcome, "ok" | "open")).count();
    let bad = if bad == 0 { String::new() } else { format!(", {}", style(format!("{bad} failed")).red()) };
    let whole = units::duration(frame.whole);
    let begun = units::clock(frame.begin);
    let number = count(spans.len(), "span", "spans");
    fit(&format!("{}  {number}, {whole}, at {begun}{bad}", style(id).bold()), frame.width)
}

/// The time scale and width of a trace's bars.
struct WaterfallFrame {
    begin: Timestamp,
    whole: Duration,
    width: usize,
    bar: usize,
}

impl WaterfallFrame {
    fn of(spans: &[&WireSpan], width: usize) -> Self {
        let begin = spans.iter().map(|span| span.queued_at).min().unwrap_or_default();
        let whole = spans.iter().map(|span| end(span).saturating_add(span.queued_at.since(begin))).max();
        let bar = (width / 5).clamp(0, BAR.1).max(if width >= 80 { BAR.0 } else { 0 });
        Self { begin, whole: whole.unwrap_or_default(), width, bar }
    }

    fn row(&self, start: &str, label: &str, queue: &str, run: &str, mark: &str, bar: &str) -> String {
        let room = self.width.saturating_sub(TIMES + self.bar + 1);
        let label = pad_str(&fit(label, room), room, Alignment::Left, None).into_owned();
        let [start, queue, run] = [(start, 9), (queue, 8), (run, 8)]
            .map(|(text, width)| pad_str(text, width, Alignment::Right, None).into_owned());
        fit(format!("{start} {label} {queue} {run} {mark} {bar}").trim_end(), self.width)
    }

    fn bar(&self, spans: &[&WireSpan]) -> String {
        let whole = self.whole.as_secs_f64().max(1e-6);
        let offset = |span: &WireSpan| span.queued_at.since(self.begin).as_secs_f64() + secs(span.queue_us);
        let start = spans.iter().map(|span| offset(span)).fold(f64::INFINITY, f64::min);
        let end = spans.iter().map(|span| offset(span) + secs(span.run_us)).fold(0.0, f64::max);
        bars::placed(start / whole, end / whole, self.bar)
    }
}

fn secs(micros: Option<u64>) -> f64 {
    micros.unwrap_or(0) as f64 / 1e6
}

/// From sent to done, as far as known.
fn end(span: &WireSpan) -> Duration {
    Duration::from_micros(span.queue_us.unwrap_or(0).saturating_add(span.run_us.unwrap_or(0)))
}

/// Spans below their causes. A span whose cause is missing (external or overwritten) is a root, and so is
/// one span of a cycle, which broken data could contain.
fn forest<'a>(spans: &[&'a WireSpan]) -> Vec<SpanGroup<'a>> {
    let ids: HashSet<&str> = spans.iter().map(|span| &*span.span_id).collect();
    let mut roots = Vec::new();
    let mut below: HashMap<&str, Vec<&'a WireSpan>> = HashMap::new();
    let mut sorted = spans.to_vec();
    sorted.sort_by_key(|span| span.queued_at);
    for &span in &sorted {
        match span.parent_span_id.as_deref().filter(|id| ids.contains(id) && *id != span.span_id) {
            Some(parent) => below.entry(parent).or_default().push(span),
            None => roots.push(span),
        }
    }
    // Last, so that only spans unreachable otherwise become roots: those of cycles.
    roots.extend(sorted);
    let mut placed = HashSet::new();
    let mut forest = Vec::new();
    for root in roots {
        forest.extend(grow(root, &below, &mut placed, 0));
    }
    forest
}

/// A span with its descendants; `None` when already placed, so that cycles end.
fn grow<'a>(
    span: &'a WireSpan,
    below: &HashMap<&str, Vec<&'a WireSpan>>,
    placed: &mut HashSet<&'a str>,
    depth: usize,
) -> Vec<SpanGroup<'a>> {
    if !placed.insert(&span.span_id) {
        return Vec::new();
    }
    let children = below.get(&*span.span_id).map(Vec::as_slice).unwrap_or_default();
    if depth < DEEPEST_TREE {
        let below = children.iter().flat_map(|child| grow(child, below, placed, depth + 1)).collect();
        return vec![SpanGroup { spans: vec![span], below }];
    }
    let mut flat = vec![SpanGroup { spans: vec![span], below: Vec::new() }];
    let mut waiting: Vec<&'a WireSpan> = children.to_vec();
    while let Some(next) = waiting.pop() {
        if placed.insert(&next.span_id) {
            flat.push(SpanGroup { spans: vec![next], below: Vec::new() });
            waiting.extend(below.get(&*next.span_id).into_iter().flatten());
        }
    }
    flat
}

/// Groups successful siblings of one kind, level by level.
fn fold<'a>(groups: &[SpanGroup<'a>]) -> Vec<SpanGroup<'a>> {
    let key = |group: &SpanGroup<'a>| group.spans.first().map(|span| (&*span.from, &*span.to, &*span.kind));
    let is_well = |group: &SpanGroup<'a>| group.spans.iter().all(|span| span.outcome == "ok");
    let mut folded: Vec<(SpanGroup<'a>, Vec<&SpanGroup<'a>>)> = Vec::new();
    let mut place = HashMap::new();
    for group in groups {
        let like = key(group).filter(|_| is_well(group));
        match like.and_then(|like| place.get(&like).copied()) {
            Some(at) => {
                let (_, members): &mut (SpanGroup<'a>, Vec<&SpanGroup<'a>>) = &mut folded[at];
                members.push(group);
            }
            None => {
                if let Some(like) = like {
                    place.insert(like, folded.len());
                }
                folded.push((SpanGroup { spans: Vec::new(), below: Vec::new() }, vec![group]));
            }
        }
    }
    let mut out = Vec::new();
    for (_, members) in folded {
        let parts: Vec<Vec<&SpanGroup<'a>>> = if members.len() >= FOLD_FROM {
            vec![members]
        } else {
            members.into_iter().map(|m| vec![m]).collect()
        };
        for part in parts {
            let spans = part.iter().flat_map(|group| group.spans.iter().copied()).collect();
            let below: Vec<SpanGroup<'a>> =
                part.iter().flat_map(|group| group.below.iter().map(SpanGroup::copy)).collect();
            out.push(SpanGroup { spans, below: fold(&below) });
        }
    }
    out.sort_by_key(|group| group.spans.first().map(|span| span.queued_at));
    out
}

impl SpanGroup<'_> {
    fn copy(&self) -> Self {
        Self { spans: self.spans.clone(), below: self.below.iter().map(SpanGroup::copy).collect() }
    }
}

fn draw_group(
    group: &SpanGroup<'_>,
    above: Option<&str>,
    depth: usize,
    frame: &WaterfallFrame,
    crashes: &[WireCrash],
    lines: &mut Vec<String>,
) {
    let Some(first) = group.spans.first() else { return };
    let (to, kind) = (one_line(&first.to), one_line(&first.kind));
    // The sender is mostly the actor of the line above; then the arrow alone is enough.
    let from =
        if above == Some(&*first.from) { String::new() } else { format!("{} ", one_line(&first.from)) };
    let times = if group.spans.len() > 1 { format!("{} × ", group.spans.len()) } else { String::new() };
    let indent = " ".repeat(depth.min(DEEPEST));
    let label = format!("{indent}{}{from}→ {to} {}", style(times).bold(), style(kind).cyan());
    let sum = |of: fn(&WireSpan) -> Option<u64>| {
        let known: Vec<u64> = group.spans.iter().filter_map(|span| of(span)).collect();
        (!known.is_empty()).then(|| units::duration(Duration::from_micros(known.iter().sum())))
    };
    let start = format!("+{}", units::duration(first.queued_at.since(frame.begin)));
    let (queue, run) = (sum(|span| span.queue_us), sum(|span| span.run_us));
    let [queue, run] = [queue, run].map(Option::unwrap_or_default);
    lines.push(frame.row(&start, &label, &queue, &run, &mark(&first.outcome), &frame.bar(&group.spans)));
    if let Some(crash) = crashes.iter().find(|crash| is_of(crash, first)) {
        lines.extend(crash_lines(crash, frame.width, indent.len() + 10));
    }
    for child in &group.below {
        draw_group(child, Some(&first.to), depth + 1, frame, crashes, lines);
    }
}

fn mark(outcome: &str) -> String {
    match outcome {
        "ok" => style("✔").green(),
        "open" => style("…").cyan(),
        "dropped" => style("⊘").yellow(),
        "killed" => style("☠").red().bold(),
        "error" => style("!").yellow().bold(),
        _ => style("✖").red().bold(),
    }
    .to_string()
}

fn is_of(crash: &WireCrash, span: &WireSpan) -> bool {
    let ended = span.ended_at.unwrap_or_else(|| span.queued_at.plus(end(span)));
    let apart = crash.at.since(ended).max(ended.since(crash.at));
    matches!(&*span.outcome, "crashed" | "killed") && crash.agent == span.to && apart <= SAME_CRASH
}

/// A crash's message and place, indented.
#[must_use]
pub fn crash_lines(crash: &WireCrash, width: usize, indent: usize) -> Vec<String> {
    let message = crash.message.as_deref().map(one_line).unwrap_or_else(|| crash.reason.clone());
    let margin = " ".repeat(indent.min(width / 2));
    let room = width.saturating_sub(measure_text_width(&margin) + 2);
    let mut lines: Vec<String> = wrap(&message, room)
        .into_iter()
        .map(|line| fit(&format!("{margin}{}", style(format!("▌ {line}")).red().bold()), width))
        .collect();
    if let Some(place) = &crash.place {
        lines.push(fit(
            &format!("{margin}{} at {}", style("▌").red().bold(), style(one_line(place)).bold()),
            width,
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn span(
        id: u32,
        parent: Option<u32>,
        ends: (&str, &str),
        at_ms: i64,
        run_us: u64,
        outcome: &str,
    ) -> WireSpan {
        let at = |ms: i64| Timestamp::from_millis(1_795_363_200_000 + ms);
        let ended = at(at_ms + i64::try_from(run_us / 1_000).unwrap());
        serde_json::from_value(json!({
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": format!("{id:016x}"),
            "parent_span_id": parent.map(|id| format!("{id:016x}")), "from": ends.0, "to": ends.1,
            "kind": "run_job", "queued_at": at(at_ms), "started_at": at(at_ms), "ended_at": ended,
            "queue_us": 180, "run_us": run_us, "outcome": outcome,
        }))
        .unwrap()
    }

    fn example() -> (Vec<WireSpan>, Vec<WireCrash>) {
        let mut spans = vec![
            span(1, Some(999), ("http", "orchestrator"), 0, 900, "ok"),
            span(2, Some(1), ("orchestrator", "architect"), 1, 2_000, "ok"),
            span(3, Some(2), ("architect", "manager-data"), 4, 150_000, "crashed"),
            span(4, Some(1), ("orchestrator", "manager-data"), 160, 2_480_000, "ok"),
        ];
        for n in 0..120 {
            spans.push(span(
                100 + n,
                Some(4),
                ("manager-data", "corpus-auditor"),
                170 + i64::from(n) * 20,
                15_000,
                "ok",
            ));
            spans.push(span(
                300 + n,
                Some(100 + n),
                ("corpus-auditor", "store"),
                172 + i64::from(n) * 20,
                900,
                "ok",
            ));
        }
        let crash = json!({"id": 7, "agent": "manager-data", "incarnation": 1, "reason": "panic",
            "message": "index out of bounds: the len is 3 but the index is 7", "place": "src/actors/worker.rs:120:9",
            "at": spans[2].ended_at});
        (spans, vec![serde_json::from_value(crash).unwrap()])
    }

    #[test]
    fn a_trace_is_folded_and_its_crash_shown_in_place() {
        let (spans, crashes) = example();
        insta::assert_snapshot!(console::strip_ansi_codes(&draw(&spans, &crashes, 80)));
    }

    #[test]
    fn broken_data_is_drawn_once_and_ends() {
        let spans = [
            span(1, Some(2), ("a", "b"), 0, 1, "ok"),
            span(2, Some(1), ("b", "a"), 1, 1, "ok"),
            span(3, Some(3), ("c", "c"), 2, 1, "ok"),
        ];
        let drawn = draw(&spans, &[], 80);
        assert_eq!(console::strip_ansi_codes(&drawn).lines().count(), 2 + 3, "{drawn}");
    }

    #[test]
    fn a_chain_of_thousands_is_drawn() {
        let kind = |id: u32| if id.is_multiple_of(2) { ("a", "b") } else { ("b", "a") };
        let spans: Vec<WireSpan> =
            (1..=5_000).map(|id| span(id, Some(id - 1), kind(id), 0, 1, "error")).collect();
        assert_eq!(draw(&spans, &[], 80).lines().count(), 2 + 5_000);
    }

    proptest! {
        #[test]
        fn every_span_is_counted_and_every_line_fits(
            parents in prop::collection::vec(0..30u32, 1..30),
            width in 40..140usize,
        ) {
            let spans: Vec<WireSpan> = parents.iter().zip(0..).map(|(parent, id)| {
                span(id, Some(*parent), ("manager-data", ["x", "a-long-name-of-an-agent"][id as usize % 2]), i64::from(id), 10, "ok")
            }).collect();
            let drawn = draw(&spans, &[], width);
            prop_assert!(drawn.lines().all(|line| measure_text_width(line) <= width), "{}", drawn);
            let refs: Vec<&WireSpan> = spans.iter().collect();
            fn total(groups: &[SpanGroup<'_>]) -> usize {
                groups.iter().map(|group| group.spans.len() + total(&group.below)).sum()
            }
            prop_assert_eq!(total(&fold(&forest(&refs))), spans.len());
        }
    }
}
