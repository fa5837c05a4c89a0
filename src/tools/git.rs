//! `git`: the operations an agent needs, as command lines.
//!
//! The command line is built here from named parts: a free command line could start programs (`-c
//! alias.x=!…`, external diffs, pagers), which an agent without the right to `bash` must not. Failure policy:
//! an argument that an operation does not take is refused by name.

use serde::{Deserialize, Serialize};

use super::command::{CommandRequest, timeout_of};
use super::failure::{FailureClass, ToolFailure};
use super::outward::OutwardAct;
use super::tree::ToolTree;

/// Commits that `log` shows when the call does not say.
const DEFAULT_LOG: u32 = 20;
/// Most commits that `log` shows.
const MAX_LOG: u32 = 200;
/// Settings that keep git from starting programs of the tree.
const SAFE: [&str; 8] = [
    "--no-pager",
    "--literal-pathspecs",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "commit.gpgSign=false",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum GitOperation {
    Status,
    Diff,
    Log,
    Show,
    Blame,
    Commit,
    Restore,
    Push,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GitArguments {
    operation: GitOperation,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    revision: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    lines: Option<String>,
    #[serde(default)]
    max: Option<u32>,
    #[serde(default)]
    staged: bool,
    #[serde(default)]
    stat: bool,
    #[serde(default)]
    remote: Option<String>,
    #[serde(default)]
    reference: Option<String>,
}

/// The work behind a call of `git`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GitCall {
    /// Commands, run one after another until one fails.
    Commands(Vec<CommandRequest>),
    Push(OutwardAct),
}

fn bad(why: impl Into<String>, advice: &str) -> ToolFailure {
    ToolFailure::new(FailureClass::BadArguments, "git", why, advice)
}

impl GitArguments {
    pub(super) fn call(self, tree: &ToolTree) -> Result<GitCall, ToolFailure> {
        self.refuse_unfit()?;
        if let Some(revision) = &self.revision {
            check_name("revision", revision)?;
        }
        if self.operation == GitOperation::Push {
            return self.push().map(GitCall::Push);
        }
        let paths: Vec<String> = self
            .paths
            .iter()
            .map(|path| tree.path(path).map(|path| path.as_str().to_owned()))
            .collect::<Result<_, _>>()?;
        let commands = match self.operation {
            GitOperation::Commit => self.commit(&paths)?,
            _ => vec![command(self.words()?, self.revision_and_paths(&paths), None)?],
        };
        Ok(GitCall::Commands(commands))
    }

    /// Refuses arguments that the operation would ignore.
    fn refuse_unfit(&self) -> Result<(), ToolFailure> {
        use GitOperation::{Blame, Commit, Diff, Log, Push, Restore, Show, Status};
        let given: [(&str, bool, &[GitOperation]); 9] = [
            ("paths", !self.paths.is_empty(), &[Status, Diff, Log, Show, Blame, Commit, Restore]),
            ("revision", self.revision.is_some(), &[Diff, Log, Show, Blame, Restore]),
            ("message", self.message.is_some(), &[Commit]),
            ("lines", self.lines.is_some(), &[Blame]),
            ("max", self.max.is_some(), &[Log]),
            ("staged", self.staged, &[Diff, Restore]),
            ("stat", self.stat, &[Diff, Log, Show]),
            ("remote", self.remote.is_some(), &[Push]),
            ("reference", self.reference.is_some(), &[Push]),
        ];
        match given.iter().find(|(_, is_given, fits)| *is_given && !fits.contains(&self.operation)) {
            Some((field, ..)) => {
                Err(bad(format!("this operation does not take `{field}`."), "leave it out."))
            }
            None => Ok(()),
        }
    }

    fn push(self) -> Result<OutwardAct, ToolFailure> {
        let (Some(remote), Some(reference)) = (self.remote, self.reference) else {
            return Err(bad(
                "push needs `remote` and `reference`.",
                "name both, such as `origin` and a branch.",
            ));
        };
        check_name("remote", &remote)?;
        check_name("reference", &reference)?;
        Ok(OutwardAct::GitPush { remote, reference })
    }

    fn words(&self) -> Result<Vec<String>, ToolFailure> {
        let mut words: Vec<String> = match self.operation {
            GitOperation::Status => vec!["status", "--short", "--branch"],
            GitOperation::Diff => vec!["diff", "--no-ext-diff", "--no-textconv", "--no-color"],
            GitOperation::Log => vec!["log", "--no-color", "--date=short", "--format=%h %ad %an: %s"],
            GitOperation::Show => vec!["show", "--no-ext-diff", "--no-textconv", "--no-color"],
            GitOperation::Blame => vec!["blame", "--date=short"],
            GitOperation::Restore => vec!["restore"],
            GitOperation::Commit | GitOperation::Push => Vec::new(),
        }
        .into_iter()
        .map(str::to_owned)
        .collect();
        match self.operation {
            GitOperation::Log => {
                let max = self.max.unwrap_or(DEFAULT_LOG);
                if !(1..=MAX_LOG).contains(&max) {
                    return Err(bad("`max` is a number from 1 to 200.", "ask for fewer commits."));
                }
                words.push(format!("--max-count={max}"));
            }
            GitOperation::Blame => {
                if self.paths.len() != 1 {
                    return Err(bad("blame needs one path.", "give `paths` with one file."));
                }
                if let Some(lines) = &self.lines {
                    words.push(format!("-L{}", line_range(lines)?));
                }
            }
            GitOperation::Restore => {
                if self.paths.is_empty() {
                    return Err(bad("restore needs `paths`.", "name each file, or `.` for the whole tree."));
                }
                words.extend(self.revision.iter().map(|revision| format!("--source={revision}")));
            }
            _ => {}
        }
        if self.staged {
            words.push("--staged".to_owned());
        }
        if self.stat {
            words.push("--stat".to_owned());
        }
        Ok(words)
    }

    /// The positional arguments.
    fn revision_and_paths(&self, paths: &[String]) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(revision) = self.revision.as_ref().filter(|_| self.operation != GitOperation::Restore) {
            words.push("--end-of-options".to_owned());
            words.push(revision.clone());
        }
        words.push("--".to_owned());
        words.extend_from_slice(paths);
        words
    }

    fn commit(self, paths: &[String]) -> Result<Vec<CommandRequest>, ToolFailure> {
        let message = self.message.filter(|message| !message.trim().is_empty());
        let message = message.ok_or_else(|| {
            bad("commit needs a `message`.", "give one that names the change and its reason.")
        })?;
        let mut add = vec!["--".to_owned()];
        if paths.is_empty() {
            add.push(".".to_owned());
        } else {
            add.extend_from_slice(paths);
        }
        let mut chosen = vec!["--".to_owned()];
        chosen.extend_from_slice(paths);
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        Ok(vec![
            command(words(&["add", "--all"]), add, None)?,
            command(words(&["commit", "--no-verify", "--file=-"]), chosen, Some(message.into_bytes()))?,
        ])
    }
}

