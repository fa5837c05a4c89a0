//! The command line.
//!
//! Owns the commands of `pas`, the calls to a running daemon, and the drawing of answers. Knows the daemon
//! only as a function passed in by `main`. Invariants: a command makes one call or a few; the answer goes to
//! standard output, everything else to standard error ([`screen`]); every outcome has an exit code
//! ([`exit`]). Failure policy: one line on standard error that names the remedy; no automatic retry.

mod agents;
pub mod args;
pub mod client;
mod context;
pub mod corpus;
mod costs;
pub mod daemon;
mod descriptors;
mod doctor;
pub mod exit;
mod ids;
mod jobs;
mod launch;
mod library;
mod log_limit;
mod models;
pub mod render;
mod run;
pub mod screen;
mod settings;
mod step_log;
#[cfg(test)]
mod tests;
mod trace;
mod tree;
mod tui;
pub mod when;
pub mod wire;

use std::process::ExitCode;

use clap::FromArgMatches as _;

use self::args::{CliArgs, CliCommand, GlobalArgs};
use self::client::DaemonClient;
use self::daemon::DaemonMain;
use self::exit::{CommandExit, CommandFailure, CommandResult};
use self::screen::CliScreen;
use crate::config::{ConfigError, SwarmConfig};

/// Shared by every command.
#[derive(Debug)]
pub struct CommandContext {
    config: SwarmConfig,
    client: DaemonClient,
    screen: CliScreen,
    global: GlobalArgs,
}

impl CommandContext {
    fn new(config: SwarmConfig, global: GlobalArgs) -> Result<Self, CommandFailure> {
        let client = DaemonClient::new(&config)?;
        let screen = CliScreen { json: global.json, quiet: global.quiet };
        Ok(Self { config, client, screen, global })
    }

    /// The same context beside another daemon on this machine: all ports moved by `offset`.
    fn moved(&self, offset: u16) -> Result<Self, CommandFailure> {
        let (mut config, mut global) = (self.config.clone(), self.global.clone());
        config.http.port_offset = offset;
        global.port_offset = Some(offset);
        Self::new(config, global)
    }

    /// The program as called, with the flags that reach the same daemon: the prefix of suggested commands.
    fn again(&self) -> String {
        let called = std::env::args().next().filter(|called| called.contains('/'));
        let program = called.map_or_else(|| "pas".to_owned(), |called| shown(&called));
        let flags = launch::flags(&self.global);
        let words = flags.iter().map(|word| shown(&word.to_string_lossy())).collect::<Vec<_>>();
        std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ")
    }
}

/// The whole program: parses, runs, and returns the exit code. `daemon` is the function behind `pas up`.
#[must_use]
pub fn main(daemon: DaemonMain) -> ExitCode {
    let parsed = args::command().try_get_matches().and_then(|matches| CliArgs::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too. A closed pipe is no error.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(CommandExit::Usage.code()));
        }
    };
    let ended = runtime(&cli.command).and_then(|runtime| {
        let ended = runtime.block_on(run(cli, daemon));
        // A blocked thread (waiting for a key press) must not delay the exit.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            screen::print_failure(&failure);
            failure.exit.into()
        }
    }
}

/// All cores for the daemon, one thread for other commands.
fn runtime(command: &CliCommand) -> Result<tokio::runtime::Runtime, CommandFailure> {
    let mut builder = match command {
        CliCommand::Up => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let built = builder.enable_all().build();
    built.map_err(|error| {
        CommandFailure::failed(format!("cannot start the runtime (no threads or descriptors?): {error}"))
    })
}

/// Runs one command. Commands that need no settings come first, so that they work with broken ones.
async fn run(cli: CliArgs, daemon: DaemonMain) -> CommandResult {
    let CliArgs { global, command } = cli;
    let screen = CliScreen { json: global.json, quiet: global.quiet };
    let config = SwarmConfig::load(&global.sources());
    match &command {
        CliCommand::Completions { shell } => {
            clap_complete::generate(*shell, &mut args::command(), "pas", &mut std::io::stdout());
            return Ok(CommandExit::Done);
        }
        CliCommand::Config { defaults: true } => return settings::defaults(screen),
        CliCommand::Doctor(args) => return doctor::examine(screen, config, args).await,
        _ => {}
    }
    let context = CommandContext::new(config.map_err(|error| unusable(&error))?, global)?;
    dispatch(&context, command, daemon).await
}

async fn dispatch(context: &CommandContext, command: CliCommand, daemon: DaemonMain) -> CommandResult {
    match command {
        CliCommand::Up => daemon::up(context, daemon).await,
        CliCommand::Down => daemon::down(context).await,
        CliCommand::Run(args) => run::run(context, &args).await,
        CliCommand::Jobs(args) => jobs::list(context, &args).await,
        CliCommand::Job { id, log: true, follow, .. } => step_log::show(context, &id, follow).await,
        CliCommand::Job { id, tree, .. } => jobs::show(context, &id, tree).await,
        CliCommand::Say { id, text } => step_log::say(context, &id, &text).await,
        CliCommand::Trees => step_log::trees(context).await,
        CliCommand::Cancel(args) => jobs::cancel(context, &args).await,
        CliCommand::Pause(args) => jobs::steer(context, "pause", &args).await,
        CliCommand::Resume(args) => jobs::steer(context, "resume", &args).await,
        CliCommand::Retry(args) => jobs::steer(context, "retry", &args).await,
        CliCommand::Approvals { all } => jobs::approvals(context, all).await,
        CliCommand::Approve(args) => jobs::approve(context, &args).await,
        CliCommand::Reject(args) => jobs::reject(context, &args).await,
        CliCommand::Tree { watch } => tree::show(context, watch).await,
        CliCommand::Tui => tui::show(context).await,
        CliCommand::Agents { name: None } => agents::list(context).await,
        CliCommand::Agents { name: Some(name) } => agents::show(context, &name).await,
        CliCommand::Context { agent } => context::show(context, &agent).await,
        CliCommand::Invoke(args) => agents::invoke(context, &args).await,
        CliCommand::Trace(args) => trace::show(context, &args).await,
        CliCommand::Crashes { id } => trace::crashes(context, id).await,
        CliCommand::Kill(args) => agents::act(context, "kill", &args).await,
        CliCommand::Restart(args) => agents::act(context, "restart", &args).await,
        CliCommand::Models(args) => models::list(context, &args).await,
        CliCommand::Search(args) => library::search(context, &args).await,
        CliCommand::Backup { path } => library::backup(context, path.as_deref()).await,
        CliCommand::Prune { dry_run } => library::prune(context, dry_run).await,
        // `run` handled the others before reading the settings.
        CliCommand::Config { .. } | CliCommand::Completions { .. } | CliCommand::Doctor(_) => {
            settings::effective(context.screen, &context.config)
        }
    }
}

fn unusable(error: &ConfigError) -> CommandFailure {
    CommandFailure::usage(error.to_string())
}

/// A word quoted for a shell.
fn shown(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
