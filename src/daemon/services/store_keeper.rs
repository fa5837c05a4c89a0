//! The scheduled backups, where some are wanted.

use super::{DaemonService, ServiceSite};
use crate::actors::store_keeper::{self, BackupPlan};
use crate::supervision::ChildSpec;

pub(super) struct StoreKeeperService;

impl DaemonService for StoreKeeperService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        let every = site.config.store.backup_every;
        if every.is_zero() {
            return Ok(None);
        }
        let (store, folder) = (site.store.clone(), site.jobs.settings.backups.clone());
        let plan = BackupPlan { store, folder, every, events: site.need()? };
        Ok(Some(store_keeper::spec(&site.system, "store-keeper", site.options, plan)))
    }
}
