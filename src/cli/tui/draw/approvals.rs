//! The page of pending approvals: action, reason, exact command, agent, and the cost of waiting.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize as _;
use ratatui::text::{Line, Span};
use ratatui::widgets::ListItem;
use serde_json::Value;

use super::{fact, mark, with_details};
use crate::cli::render::{one_line, units};
use crate::cli::tui::model::TuiModel;
use crate::cli::tui::rows::TuiRowContent;
use crate::cli::tui::wire::TuiApproval;

pub(super) fn draw(model: &TuiModel, frame: &mut Frame<'_>, area: Rect) {
    let rows = model.rows();
    let approvals: Vec<&TuiApproval> = rows
        .iter()
        .filter_map(|row| match row.what {
            TuiRowContent::Approval(approval) => Some(approval),
            _ => None,
        })
        .collect();
    let chosen = model.cursor().and_then(|at| approvals.get(at));
    let details = chosen.map_or_else(|| vec![Line::from("No pending approvals.")], |waiting| about(waiting));
    let items = approvals.iter().map(|waiting| item(waiting)).collect();
    with_details(model, "Approvals", items, details, frame, area);
}

fn item(waiting: &TuiApproval) -> ListItem<'static> {
    ListItem::new(Line::from(vec![
        mark("waiting_approval"),
        Span::raw(format!(" {}  ", one_line(&waiting.action))),
        Span::raw(one_line(&waiting.agent)).dim(),
    ]))
}

fn about(waiting: &TuiApproval) -> Vec<Line<'static>> {
    let since = Duration::try_from_secs_f64(waiting.waiting_s).map(units::duration).unwrap_or_default();
    let mut lines = vec![
        Line::from(one_line(&waiting.action)).bold(),
        fact("asked by", waiting.agent.clone()),
        fact("job", waiting.job_id.clone()),
        fact("waiting", since),
        fact("blocks", format!("{} jobs, ${:.4} a minute", waiting.blocked_descendants, waiting.usd_per_min)),
    ];
    let particulars = waiting.detail.as_object().into_iter().flatten();
    lines.extend(particulars.map(|(name, value)| match value {
        Value::String(text) => fact(name, text.clone()),
        other => fact(name, other.to_string()),
    }));
    lines
}
