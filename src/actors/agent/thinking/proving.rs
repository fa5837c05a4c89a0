//! The proof of a change: fresh trees, the same sandbox, no network; each stage's run is kept.
//!
//! Build output comes from the run on the base alone, never from the agent's own tree: an agent that writes the code
//! could have written the cache.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use tokio_util::sync::CancellationToken;

use super::deps::ThinkingDeps;
use super::workspace::{StepWorkspace, blocking};
use crate::files;
use crate::proof::change::{ChangedPath, FileSide};
use crate::proof::command::ProvingCommand;
use crate::proof::overlay::OverlayEdit;
use crate::proof::runner::{BenchError, ProofBench, ProofCheckout};
use crate::proof::stage::{CommandOutcome, CommandRun, ProofStage, StageEnd};
use crate::sandbox::{SandboxEnd, SandboxError};
use crate::worktree::{
    BUILD_COPY_LIMIT, BUILD_OUTPUT_PATTERNS, CommitContent, CommitId, GitPath, TreeName, WorkTree,
    bring_build_output, fresh_checkout, remove_tree,
};

/// Most of a run's output that is read for its record.
const MAX_OUTPUT: usize = 1 << 20;

/// Trees and runs for the proof of one commit.
pub(super) struct TreeBench {
    pub(super) workspace: StepWorkspace,
    pub(super) deps: ThinkingDeps,
    /// The name under which each fresh tree is made; the same path every time, so that build tools know their output.
    pub(super) name: TreeName,
    /// Where build output of the base is kept between the stages.
    pub(super) build_output: PathBuf,
    pub(super) stages_file: PathBuf,
    pub(super) ends: Vec<StageEnd>,
    pub(super) cancel: CancellationToken,
    pub(super) open: HashMap<PathBuf, WorkTree>,
    pub(super) prepare: Option<String>,
    /// How build output came into the newest tree; empty while none was made.
    pub(super) sentence: String,
}

