//! The start of a change of a repository, read before anything is spent: the base, the oddities there, and the command
//! that would prove it. Waits for git.

use std::path::{Path, PathBuf};

use crate::proof::command::ProvingCommand;
use crate::worktree::SourceRepository;

/// A repository as a change would find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryOutlook {
    /// The commit to start from, in full.
    pub base: String,
    /// Files of that commit.
    pub files: u64,
    /// Differences between the checkout and the tree that agents see, a sentence each.
    pub remarks: Vec<String>,
    /// `None` where none was given and the checkout speaks for none.
    pub prove: Option<ProvingOutlook>,
}

/// A proving command with the reason for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvingOutlook {
    pub script: String,
    pub why: String,
    /// Why it may prove nothing.
    pub doubt: Option<String>,
}

impl RepositoryOutlook {
    /// # Errors
    /// In words: no repository, no commit, an unusable command.
    pub fn read(repository: &Path, base: Option<&str>, prove: Option<&str>) -> Result<Self, String> {
        let source = SourceRepository::inspect(repository, base).map_err(|error| error.to_string())?;
        let command = match prove {
            Some(script) => Some(ProvingCommand::given(script).map_err(|refusal| refusal.to_string())?),
            None => source.checkout().and_then(ProvingCommand::find),
        };
        Ok(Self {
            base: source.base().to_string(),
            files: source.files(),
            remarks: source.remarks().iter().map(ToString::to_string).collect(),
            prove: command.map(|command| ProvingOutlook {
                doubt: command.doubt(),
                script: command.script,
                why: command.why,
            }),
        })
    }
}

/// The programs' folders of the tool homes that commands can use.
pub(super) fn program_folders(toolchains: &crate::sandbox::ToolchainSet) -> Vec<PathBuf> {
    toolchains.places.iter().flat_map(|place| place.programs.iter().cloned()).collect()
}
