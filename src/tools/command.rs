//! Commands in the sandbox: the request, and the end in words.
//!
//! Owns [`CommandRunner`], which the sandbox implements, and the text of a command's end. Failure policy: a
//! command that ends with an error is a result, not a failure, since the agent needs its output; a denial by
//! the sandbox becomes a sentence above the output.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::answer::ToolText;
use super::denial::{DenialScene, denials_in};
use super::failure::{FailureClass, ToolFailure};
use super::lines::grouped;
use super::spill::{CutShape, ResultSpill, cut_result};

/// The most bytes of output in one result: 8 KiB of its beginning and 16 KiB of its end.
const OUTPUT_CAP: usize = 24 * 1024;
/// How long a command may take when the call does not say.
const DEFAULT_SECONDS: u64 = 120;
/// How long a call may let a command take.
pub(super) const MAX_SECONDS: u64 = 600;
/// Names of changed files that a result lists.
const MAX_CHANGED: usize = 30;

/// A command to be run in the sandbox, in the root of the working tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRequest {
    /// The program and the arguments.
    pub argv: Vec<String>,
    /// The command's standard input; closed without one.
    pub stdin: Option<Vec<u8>>,
    /// Time after which the command is ended.
    pub timeout: Duration,
}

/// How a command ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandEnd {
    pub exit: Option<i32>,
    pub signal: Option<i32>,
    pub elapsed: Duration,
    /// Standard output and error in the order in which they came.
    pub output: Vec<u8>,
    /// Bytes of output that were not kept, because there were too many.
    pub output_lost: u64,
    pub timed_out: bool,
    /// Processes that the command left behind, and that were ended.
    pub ended_processes: usize,
    /// The files that differ between the snapshots before and after, if compared.
    pub changed_files: Option<Vec<String>>,
}

/// Why a command was not run, or did not finish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandRefusal {
    #[error("there is no sandbox on this machine: {0}")]
    NoSandbox(String),
    #[error("the command could not be started: {0}")]
    NotStarted(String),
    #[error("the command was cancelled")]
    Cancelled,
}

/// Runs commands in the agent's sandbox.
pub trait CommandRunner: Send + Sync {
    fn run(&self, request: CommandRequest) -> BoxFuture<'_, Result<CommandEnd, CommandRefusal>>;