/// The ends of stages that an earlier attempt has kept.
pub(super) fn kept_stages(file: &Path) -> Vec<StageEnd> {
    std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Every changed path with its text on both sides.
pub(super) fn changes(
    tree: &WorkTree,
    base: &CommitId,
    commit: &CommitId,
) -> Result<Vec<ChangedPath>, String> {
    let side = |of: &CommitId, path: &GitPath| {
        tree.content_at(of, path).map(|content| match content {
            CommitContent::Absent => FileSide::Absent,
            CommitContent::Regular { bytes, .. } => FileSide::from_bytes(bytes),
            CommitContent::Other => FileSide::Opaque,
        })
    };
    let changed = tree.changed_files(base, commit).map_err(|error| error.to_string())?;
    let mut all = Vec::with_capacity(changed.len());
    for file in changed {
        let path = String::from_utf8_lossy(file.path.as_bytes()).into_owned();
        let old = side(base, &file.path).map_err(|error| error.to_string())?;
        let new = side(commit, &file.path).map_err(|error| error.to_string())?;
        all.push(ChangedPath::new(path, old, new));
    }
    Ok(all)
}

impl TreeBench {
    fn tree(&self, checkout: &ProofCheckout) -> Result<WorkTree, BenchError> {
        let found = self.open.get(&checkout.dir).cloned();
        found.ok_or_else(|| BenchError::new("find its tree", &checkout.dir.display()))
    }

    /// How build output came into the trees, for the record.
    pub(super) fn build_sentence(&self) -> String {
        if self.sentence.is_empty() {
            return "all runs were kept from an earlier attempt".to_owned();
        }
        format!("{}; only output of the run on the base ever comes along", self.sentence)
    }

    async fn prepare_in(&self, tree: &WorkTree) -> Result<(), BenchError> {
        let Some(script) = &self.prepare else { return Ok(()) };
        let argv = ["bash", "-c", script].map(str::to_owned).to_vec();
        let run = self.workspace.run_in(tree, argv, PREPARE_TIMEOUT, &self.cancel).await;
        let end = run.map_err(|error| BenchError::new("run `--prepare`", &error))?;
        if end.exit == Some(0) {
            return Ok(());
        }
        Err(BenchError::new("run `--prepare`", &end.output.text()))
    }
}

/// How a command in the sandbox ended, in the words of proofs.
pub(super) fn outcome_of(end: &SandboxEnd) -> CommandOutcome {
    match (end.timed_out, end.exit, end.signal) {
        (true, ..) => CommandOutcome::TimedOut,
        (_, Some(exit), _) => CommandOutcome::Exited(exit),
        (_, None, Some(signal)) => CommandOutcome::Signalled(signal),
        (_, None, None) => CommandOutcome::NotStarted("its end is not known".to_owned()),
    }
}

/// Fetching and installing takes minutes; more means that it hangs.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(600);

impl ProofBench for TreeBench {
    async fn checkout(&mut self, commit: &str) -> Result<ProofCheckout, BenchError> {
        let doing = "make a fresh tree";
        let commit = CommitId::parse(commit).ok_or_else(|| BenchError::new(doing, &"no commit id"))?;
        let (root, name) = (self.deps.trees.clone(), self.name.clone());
        let (from, cache) = (std::sync::Arc::clone(&self.workspace.tree), self.build_output.clone());
        let workspace = self.workspace.clone();
        workspace.clear_proof_scratch().map_err(|error| BenchError::new(doing, &error))?;
        let made = blocking(move || {
            let tree = fresh_checkout(&root, &name, &from, &commit)?;
            let brought = bring_build_output(&cache, &tree.path(), BUILD_OUTPUT_PATTERNS, BUILD_COPY_LIMIT);
            let snapshot = tree.snapshot("fresh")?;
            Ok::<_, crate::worktree::TreeError>((tree, snapshot.tree.to_string(), brought.sentence))
        });
        let made = made.await.map_err(|error| BenchError::new(doing, &error))?;
        let (tree, hash, sentence) = made.map_err(|error| BenchError::new(doing, &error))?;
        self.sentence = sentence;
        self.prepare_in(&tree).await?;
        let checkout = ProofCheckout { dir: tree.path(), tree: hash };
        self.open.insert(checkout.dir.clone(), tree);
        Ok(checkout)
    }

    async fn overlay(
        &mut self,
        checkout: &ProofCheckout,
        tests_of: &str,
        acts: &[OverlayEdit],
    ) -> Result<String, BenchError> {
        let doing = "lay tests over the tree";
        let tree = self.tree(checkout)?;
        let tests_of = CommitId::parse(tests_of).ok_or_else(|| BenchError::new(doing, &"no commit id"))?;
        let acts = acts.to_vec();
        let done = blocking(move || lay_over(&tree, &tests_of, &acts)).await;
        done.map_err(|error| BenchError::new(doing, &error))?.map_err(|error| BenchError::new(doing, &error))
    }

    async fn run(
        &mut self,
        command: &ProvingCommand,
        dir: &Path,
        timeout: Duration,
    ) -> Result<CommandRun, BenchError> {
        let Some(tree) = self.open.get(dir).cloned() else {
            return Err(BenchError::new("run the command", &dir.display()));
        };
        let argv = command.argv().map(str::to_owned).to_vec();
        let running = self.workspace.run_in(&tree, argv, timeout, &self.cancel);
        let running = self.deps.in_span("prove", running, |end| end.as_ref().is_ok_and(|end| !end.timed_out));
        let end = match running.await {
            Ok(end) if end.cancelled => return Err(BenchError::new("go on", &"the job was cancelled")),
            Ok(end) => end,
            Err(error @ (SandboxError::NothingConfines | SandboxError::NotConfined(_))) => {
                let outcome = CommandOutcome::NotStarted(error.to_string());
                return Ok(CommandRun { outcome, millis: 0, output: Vec::new(), output_bytes: 0 });
            }
            Err(error) => return Err(BenchError::new("run the command", &error)),
        };
        let outcome = outcome_of(&end);
        let text = end.output.text();
        let start = text.ceil_char_boundary(text.len().saturating_sub(MAX_OUTPUT));
        Ok(CommandRun {
            outcome,
            millis: Duration::from_secs_f64(end.seconds.max(0.0)).as_millis() as u64,
            output: text.as_bytes()[start..].to_vec(),
            output_bytes: end.output.bytes,
        })
    }

    async fn keep(&mut self, end: &StageEnd) -> Result<(), BenchError> {
        if end.stage == ProofStage::Before && end.outcome.started() {
            // Moved, not copied: the tree is discarded next.
            for (dir, _) in self.open.iter() {
                move_build_output(dir, &self.build_output);
            }
        }
        self.ends.push(end.clone());
        let bytes = serde_json::to_vec(&self.ends).map_err(|error| BenchError::new("keep a run", &error))?;
        let file = self.stages_file.clone();
        let kept = blocking(move || files::replace_file(&file, &bytes)).await;
        kept.map_err(|error| BenchError::new("keep a run", &error))?
            .map_err(|error| BenchError::new("keep a run", &error))
    }

    async fn discard(&mut self, checkout: ProofCheckout) {
        self.open.remove(&checkout.dir);
        let (root, name) = (self.deps.trees.clone(), self.name.clone());
        let removed = blocking(move || remove_tree(&root, &name)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%error, "the fresh tree of a proof stays on the disk");
        }
    }
}

