//! The site on which services are built: the daemon's values for each, and the handles they give each other.
//!
//! Invariant: a handle exists once the row that provides it has started, so a row that needs the handle comes
//! after the provider in [`super::SERVICES`]. Failure policy: a handle that does not exist yet, or that two
//! rows provide, fails the start and names the type.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::actors::address_book::AddressBook;
use crate::actors::jobs::JobsShared;
use crate::config::SwarmConfig;
use crate::store::Store;
use crate::supervision::{ActorSystem, WorkerOptions};

/// The values a service is built from.
pub(in crate::daemon) struct ServiceSite {
    pub(in crate::daemon) config: Arc<SwarmConfig>,
    pub(in crate::daemon) system: ActorSystem,
    pub(in crate::daemon) store: Store,
    pub(in crate::daemon) jobs: Arc<JobsShared>,
    pub(in crate::daemon) agents: Arc<AddressBook>,
    /// Cancelled when the daemon is to end; also by `POST /shutdown`.
    pub(in crate::daemon) shutdown: CancellationToken,
    pub(in crate::daemon) options: WorkerOptions,
    handles: HashMap<(TypeId, &'static str), Box<dyn Any + Send + Sync>>,
}

impl ServiceSite {
    pub(in crate::daemon) fn new(
        config: Arc<SwarmConfig>,
        system: ActorSystem,
        store: Store,
        jobs: Arc<JobsShared>,
        agents: Arc<AddressBook>,
        shutdown: CancellationToken,
        options: WorkerOptions,
    ) -> Self {
        Self { config, system, store, jobs, agents, shutdown, options, handles: HashMap::new() }
    }

    /// A port's number on this machine.
    pub(in crate::daemon) fn port(&self, number: u16) -> u16 {
        number.saturating_add(self.config.http.port_offset)
    }

    /// The port of a service on this machine.
    pub(super) fn port_of(&self, service: &str) -> anyhow::Result<u16> {
        let port = super::ports().into_iter().find(|port| port.service == service);
        port.map(|port| self.port(port.number)).with_context(|| format!("no service `{service}` has a port"))
    }

    /// Gives a handle to the rows below.
    pub(super) fn provide<T: Clone + Send + Sync + 'static>(&mut self, handle: T) -> anyhow::Result<()> {
        self.provide_as("", handle)
    }

    /// As [`Self::provide`], for several services with handles of one type, distinguished by name.
    pub(super) fn provide_as<T: Clone + Send + Sync + 'static>(
        &mut self,
        name: &'static str,
        handle: T,
    ) -> anyhow::Result<()> {
        let before = self.handles.insert((TypeId::of::<T>(), name), Box::new(handle));
        anyhow::ensure!(before.is_none(), "two services provide the handle `{}` {name}", type_name::<T>());
        Ok(())
    }

    /// The handle of a service that has started.
    pub(in crate::daemon) fn need<T: Clone + Send + Sync + 'static>(&self) -> anyhow::Result<T> {
        self.need_as("")
    }

    pub(super) fn need_as<T: Clone + Send + Sync + 'static>(&self, name: &'static str) -> anyhow::Result<T> {
        let handle =
            self.handles.get(&(TypeId::of::<T>(), name)).and_then(|handle| handle.downcast_ref::<T>());
        handle.cloned().with_context(|| {
            let handle = type_name::<T>();
            format!("no service above provides the handle `{handle}` {name}; its row must stand above those that need it")
        })
    }
}
