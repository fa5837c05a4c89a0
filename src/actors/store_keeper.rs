//! The store's keeper: makes the scheduled backups, each of which reads and checks every page of the store, and
//! has what is past deleted when it is kept no longer ([`super::retention`]).
//!
//! Owns no state that matters: how old the newest backup is stands in the folder, so a daemon that is started
//! anew every day makes its backups too. Invariant: one backup or pass at a time. Failure policy: a damaged store is an
//! alert, once for each kind of damage, and keeps its older backups; any other failure is logged, and tried
//! again at the next look.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::event_stream::EventStreamHandle;
use super::retention::{self, RetentionHandle};
use crate::domain::event::{SwarmEventDraft, kind};
use crate::domain::time::Timestamp;
use crate::store::Store;
use crate::store::backup::{BackupError, BackupReport};
use crate::store::backup_folder::BackupFolder;
use crate::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, ChildSpec, WorkerOptions,
};

/// Time between two looks at the folder, and from the start to the first: a start has other things to do.
const LOOK: Duration = Duration::from_secs(600);
/// Looks from one pass of retention to the next.
const LOOKS_A_PASS: u32 = 6;
/// Runs deleted in one pass: the rest goes with the next ones.
const RUNS_A_PASS: usize = 50;

pub enum KeeperMessage {
    /// Make a backup if one is due.
    Look,
    /// A look is over; the outcome if a backup was due.
    Looked(Option<Result<BackupReport, BackupError>>),
}

impl ActorMessage for KeeperMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Looked(_) => "looked",
        }
    }
}

/// The store, its backups, and the time between two of them (zero: none is scheduled).
#[derive(Clone)]
pub struct BackupPlan {
    pub store: Store,
    pub folder: BackupFolder,
    pub every: Duration,
    /// Where damage becomes an alert.
    pub events: EventStreamHandle,
}

struct KeeperState {
    plan: Arc<BackupPlan>,
    retention: Option<RetentionHandle>,
    looks: u32,
    is_looking: bool,
    /// The damage last reported.
    damage: Option<String>,
}

/// The keeper as a child of a supervisor.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    plan: BackupPlan,
    retention: Option<RetentionHandle>,
) -> ChildSpec {
    let plan = Arc::new(plan);
    let (spec, _) = system.worker(name, options, move |context| {
        let address = context.address().clone();
        context.spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                // A keeper that is busy looks later.
                let _ = address.cast(KeeperMessage::Look);
            }
        });
        let (plan, retention) = (Arc::clone(&plan), retention.clone());
        let state = KeeperState { plan, retention, looks: 0, is_looking: false, damage: None };
        async move { Ok(state) }
    });
    spec
}

impl BackupPlan {
    fn is_due(&self, now: SystemTime) -> bool {
        if self.every.is_zero() {
            return false;
        }
        let newest = self.folder.newest_time();
        // A newest backup that lies ahead, made before the clock was set back, says nothing.
        newest.is_none_or(|made| now.duration_since(made).map_or(true, |age| age >= self.every))
    }

    fn try_if_due(&self) -> Option<Result<BackupReport, BackupError>> {
        self.is_due(SystemTime::now()).then(|| self.folder.back_up(&self.store, None, Timestamp::now()))
    }
}

impl KeeperState {
    fn look(&mut self, context: &ActorContext<KeeperMessage>) {
        if std::mem::replace(&mut self.is_looking, true) {
            return;
        }
        let (plan, address) = (Arc::clone(&self.plan), context.address().clone());
        let pass = self.retention.clone().filter(|_| self.looks.is_multiple_of(LOOKS_A_PASS));
        self.looks = self.looks.wrapping_add(1);
        context.spawn(async move {
            if let Some(pass) = pass
                && let Err(error) = pass.sweep(RUNS_A_PASS, retention::clock()).await
            {
                tracing::warn!(%error, "what is kept no longer was not deleted; trying again");
            }
            let tried = tokio::task::spawn_blocking(move || plan.try_if_due()).await;
            let tried = tried.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            // A keeper that has ended looks again at its next start.
            let _ = address.send(KeeperMessage::Looked(tried)).await;
        });
    }

    fn tried(&mut self, tried: Result<BackupReport, BackupError>) {
        match tried {
            Ok(report) => {
                self.damage = None;
                tracing::info!(path = %report.path.display(), rows = report.rows, "the store was checked and backed up");
            }
            Err(BackupError::Damaged(damage)) => self.report(damage.to_string()),
            Err(error) => tracing::warn!(%error, "no scheduled backup was made; trying again"),
        }
    }

