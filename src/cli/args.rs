//! The words of the command line: commands, flags and their help.
//!
//! Invariant: whatever is parsed here is typed; the commands never look at raw text again, except for
//! ids, which may be given in part and are completed against the daemon. Failure policy: clap's; exit 2.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use serde_json::Value;

use super::exit;
use super::when::{Deadline, Since};
use crate::config::{Flags, Sources};

/// PAS, the Polyglot Agent Swarm: a daemon with a supervised tree of agents.
#[derive(Debug, Parser)]
#[command(name = "pas", version, propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The command line with the exit codes below its help.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command().after_help(exit::help()).after_long_help(exit::help())
}

/// Flags of every command.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// PAS's own state [default: .pas below the workdir]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Settings")]
    pub data_dir: Option<PathBuf>,
    /// Where jobs work and leave artifacts/ [default: .]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Settings")]
    pub workdir: Option<PathBuf>,
    /// Settings file [default: pas.toml in the workdir]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Settings")]
    pub config: Option<PathBuf>,
    /// Added to every port, for several daemons [default: 0]
    #[arg(long, global = true, value_name = "N", help_heading = "Settings")]
    pub port_offset: Option<u16>,
    /// Address the daemon listens on [default: 127.0.0.1]
    #[arg(long, global = true, value_name = "ADDR", help_heading = "Settings")]
    pub bind: Option<IpAddr>,
    /// JSON for programs on standard output, and nothing else there
    #[arg(long, global = true, action = ArgAction::SetTrue, help_heading = "Output")]
    pub json: bool,
    /// No progress and no hints; results and errors only
    #[arg(long, short, global = true, action = ArgAction::SetTrue, help_heading = "Output")]
    pub quiet: bool,
}

impl Global {
    /// Where the settings come from, with these flags on top. A relative path means what it means to the
    /// shell that completed it, whatever it would mean in a file of settings.
    #[must_use]
    pub fn sources(&self) -> Sources {
        let from_here = |path: &Option<PathBuf>| {
            // Only an empty path has no absolute form; the settings refuse it.
            path.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()))
        };
        let flags = Flags {
            workdir: from_here(&self.workdir),
            data_dir: from_here(&self.data_dir),
            bind: self.bind,
            port_offset: self.port_offset,
        };
        Sources::of_process(from_here(&self.config), flags)
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon here, until Ctrl-C or `pas down`
    Up,
    /// Stop the running daemon and wait until it has ended
    Down,
    /// Submit a job and watch it; starts a daemon for it if none runs
    Run(Run),
    /// List jobs, newest first
    Jobs(Jobs),
    /// Show one job
    Job {
        /// Job id, or a unique beginning or end of it
        id: String,
        /// With all steps below it
        #[arg(long)]
        tree: bool,
    },
    /// Cancel a job and everything below it, and show what was stopped
    Cancel(Steer),
    /// Hold a job; what runs ends its step
    Pause(Steer),
    /// Let a held job go on
    Resume(Steer),
    /// Try a failed job again
    Retry(Steer),
    /// List what waits for a person's decision
    Approvals {
        /// Decided ones too
        #[arg(long)]
        all: bool,
    },
    /// Allow what waits
    Approve(Approve),
    /// Refuse what waits
    Reject(Decide),
    /// Draw the supervision tree
    Tree {
        /// Draw it anew twice a second, until q or Ctrl-C
        #[arg(long, short)]
        watch: bool,
    },
    /// Watch and steer the swarm in this terminal
    Tui,
    /// List the agents, or show one
    Agents {
        /// Name of an agent
        name: Option<String>,
    },
    /// Show how full an agent's context is, and its last summary
    Context {
        /// Name of the agent
        agent: String,
    },
    /// Ask one agent directly and wait for its answer
    Invoke(Invoke),
    /// Draw who told whom what, with times
    Trace(Trace),
    /// List crashes, or show the frozen trace of one
    Crashes {
        /// Number of a crash
        id: Option<u64>,
    },
    /// Kill an agent's actor; its supervisor starts it again
    Kill(Agent),
    /// Restart an agent in order; does not count as a crash
    Restart(Agent),
    /// Search the documents of a run
    Search(Search),
    /// Copy the running daemon's store into its folder of backups
    Backup {
        /// A new file to copy the backup to as well
        #[arg(value_hint = ValueHint::FilePath)]
        path: Option<PathBuf>,
    },
    /// Show the settings in force, and where each comes from
    Config {
        /// Print the documented defaults instead, as a template
        #[arg(long)]
        defaults: bool,
    },
    /// Look for what is wrong on this machine, and say what to do
    Doctor,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// `pas run`.
#[derive(Debug, Args)]
pub struct Run {
    /// What to do, such as `ingest`
    pub task: String,
    /// Folder to work on [ingest: the documents of the crates in PAS]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub source: Option<PathBuf>,
    /// Further input; VALUE is JSON, or text if it is none
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_input)]
    pub input: Vec<(String, Value)>,
    /// 0 to 9, 9 is the most urgent
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=9))]
    pub priority: u8,
    /// To be done within, such as `90s`, `10m` or `1h 30m`
    #[arg(long, value_name = "TIME")]
    pub deadline: Option<Deadline>,
    /// Submit, print the id and leave; implies --keep
    #[arg(long)]
    pub detach: bool,
    /// Leave the daemon running if this command started it
    #[arg(long)]
    pub keep: bool,
}

