//! The hidden subcommands by which the daemon's own binary becomes a reaper or a confined command.
//!
//! `main` checks for them before setting anything up, while the process is still single-threaded.

use std::process::ExitCode;

use super::{CONFINE_FAILED, CONFINE_PREFIX};

/// Carries out `confine REQUEST -- COMMAND…` or `reap REQUEST -- COMMAND…`; `None` for any other command
/// line. `confine` only returns on failure.
#[must_use]
pub fn run_hidden(mut arguments: impl Iterator<Item = String>) -> Option<ExitCode> {
    let verb = arguments.next().filter(|verb| verb == "confine" || verb == "reap")?;
    let (request, dashes) = (arguments.next()?, arguments.next()?);
    if dashes != "--" {
        return None;
    }
    let command: Vec<String> = arguments.collect();
    let failed = match verb.as_str() {
        #[cfg(target_os = "linux")]
        "confine" => {
            let Err(error) = super::confine::confine(&request, &command);
            format!("{CONFINE_PREFIX}{error}")
        }
        #[cfg(unix)]
        "reap" => match super::reaper::reap(&request, &command) {
            Ok(()) => return Some(ExitCode::SUCCESS),
            Err(error) => format!("pas keep: {error}"),
        },
        _ => format!("{CONFINE_PREFIX}this system has no such way to confine a command"),
    };
    // The starting process reads this; there is no log yet.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{failed}\n").as_bytes());
    Some(u8::try_from(CONFINE_FAILED).map_or(ExitCode::FAILURE, ExitCode::from))
}
