//! Keys of the terminal by meaning.

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use super::model::{TuiInput, TuiKey};

/// Rows per page key.
const PAGE: isize = 10;

/// Sends key presses. The thread blocks in a read and ends with the process.
pub(super) fn listen(to: mpsc::Sender<TuiInput>) {
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let input = match event {
                Event::Key(key) if key.kind != KeyEventKind::Release => meaning(key),
                // A resize only needs a new frame.
                Event::Resize(..) => Some(TuiKey::Move(0)),
                _ => None,
            };
            if let Some(key) = input
                && to.blocking_send(TuiInput::Key(key)).is_err()
            {
                break;
            }
        }
    });
}

/// The meaning of a key, the same on every page.
fn meaning(key: KeyEvent) -> Option<TuiKey> {
    let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c') if with_control => TuiKey::Quit,
        KeyCode::Char(_) if with_control => return None,
        KeyCode::Char(letter) => TuiKey::Letter(letter),
        KeyCode::Esc => TuiKey::Back,
        KeyCode::Enter => TuiKey::Enter,
        KeyCode::Up => TuiKey::Move(-1),
        KeyCode::Down => TuiKey::Move(1),
        KeyCode::PageUp => TuiKey::Move(-PAGE),
        KeyCode::PageDown => TuiKey::Move(PAGE),
        KeyCode::Home => TuiKey::First,
        KeyCode::End => TuiKey::Last,
        KeyCode::Tab | KeyCode::Right => TuiKey::Next,
        KeyCode::BackTab | KeyCode::Left => TuiKey::Previous,
        KeyCode::Backspace => TuiKey::Erase,
        _ => return None,
    })
}