/// `pas jobs`.
#[derive(Debug, Args)]
pub struct Jobs {
    /// Only those in this state: queued, running, blocked, …
    #[arg(long, hide_possible_values = true)]
    pub state: Option<StateArg>,
    /// Only those of this agent
    #[arg(long)]
    pub agent: Option<String>,
    /// With the steps below the submitted jobs
    #[arg(long)]
    pub all: bool,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
}

/// States a job can be in, as the contract names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum StateArg {
    Queued,
    Running,
    AwaitingApproval,
    Blocked,
    Paused,
    Done,
    Failed,
    Cancelled,
    Quarantined,
}

/// A job and why it is steered.
#[derive(Debug, Args)]
pub struct Steer {
    /// Job id, or a unique beginning or end of it
    pub id: String,
    /// Goes into the events
    #[arg(long)]
    pub reason: Option<String>,
}

/// An approval and why it is decided so.
#[derive(Debug, Args)]
pub struct Decide {
    /// Id of the approval or of the job that waits, or a part of it
    pub id: String,
    /// Goes into the record
    #[arg(long)]
    pub reason: Option<String>,
}

/// `pas approve`.
#[derive(Debug, Args)]
pub struct Approve {
    /// Which question, and why it is approved
    #[command(flatten)]
    pub decide: Decide,
    /// A corrected input; VALUE is JSON or else text
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_input)]
    pub input: Vec<(String, Value)>,
}

/// An agent and why something is done to it.
#[derive(Debug, Args)]
pub struct Agent {
    /// Name of the agent
    pub agent: String,
    /// Goes into the record
    #[arg(long)]
    pub reason: Option<String>,
}

/// `pas invoke`.
#[derive(Debug, Args)]
pub struct Invoke {
    /// Name of the agent
    pub agent: String,
    /// What to ask
    #[arg(long, value_name = "JSON", default_value = r#"{"task": "status"}"#, value_parser = parse_json)]
    pub payload: Value,
    /// Seconds to wait for the answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub timeout: u16,
}

/// `pas trace`.
#[derive(Debug, Args)]
pub struct Trace {
    /// Trace id, or a unique beginning or end of it
    #[arg(conflicts_with_all = ["job", "agent"])]
    pub id: Option<String>,
    /// Of this job
    #[arg(long, value_name = "ID")]
    pub job: Option<String>,
    /// To or from this agent
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// Not older than: `5m`, `1h`, or 2026-11-22T16:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<Since>,
    /// At most so many spans, the newest
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub limit: u16,
}

/// `pas search`.
#[derive(Debug, Args)]
pub struct Search {
    /// What to look for
    #[arg(required = true)]
    pub words: Vec<String>,
    /// The run [default: the newest finished one]
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// At most so many hits
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub limit: u8,
}

fn parse_json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))
}

fn parse_input(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    if key.is_empty() {
        return Err("the key is empty; write KEY=VALUE".into());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((key.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;
    use serde_json::json;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        let matches = command().try_get_matches_from(line.split(' '))?;
        Cli::from_arg_matches(&matches)
    }

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn help_says_all_commands_and_exit_codes() {
        insta::assert_snapshot!(command().render_help());
    }

    #[test]
    fn help_fits_80_columns() {
        let mut whole = command();
        whole.build();
        let mut helps = vec![whole.render_help().to_string()];
        helps.extend(whole.get_subcommands_mut().map(|command| command.render_help().to_string()));
        let lines = helps.iter().flat_map(|help| help.lines());
        let too_wide: Vec<_> = lines.filter(|line| line.chars().count() > 80).collect();
        assert!(too_wide.is_empty(), "{too_wide:#?}");
    }

    #[test]
    fn global_flags_stand_before_or_after_the_command() {
        for line in ["pas --port-offset 1000 --json jobs", "pas jobs --port-offset 1000 --json"] {
            let cli = parse(line).unwrap();
            assert_eq!((cli.global.port_offset, cli.global.json), (Some(1000), true), "{line}");
        }
    }

    #[test]
    fn inputs_are_json_or_text() {
        let Command::Run(run) =
            parse("pas run ingest --input n=3 --input who=ada --input x=a=b").unwrap().command
        else {
            panic!("`run` was parsed as another command");
        };
        let expected = [("n", json!(3)), ("who", json!("ada")), ("x", json!("a=b"))];
        assert_eq!(run.input, expected.map(|(key, value)| (key.to_owned(), value)));
    }

    #[test]
    fn nonsense_is_refused_with_clap_s_code() {
        for line in [
            "pas",
            "pas fly",
            "pas run",
            "pas run ingest --priority 10",
            "pas run ingest --input =x",
            "pas run ingest --deadline soon",
            "pas jobs --state sleeping",
            "pas trace abc --job x",
            "pas invoke a --payload {",
            "pas search",
        ] {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), i32::from(exit::Exit::Usage.code()), "{line}");
        }
    }

    #[test]
    fn completions_are_made_for_every_shell() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command(), "pas", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("completions") && script.contains("port-offset"), "{shell}");
        }
    }
}
