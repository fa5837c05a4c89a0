//! The accounts of money, without a port of their own: the gateway's port serves them.

use std::sync::Arc;

use super::{DaemonService, ServiceSite};
use crate::actors::accounts;
use crate::daemon::news::MoneyEventPublisher;
use crate::supervision::ChildSpec;

pub(super) struct AccountsService;

impl DaemonService for AccountsService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        let settings = accounts::AccountsSettings {
            workdir: site.config.daemon.workdir.clone(),
            data_dir: site.config.daemon.data_dir.clone(),
            fsync: site.config.receipts.fsync,
        };
        let news = Arc::new(MoneyEventPublisher(site.need()?));
        let (spec, accounts) =
            accounts::spec(&site.system, "accounts", site.options, site.store.clone(), settings, news);
        // Set once, by the only row that starts accounts.
        let _ = site.jobs.costs.set(Arc::new(accounts.clone()));
        site.provide(accounts)?;
        Ok(Some(spec))
    }
}
