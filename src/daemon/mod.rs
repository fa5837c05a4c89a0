//! The daemon: opens the store, builds the tree, serves the ports, and ends all of them in order.
//!
//! Owns the order of start (store, agents, services, ports) and of the end (the reverse). No decision is made
//! here: this file only joins the parts.

mod damage;
mod edge;
mod news;
mod private_folders;
mod services;
mod tree;
mod workdir_lock;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::actors::address_book::AddressBook;
use crate::actors::agent::trees_below;
use crate::actors::gateway::GatewayHandle;
use crate::actors::jobs::{AttemptTable, JobBook, JobSettings, JobsShared, PaceCache, PastCache};
use crate::actors::lives::OwnLife;
use crate::actors::resource_manager::ResourceHandle;
use crate::actors::tasks;
use crate::config::{IngestConfig, SwarmConfig};
use crate::domain::agent::DefinitionRefusal;
use crate::domain::job::RetryPolicy;
use crate::domain::roster::Roster;
use crate::store::backup_folder::BackupFolder;
use crate::store::{FileHome, StorageHome, Store};
use crate::supervision::tree::GivenUp;
use crate::supervision::{ActorSystem, RootHandle, SystemTiming};

pub use services::{ServicePort, ports};
pub use workdir_lock::{LockOwner, WorkdirLock, WorkdirLockError};

/// The root of the supervision tree.
pub const ROOT: &str = "pas";

/// A daemon that is up.
pub struct RunningDaemon {
    root: RootHandle,
    store: Store,
    system: ActorSystem,
    jobs: Arc<JobsShared>,
    resources: ResourceHandle,
    gateway: GatewayHandle,
    shutdown: CancellationToken,
    refusals: Vec<DefinitionRefusal>,
    workdir_lock: WorkdirLock,
    life: OwnLife,
}

/// What a daemon stands on.
pub struct DaemonGround {
    /// Where the store's bytes are.
    pub store: Arc<dyn StorageHome>,
    /// The `pas` binary, which confines the commands of agents. A daemon inside of another program has to name it.
    pub program: PathBuf,
}

/// How a daemon ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DaemonEnd {
    /// Asked to end.
    Asked,
    /// The root supervisor gave up: too many restarts reached it. The child that failed, where known.
    GaveUp(Option<GivenUp>),
}

