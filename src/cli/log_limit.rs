//! A limit on repeated log lines: some of a kind at a time, then their count.
//!
//! A kind is a place in the code, so one fault that repeats a thousand times a second hides no other, and the
//! log keeps its size. Invariant: every line left out is counted in a later one.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines of one kind in a [`WINDOW`]: enough for a start, and to see what repeats.
const LINES: u32 = 50;
/// Time after which a kind may write again, and lines left out are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// Bytes of a message that name its kind in the count.
const KIND_BYTES: usize = 100;

/// The layer; clones share the counts.
#[derive(Clone, Default)]
pub(super) struct LogLimit(Arc<Mutex<HashMap<Identifier, LineCount>>>);

struct LineCount {
    begun: Instant,
    lines: u32,
    left_out: u64,
    /// The message of the first line left out.
    kind: String,
}

impl LogLimit {
    /// Counts a line; whether it is written.
    fn admit(&self, callsite: Identifier, now: Instant, message: impl FnOnce() -> String) -> bool {
        let mut counts = self.0.lock();
        let fresh = || LineCount { begun: now, lines: 0, left_out: 0, kind: String::new() };
        let count = counts.entry(callsite).or_insert_with(fresh);
        if count.left_out == 0 && now.duration_since(count.begun) >= WINDOW {
            *count = fresh();
        }
        count.lines += 1;
        if count.lines <= LINES {
            return true;
        }
        if count.left_out == 0 {
            count.kind = message();
        }
        count.left_out += 1;
        false
    }

    /// The kinds whose window is over, with the lines left out; they may write again.
    fn take_left_out(&self, now: Instant) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        self.0.lock().retain(|_, count| {
            let is_over = now.duration_since(count.begun) >= WINDOW;
            if is_over && count.left_out > 0 {
                found.push((std::mem::take(&mut count.kind), count.left_out));
            }
            !is_over
        });
        found
    }

    /// Logs the counts of the windows that are not over yet: the process is about to end.
    pub(super) fn log_rest(&self) {
        self.log_left_out(Instant::now() + WINDOW);
    }

    fn log_left_out(&self, now: Instant) {
        for (kind, lines) in self.take_left_out(now) {
            tracing::warn!(kind, lines, "lines of one kind were left out of the log");
        }
    }

    /// Logs the counts from time to time, for as long as the process lives.
    pub(super) fn keep_counting(self) -> std::io::Result<()> {
        let counting = move || {
            loop {
                std::thread::sleep(WINDOW);
                self.log_left_out(Instant::now());
            }
        };
        std::thread::Builder::new().name("log-limit".to_owned()).spawn(counting).map(drop)
    }
}

impl<S: Subscriber> Layer<S> for LogLimit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let facts = event.metadata();
        // Whoever asks for details wants all of them.
        *facts.level() > Level::INFO || self.admit(facts.callsite(), Instant::now(), || message_of(event))
    }
}

fn message_of(event: &Event<'_>) -> String {
    struct MessageText(String);
    impl Visit for MessageText {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if field.name() == "message" {
                // Writing to a string cannot fail.
                let _ = write!(self.0, "{value:?}");
            }
        }
    }
    let mut text = MessageText(String::new());
    event.record(&mut text);
    text.0.truncate(text.0.floor_char_boundary(KIND_BYTES));
    text.0
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct WrittenLines(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for WrittenLines {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().push(message_of(event));
        }
    }

    #[test]
    fn a_flood_of_one_kind_is_some_lines_and_their_count_and_hides_no_other() {
        let (limit, written) = (LogLimit::default(), WrittenLines::default());
        let subscriber = tracing_subscriber::registry().with(limit.clone()).with(written.clone());
        tracing::subscriber::with_default(subscriber, || {
            for n in 0..6_000 {
                tracing::warn!(n, "a dead service is still registered");
                tracing::debug!(n, "a detail");
            }
            tracing::error!("the disk is full");
        });
        let lines = written.0.lock().clone();
        let of = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
        assert_eq!((of("a dead service"), of("a detail"), of("the disk")), (LINES as usize, 6_000, 1));
        assert_eq!(limit.take_left_out(Instant::now()), [], "not yet");
        let later = Instant::now() + WINDOW;
        let left_out = 6_000 - u64::from(LINES);
        assert_eq!(limit.take_left_out(later), [("a dead service is still registered".to_owned(), left_out)]);
        assert_eq!(limit.take_left_out(later), [], "counted once");
        assert!(limit.0.lock().is_empty(), "and may be written again");
    }

    #[test]
    fn lines_left_out_are_counted_at_the_end_at_the_latest() {
        let (limit, written) = (LogLimit::default(), WrittenLines::default());
        let subscriber = tracing_subscriber::registry().with(limit.clone()).with(written.clone());
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..=LINES {
                tracing::warn!("a dead service is still registered");
            }
            limit.log_rest();
        });
        let last = written.0.lock().last().cloned();
        assert_eq!(last.as_deref(), Some("lines of one kind were left out of the log"));
    }
}
