//! The watcher of the agents' file inboxes.

use std::sync::Arc;

use super::{DaemonService, ServiceSite};
use crate::actors::address_book::AddressBook;
use crate::actors::file_queue_watcher;
use crate::supervision::ChildSpec;

pub(super) struct FileQueueWatcherService;

impl DaemonService for FileQueueWatcherService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        Ok(Some(file_queue_watcher::spec(
            &site.system,
            "file-queue-watcher-service",
            site.options,
            Arc::clone(site.jobs.agents.roster()),
            Arc::<AddressBook>::clone(&site.agents),
            site.config.daemon.workdir.clone(),
        )))
    }
}
