//! The scheduled backups, where some are wanted, and the retention of what is past.

use std::sync::Arc;

use super::{DaemonService, ServiceSite};
use crate::actors::retention::{RetentionHandle, limit};
use crate::actors::store_keeper::{self, BackupPlan};
use crate::config::RetentionConfig;
use crate::domain::retention::RetentionLimits;
use crate::supervision::ChildSpec;

pub(super) struct StoreKeeperService;

impl DaemonService for StoreKeeperService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        let config = &site.config;
        let limits = limits(&config.retention);
        let (data_dir, file) = (config.daemon.data_dir.clone(), config.store_file());
        let retention = RetentionHandle::new(Arc::clone(&site.jobs), data_dir, file, limits);
        let (store, folder) = (site.store.clone(), site.jobs.settings.backups.clone());
        let plan = BackupPlan { store, folder, every: config.store.backup_every, events: site.need()? };
        site.provide(retention.clone())?;
        Ok(Some(store_keeper::spec(&site.system, "store-keeper", site.options, plan, Some(retention))))
    }
}

fn limits(config: &RetentionConfig) -> RetentionLimits {
    RetentionLimits {
        jobs: limit(config.jobs_days, config.jobs_mb),
        traces: limit(config.traces_days, config.traces_mb),
        logs: limit(config.logs_days, config.logs_mb),
        events: limit(config.events_days.get(), config.events_mb),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::testing::{TestSite, test_site};
    use super::*;
    use crate::actors::jobs::JobError;
    use crate::actors::retention::{RetentionReport, clock};
    use crate::domain::ids::{JobId, RunId};
    use crate::domain::job::{Job, JobState, testing};
    use crate::domain::retention::ClockReading;
    use crate::domain::time::Timestamp;
    use crate::skills::ingest::formats;
    use crate::store::{StoreChanges, StoreError, StoreTable};

    const JOBS: StoreTable<JobId, Job> = StoreTable::new("jobs");
    const ACTIVE: StoreTable<JobId, ()> = StoreTable::new("active_jobs");
    const ROOT_ORDER: StoreTable<u64, JobId> = StoreTable::new("root_order");
    const CLOSED: StoreTable<RunId, i64> = StoreTable::new("closed_runs");
    const DOOMED: StoreTable<RunId, ()> = StoreTable::new("doomed_runs");
    const SUBMISSIONS: StoreTable<String, (JobId, String)> = StoreTable::new("submissions");
    const DAY: Duration = Duration::from_secs(86_400);

    fn retention(of: &TestSite) -> RetentionHandle {
        let config = &of.site.config;
        let (data_dir, file) = (config.daemon.data_dir.clone(), config.store_file());
        RetentionHandle::new(Arc::clone(&of.site.jobs), data_dir, file, limits(&config.retention))
    }

    async fn put(of: &TestSite, changes: StoreChanges) {
        of.store.write::<_, StoreError>(move |_| Ok((changes, ()))).await.unwrap();
    }

    /// Runs that ended so many days ago, the oldest first, each with a file and its messages.
    async fn closed(of: &TestSite, runs: &[(&str, i64)]) {
        let mut changes = StoreChanges::none();
        for (number, (name, days)) in (1..).zip(runs) {
            let mut job = testing::job(name, "architect", "ingest");
            job.state = JobState::Failed;
            let closed = Timestamp::now().as_millis() - days * 86_400_000;
            changes = changes.put(&JOBS, &job.id, &job).put(&ROOT_ORDER, &number, &job.id);
            changes = changes.put(&CLOSED, &job.run(), &closed);
            let folder = of.site.jobs.run_dir(&job.run());
            std::fs::create_dir_all(&folder).unwrap();
            for file in ["report.html", "trace.jsonl"] {
                std::fs::write(folder.join(file), file).unwrap();
            }
        }
        put(of, changes).await;
    }

    fn folders(of: &TestSite) -> Vec<String> {
        let entries = std::fs::read_dir(of.folder.path().join("artifacts/runs")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Kept and gone of a kind.
    fn counts(report: &RetentionReport, kind: &str) -> (u64, u64) {
        let row = report.kinds.iter().find(|row| row.kind == kind).unwrap();
        (row.kept.count, row.gone.count)
    }

    fn later(days: u32, uptime: Duration) -> ClockReading {
        let now = clock();
        ClockReading { wall: now.wall.plus(DAY * days), uptime: now.uptime + uptime }
    }

    #[tokio::test]
    async fn an_old_run_goes_and_one_in_use_stays() {
        let of = test_site();
        let runs = [("old", 200), ("searched", 200), ("used", 200), ("with-tree", 200), ("young", 20)];
        closed(&of, &runs).await;
        std::fs::create_dir(of.site.jobs.run_dir(&RunId::new("searched").unwrap()).join(formats::INDEX))
            .unwrap();
        std::fs::create_dir_all(of.site.jobs.settings.trees.join("with-tree/main")).unwrap();
        let mut reader = testing::job("reader", "architect", "change");
        reader.card.inputs = serde_json::json!({ "continues": "used" }).into();
        put(&of, StoreChanges::none().put(&JOBS, &reader.id, &reader).put(&ACTIVE, &reader.id, &())).await;
        let retention = retention(&of);
        assert!(retention.last().is_none());
        let told = retention.look().await.unwrap();
        assert_eq!((counts(&told, "jobs"), counts(&told, "traces")), ((5, 1), (5, 0)));
        assert_eq!(folders(&of).len(), 5);
        let report = retention.prune().await.unwrap();
        assert_eq!(
            (counts(&report, "jobs"), counts(&report, "traces")),
            ((4, 1), (4, 0)),
            "a trace went with its run"
        );
        assert_eq!(folders(&of), ["searched", "used", "with-tree", "young"]);
        assert!(report.deleted().starts_with("deleted 1 jobs ("), "{}", report.deleted());
        let last = retention.last().unwrap();
        assert_eq!((last.at, last.dry_run), (report.at, false));
        assert!(last.store_bytes > 0);
    }

    #[tokio::test]
    async fn nothing_goes_while_it_is_not_known_which_runs_have_trees() {
        let of = test_site();
        closed(&of, &[("with-tree", 200)]).await;
        let trees = &of.site.jobs.settings.trees;
        std::os::unix::fs::symlink(Path::new("trees"), trees).unwrap();
        let pruned = retention(&of).prune().await;
        assert!(matches!(pruned, Err(JobError::Unreadable(..))), "{pruned:?}");
        assert_eq!(folders(&of), ["with-tree"]);
    }

    #[tokio::test]
    async fn a_clock_that_jumps_deletes_nothing_for_a_day() {
        let of = test_site();
        closed(&of, &[("young", 20)]).await;
        let retention = retention(&of);
        let hour = Duration::from_secs(3_600);
        for (days, uptime) in [(0, Duration::ZERO), (4_000, hour), (4_000, 2 * hour)] {
            let swept = retention.sweep(9, later(days, uptime)).await.unwrap();
            assert_eq!(folders(&of), ["young"], "{days}");
            assert_eq!(swept.dry_run, days > 0);
        }
        retention.sweep(9, later(4_001, DAY + 2 * hour)).await.unwrap();
        assert_eq!(folders(&of), [""; 0], "the clock went on");
    }

    #[tokio::test]
    async fn a_deletion_that_was_cut_off_is_finished_with_its_key() {
        let of = test_site();
        closed(&of, &[("young", 20)]).await;
        let gone = JobId::new("gone").unwrap();
        let key = (gone.clone(), "asked".to_owned());
        let changes =
            StoreChanges::none().put(&DOOMED, &gone.run(), &()).put(&SUBMISSIONS, &"key".to_owned(), &key);
        put(&of, changes).await;
        retention(&of).prune().await.unwrap();
        let left =
            of.store.read(|view| Ok::<_, StoreError>((view.count(&DOOMED)?, view.count(&SUBMISSIONS)?)));
        assert_eq!(left.unwrap(), (0, 0));
    }
}
