//! The command that proves a change: found in the tree, or given by the person; run as `bash -c`.
//!
//! Failure policy: a command that cannot start is refused before any money is spent. A given command is
//! checked superficially: words after substitutions, loops and functions are not judged, so nothing that
//! could run is refused.

mod find;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use words::CommandWord;

/// How a tree's tests are run; `Given` is the person's own command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandEcosystem {
    Cargo,
    Node,
    Python,
    Go,
    Make,
    Given,
}

/// One shell line and the reason for it, shown before the first call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvingCommand {
    pub script: String,
    pub ecosystem: CommandEcosystem,
    pub why: String,
}

/// A command that cannot prove anything.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProvingRefusal {
    #[error("the proving command is empty; give one, as --prove \"cargo test\"")]
    Empty,
    #[error("the proving command has {0} characters, at most {max} are run; put it into a script of the repository", max = ProvingCommand::MAX_SCRIPT)]
    TooLong(usize),
    #[error("the proving command has a NUL character; write it again by hand")]
    Nul,
    #[error("a quote in the proving command is not closed: {0}")]
    OpenQuote(String),
    #[error(
        "`{program}` is not installed where the proof runs (searched: {searched}); install it or give another --prove"
    )]
    NotInstalled { program: String, searched: String },
    #[error("`{0}` is not in the repository; --prove runs in its root")]
    NoSuchFile(String),
    #[error("`{0}` is not executable; run `chmod +x` on it and commit, or put `bash` before it")]
    NotExecutable(String),
}

impl ProvingCommand {
    /// Linux takes 128 KiB for one argument; a line anywhere near that should be a script.
    pub const MAX_SCRIPT: usize = 16 * 1024;

    /// The command suggested by the files of `tree`, if any.
    pub fn find(tree: &Path) -> Option<Self> {
        find::find(tree)
    }

    /// The person's own command.
    pub fn given(text: &str) -> Result<Self, ProvingRefusal> {
        let script = text.trim();
        if script.is_empty() {
            return Err(ProvingRefusal::Empty);
        }
        if script.len() > Self::MAX_SCRIPT {
            return Err(ProvingRefusal::TooLong(script.len()));
        }
        if script.contains('\0') {
            return Err(ProvingRefusal::Nul);
        }
        words::commands(script).map_err(|rest| ProvingRefusal::OpenQuote(rest.chars().take(40).collect()))?;
        Ok(Self {
            script: script.to_owned(),
            ecosystem: CommandEcosystem::Given,
            why: "given with --prove".into(),
        })
    }

    /// The arguments for exec, so that no second shell interprets them.
    pub fn argv(&self) -> [&str; 3] {
        ["bash", "-c", &self.script]
    }

    /// Looks for every program that the line names: in the tree for a path, else in `search`, the folders of
    /// the PATH under which the proof runs.
    pub fn check(&self, tree: &Path, search: &[PathBuf]) -> Result<(), ProvingRefusal> {
        let mut moved = false;
        for words in words::commands(&self.script).map_err(ProvingRefusal::OpenQuote)? {
            let Some(CommandWord { text: program, literal: true }) = words.first() else { continue };
            // After `cd` a relative path means another place.
            moved |= program == "cd" || program == "pushd";
            if words::is_builtin(program) {
                continue;
            }
            if program.contains('/') {
                if program.starts_with('/') || !moved {
                    check_file(&tree.join(program), program)?;
                }
            } else if !search.iter().any(|folder| is_executable(&folder.join(program))) {
                let searched: Vec<_> = search.iter().map(|folder| folder.display().to_string()).collect();
                return Err(ProvingRefusal::NotInstalled {
                    program: program.clone(),
                    searched: searched.join(":"),
                });
            }
        }
        Ok(())
    }

    /// A reason to doubt that the command can fail; shown to the person, no refusal.
    pub fn doubt(&self) -> Option<String> {
        let end = self.script.trim_end_matches([';', ' ', '\n']);
        let hides = ["|| true", "|| :", "||true", "|| exit 0", "; true", "; exit 0", "; :"];
        if let Some(part) = hides.iter().find(|part| end.ends_with(**part)) {
            return Some(format!(
                "the proving command ends with `{part}`, so it can never fail and proves nothing"
            ));
        }
        let piped = words::last_pipe_target(end)?;
        (!self.script.contains("pipefail"))
            .then(|| format!("the exit of the proving command is that of `{piped}`, not of the tests; put `set -o pipefail;` before it"))
    }

    /// Files of the tree that the line runs: changing one changes the proof itself.
    pub fn files(&self) -> Vec<String> {
        let Ok(commands) = words::commands(&self.script) else { return Vec::new() };
        let words = commands.into_iter().flatten().filter(|word| word.literal).map(|word| word.text);
        words
            .filter(|word| !word.starts_with(['-', '/']) && (word.contains('/') || word.ends_with(".sh")))
            .map(|word| word.trim_start_matches("./").to_owned())
            .collect()
    }
}

impl fmt::Display for ProvingCommand {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.script, self.why)
    }
}

fn check_file(path: &Path, named: &str) -> Result<(), ProvingRefusal> {
    if !path.is_file() {
        return Err(ProvingRefusal::NoSuchFile(named.to_owned()));
    }
    if !is_executable(path) {
        return Err(ProvingRefusal::NotExecutable(named.to_owned()));
    }
    Ok(())
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests;
