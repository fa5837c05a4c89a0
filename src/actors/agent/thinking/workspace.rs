//! The private tree of a step, and commands run in it.
//!
//! Git and the file system block, so all of it runs on threads that may. Invariant: between two calls the newest
//! snapshot equals the tree, so the state before a call needs no snapshot of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::brief::ThinkingBrief;
use super::deps::{SandboxSetup, ThinkingDeps};
use crate::domain::agent::Rights;
use crate::domain::ids::JobId;
use crate::proof::counts::COUNTING_ENVIRONMENT;
use crate::sandbox::{
    OutputLimits, SandboxCommand, SandboxEnd, SandboxError, SandboxGit, SandboxLimits, SandboxPlaces,
    SandboxProfile,
};
use crate::skills::{SkillError, StepControl};
use crate::tools::{CommandEnd, CommandRefusal, CommandRequest, CommandRunner};
use crate::worktree::{
    CommitId, SnapshotRecord, SourceRemark, SourceRepository, TreeName, UncommittedScope, WorkTree,
    empty_repository, fresh_checkout,
};

/// Bytes of a command's output that are kept in memory, from its beginning and its end; results are cut far below it.
const KEPT_OUTPUT: usize = 4 << 20;

/// Runs blocking work on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SkillError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| SkillError::Transient(format!("work on the tree broke off: {error}")))
}