impl RunningDaemon {
    /// Starts everything; returns when all agents are up and all ports answer.
    ///
    /// `POST /shutdown` also cancels `shutdown`.
    ///
    /// # Errors
    /// The part that could not be started, with the remedy. Nothing is left running.
    pub async fn start(config: SwarmConfig, shutdown: CancellationToken) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("the path of this program is not known")?;
        let ground = DaemonGround { store: Arc::new(FileHome::new(&config.store_file())), program };
        Self::start_on(ground, config, shutdown).await
    }

    /// As [`RunningDaemon::start`], on the given ground.
    ///
    /// # Errors
    /// As [`RunningDaemon::start`].
    pub async fn start_on(
        ground: DaemonGround,
        config: SwarmConfig,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let config = Arc::new(config);
        for setting in config.from_folder() {
            // A freshly cloned project may have brought the file.
            tracing::warn!(%setting, "a file of the working directory sets a key or an address");
        }
        let locking = Arc::clone(&config);
        let workdir_lock = tokio::task::spawn_blocking(move || WorkdirLock::take(&locking)).await??;
        private_folders::keep_others_out(&config);
        let (file, backups) = (config.store_file(), backups(&config));
        let (store, roster, refusals) = match open(ground.store, &config).await {
            Ok(opened) => opened,
            Err(error) if is_damage(&error) => return Err(damage::explained(error, file, backups).await),
            Err(error) => return Err(error),
        };
        // Before a port answers, so that whoever asks is told of the time before.
        let life = OwnLife::begin(&store).await;
        for refusal in &refusals {
            tracing::warn!(%refusal, "an agent's definition was refused");
        }
        for agent in roster.iter().filter(|agent| !agent.ignored.is_empty()) {
            let fields = agent.ignored.join(", ");
            tracing::warn!(agent = %agent.name, %fields, "fields of an agent's definition have no effect here");
        }
        let timing = SystemTiming {
            start_deadline: config.supervision.start_deadline,
            shutdown_deadline: config.supervision.shutdown_deadline,
            kill_grace: SystemTiming::default().kill_grace,
            hang_factor: config.supervision.hang_factor.get(),
        };
        let system = ActorSystem::new(timing, config.trace.ring_records.get());
        let agents = Arc::new(AddressBook::new(roster));
        let jobs = jobs(&config, &ground.program, store.clone(), Arc::clone(&agents));
        let policy = tree::default_policy(&config);
        let site = tree::site(&config, &system, &store, &jobs, &agents, &shutdown);
        let (children, resources, gateway) = match tree::build(site, &ground.program) {
            Ok(built) => built,
            Err(error) => {
                life.end().await;
                // The failed build is the error to report.
                let _ = store.close().await;
                return Err(error);
            }
        };
        let started = system.start(ROOT, policy, children).await;
        let root = match started {
            Ok(root) => root,
            Err(failure) => {
                let is_stores = store.metrics().failed_reads > 0;
                life.end().await;
                // The failed start of the tree is the error to report.
                let _ = store.close().await;
                let failure = failure.into();
                // Reading the whole store takes long, and a port in use says nothing about it.
                return Err(if is_stores {
                    damage::explained(failure, file, backups).await
                } else {
                    failure
                });
            }
        };
        Ok(Self { root, store, system, jobs, resources, gateway, shutdown, refusals, workdir_lock, life })
    }

    #[must_use]
    pub fn system(&self) -> &ActorSystem {
        &self.system
    }

    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    #[must_use]
    pub fn jobs(&self) -> &Arc<JobsShared> {
        &self.jobs
    }

    #[must_use]
    pub fn resources(&self) -> &ResourceHandle {
        &self.resources
    }

    /// The gateway to the models.
    #[must_use]
    pub fn gateway(&self) -> &GatewayHandle {
        &self.gateway
    }

    /// Definitions that were refused.
    #[must_use]
    pub fn refusals(&self) -> &[DefinitionRefusal] {
        &self.refusals
    }

    /// Runs until asked to end, or until the root gives up; then ends everything in order.
    ///
    /// # Errors
    /// The store's error, when the last commit failed.
    pub async fn run(mut self) -> anyhow::Result<DaemonEnd> {
        let shutdown = self.shutdown.clone();
        let ended = tokio::select! {
            () = shutdown.cancelled() => DaemonEnd::Asked,
            over = self.root.ended() => DaemonEnd::GaveUp(over),
            never = self.life.go_on() => match never {},
        };
        self.shutdown.cancel();
        if ended == DaemonEnd::Asked {
            self.root.shutdown().await;
            if let Err(error) = self.jobs.book.forget_losses().await {
                tracing::warn!(%error, "this stop counts as a loss of the steps that it met");
            }
            self.life.end().await;
        }
        let is_stores = self.store.metrics().failed_reads > 0;
        let closed = self.store.close().await.context("close the store");
        if let (DaemonEnd::GaveUp(_), true) = (&ended, is_stores) {
            let (file, backups) = (self.store.label().into(), self.jobs.settings.backups.clone());
            let failure = anyhow::anyhow!("the daemon gave up");
            let explained = damage::explained(failure, file, backups).await;
            if explained.chain().len() > 1 {
                tracing::error!("{explained}");
            }
        }
        drop(self.workdir_lock);
        closed.map(|()| ended)
    }
}

fn is_damage(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(crate::store::OpenError::Damaged { .. }))
}

fn backups(config: &SwarmConfig) -> BackupFolder {
    BackupFolder::below(&config.daemon.data_dir, config.store.backups)
}