fn command(
    words: Vec<String>,
    rest: Vec<String>,
    stdin: Option<Vec<u8>>,
) -> Result<CommandRequest, ToolFailure> {
    let argv = ["git"].into_iter().chain(SAFE).map(str::to_owned).chain(words).chain(rest).collect();
    Ok(CommandRequest { argv, stdin, timeout: timeout_of("git", None)? })
}

/// Refuses a name that git would take for an option or split.
fn check_name(field: &str, name: &str) -> Result<(), ToolFailure> {
    if name.is_empty()
        || name.starts_with('-')
        || name.chars().any(|sign| sign.is_whitespace() || sign.is_control())
    {
        return Err(bad(
            format!("`{field}` is no name: `{name}`."),
            "give a commit, branch, tag or range such as `main..HEAD`.",
        ));
    }
    Ok(())
}

/// `10,20` or `10`, in git's form.
fn line_range(lines: &str) -> Result<String, ToolFailure> {
    let (first, last) = lines.split_once([',', '-']).unwrap_or((lines, lines));
    match (first.trim().parse::<u32>(), last.trim().parse::<u32>()) {
        (Ok(first), Ok(last)) if 1 <= first && first <= last => Ok(format!("{first},{last}")),
        _ => Err(bad("`lines` is a range of lines.", "give it as `10,20`.")),
    }
}

#[cfg(test)]
mod tests;
