//! The proving command, run once in a private tree and in the sandbox as a change would run it, so that a person learns
//! before any model is paid that a toolchain is out of reach or a test needs the network.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::brief::{PROVE_LIMIT_IF_NONE, ThinkingBrief};
use super::deps::ThinkingDeps;
use super::outlook::{RepositoryOutlook, program_folders};
use super::proving::outcome_of;
use super::workspace::{StepWorkspace, WorkspaceOrder};
use crate::domain::agent::Rights;
use crate::domain::ids::JobId;
use crate::proof::command::ProvingCommand;
use crate::proof::counts::{TestCounts, read_counts};

/// Last bytes of the command's output that are shown.
const MAX_TAIL: usize = 1_000;

/// The outcome of a rehearsal.
#[derive(Debug)]
pub struct ProofRehearsal {
    pub outlook: RepositoryOutlook,
    /// Folders of programs beside the system's.
    pub programs: Vec<PathBuf>,
    /// How commands are confined, in a sentence.
    pub sandbox: String,
    /// `None` without a proving command.
    pub run: Option<Result<RehearsedRun, String>>,
}

/// One run of the proving command on the base.
#[derive(Debug)]
pub struct RehearsedRun {
    pub passed: bool,
    /// How it ended, in words.
    pub outcome: String,
    pub elapsed: Duration,
    pub counts: Option<TestCounts>,
    /// The end of its output.
    pub tail: String,
}

/// What is rehearsed.
#[derive(Debug)]
pub struct RehearsalOrder {
    /// Of the agent that would work.
    pub rights: Rights,
    pub unconfined: bool,
    /// The proving command; found in the tree where it is left out.
    pub prove: Option<String>,
    /// Longest run of it; that of a card without one where it is left out.
    pub prove_limit: Option<Duration>,
}

/// Rehearses the proof of a change, in a folder that is removed afterwards.
///
/// # Errors
/// In words, where not even a tree can be made.
pub async fn rehearse(repository: &Path, order: RehearsalOrder) -> Result<ProofRehearsal, String> {
    let RehearsalOrder { rights, unconfined, prove, prove_limit } = order;
    let outlook = {
        let repository = repository.to_owned();
        tokio::task::spawn_blocking(move || RepositoryOutlook::read(&repository, None, prove.as_deref()))
            .await
            .map_err(|error| error.to_string())??
    };
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let deps = ThinkingDeps::new(folder.path(), unconfined);
    let brief = ThinkingBrief::rehearsal(repository);
    let job = JobId::new("rehearsal").map_err(|error| error.to_string())?;
    let order = WorkspaceOrder { job, rights, cores: 2, memory_mb: 0, earlier: None };
    let workspace = StepWorkspace::open(&deps, &brief, order).await.map_err(|error| error.to_string())?;
    let run = match &outlook.prove {
        Some(prove) => {
            Some(run_once(&workspace, &prove.script, prove_limit.unwrap_or(PROVE_LIMIT_IF_NONE)).await)
        }
        None => None,
    };
    Ok(ProofRehearsal {
        programs: program_folders(&workspace.sandbox.toolchains),
        sandbox: workspace.sandbox.sentence(),
        outlook,
        run,
    })
}

async fn run_once(workspace: &StepWorkspace, script: &str, limit: Duration) -> Result<RehearsedRun, String> {
    let command = ProvingCommand::given(script).map_err(|refusal| refusal.to_string())?;
    let checked = command.check(&workspace.tree.path(), &workspace.search_path());
    checked.map_err(|refusal| refusal.to_string())?;
    let argv = command.argv().map(str::to_owned).to_vec();
    let end = workspace.run_in(&workspace.tree, argv, limit, &CancellationToken::new()).await;
    let end = end.map_err(|error| error.to_string())?;
    let text = end.output.text();
    let outcome = outcome_of(&end);
    Ok(RehearsedRun {
        passed: outcome.passed(),
        outcome: outcome.to_string(),
        elapsed: Duration::from_secs_f64(end.seconds.max(0.0)),
        counts: read_counts(&text),
        tail: text[text.ceil_char_boundary(text.len().saturating_sub(MAX_TAIL))..].to_owned(),
    })
}
