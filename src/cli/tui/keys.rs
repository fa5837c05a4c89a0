//! Keys of the terminal, by what they mean.

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use super::model::{Input, Key};

/// Rows of a page key.
const PAGE: isize = 10;

/// Sends keys as they are pressed. The thread waits in a read and ends with the process.
pub(super) fn listen(to: mpsc::Sender<Input>) {
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let input = match event {
                Event::Key(key) if key.kind != KeyEventKind::Release => meaning(key),
                // A changed size only needs a new frame.
                Event::Resize(..) => Some(Key::Move(0)),
                _ => None,
            };
            if let Some(key) = input
                && to.blocking_send(Input::Key(key)).is_err()
            {
                break;
            }
        }
    });
}

/// What a key means, wherever it is pressed.
fn meaning(key: KeyEvent) -> Option<Key> {
    let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c') if with_control => Key::Quit,
        KeyCode::Char(_) if with_control => return None,
        KeyCode::Char(letter) => Key::Letter(letter),
        KeyCode::Esc => Key::Back,
        KeyCode::Enter => Key::Enter,
        KeyCode::Up => Key::Move(-1),
        KeyCode::Down => Key::Move(1),
        KeyCode::PageUp => Key::Move(-PAGE),
        KeyCode::PageDown => Key::Move(PAGE),
        KeyCode::Home => Key::First,
        KeyCode::End => Key::Last,
        KeyCode::Tab | KeyCode::Right => Key::Next,
        KeyCode::BackTab | KeyCode::Left => Key::Previous,
        KeyCode::Backspace => Key::Erase,
        _ => return None,
    })
}
