//! The page of a job with a model: its log row by row; beside it the chosen row, the question, the proof, the changes and
//! the money.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::ListItem;

use super::{fact, mark, with_details};
use crate::cli::render::one_line;
use crate::cli::tui::model::TuiModel;
use crate::cli::tui::rows::TuiRowContent;
use crate::cli::tui::transcript::TuiTranscript;
use crate::cli::tui::wire::TuiLogRow;

/// Lines of a proof, a diffstat or a question that are shown; `pas job ID --log` has all.
const MAX_LINES: usize = 8;

pub(super) fn draw(model: &TuiModel, frame: &mut Frame<'_>, area: Rect) {
    let Some(open) = &model.transcript else { return };
    let rows = model.rows();
    let rows: Vec<&TuiLogRow> = rows
        .iter()
        .filter_map(|row| match row.what {
            TuiRowContent::LogRow(row) => Some(row),
            _ => None,
        })
        .collect();
    let mut details = about(model, open);
    if let Some(row) = model.cursor().and_then(|at| rows.get(at)) {
        details.push(Line::default());
        details.push(fact("row", format!("{} {}", row.seq, row.headline)));
    }
    let items = rows.iter().map(|row| item(row)).collect();
    with_details(model, &format!("Transcript of {}", one_line(&open.job_id)), items, details, frame, area);
}

fn item(row: &TuiLogRow) -> ListItem<'static> {
    let colour = match row.kind.as_str() {
        "answered" => Color::Green,
        "question_asked" | "question_decided" | "person_said" => Color::Magenta,
        "proof_ended" | "ended" => Color::Blue,
        "nudged" | "money_out" | "ask_failed" => Color::Yellow,
        _ => Color::Reset,
    };
    ListItem::new(Line::from(vec![
        Span::raw(format!("{:>4} ", row.seq)).dim(),
        Span::styled(format!("{:<16} ", one_line(&row.kind)), colour),
        Span::raw(one_line(&row.headline)),
    ]))
}

fn about(model: &TuiModel, open: &TuiTranscript) -> Vec<Line<'static>> {
    if open.rows.is_empty() {
        return vec![Line::from("No model has worked on this job yet.")];
    }
    let mut lines = vec![
        fact("turns", open.turns().to_string()),
        fact("cost", format!("${}", open.cost().usd().normalize())),
    ];
    if let Some(asked) = model.live.as_ref().and_then(|live| open.question_in(live)) {
        let asks = Span::raw(" asks, a approves, x rejects").bold();
        lines.push(Line::from(vec![mark("waiting_approval"), asks]));
        lines.extend(block(&asked.action));
        lines.push(fact(
            "waiting",
            format!("blocks {} jobs, ${:.4} a minute", asked.blocked_descendants, asked.usd_per_min),
        ));
    }
    if let Some(proof) = open.proof() {
        lines.push(fact("proof", if proof.passed { "passed" } else { "failed" }));
        lines.extend(block(&proof.text));
    }
    if let Some(stat) = open.diffstat() {
        lines.push(fact("changes", ""));
        lines.extend(block(stat));
    }
    lines.extend(open.end().map(|end| fact("end", end)));
    lines
}

/// The first lines of a text.
fn block(text: &str) -> Vec<Line<'static>> {
    let all = text.lines().count();
    let mut lines: Vec<Line<'static>> =
        text.lines().take(MAX_LINES).map(|line| Line::from(format!("  {}", one_line(line)))).collect();
    if all > MAX_LINES {
        lines.push(Line::from(format!("  … {} more lines", all - MAX_LINES)).dim());
    }
    lines
}