    /// Folders besides the tree that commands can reach, such as their home: faults there are no denials.
    fn reachable(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// The time limit of a call.
pub(super) fn timeout_of(tool: &str, seconds: Option<u64>) -> Result<Duration, ToolFailure> {
    let seconds = seconds.unwrap_or(DEFAULT_SECONDS);
    if !(1..=MAX_SECONDS).contains(&seconds) {
        let why = "`timeout_s` is a number of seconds from 1 to 600.";
        let advice = "split work that takes longer into several commands.";
        return Err(ToolFailure::new(FailureClass::BadArguments, tool, why, advice));
    }
    Ok(Duration::from_secs(seconds))
}

impl CommandRefusal {
    pub(super) fn failure(&self, tool: &str) -> ToolFailure {
        let (class, advice) = match self {
            Self::NoSandbox(_) => {
                (FailureClass::NotGranted, "go on with the file tools, and report the obstacle.")
            }
            Self::NotStarted(_) => {
                (FailureClass::CommandFailed, "try once more; if it fails again, report the obstacle.")
            }
            Self::Cancelled => (FailureClass::Cancelled, "wait for a new task."),
        };
        ToolFailure::new(class, tool, format!("{self}."), advice)
    }
}

/// The result of a command: how it ended, denials in words, and the output within `cap`.
pub(super) fn command_answer(
    end: &CommandEnd,
    scene: &DenialScene<'_>,
    cap: usize,
    spill: &mut dyn ResultSpill,
) -> ToolText {
    let mut text = ending(end);
    text.push('\n');
    let mut class = None;
    if end.timed_out {
        class = Some(FailureClass::TimedOut);
    } else if end.exit != Some(0) {
        for denial in denials_in(&end.output, end.exit, scene) {
            text.push_str(&format!("[{}]\n", denial.sentence));
            class = class.or(Some(denial.class));
        }
    }
    let room = OUTPUT_CAP.min(cap).saturating_sub(text.len());
    let cut = cut_result(&end.output, room, CutShape::HeadAndTail, spill);
    text.push_str(if end.output.is_empty() { "[no output]\n" } else { &cut.text });
    if end.output_lost > 0 {
        let lost = grouped(end.output_lost);
        text.push_str(&format!("\n[{lost} more bytes of output were not kept; write them to a file]\n"));
    }
    let is_changed = end.changed_files.as_ref().is_none_or(|files| !files.is_empty());
    ToolText { text, full_output: cut.full_output, is_changed, class }
}

fn ending(end: &CommandEnd) -> String {
    let seconds = end.elapsed.as_secs_f64();
    let mut text = match (end.timed_out, end.exit, end.signal) {
        (true, ..) => format!("ended after {seconds:.1} s, its time limit"),
        (_, Some(exit), _) => format!("exit {exit} after {seconds:.1} s"),
        (_, None, Some(signal)) => format!("ended by {} after {seconds:.1} s", signal_name(signal)),
        (_, None, None) => format!("ended in an unknown way after {seconds:.1} s"),
    };
    match end.changed_files.as_deref() {
        None => {}
        Some([]) => text.push_str("; no file changed"),
        Some(files) => {
            let shown = files.iter().take(MAX_CHANGED).map(String::as_str).collect::<Vec<_>>().join(", ");
            text.push_str(&format!("; files changed: {shown}"));
            if files.len() > MAX_CHANGED {
                text.push_str(&format!(" and {} more", files.len() - MAX_CHANGED));
            }
        }
    }
    if end.ended_processes > 0 {
        let left = match end.ended_processes {
            1 => "1 process left behind was ended".to_owned(),
            many => format!("{many} processes left behind were ended"),
        };
        text.push_str(&format!("; {left}"));
    }
    text
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL (perhaps for lack of memory)",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU (processor time limit)",
        25 => "SIGXFSZ (file size limit)",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spill::tests::MemorySpill;
    use pas_domain::agent::Rights;

    fn answered(end: &CommandEnd, cap: usize) -> ToolText {
        let scene = DenialScene { rights: Rights::NONE, roots: &[] };
        command_answer(end, &scene, cap, &mut MemorySpill::default())
    }

    #[test]
    fn a_result_says_how_the_command_ended() {
        let end = CommandEnd {
            exit: Some(101),
            elapsed: Duration::from_millis(3_240),
            output: b"boom\n".to_vec(),
            ended_processes: 2,
            changed_files: Some(vec!["a.rs".to_owned(), "b.rs".to_owned()]),
            ..CommandEnd::default()
        };
        let answer = answered(&end, 9_999);
        assert_eq!(
            answer.text,
            "exit 101 after 3.2 s; files changed: a.rs, b.rs; 2 processes left behind were ended\nboom\n"
        );
        assert!(answer.is_changed && answer.class.is_none());
        let end = CommandEnd { signal: Some(9), changed_files: Some(Vec::new()), ..CommandEnd::default() };
        let answer = answered(&end, 9_999);
        assert!(
            answer.text.starts_with("ended by SIGKILL")
                && answer.text.ends_with("no file changed\n[no output]\n")
        );
        assert!(!answer.is_changed);
        let end = CommandEnd { timed_out: true, ..CommandEnd::default() };
        assert_eq!(answered(&end, 9_999).class, Some(FailureClass::TimedOut));
    }

    #[test]
    fn long_output_keeps_its_end() {
        let output: String = (0..9_000).map(|number| format!("line {number}\n")).collect();
        let end = CommandEnd { exit: Some(0), output: output.into_bytes(), ..CommandEnd::default() };
        let answer = answered(&end, usize::MAX);
        assert!(answer.text.len() < OUTPUT_CAP + 100 && answer.text.len() > OUTPUT_CAP - 200);
        assert!(answer.text.ends_with("line 8999\n") && answer.text.contains("read @out:1 from="));
        assert!(answered(&end, 1_000).text.len() < 1_100);
    }
}
