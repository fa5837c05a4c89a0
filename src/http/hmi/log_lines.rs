//! The newest lines of the daemon's log, in memory, for the cards of agents.
//!
//! A [`layer`] of the process's one subscriber writes them, behind the log's own filter. Invariant: at most
//! [`KEPT`] lines of at most [`MAX_TEXT`] bytes are kept. A process without that layer (a test, another
//! embedding) has no lines, and cards omit the field.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::OnceLock;

use parking_lot::Mutex;
use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::domain::time::Timestamp;

/// At the default level some hours of a busy swarm; at most 4 MiB.
const KEPT: usize = 4096;
/// Longest line, in bytes; the rest is cut.
const MAX_TEXT: usize = 1024;

/// Static, because the process has one subscriber.
static LINES: OnceLock<Mutex<VecDeque<LogLine>>> = OnceLock::new();

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogLine {
    at: Timestamp,
    level: &'static str,
    message: String,
}

/// The layer that keeps the lines.
pub fn layer<S: Subscriber>() -> impl Layer<S> {
    LINES.get_or_init(Mutex::default);
    LogLineLayer
}

/// The newest `limit` lines that name this agent, newest first; `None` without the layer.
pub(super) fn about(agent: &str, limit: usize) -> Option<Vec<LogLine>> {
    let lines = LINES.get()?.lock();
    Some(lines.iter().rev().filter(|line| names(&line.message, agent)).take(limit).cloned().collect())
}

struct LogLineLayer;

impl<S: Subscriber> Layer<S> for LogLineLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(lines) = LINES.get() else { return };
        let mut text = LogText::default();
        event.record(&mut text);
        let level = word(*event.metadata().level());
        let line = LogLine { at: Timestamp::now(), level, message: text.finish() };
        let mut lines = lines.lock();
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

const fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

/// A message followed by its fields, as in the log.
#[derive(Default)]
struct LogText {
    message: String,
    fields: String,
}

impl LogText {
    fn finish(mut self) -> String {
        self.message.push_str(&self.fields);
        self.message.truncate(self.message.floor_char_boundary(MAX_TEXT));
        self.message
    }
}

impl Visit for LogText {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

/// Whether a text has an agent's name as a word; `-` counts as a letter.
fn names(text: &str, agent: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.match_indices(agent).any(|(at, found)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + found.len()..].chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn an_agent_is_named_by_its_whole_name() {
        for text in ["agent=chunker ended", "`chunker`: gone", "chunker", "run.chunker.x"] {
            assert!(names(text, "chunker"), "{text}");
        }
        for text in ["agent=chunker-mgs", "re-chunker", "chunkers", "chunker_2", ""] {
            assert!(!names(text, "chunker"), "{text}");
        }
    }

    #[test]
    fn the_newest_lines_about_an_agent_are_found_and_old_ones_go() {
        let subscriber = tracing_subscriber::registry().with(layer());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(agent = "log-tester", tries = 3, "has {} legs", 8);
            tracing::warn!(agent = %"log-tester", "fell");
            tracing::warn!(agent = "another", "{}", "é".repeat(MAX_TEXT));
        });
        let told = about("log-tester", 10).unwrap();
        let texts: Vec<_> = told.iter().map(|line| (line.level, line.message.as_str())).collect();
        assert_eq!(
            texts,
            [("WARN", "fell agent=log-tester"), ("INFO", "has 8 legs agent=log-tester tries=3")]
        );
        assert_eq!(about("log-tester", 1).unwrap().len(), 1);
        let subscriber = tracing_subscriber::registry().with(layer());
        tracing::subscriber::with_default(subscriber, || (0..KEPT).for_each(|_| tracing::info!("noise")));
        assert!(about("log-tester", 10).unwrap().is_empty());
        assert_eq!(LINES.get().unwrap().lock().len(), KEPT);
    }
}
