//! Loading the agents: the built-in definitions, and a user's folder over them.
//!
//! A user's definition with the name of a built-in one replaces it whole, as with Claude Code's own
//! sub-agents: nothing of the built-in definition shows through, so the file alone defines the agent. A new
//! name adds an agent. Invariant: whatever the folder contains, the built-in agents stay. Failure policy: a
//! file that cannot be read, parsed or fitted in is refused with file, line and reason.

mod embedded;
mod folder;

use std::path::Path;

use pas_domain::agent::{AgentDefinition, DefinitionRefusal};
use pas_domain::roster::Roster;

pub use embedded::built_in;
pub use folder::{MAX_FILES, MAX_FOLDER_DEPTH, read_folder};

/// Loads the built-in agents and, over them, those of a user's folder (which need not exist).
///
/// Reads the disk and blocks meanwhile. The refusals are in the order of reading, then of fitting.
#[must_use]
pub fn load(user_folder: Option<&Path>) -> (Roster, Vec<DefinitionRefusal>) {
    load_checked(user_folder, &|_| Ok(()))
}

/// As [`load`], where a user's definition must also pass `check`, which returns the fault.
#[must_use]
pub fn load_checked(
    user_folder: Option<&Path>,
    check: &dyn Fn(&AgentDefinition) -> Result<(), String>,
) -> (Roster, Vec<DefinitionRefusal>) {
    let (base, mut refusals) = built_in();
    let (mut overlay, mut unread) = user_folder.map(read_folder).unwrap_or_default();
    overlay.retain(|agent| match check(agent) {
        Ok(()) => true,
        Err(reason) => {
            unread.push(agent.refused(agent.source.name_line, reason));
            false
        }
    });
    let (roster, unfit) = Roster::layered(base, overlay);
    refusals.extend(unread);
    refusals.extend(unfit);
    (roster, refusals)
}

#[cfg(test)]
mod tests;
