//! Where words go: results to standard output, all else to standard error.
//!
//! Invariants: with `--json` standard output holds one JSON value and nothing else; colours only where
//! a terminal reads (`console` looks, and honours `NO_COLOR`). Failure policy: a reader who has left
//! (`pas jobs | head`) is no error.

use std::io::{self, Write as _};

use console::{Term, style};
use serde_json::Value;

use super::exit::Failure;

/// Width for tables and drawings when there is no terminal to ask.
const PLAIN_WIDTH: usize = 80;
/// Drawings don't get easier to read beyond this.
const WIDEST: usize = 140;

/// The two streams, and what the person wants to see on them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Screen {
    /// JSON instead of text.
    pub json: bool,
    /// Nothing but results and errors.
    pub quiet: bool,
}

impl Screen {
    /// Shows a result: as JSON, or as the text that `draw` makes of it.
    ///
    /// # Errors
    /// What `draw` finds wrong with the value.
    pub fn show(
        self,
        value: &Value,
        draw: impl FnOnce(&Value) -> Result<String, Failure>,
    ) -> Result<(), Failure> {
        if self.json {
            // A `Value` always has a text.
            let text = serde_json::to_string_pretty(value).unwrap_or_default();
            write_out(&text);
        } else {
            write_out(&draw(value)?);
        }
        Ok(())
    }

    /// Text on standard output; with `--json` on standard error, unless quiet.
    pub fn say(self, text: &str) {
        if self.json { self.hint(text) } else { write_out(text) }
    }

    /// What helps a person but is no result: on standard error, unless quiet.
    pub fn hint(self, text: &str) {
        if !self.quiet {
            write_err(text);
        }
    }

    /// How wide drawings may be.
    #[must_use]
    pub fn width(self) -> usize {
        match Term::stdout().size_checked() {
            Some((_, columns)) => usize::from(columns).clamp(40, WIDEST),
            None => PLAIN_WIDTH,
        }
    }
}

/// The one place where failures are told.
pub fn tell(failure: &Failure) {
    write_err(&format!("{} {}", style("error:").red().bold().for_stderr(), failure.message));
}

fn write_out(text: &str) {
    let mut out = io::stdout().lock();
    // The only way this fails is a reader who has left.
    let _ = writeln!(out, "{}", text.trim_end_matches('\n'));
}

fn write_err(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end_matches('\n'));
}
