//! The command line: commands, flags and their help.
//!
//! Invariant: parsing yields typed values, and no command parses raw text again, except ids: a user may
//! type part of an id, and the daemon completes it. Failure policy: clap's, exit 2.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use serde_json::Value;

use super::exit;
use super::models::ModelsArgs;
use super::when::{DeadlineArg, SinceArg};
use crate::config::{ConfigFlags, ConfigSources};
use crate::domain::job::JobState;
use crate::domain::thinking::LONGEST_PROVE_LIMIT_S;

/// PAS, the Polyglot Agent Swarm: a daemon with a supervised tree of agents.
#[derive(Debug, Parser)]
#[command(name = "pas", version, propagate_version = true, disable_help_subcommand = true)]
pub struct CliArgs {
    #[command(flatten)]
    pub global: GlobalArgs,
    #[command(subcommand)]
    pub command: CliCommand,
}

/// The command line, with the exit codes below the help.
#[must_use]
pub fn command() -> clap::Command {
    CliArgs::command().after_help(exit::help()).after_long_help(exit::help())
}

#[derive(Debug, Clone, Default, Args)]
pub struct GlobalArgs {
    /// State of the daemon [default: .pas in the workdir]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Settings")]
    pub data_dir: Option<PathBuf>,
    /// Working directory of jobs, with artifacts/ [default: .]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Settings")]
    pub workdir: Option<PathBuf>,
    /// Settings file [default: pas.toml in the workdir]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Settings")]
    pub config: Option<PathBuf>,
    /// Add N to every port, for several daemons [default: 0]
    #[arg(long, global = true, value_name = "N", help_heading = "Settings")]
    pub port_offset: Option<u16>,
    /// Address the daemon listens on [default: 127.0.0.1]
    #[arg(long, global = true, value_name = "ADDR", help_heading = "Settings")]
    pub bind: Option<IpAddr>,
    /// Print JSON, and only JSON, on standard output
    #[arg(long, global = true, action = ArgAction::SetTrue, help_heading = "Output")]
    pub json: bool,
    /// Print results and errors only
    #[arg(long, short, global = true, action = ArgAction::SetTrue, help_heading = "Output")]
    pub quiet: bool,
}

impl GlobalArgs {
    /// The sources of the settings, with these flags on top. A relative path in a flag is relative to the
    /// shell's folder, not to a settings file.
    #[must_use]
    pub fn sources(&self) -> ConfigSources {
        let from_here = |path: &Option<PathBuf>| {
            // Only an empty path has no absolute form; the settings refuse it.
            path.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()))
        };
        let flags = ConfigFlags {
            workdir: from_here(&self.workdir),
            data_dir: from_here(&self.data_dir),
            bind: self.bind,
            port_offset: self.port_offset,
        };
        ConfigSources::of_process(from_here(&self.config), flags)
    }
}

