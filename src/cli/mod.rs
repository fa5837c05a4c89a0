//! The command line: what a person types, and what they see.
//!
//! Owns the words of `pas`, the calls to a running daemon, and how answers are drawn. Knows the daemon
//! only as a function that `main` hands in. Invariants: a command is one call or a few, its answer goes
//! to standard output, all else to standard error ([`screen`]); every end has an exit code ([`exit`]).
//! Failure policy: one line on standard error that says what to do; nothing is tried again by itself.

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
pub mod render;
mod run;
pub mod screen;
mod settings;
#[cfg(test)]
mod tests;
mod trace;
mod tree;
mod tui;
pub mod when;
pub mod wire;

use std::process::ExitCode;

use clap::FromArgMatches as _;

use self::args::{Cli, Command, Global};
use self::client::Client;
use self::daemon::Daemon;
use self::exit::{Exit, Failure, Outcome};
use self::screen::Screen;
use crate::config::{Config, ConfigError};

/// What every command needs.
#[derive(Debug)]
pub struct Context {
    config: Config,
    client: Client,
    screen: Screen,
    global: Global,
}

impl Context {
    fn new(config: Config, global: Global) -> Result<Self, Failure> {
        let client = Client::new(&config)?;
        let screen = Screen { json: global.json, quiet: global.quiet };
        Ok(Self { config, client, screen, global })
    }

    /// The same command beside another daemon of this machine: all ports moved by `offset`.
    fn moved(&self, offset: u16) -> Result<Self, Failure> {
        let (mut config, mut global) = (self.config.clone(), self.global.clone());
        config.http.port_offset = offset;
        global.port_offset = Some(offset);
        Self::new(config, global)
    }

    /// The program, as it was called, with the flags that lead to the same daemon, for commands to be
    /// typed.
    fn again(&self) -> String {
        let called = std::env::args().next().filter(|called| called.contains('/'));
        let program = called.map_or_else(|| "pas".to_owned(), |called| shown(&called));
        let flags = launch::flags(&self.global);
        let words = flags.iter().map(|word| shown(&word.to_string_lossy())).collect::<Vec<_>>();
        std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ")
    }
}

/// The whole program: parses, runs, and says how it ended. `daemon` is what `pas up` runs.
#[must_use]
pub fn main(daemon: Daemon) -> ExitCode {
    let parsed = args::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too. A reader who has left is no error.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    let ended = runtime(&cli.command).and_then(|runtime| {
        let ended = runtime.block_on(run(cli, daemon));
        // What blocks a thread (a key press that is waited for) must not hold up the end.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            screen::tell(&failure);
            failure.exit.into()
        }
    }
}

/// All cores for the daemon, one thread for whoever only asks it.
fn runtime(command: &Command) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = match command {
        Command::Up => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let built = builder.enable_all().build();
    built.map_err(|error| Failure::failed(format!("the system gives no threads or descriptors: {error}")))
}

/// Runs one command. Those that need no settings come first, so that they work whatever is set.
async fn run(cli: Cli, daemon: Daemon) -> Outcome {
    let Cli { global, command } = cli;
    let screen = Screen { json: global.json, quiet: global.quiet };
    let config = Config::load(&global.sources());
    match &command {
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut args::command(), "pas", &mut std::io::stdout());
            return Ok(Exit::Done);
        }
        Command::Config { defaults: true } => return settings::defaults(screen),
        Command::Doctor => return doctor::examine(screen, config).await,
        _ => {}
    }
    let context = Context::new(config.map_err(|error| unusable(&error))?, global)?;
    dispatch(&context, command, daemon).await
}

async fn dispatch(context: &Context, command: Command, daemon: Daemon) -> Outcome {
    match command {
        Command::Up => daemon::up(context, daemon).await,
        Command::Down => daemon::down(context).await,
        Command::Run(args) => run::run(context, &args).await,
        Command::Jobs(args) => jobs::list(context, &args).await,
        Command::Job { id, tree } => jobs::show(context, &id, tree).await,
        Command::Cancel(args) => jobs::cancel(context, &args).await,
        Command::Pause(args) => jobs::steer(context, "pause", &args).await,
        Command::Resume(args) => jobs::steer(context, "resume", &args).await,
        Command::Retry(args) => jobs::steer(context, "retry", &args).await,
        Command::Approvals { all } => jobs::approvals(context, all).await,
        Command::Approve(args) => jobs::approve(context, &args).await,
        Command::Reject(args) => jobs::reject(context, &args).await,
        Command::Tree { watch } => tree::show(context, watch).await,
        Command::Tui => tui::show(context).await,
        Command::Agents { name: None } => agents::list(context).await,
        Command::Agents { name: Some(name) } => agents::show(context, &name).await,
        Command::Context { agent } => context::show(context, &agent).await,
        Command::Invoke(args) => agents::invoke(context, &args).await,
        Command::Trace(args) => trace::show(context, &args).await,
        Command::Crashes { id } => trace::crashes(context, id).await,
        Command::Kill(args) => agents::act(context, "kill", &args).await,
        Command::Restart(args) => agents::act(context, "restart", &args).await,
        Command::Search(args) => library::search(context, &args).await,
        Command::Backup { path } => library::backup(context, path.as_deref()).await,
        // The others were carried out before the settings were looked at.
        Command::Config { .. } | Command::Completions { .. } | Command::Doctor => {
            settings::effective(context.screen, &context.config)
        }
    }
}

fn unusable(error: &ConfigError) -> Failure {
    Failure::usage(error.to_string())
}

/// A word as a shell takes it.
fn shown(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
