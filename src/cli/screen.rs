//! Output: results to standard output, everything else to standard error.
//!
//! Invariants: with `--json`, standard output is exactly one JSON value; colours only on a terminal
//! (`console` checks, and honours `NO_COLOR`). Failure policy: a closed pipe (`pas jobs | head`) is no error.

use std::io::{self, Write as _};

use console::{Term, style};
use serde_json::Value;

use super::exit::CommandFailure;

/// Width of tables and drawings without a terminal.
const PLAIN_WIDTH: usize = 80;
/// Wider drawings are no easier to read.
const WIDEST: usize = 140;

/// The two output streams with the user's choices.
#[derive(Debug, Clone, Copy, Default)]
pub struct CliScreen {
    /// JSON instead of text.
    pub json: bool,
    /// Results and errors only.
    pub quiet: bool,
}

impl CliScreen {
    /// Prints a result: as JSON, or as the text made by `draw`.
    ///
    /// # Errors
    /// `draw` cannot read the value.
    pub fn show(
        self,
        value: &Value,
        draw: impl FnOnce(&Value) -> Result<String, CommandFailure>,
    ) -> Result<(), CommandFailure> {
        if self.json {
            // A `Value` always serializes.
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

    /// A hint for a person, on standard error unless quiet.
    pub fn hint(self, text: &str) {
        if !self.quiet {
            write_err(text);
        }
    }

    /// Width for drawings.
    #[must_use]
    pub fn width(self) -> usize {
        match Term::stdout().size_checked() {
            Some((_, columns)) => usize::from(columns).clamp(40, WIDEST),
            None => PLAIN_WIDTH,
        }
    }
}

/// The one place where failures are printed.
pub fn print_failure(failure: &CommandFailure) {
    write_err(&format!("{} {}", style("error:").red().bold().for_stderr(), failure.message));
}

fn write_out(text: &str) {
    let mut out = io::stdout().lock();
    // Fails only on a closed pipe.
    let _ = writeln!(out, "{}", text.trim_end_matches('\n'));
}

fn write_err(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end_matches('\n'));
}
