//! The accounts of money, which have no port of their own: the gateway's serves them.

use std::sync::Arc;

use super::{DaemonService, ServiceSite};
use crate::actors::accounts;
use crate::daemon::news::MoneyNews;
use crate::supervision::ChildSpec;

pub(super) struct AccountsService;

impl DaemonService for AccountsService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        let settings = accounts::Settings {
            workdir: site.config.daemon.workdir.clone(),
            data_dir: site.config.daemon.data_dir.clone(),
            fsync: site.config.receipts.fsync,
        };
        let news = Arc::new(MoneyNews(site.need()?));
        let (spec, accounts) =
            accounts::spec(&site.system, "accounts", site.options, site.store(), settings, news);
        // Set once, by the one row that has them.
        let _ = site.jobs.costs.set(Arc::new(accounts.clone()));
        site.provide(accounts)?;
        Ok(Some(spec))
    }
}