    fn report(&mut self, damage: String) {
        if self.damage.as_ref() == Some(&damage) {
            return;
        }
        let backups = self.plan.folder.path().display();
        tracing::error!(damage, "the store is damaged");
        let message = format!(
            "{damage} Rows may be wrong or missing: stop the daemon and go back to a backup in {backups}, none of \
             which was deleted"
        );
        self.plan.events.publish(SwarmEventDraft::new(
            kind::ALERT,
            json!({ "alert_type": "store_damaged", "severity": "critical", "message": message }),
        ));
        self.damage = Some(damage);
    }
}

impl Actor for KeeperState {
    type Message = KeeperMessage;

    async fn handle(
        &mut self,
        message: KeeperMessage,
        context: &ActorContext<KeeperMessage>,
    ) -> Result<(), ActorError> {
        match message {
            KeeperMessage::Look => self.look(context),
            KeeperMessage::Looked(tried) => {
                self.is_looking = false;
                if let Some(tried) = tried {
                    self.tried(tried);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::path::Path;

    use super::*;
    use crate::actors::event_stream::{self, EventLimits, EventSources};
    use crate::actors::jobs::JobBook;
    use crate::actors::standing::AgentStandings;
    use crate::store::{StoreChanges, StoreError, StoreTable};
    use crate::supervision::policy::SupervisorPolicy;

    const ROWS: StoreTable<u64, String> = StoreTable::new("rows");
    const DAY: Duration = Duration::from_secs(86_400);

    fn backups(folder: &Path) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder.join("backups")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_backup_is_made_when_due_and_damage_is_an_alert_and_no_backup() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pas.redb");
        let store = Store::open(&file).unwrap();
        let rows = |_: &crate::store::StoreView<'_>| {
            let put = |changes: StoreChanges, n| changes.put(&ROWS, &n, &format!("witness {n}"));
            Ok::<_, StoreError>(((0..500).fold(StoreChanges::none(), put), ()))
        };
        store.write(rows).await.unwrap();
        let system = ActorSystem::default();
        let unwatched = WorkerOptions { heartbeat: None, ..WorkerOptions::default() };
        let sources = EventSources {
            standings: AgentStandings::new(system.clone()),
            book: JobBook::new(store.clone()),
            store: store.clone(),
        };
        let limits = EventLimits { keep_days: 30, max_body_bytes: 1 << 20 };
        let (stream, events) = event_stream::spec(&system, "events", unwatched, sources, dir.path(), limits);
        let folder = BackupFolder::below(dir.path(), NonZeroUsize::MIN.saturating_add(2));
        let plan = BackupPlan { store: store.clone(), folder, every: DAY, events: events.clone() };
        let keeper = spec(&system, "keeper", unwatched, plan, None);
        let root = system.start("root", SupervisorPolicy::default(), vec![stream, keeper]).await.unwrap();
        assert_eq!(backups(dir.path()).len(), 0, "a start is left alone");
        for _ in 0..3 {
            tokio::time::sleep(LOOK).await;
        }
        let made = backups(dir.path());
        assert_eq!(made.len(), 1, "the next is due in a day");

        let bytes = std::fs::read(&file).unwrap();
        let places = (0..bytes.len() - 9).filter(|&at| bytes[at..].starts_with(b"witness 7"));
        let damaged = std::fs::File::options().write(true).open(&file).unwrap();
        for at in places {
            std::os::unix::fs::FileExt::write_all_at(&damaged, b"W", at as u64).unwrap();
        }
        let old = SystemTime::now() - DAY;
        std::fs::File::options().write(true).open(&made[0]).unwrap().set_modified(old).unwrap();
        let mut changes = events.cache().changes();
        let alerts = || events.cache().alerts(Timestamp::from_millis(0), 9);
        while alerts().is_empty() {
            changes.changed().await.unwrap();
        }
        let alert = alerts()[0].event().unwrap();
        assert_eq!(alert.data["alert_type"], "store_damaged", "{alert:?}");
        for _ in 0..3 {
            tokio::time::sleep(LOOK).await;
        }
        assert_eq!(
            (backups(dir.path()), alerts().len()),
            (made, 1),
            "the good one stays, and one alert is enough"
        );
        root.shutdown().await;
    }
}
