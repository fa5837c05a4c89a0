//! Draws the dialog before an action.

use ratatui::Frame;
use ratatui::layout::{Constraint, Flex, Layout};
use ratatui::style::Stylize as _;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::fact;
use crate::cli::render::one_line;
use crate::cli::tui::dialog::{ActionDialog, DialogField};
use crate::cli::tui::wire::TuiBlastRadius;
use crate::domain::steering::SteeringAction;

/// Widest a dialog gets.
const WIDTH: u16 = 72;
/// Names listed before "and so many more".
const NAMED: usize = 6;

/// Draws it over the page.
pub(super) fn draw(dialog: &ActionDialog, frame: &mut Frame<'_>) {
    let lines = lines(dialog);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(4);
    let [row] = Layout::vertical([Constraint::Max(height)]).flex(Flex::Center).areas(frame.area());
    let [place] = Layout::horizontal([Constraint::Max(WIDTH)]).flex(Flex::Center).areas(row);
    let title = format!(" {} {} ", dialog.action.as_str(), one_line(&dialog.target));
    frame.render_widget(Clear, place);
    let text = Paragraph::new(lines).wrap(Wrap { trim: false });
    frame.render_widget(text.block(Block::bordered().title(title)), place);
}

fn lines(dialog: &ActionDialog) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if dialog.ends_something() {
        match &dialog.blast {
            Some(blast) => lines.extend(touched(blast)),
            None => lines.push(Line::from("asking the daemon for the blast radius …").dim()),
        }
    }
    if dialog.has_subtree() {
        let all = if dialog.subtree { "[x] whole subtree" } else { "[ ] whole subtree" };
        lines.push(Line::from(format!("{all}  (Tab)")));
    }
    if dialog.action == SteeringAction::Reassign {
        lines.push(field("to agent", &dialog.to, dialog.field == DialogField::To));
    }
    lines.push(field("reason", &dialog.reason, dialog.field == DialogField::Reason));
    lines.push(Line::default());
    lines.push(Line::from("Enter confirms, Esc cancels").dim());
    lines
}

fn field(name: &str, typed: &str, is_active: bool) -> Line<'static> {
    let cursor = if is_active { "▏" } else { "" };
    fact(name, format!("{typed}{cursor}"))
}

/// The blast radius.
fn touched(blast: &TuiBlastRadius) -> Vec<Line<'static>> {
    let jobs: Vec<String> = blast.jobs.iter().map(|job| format!("{} ({})", job.job_id, job.task)).collect();
    vec![
        fact("agents", named(&blast.agents)),
        fact("jobs", if jobs.is_empty() { "none in hand".to_owned() } else { named(&jobs) }),
        fact("in flight", format!("${:.4}", blast.usd_in_flight)),
        Line::default(),
    ]
}

fn named(names: &[String]) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
