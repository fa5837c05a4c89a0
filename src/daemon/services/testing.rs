//! A site in a temporary folder, for tests of the rows.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::ServiceSite;
use crate::actors::address_book::AddressBook;
use crate::config::{ConfigSources, SwarmConfig};
use crate::daemon::jobs;
use crate::store::Store;
use crate::supervision::{ActorSystem, WorkerOptions};

pub(in crate::daemon) struct TestSite {
    pub(in crate::daemon) site: ServiceSite,
    pub(in crate::daemon) store: Store,
    pub(in crate::daemon) folder: TempDir,
}

/// A site with the built-in agents and an empty store.
pub(in crate::daemon) fn test_site() -> TestSite {
    let folder = tempfile::tempdir().unwrap();
    let mut config = SwarmConfig::load(&ConfigSources::default()).unwrap();
    config.daemon.workdir = folder.path().to_owned();
    config.daemon.data_dir = folder.path().to_owned();
    let store = Store::open(folder.path().join("pas.redb")).unwrap();
    let (roster, refusals) = crate::roster::load(None);
    assert!(refusals.is_empty(), "{refusals:?}");
    let agents = Arc::new(AddressBook::new(Arc::new(roster)));
    let jobs = jobs(&config, Path::new("pas"), store.clone(), Arc::clone(&agents));
    let (system, shutdown) = (ActorSystem::default(), CancellationToken::new());
    let site = ServiceSite::new(
        Arc::new(config),
        system,
        store.clone(),
        jobs,
        agents,
        shutdown,
        WorkerOptions::default(),
    );
    TestSite { site, store, folder }
}