#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Run the daemon in the foreground until Ctrl-C or `pas down`
    Up,
    /// Stop the running daemon and wait for it to exit
    Down,
    /// Submit a job and follow it; start a daemon if none is running
    Run(Box<RunArgs>),
    /// List jobs, newest first
    Jobs(JobsArgs),
    /// Show one job
    Job {
        /// Job id, or a unique beginning or end of it
        id: String,
        /// Include all steps below the job
        #[arg(long)]
        tree: bool,
        /// Every turn of the job's agent
        #[arg(long, conflicts_with = "tree")]
        log: bool,
        /// Go on until the job has ended
        #[arg(long, requires = "log")]
        follow: bool,
    },
    /// Say something to the agent of a job
    Say {
        /// Job id, or a unique beginning or end of it
        id: String,
        /// The message
        text: String,
    },
    /// List the private trees of changes
    Trees,
    /// Cancel a job and everything below it, and show what was stopped
    Cancel(SteerArgs),
    /// Pause a job; a running step waits at its next checkpoint
    Pause(SteerArgs),
    /// Resume a paused job
    Resume(SteerArgs),
    /// Retry a failed job
    Retry(SteerArgs),
    /// List pending approvals
    Approvals {
        /// Include decided ones
        #[arg(long)]
        all: bool,
    },
    /// Approve a pending action
    Approve(ApproveArgs),
    /// Reject a pending action
    Reject(DecideArgs),
    /// Draw the supervision tree
    Tree {
        /// Redraw twice a second until q or Ctrl-C
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
    /// Show an agent's context use and its last summary
    Context {
        /// Name of the agent
        agent: String,
    },
    /// Call one agent and wait for its answer
    Invoke(InvokeArgs),
    /// Draw messages between actors as a waterfall
    Trace(TraceArgs),
    /// List crashes, or show one crash record
    Crashes {
        /// Number of a crash
        id: Option<u64>,
    },
    /// Kill an agent's actor; its supervisor restarts it
    Kill(AgentArgs),
    /// Restart an agent cleanly; not counted as a crash
    Restart(AgentArgs),
    /// Search the documents of a run
    Search(SearchArgs),
    /// Back up the running daemon's store
    Backup {
        /// Also copy the backup to this new file
        #[arg(value_hint = ValueHint::FilePath)]
        path: Option<PathBuf>,
    },
    /// Delete what `[retention]` keeps no longer
    Prune {
        /// Only show what there is, and what would go
        #[arg(long)]
        dry_run: bool,
    },
    /// List models with prices, their sources, and who can be called
    Models(ModelsArgs),
    /// Show the settings in force and the source of each
    Config {
        /// Print the documented defaults as a template instead
        #[arg(long)]
        defaults: bool,
    },
    /// Check this machine and suggest fixes
    Doctor(DoctorArgs),
    /// Print shell completions
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// `pas run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Task to run, such as `ingest`
    pub task: String,
    /// ingest: the folder [PAS's crates]; change: the goal; task: the agent
    #[arg(value_hint = ValueHint::AnyPath)]
    pub source: Option<PathBuf>,
    /// task: the goal
    pub goal: Option<String>,
    #[command(flatten)]
    pub change: ChangeArgs,
    /// Further input; VALUE is JSON, else text
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_input)]
    pub input: Vec<(String, Value)>,
    /// 0 to 9; 9 is the most urgent
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=9))]
    pub priority: u8,
    /// Deadline from now: `90s`, `10m`, `1h 30m`, …
    #[arg(long, value_name = "TIME")]
    pub deadline: Option<DeadlineArg>,
    /// Submit, print the id and exit; implies --keep
    #[arg(long)]
    pub detach: bool,
    /// Keep the daemon running if this command started it
    #[arg(long)]
    pub keep: bool,
}

/// Options of `pas run change` and `pas run task`.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Changes")]
pub struct ChangeArgs {
    /// The repository [change: current folder]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub repo: Option<PathBuf>,
    /// The proving command [found in the tree]
    #[arg(long, value_name = "COMMAND")]
    pub prove: Option<String>,
    /// Longest run of it, in seconds [1800]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=LONGEST_PROVE_LIMIT_S))]
    pub prove_limit: Option<u64>,
    /// The commit to start from [HEAD]
    #[arg(long, value_name = "REF")]
    pub base: Option<String>,
    /// Proof on the base must: fail, pass, any
    #[arg(long, value_parser = ["fail", "pass", "any"], hide_possible_values = true)]
    pub expect: Option<String>,
    /// Most that the run may cost
    #[arg(long, value_name = "USD")]
    pub budget: Option<String>,
    /// Run in fresh trees before the proof
    #[arg(long, value_name = "COMMAND")]
    pub prepare: Option<String>,
    /// Further test files, as a glob
    #[arg(long, value_name = "GLOB")]
    pub tests: Vec<String>,
    /// Allow changes to which tests count
    #[arg(long)]
    pub allow_guards: bool,
    /// Allow tests of the base to be rewritten
    #[arg(long)]
    pub allow_test_changes: bool,
    /// Let the author give parts to other writers
    #[arg(long)]
    pub delegate: bool,
    /// Start from uncommitted work too
    #[arg(long)]
    pub with_uncommitted: bool,
    /// Reviews by another vendor: one, off [one]
    #[arg(long, value_parser = ["one", "off"], hide_possible_values = true)]
    pub review: Option<String>,
    /// Go on with the work of this run
    #[arg(long = "continue", value_name = "JOB")]
    pub continues: Option<String>,
    /// A word to the agent beside the goal
    #[arg(long, value_name = "TEXT", requires = "continues")]
    pub word: Option<String>,
    /// Whom to ask: person, never [person]
    #[arg(long, value_parser = ["person", "never"], hide_possible_values = true)]
    pub ask: Option<String>,
}

