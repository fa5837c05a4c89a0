//! From values to text: pure functions, without a daemon or a terminal.
//!
//! Invariants: no I/O; colours go through `console`, which drops them when the output is no terminal; every
//! line fits the given width, if that is 40 or more. Foreign text (paths, panic messages) is shown on one
//! line, without control characters.

pub mod bars;
pub mod cards;
pub mod news;
pub mod status;
pub mod table;
pub mod tree;
pub mod units;
pub mod waterfall;

use console::{StyledObject, style};

use crate::domain::job::JobState;
use crate::domain::shown_text::turns_direction;

/// A job's state as a mark of one column, distinct without colour too.
#[must_use]
pub fn state_mark(state: JobState) -> StyledObject<&'static str> {
    match state {
        JobState::Queued => style("◌").dim(),
        JobState::Running => style("●").cyan(),
        JobState::AwaitingApproval => style("?").yellow().bold(),
        JobState::Blocked => style("◔").yellow(),
        JobState::Paused => style("‖").yellow(),
        JobState::Done => style("✔").green(),
        JobState::Failed => style("✖").red().bold(),
        JobState::Cancelled => style("⊘").magenta(),
        JobState::Quarantined => style("☣").red().bold(),
    }
}

/// A job's state as mark and word.
#[must_use]
pub fn state(state: JobState) -> String {
    format!("{} {}", state_mark(state), state.word())
}

/// Foreign text on one line: control characters (also ANSI sequences) become spaces, and marks that turn the direction of
/// text around U+FFFD.
#[must_use]
pub fn one_line(text: &str) -> String {
    let plain = console::strip_ansi_codes(text);
    let shown = |c: char| match c {
        _ if c.is_control() => ' ',
        _ if turns_direction(c) => char::REPLACEMENT_CHARACTER,
        _ => c,
    };
    let spaced: String = plain.chars().map(shown).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most `width` columns; `…` marks a cut.
#[must_use]
pub fn fit(text: &str, width: usize) -> String {
    console::truncate_str(text, width, "…").into_owned()
}

/// `1 job`, `2 jobs`.
#[must_use]
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Text wrapped at spaces to lines of at most `width` columns; longer words get their own line.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |line| console::measure_text_width(line));
        let needed = console::measure_text_width(word);
        if line > 0 && line + 1 + needed > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// Text of several lines, each wrapped with its indentation.
#[must_use]
pub fn wrap_lines(text: &str, width: usize) -> String {
    let wrapped = text.lines().flat_map(|line| {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        let parts = wrap(bare, width.saturating_sub(indent).max(1));
        parts.into_iter().map(move |part| format!("{:indent$}{part}", ""))
    });
    wrapped.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_with_their_indentation() {
        assert_eq!(wrap_lines("{\n  \"a\": \"one two three\"\n}", 12), "{\n  \"a\": \"one\n  two three\"\n}");
    }

    #[test]
    fn text_of_others_cannot_steer_the_terminal() {
        assert_eq!(one_line("a\u{1b}[31mred\u{1b}[0m\r\nb\u{7}\tc"), "ared b c");
        assert_eq!(one_line("a\u{202e}gpj.exe"), "a\u{fffd}gpj.exe");
    }

    #[test]
    fn wrapping_keeps_all_words() {
        let text = "the quick brown fox jumps over an extraordinarily lazy dog";
        let lines = wrap(text, 12);
        assert_eq!(lines.join(" "), text);
        assert!(lines.iter().all(|line| line.len() <= 12 || !line.contains(' ')), "{lines:?}");
    }
}