/// Works until done. An attempt that is asked to stop has its command ended, with all that the command left, before it
/// ends itself.
///
/// # Errors
/// [`SkillError::Cancelled`].
pub(super) async fn until_stopped<T>(
    control: &StepControl,
    cancel: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<T, SkillError> {
    tokio::pin!(work);
    tokio::select! {
        biased;
        () = control.stopped() => {
            cancel.cancel();
            work.await;
            Err(SkillError::Cancelled)
        }
        done = &mut work => Ok(done),
    }
}

/// A step's tree.
#[derive(Clone)]
pub(super) struct StepWorkspace {
    pub(super) tree: Arc<WorkTree>,
    scratch: PathBuf,
    rights: Rights,
    pub(super) sandbox: Arc<SandboxSetup>,
    cores: u32,
    memory_bytes: u64,
    /// Oddities of the repository, a sentence each.
    pub(super) remarks: Vec<String>,
}

/// The purpose of a workspace.
pub(super) struct WorkspaceOrder {
    pub(super) job: JobId,
    pub(super) rights: Rights,
    pub(super) cores: u32,
    pub(super) memory_mb: u64,
    /// The tree of the continued run.
    pub(super) earlier: Option<TreeName>,
}

/// The name of the tree of a job: its run, and the path of its steps.
pub(super) fn tree_name(job: &JobId) -> Result<TreeName, SkillError> {
    TreeName::of_job(job.run().as_str(), job.as_str())
        .ok_or_else(|| SkillError::Permanent(format!("`{job}` cannot name a folder")))
}

impl StepWorkspace {
    /// Makes or opens the tree of a job, at the base that its brief names.
    pub(super) async fn open(
        deps: &ThinkingDeps,
        brief: &ThinkingBrief,
        order: WorkspaceOrder,
    ) -> Result<Self, SkillError> {
        let sandbox = deps.sandbox().await.map_err(|error| SkillError::io("the sandbox", &error))?;
        let (root, name) = (deps.trees.clone(), tree_name(&order.job)?);
        let (repository, base) = (brief.repository.clone(), brief.base.clone());
        let with_uncommitted = brief.with_uncommitted;
        let (from, commit) = (brief.change_of.clone(), brief.commit.clone());
        let earlier = order.earlier.clone();
        let made = blocking({
            let (root, name) = (root.clone(), name.clone());
            let empty = deps.scratch(&name).join("empty");
            move || {
                if let (Some(from), Some(commit)) = (from, commit) {
                    return Ok((tree_at(&root, &name, &from, &commit)?, Vec::new()));
                }
                if let (Some(earlier), Some(repository)) = (earlier, &repository) {
                    return tree_after(&root, &name, &earlier, repository, base.as_deref());
                }
                let repository = match repository {
                    Some(repository) => repository,
                    None => {
                        empty_repository(&empty).map_err(permanent)?;
                        empty
                    }
                };
                // The tree knows its own base: the person's HEAD may be elsewhere by now.
                let (tree, source) = match WorkTree::open(&root, &name) {
                    Ok(there) => {
                        there.secure_base().map_err(permanent)?;
                        let base = there.base().to_string();
                        (there, SourceRepository::inspect(&repository, Some(&base)).ok())
                    }
                    Err(_) => {
                        let source =
                            SourceRepository::inspect(&repository, base.as_deref()).map_err(permanent)?;
                        let tree = if with_uncommitted {
                            let scope = UncommittedScope::TrackedAndNew;
                            WorkTree::create_with_uncommitted(&root, &name, &source, scope)
                        } else {
                            WorkTree::create(&root, &name, &source)
                        };
                        (tree.map_err(permanent)?, Some(source))
                    }
                };
                let remarks = source.iter().flat_map(SourceRepository::remarks).filter(|remark| {
                    !with_uncommitted || !matches!(remark, SourceRemark::Uncommitted { .. })
                });
                let remarks = remarks.map(ToString::to_string).collect();
                Ok((tree, remarks))
            }
        });
        let (made, remarks): (WorkTree, Vec<String>) = made.await??;
        let scratch = deps.scratch(&name).join("commands");
        let folder = scratch.clone();
        blocking(move || std::fs::create_dir_all(folder))
            .await?
            .map_err(|error| SkillError::io("the scratch folder", &error))?;
        Ok(Self {
            tree: Arc::new(made),
            scratch,
            rights: order.rights,
            sandbox,
            cores: order.cores,
            memory_bytes: order.memory_mb << 20,
            remarks,
        })
    }

    /// Keeps the present tree.
    pub(super) async fn snapshot(&self, label: String) -> Result<SnapshotRecord, SkillError> {
        let tree = Arc::clone(&self.tree);
        blocking(move || {
            tree.mend()?;
            tree.snapshot(&label)
        })
        .await?
        .map_err(permanent)
    }

    /// Brings the tree back to a snapshot.
    pub(super) async fn restore(&self, commit: &str) -> Result<(), SkillError> {
        let Some(commit) = CommitId::parse(commit) else {
            return Err(SkillError::Permanent(format!("`{commit}` is no commit")));
        };
        let tree = Arc::clone(&self.tree);
        blocking(move || tree.restore(&commit)).await?.map_err(permanent).map(drop)
    }

    /// Files and lines that differ from the base.
    pub(super) async fn diffstat(&self, to: &CommitId) -> Result<String, SkillError> {
        let (tree, to) = (Arc::clone(&self.tree), to.clone());
        blocking(move || tree.diffstat(&tree.base().clone(), &to)).await?.map_err(permanent)
    }

    fn profile_in(&self, tree: &WorkTree, scratch: &std::path::Path) -> SandboxProfile {
        let paths = tree.sandbox_paths();
        let places = SandboxPlaces {
            tree: paths.tree,
            scratch: scratch.to_owned(),
            git: Some(SandboxGit {
                directory: paths.git,
                borrowed: paths.borrowed,
                protected: paths.protected,
            }),
        };
        let limits = SandboxLimits {
            cores: self.cores,
            memory_bytes: self.memory_bytes.max(SandboxLimits::default().memory_bytes),
            ..SandboxLimits::default()
        };
        let mut profile = SandboxProfile::of(self.rights, &places, &self.sandbox.toolchains, limits);
        let environment = paths.environment.iter();
        profile
            .environment
            .extend(environment.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        profile
    }

    /// Runs a command in the step's own tree.
    pub(super) async fn run(
        &self,
        argv: Vec<String>,
        stdin: Option<Vec<u8>>,
        timeout: Duration,
        cancel: &CancellationToken,
    ) -> Result<SandboxEnd, SandboxError> {
        let profile = self.profile_in(&self.tree, &self.scratch);
        self.run_as(profile, self.tree.path(), (argv, stdin), timeout, cancel).await
    }

    /// Home and caches of the proofs' commands.
    fn proof_scratch(&self) -> PathBuf {
        self.scratch.with_file_name("proof")
    }

    /// Empties that place: one run's files must not decide how the next run ends.
    pub(super) fn clear_proof_scratch(&self) -> std::io::Result<()> {
        match std::fs::remove_dir_all(self.proof_scratch()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The folders in which the step's commands look for programs.
    pub(super) fn search_path(&self) -> Vec<PathBuf> {
        let profile = self.profile_in(&self.tree, &self.scratch);
        profile.environment.get("PATH").map(|path| std::env::split_paths(path).collect()).unwrap_or_default()
    }

    /// Runs a command in another tree, with the rights of this step and a scratch of its own.
    pub(super) async fn run_in(
        &self,
        tree: &WorkTree,
        argv: Vec<String>,
        timeout: Duration,
        cancel: &CancellationToken,
    ) -> Result<SandboxEnd, SandboxError> {
        let scratch = self.proof_scratch();
        let made = std::fs::create_dir_all(&scratch);
        made.map_err(|source| SandboxError::System { what: "the scratch folder".to_owned(), source })?;
        let mut profile = self.profile_in(tree, &scratch);
        let counting = COUNTING_ENVIRONMENT.map(|(name, value)| (name.to_owned(), value.to_owned()));
        profile.environment.extend(counting);
        // A proof writes build output, even where its agent may write nothing.
        if !profile.writable.contains(&tree.path()) {
            profile.writable.push(tree.path());
        }
        self.run_as(profile, tree.path(), (argv, None), timeout, cancel).await
    }

    async fn run_as(
        &self,
        profile: SandboxProfile,
        cwd: PathBuf,
        (argv, stdin): (Vec<String>, Option<Vec<u8>>),
        timeout: Duration,
        cancel: &CancellationToken,
    ) -> Result<SandboxEnd, SandboxError> {
        let output = OutputLimits { head: KEPT_OUTPUT / 2, tail: KEPT_OUTPUT / 2 };
        let command = SandboxCommand { profile, argv, stdin, cwd, timeout, output };
        self.sandbox.launcher.run(command, cancel).await
    }
}

/// A tree at a commit of another job's tree, in which nothing else of that job is left.
fn tree_at(
    root: &std::path::Path,
    name: &TreeName,
    from: &str,
    commit: &str,
) -> Result<WorkTree, SkillError> {
    if let Ok(there) = WorkTree::open(root, name) {
        return Ok(there);
    }
    let author = JobId::new(from).map_err(permanent)?;
    let author = WorkTree::open(root, &tree_name(&author)?).map_err(permanent)?;
    let commit =
        CommitId::parse(commit).ok_or_else(|| SkillError::Permanent(format!("`{commit}` is no commit")))?;
    fresh_checkout(root, name, &author, &commit).map_err(permanent)
}

/// A tree for work that goes on: at the base of the earlier one, or at another that the card names.
fn tree_after(
    root: &std::path::Path,
    name: &TreeName,
    earlier: &TreeName,
    repository: &std::path::Path,
    base: Option<&str>,
) -> Result<(WorkTree, Vec<String>), SkillError> {
    if let Ok(there) = WorkTree::open(root, name) {
        return Ok((there, Vec::new()));
    }
    let from = WorkTree::open(root, earlier).map_err(permanent)?;
    let other = base.filter(|base| *base != from.base().as_str());
    let source = SourceRepository::inspect(repository, other).map_err(permanent)?;
    let made = match other {
        Some(_) => WorkTree::create(root, name, &source),
        None => WorkTree::create_at_base_of(root, name, &source, &from),
    };
    // Uncommitted work of the checkout has nothing to do with this work.
    let remarks =
        source.remarks().iter().filter(|remark| !matches!(remark, SourceRemark::Uncommitted { .. }));
    Ok((made.map_err(permanent)?, remarks.map(ToString::to_string).collect()))
}

fn permanent(error: impl std::fmt::Display) -> SkillError {
    SkillError::Permanent(error.to_string())
}

/// The commands of one step's tools.
pub(super) struct StepCommands {
    pub(super) workspace: StepWorkspace,
    pub(super) cancel: CancellationToken,
}

impl CommandRunner for StepCommands {
    fn run(&self, request: CommandRequest) -> BoxFuture<'_, Result<CommandEnd, CommandRefusal>> {
        Box::pin(async move {
            let CommandRequest { argv, stdin, timeout } = request;
            let end = self.workspace.run(argv, stdin, timeout, &self.cancel).await;
            let end = end.map_err(|error| match error {
                SandboxError::NothingConfines => CommandRefusal::NoSandbox(error.to_string()),
                other => CommandRefusal::NotStarted(other.to_string()),
            })?;
            if end.cancelled {
                return Err(CommandRefusal::Cancelled);
            }
            let mut output = end.output.text().into_bytes();
            let unconfined = end.unconfined.then(|| "this command ran without any sandbox".to_owned());
            for sentence in end.breach.iter().chain(&unconfined) {
                output.extend_from_slice(format!("\n[{sentence}]\n").as_bytes());
            }
            Ok(CommandEnd {
                exit: end.exit,
                signal: end.signal,
                elapsed: Duration::from_secs_f64(end.seconds.max(0.0)),
                output,
                output_lost: end.output.omitted(),
                timed_out: end.timed_out,
                ended_processes: end.processes_ended.map_or(0, |count| count as usize),
                changed_files: None,
            })
        })
    }

    fn reachable(&self) -> Vec<PathBuf> {
        vec![self.workspace.scratch.clone()]
    }
}
