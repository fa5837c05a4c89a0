//! The places and machinery that all thinking steps of the daemon share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::actors::work_span::WorkSpan;
use crate::domain::ids::JobId;
use crate::sandbox::{
    SandboxBackend, SandboxLauncher, SandboxReport, ToolchainSet, find_toolchains, probe_backends,
};
use crate::supervision::ActorSystem;
use crate::supervision::trace;
use crate::worktree::TreeName;

/// How commands are confined on this machine, tried out once.
pub struct SandboxSetup {
    pub launcher: SandboxLauncher,
    report: SandboxReport,
    pub toolchains: ToolchainSet,
}

/// The folder of the private trees.
#[must_use]
pub fn trees_below(data_dir: &Path) -> PathBuf {
    data_dir.join("trees")
}

/// The places and machinery of thinking steps. Cheap to clone.
#[derive(Clone)]
pub struct ThinkingDeps {
    /// The private trees, a folder a run.
    pub trees: PathBuf,
    /// Files that commands write beside their trees, a folder a run.
    scratch: PathBuf,
    /// Whether commands may run unconfined where nothing can confine them: a person's word.
    unconfined: bool,
    /// The `pas` binary where this process is another program.
    program: Option<PathBuf>,
    sandbox: Arc<OnceCell<Arc<SandboxSetup>>>,
    locks: Arc<Mutex<HashMap<JobId, Weak<tokio::sync::Mutex<()>>>>>,
    /// Held while caps are worked out from persons' raises and put in force.
    pub(super) money: Arc<tokio::sync::Mutex<()>>,
    /// Whose trace shows tools and proofs; none outside of a daemon.
    system: Option<ActorSystem>,
}

impl ThinkingDeps {
    #[must_use]
    pub fn new(data_dir: &Path, unconfined: bool) -> Self {
        let (trees, scratch) = (trees_below(data_dir), data_dir.join("scratch"));
        Self {
            trees,
            scratch,
            unconfined,
            program: None,
            sandbox: Arc::default(),
            locks: Arc::default(),
            money: Arc::default(),
            system: None,
        }
    }

    /// The same, with this `pas` binary to confine commands; without it, this process's own program does.
    #[must_use]
    pub fn confined_by(self, program: &Path) -> Self {
        Self { program: Some(program.to_owned()), ..self }
    }

    /// The same, with tools and proofs as spans of each run's trace.
    #[must_use]
    pub fn traced(self, system: &ActorSystem) -> Self {
        Self { system: Some(system.clone()), ..self }
    }

    /// Does `work` as a span of the run's trace; `is_ok` judges its result.
    pub(super) async fn in_span<T>(
        &self,
        kind: &'static str,
        work: impl Future<Output = T>,
        is_ok: impl FnOnce(&T) -> bool,
    ) -> T {
        let Some(system) = &self.system else { return work.await };
        let span = WorkSpan::here(system, kind);
        let done = trace::in_scope(span.scope(), Box::pin(work)).await;
        span.end(is_ok(&done));
        done
    }

    /// Files beside a tree: homes and temporary files of commands, build output, an empty repository.
    pub(super) fn scratch(&self, tree: &TreeName) -> PathBuf {
        self.scratch.join(tree.run()).join(tree.name())
    }

    pub(super) fn scratch_of_run(&self, run: &str) -> PathBuf {
        self.scratch.join(run)
    }

    /// The sandbox; the first caller has it probed.
    pub async fn sandbox(&self) -> std::io::Result<Arc<SandboxSetup>> {
        let setup = self.sandbox.get_or_try_init(|| async {
            let executable = match &self.program {
                Some(program) => program.clone(),
                None => std::env::current_exe()?,
            };
            let (backend, report) = probe_backends(&executable, std::env::var_os("PATH").as_deref()).await;
            let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
            let toolchains = find_toolchains(&home, |name| std::env::var_os(name).map(PathBuf::from));
            let launcher = SandboxLauncher::new(executable, backend).allow_unconfined(self.unconfined);
            Ok::<_, std::io::Error>(Arc::new(SandboxSetup { launcher, report, toolchains }))
        });
        setup.await.cloned()
    }

    /// Held while an attempt works in a job's tree: an attempt that was overtaken may still be ending its command.
    pub(super) fn tree_lock(&self, job: &JobId) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock();
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = locks.get(job).and_then(Weak::upgrade).unwrap_or_default();
        locks.insert(job.clone(), Arc::downgrade(&lock));
        lock
    }
}

impl SandboxSetup {
    /// How commands are confined, in a sentence for people and proofs.
    #[must_use]
    pub fn sentence(&self) -> String {
        if *self.launcher.backend() == SandboxBackend::Nothing && self.launcher.runs_commands() {
            return "nothing confines commands here: they run with all your rights, by `sandbox.unconfined`"
                .to_owned();
        }
        self.report.summary()
    }
}