/// Opens the store and reads the agents side by side, because both wait for the disk.
async fn open(
    home: Arc<dyn StorageHome>,
    config: &Arc<SwarmConfig>,
) -> anyhow::Result<(Store, Arc<Roster>, Vec<DefinitionRefusal>)> {
    let folder = config.agents.folder.clone();
    let store = tokio::task::spawn_blocking(move || open_store(&home));
    let roster = tokio::task::spawn_blocking(move || {
        crate::roster::load_checked(folder.as_deref(), &tasks::check_definition)
    });
    let (store, roster) = tokio::try_join!(store, roster)?;
    let (roster, refusals) = roster;
    Ok((store?, Arc::new(roster), refusals))
}

fn open_store(home: &Arc<dyn StorageHome>) -> anyhow::Result<Store> {
    /// A daemon that was just stopped or killed may still have the file locked.
    const PATIENCE: u32 = 20;
    const PAUSE: Duration = Duration::from_millis(100);
    let mut tries = 0;
    loop {
        match Store::open_at(Arc::clone(home)) {
            Err(crate::store::OpenError::AlreadyOpen { .. }) if tries < PATIENCE => {
                tries += 1;
                std::thread::sleep(PAUSE);
            }
            opened => return Ok(opened?),
        }
    }
}

fn jobs(config: &SwarmConfig, program: &Path, store: Store, agents: Arc<AddressBook>) -> Arc<JobsShared> {
    Arc::new(JobsShared {
        book: JobBook::new(store),
        attempts: AttemptTable::default(),
        paces: PaceCache::default(),
        pasts: PastCache::default(),
        agents,
        tasks: tasks::catalogue(),
        settings: settings(config, program),
        costs: OnceLock::new(),
        models: OnceLock::new(),
    })
}

fn settings(config: &SwarmConfig, program: &Path) -> JobSettings {
    JobSettings {
        workdir: config.daemon.workdir.clone(),
        trees: trees_below(&config.daemon.data_dir),
        threads: config.jobs.threads.get(),
        soft_timeout: config.jobs.step_soft_timeout,
        hard_timeout: config.jobs.step_hard_timeout,
        stop_grace: config.jobs.stop_grace,
        max_runs: config.jobs.max_queued.get(),
        policy: RetryPolicy {
            max_attempts: config.jobs.max_attempts.get(),
            backoff_base: config.jobs.backoff_base,
            backoff_max: config.jobs.backoff_max,
        },
        program: program.to_owned(),
        backups: backups(config),
        input_defaults: Arc::new(input_defaults(&config.ingest)),
    }
}

/// `[ingest]` as the default inputs of cards.
fn input_defaults(config: &IngestConfig) -> serde_json::Value {
    // No `..`: a new key must reach the skills.
    let IngestConfig {
        max_file_bytes,
        max_files,
        deny_licences,
        near_duplicate_percent,
        boilerplate_percent,
        key_stores,
    } = config;
    serde_json::json!({
        "max_file_bytes": max_file_bytes, "max_files": max_files, "deny_licences": deny_licences,
        "near_duplicate_percent": near_duplicate_percent, "boilerplate_percent": boilerplate_percent,
        "key_stores": key_stores,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::ConfigSources;
    use crate::skills::ingest::settings::IngestSettings;
    use crate::skills::{StepContext, StepControl};

    #[test]
    fn what_is_built_into_the_skills_is_what_the_configuration_documents() {
        let config = SwarmConfig::load(&ConfigSources::default()).unwrap();
        let step =
            || StepContext::new(PathBuf::new(), serde_json::json!({}), 1, Arc::new(StepControl::default()));
        let configured = step().with_defaults(Arc::new(input_defaults(&config.ingest)));
        assert_eq!(IngestSettings::of(&configured), IngestSettings::of(&step()));
    }

    #[test]
    fn a_prompt_names_no_port_that_nobody_serves() {
        let served: Vec<String> = services::ports().iter().map(|port| port.number.to_string()).collect();
        for agent in crate::roster::load(None).0.iter() {
            let numbers = agent.prompt.split(|c: char| !c.is_ascii_digit());
            for number in numbers.filter(|digits| digits.len() == 4 && digits.starts_with("61")) {
                assert!(served.iter().any(|port| port == number), "{} names port {number}", agent.name);
            }
        }
    }
}