/// `pas doctor`.
#[derive(Debug, Default, Args)]
pub struct DoctorArgs {
    /// Also check this repository, and run its proof once
    #[arg(long, value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub repo: Option<PathBuf>,
    /// The proving command [found in the tree]
    #[arg(long, value_name = "COMMAND", requires = "repo")]
    pub prove: Option<String>,
    /// Longest run of it, in seconds [1800]
    #[arg(long, value_name = "S", requires = "repo", value_parser = clap::value_parser!(u64).range(1..=LONGEST_PROVE_LIMIT_S))]
    pub prove_limit: Option<u64>,
}

/// Accepts the contract's words for states.
fn job_state() -> impl TypedValueParser<Value = JobState> {
    PossibleValuesParser::new(JobState::ALL.map(JobState::as_str)).try_map(|word| {
        let named = JobState::ALL.into_iter().find(|state| state.as_str() == word);
        named.ok_or("no state of this name")
    })
}

/// `pas jobs`.
#[derive(Debug, Args)]
pub struct JobsArgs {
    /// Only jobs in this state: queued, running, blocked, …
    #[arg(long, value_parser = job_state(), hide_possible_values = true)]
    pub state: Option<JobState>,
    /// Only jobs of this agent
    #[arg(long)]
    pub agent: Option<String>,
    /// Include the steps of submitted jobs
    #[arg(long)]
    pub all: bool,
    /// Maximum number of jobs
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
}

/// A job and the reason for steering it.
#[derive(Debug, Args)]
pub struct SteerArgs {
    /// Job id, or a unique beginning or end of it
    pub id: String,
    /// Recorded in the job's events
    #[arg(long)]
    pub reason: Option<String>,
}

/// An approval and the reason for the decision.
#[derive(Debug, Args)]
pub struct DecideArgs {
    /// Id of the approval or of the waiting job, in full or in part
    pub id: String,
    /// Recorded with the decision
    #[arg(long)]
    pub reason: Option<String>,
}

/// `pas approve`.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    #[command(flatten)]
    pub decide: DecideArgs,
    /// Corrected input; VALUE is JSON, otherwise text
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_input)]
    pub input: Vec<(String, Value)>,
}

/// An agent and the reason for the action.
#[derive(Debug, Args)]
pub struct AgentArgs {
    /// Name of the agent
    pub agent: String,
    /// Recorded in the audit log
    #[arg(long)]
    pub reason: Option<String>,
}

/// `pas invoke`.
#[derive(Debug, Args)]
pub struct InvokeArgs {
    /// Name of the agent
    pub agent: String,
    /// Request payload
    #[arg(long, value_name = "JSON", default_value = r#"{"task": "status"}"#, value_parser = parse_json)]
    pub payload: Value,
    /// Seconds to wait for the answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub timeout: u16,
}

/// `pas trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// Trace id, or a unique beginning or end of it
    #[arg(conflicts_with_all = ["job", "agent"])]
    pub id: Option<String>,
    /// Only messages of this job
    #[arg(long, value_name = "ID")]
    pub job: Option<String>,
    /// Only messages to or from this agent
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// Start time: `5m` or `1h` ago, or 2026-11-22T16:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<SinceArg>,
    /// Maximum number of spans, newest kept
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub limit: u16,
}

/// `pas search`.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Words to search for
    #[arg(required = true)]
    pub words: Vec<String>,
    /// Run to search [default: the newest finished one]
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// Maximum number of hits
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

    use clap::ValueEnum as _;

    use super::*;

    fn parse(line: &str) -> Result<CliArgs, clap::Error> {
        let matches = command().try_get_matches_from(line.split(' '))?;
        CliArgs::from_arg_matches(&matches)
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
        let CliCommand::Run(run) =
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
            assert_eq!(error.exit_code(), i32::from(exit::CommandExit::Usage.code()), "{line}");
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
