//! Draws the model as a frame: pure; the same model always gives the same cells.
//!
//! Status has a shape as well as a colour. Foreign text goes through [`one_line`].

mod approvals;
mod dialog;
mod jobs;
mod log;
mod transcript;
mod tree;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, List, ListItem, ListState, Paragraph, Tabs};

use super::model::{TuiModel, TuiNotice, TuiPage};
use crate::cli::render::one_line;
use crate::cli::render::status::{StatusTone, status_mark};
use crate::domain::steering::SteeringAction;
use crate::domain::time::Timestamp;

/// A frame at least this wide shows the details of the chosen row beside the list.
const WIDE: u16 = 100;

pub(super) fn draw(model: &TuiModel, now: Timestamp, frame: &mut Frame<'_>) {
    let [top, tabs, body, notice, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(head(model, now), top);
    frame.render_widget(titles(model), tabs);
    if model.live.is_none() {
        let said = model.lost.as_deref().unwrap_or("waiting for the daemon's first answer …");
        frame.render_widget(Paragraph::new(said).wrap(ratatui::widgets::Wrap { trim: true }), body);
    } else {
        match model.page {
            TuiPage::Tree => tree::draw(model, frame, body),
            TuiPage::Jobs => jobs::draw(model, now, frame, body),
            TuiPage::Approvals => approvals::draw(model, frame, body),
            TuiPage::Log => log::draw(model, frame, body),
            TuiPage::Transcript => transcript::draw(model, frame, body),
        }
    }
    frame.render_widget(status_line(model), notice);
    frame.render_widget(hints(model), keys);
    if let Some(asked) = &model.dialog {
        dialog::draw(asked, frame);
    }
}

/// Health, spending and the age of the data.
fn head(model: &TuiModel, now: Timestamp) -> Paragraph<'static> {
    let mut spans = vec![Span::raw("PAS ").bold()];
    if let Some(live) = &model.live {
        let health = Span::raw(one_line(&live.health.line));
        spans.push(if live.health.agents_down > 0 { health.red() } else { health.green() });
        let costs = &live.costs;
        spans.push(Span::raw(format!(
            "  ${:.4}/min  {} tokens/min  ${:.2} in 24 h",
            costs.minute.usd, costs.minute.tokens, costs.day.usd
        )));
        if model.lost.is_some() {
            let age = now.since(live.at).as_secs();
            spans.push(format!("  STALE: {age} s").red().bold());
        }
    }
    Paragraph::new(Line::from(spans))
}

fn titles(model: &TuiModel) -> Tabs<'static> {
    let title = |(at, page): (usize, &TuiPage)| {
        let waiting = model.live.as_ref().map_or(0, |live| live.approvals.len());
        match page {
            TuiPage::Approvals if waiting > 0 => {
                Line::from(format!("{} {} ({waiting})", at + 1, page.title())).magenta()
            }
            _ => Line::from(format!("{} {}", at + 1, page.title())),
        }
    };
    Tabs::new(TuiPage::ALL.iter().enumerate().map(title))
        // A transcript is one of the jobs.
        .select(if model.page == TuiPage::Transcript { TuiPage::Jobs } else { model.page } as usize)
        .highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .divider(" ")
}

fn status_line(model: &TuiModel) -> Paragraph<'static> {
    if model.searching {
        return Paragraph::new(format!("/{}▏", model.filter));
    }
    match (&model.lost, &model.notice) {
        (Some(why), _) if model.live.is_some() => Paragraph::new(one_line(why)).red(),
        (_, Some(TuiNotice::Good(text))) => Paragraph::new(format!("✔ {}", one_line(text))).green(),
        (_, Some(TuiNotice::Bad(text))) => Paragraph::new(format!("✖ {}", one_line(text))).red(),
        _ => Paragraph::default(),
    }
}

/// The keys that work on this page.
fn hints(model: &TuiModel) -> Paragraph<'static> {
    let keys = [
        ("p", SteeringAction::Pause),
        ("r", SteeringAction::Resume),
        ("R", SteeringAction::Restart),
        ("K", SteeringAction::Kill),
        ("m", SteeringAction::Reassign),
        ("a", SteeringAction::Approve),
        ("x", SteeringAction::Reject),
    ];
    let mut text = "q quit  ".to_owned();
    for (key, action) in keys.iter().filter(|(_, action)| model.page.offers(*action)) {
        let word = if (model.page, *action) == (TuiPage::Jobs, SteeringAction::Restart) {
            "retry"
        } else {
            action.as_str()
        };
        text.push_str(&format!("{key} {word}  "));
    }
    match model.page {
        TuiPage::Jobs => text.push_str("Enter transcript  "),
        TuiPage::Transcript => text.push_str("Esc jobs  "),
        TuiPage::Tree | TuiPage::Approvals | TuiPage::Log => {}
    }
    text.push_str("/ search  ↑↓ select  Tab page");
    Paragraph::new(text).dim()
}

/// A list with its cursor, and the details of the chosen row beside it (below it in a narrow frame).
fn with_details(
    model: &TuiModel,
    title: &str,
    items: Vec<ListItem<'_>>,
    details: Vec<Line<'_>>,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let half = [Constraint::Percentage(60), Constraint::Percentage(40)];
    let [list, side] =
        if area.width >= WIDE { Layout::horizontal(half) } else { Layout::vertical(half) }.areas(area);
    choose(model, title, items, frame, list);
    let details = Paragraph::new(details).wrap(ratatui::widgets::Wrap { trim: false });
    frame.render_widget(details.block(Block::bordered().title("Details")), side);
}

/// A list with its cursor.
fn choose(model: &TuiModel, title: &str, items: Vec<ListItem<'_>>, frame: &mut Frame<'_>, area: Rect) {
    let searched = if model.filter.is_empty() {
        title.to_owned()
    } else {
        format!("{title} with \"{}\" (Esc: all)", model.filter)
    };
    let list = List::new(items)
        .block(Block::bordered().title(searched))
        .highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = ListState::default().with_selected(model.cursor());
    frame.render_stateful_widget(list, area, &mut state);
}

/// A line of the details: name and value.
fn fact(name: &str, value: impl Into<String>) -> Line<'static> {
    Line::from(vec![Span::raw(format!("{name:<10} ")).dim(), Span::raw(one_line(&value.into()))])
}

/// The shape and colour of a status, the same as in the web HMI.
fn mark(status: &str) -> Span<'static> {
    let (shape, tone) = status_mark(status);
    let colour = match tone {
        StatusTone::Good => Color::Green,
        StatusTone::Busy => Color::Blue,
        StatusTone::Asking => Color::Magenta,
        StatusTone::Paused => Color::Cyan,
        StatusTone::Warning => Color::Yellow,
        StatusTone::Quiet => Color::Gray,
        StatusTone::Bad => Color::Red,
    };
    Span::styled(shape, colour)
}

/// A bar of ten cells.
/// How far something is; dots where that is not known.
fn bar(fraction: f64, is_known: bool) -> String {
    const CELLS: usize = 10;
    if !is_known {
        return format!("{}   ? %", "·".repeat(CELLS));
    }
    let full = (fraction.clamp(0.0, 1.0) * CELLS as f64).round() as usize;
    format!("{}{} {:>3.0} %", "█".repeat(full), "░".repeat(CELLS - full), fraction.clamp(0.0, 1.0) * 100.0)
}
