//! The page of the supervision tree.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize as _;
use ratatui::text::{Line, Span};
use ratatui::widgets::ListItem;

use super::{bar, fact, mark, with_details};
use crate::cli::render::{one_line, units};
use crate::cli::tui::model::TuiModel;
use crate::cli::tui::rows::TuiRowContent;
use crate::cli::tui::wire::TuiNode;

pub(super) fn draw(model: &TuiModel, frame: &mut Frame<'_>, area: Rect) {
    let rows = model.rows();
    let items = rows.iter().filter_map(|row| match row.what {
        TuiRowContent::Node(node, depth) => Some(item(node, depth)),
        _ => None,
    });
    let chosen = model.cursor().and_then(|at| match rows.get(at)?.what {
        TuiRowContent::Node(node, _) => Some(details(node)),
        _ => None,
    });
    with_details(model, "Tree", items.collect(), chosen.unwrap_or_default(), frame, area);
}

fn item(node: &TuiNode, depth: usize) -> ListItem<'static> {
    let mut spans = vec![
        Span::raw("  ".repeat(depth)),
        mark(&node.status),
        Span::raw(format!(" {}", one_line(&node.name))),
    ];
    if node.restarts > 0 {
        spans.push(format!("  ↻{}", node.restarts).yellow());
    }
    if node.depth > 0 {
        spans.push(format!("  ✉{}", node.depth).cyan());
    }
    if let Some(step) = &node.step {
        spans.push(
            Span::raw(format!("  {} {}", one_line(&step.task), bar(step.progress, step.progress_known)))
                .dim(),
        );
    }
    ListItem::new(Line::from(spans))
}

/// What the one word of the status leaves out.
fn besides(node: &TuiNode) -> Option<String> {
    let waits =
        node.waiting_for.as_ref().filter(|_| !matches!(&*node.status, "waiting_approval" | "blocked"));
    let waits = waits.map(|who| format!("a job of its waits for a {who}"));
    let paused = node.paused && node.status != "paused";
    let paused = paused.then(|| "pausing: it ends what it has begun".to_owned());
    let health =
        Some(&node.health).filter(|health| !matches!(&***health, "" | "ok") && **health != node.status);
    let health = health.map(|health| format!("health: {health}"));
    let said: Vec<String> = [paused, waits, health].into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join("; "))
}

fn details(node: &TuiNode) -> Vec<Line<'static>> {
    let mut lines = vec![
        Line::from(one_line(&node.name)).bold(),
        Line::from(vec![mark(&node.status), Span::raw(format!(" {}", node.status.replace('_', " ")))]),
    ];
    lines.extend(besides(node).map(|besides| fact("besides", besides)));
    lines.extend(node.role.clone().map(|role| fact("role", role)));
    lines.push(fact("mailbox", format!("{} waiting, {} handled", node.depth, node.handled)));
    lines.extend(node.handling.clone().map(|kind| fact("handling", kind)));
    lines.extend(node.beat_age_ms.map(|age| {
        fact("last beat", format!("{} ago", units::duration(std::time::Duration::from_millis(age))))
    }));
    if let (Some(used), Some(limit)) = (node.ctx_used, node.ctx_limit) {
        lines.push(fact("context", format!("{used} of {limit} tokens")));
    }
    lines.push(fact("restarts", node.restarts.to_string()));
    lines.extend(node.last_exit.clone().map(|why| fact("last exit", why)));
    lines.push(fact("cost", format!("${:.4}", node.cost_usd)));
    if let Some(step) = &node.step {
        lines.push(fact("job", step.job_id.clone()));
        lines.push(fact("step", format!("{}  {}", step.task, bar(step.progress, step.progress_known))));
    }
    lines
}
