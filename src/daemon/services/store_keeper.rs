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
        let retention = RetentionHandle::new(Arc::clone(&site.jobs), config.daemon.data_dir.clone(), limits);
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