/// Build output at the top of a tree, into the place where the next fresh tree finds it.
fn move_build_output(from: &Path, to: &Path) {
    if std::fs::create_dir_all(to).is_err() {
        return;
    }
    for name in BUILD_OUTPUT_PATTERNS {
        let (from, to) = (from.join(name), to.join(name));
        let is_folder = std::fs::symlink_metadata(&from).is_ok_and(|info| info.is_dir());
        if is_folder && !to.exists() {
            // Left where it is, it is only built once more.
            let _ = std::fs::rename(from, to);
        }
    }
}

/// Written through a handle of the tree, so that no link of the commit leads out of it.
fn lay_over(tree: &WorkTree, tests_of: &CommitId, acts: &[OverlayEdit]) -> Result<String, String> {
    let dir = Dir::open_ambient_dir(tree.path(), ambient_authority()).map_err(|error| error.to_string())?;
    for act in acts {
        match act {
            OverlayEdit::Remove { path } => remove(&dir, path)?,
            OverlayEdit::Write { path, text } => write(&dir, path, text.as_bytes(), false)?,
            OverlayEdit::Restore { path } => {
                let content = tree.content_at(tests_of, &GitPath::new(path.as_bytes()));
                match content.map_err(|error| error.to_string())? {
                    CommitContent::Regular { bytes, is_executable } => {
                        write(&dir, path, &bytes, is_executable)?;
                    }
                    CommitContent::Absent => remove(&dir, path)?,
                    CommitContent::Other => {
                        return Err(format!("`{path}` is a link or too large to be laid over"));
                    }
                }
            }
        }
    }
    let snapshot = tree.snapshot("with tests laid over").map_err(|error| error.to_string())?;
    Ok(snapshot.tree.to_string())
}

fn remove(dir: &Dir, path: &str) -> Result<(), String> {
    match dir.remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{path}: {error}")),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn write(dir: &Dir, path: &str, bytes: &[u8], is_executable: bool) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{path}: {error}");
    if let Some(folder) = Path::new(path).parent().filter(|folder| !folder.as_os_str().is_empty()) {
        dir.create_dir_all(folder).map_err(told)?;
    }
    remove(dir, path)?;
    dir.write(path, bytes).map_err(told)?;
    if is_executable {
        use cap_std::fs::PermissionsExt as _;
        let mode = cap_std::fs::Permissions::from_mode(0o755);
        dir.set_permissions(path, mode).map_err(told)?;
    }
    Ok(())
}
