//! The page of the newest events.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::ListItem;

use super::choose;
use crate::cli::render::{one_line, units};
use crate::cli::tui::model::TuiModel;
use crate::cli::tui::rows::TuiRowContent;
use crate::cli::tui::wire::TuiEvent;
use crate::cli::tui::words;

pub(super) fn draw(model: &TuiModel, frame: &mut Frame<'_>, area: Rect) {
    let rows = model.rows();
    let items = rows.iter().filter_map(|row| match row.what {
        TuiRowContent::Event(event) => Some(item(event)),
        _ => None,
    });
    choose(model, "Log", items.collect(), frame, area);
}

fn item(event: &TuiEvent) -> ListItem<'static> {
    let colour = match event.event_type.as_str() {
        "alert" => Color::Red,
        "approval" => Color::Magenta,
        "supervision" => Color::Yellow,
        "cost_update" => Color::Green,
        _ => Color::Reset,
    };
    ListItem::new(Line::from(vec![
        Span::raw(units::clock(event.server_timestamp)).dim(),
        Span::styled(format!("  {:<16} ", one_line(&event.event_type)), colour),
        Span::raw(one_line(&words::event(event))),
    ]))
}
