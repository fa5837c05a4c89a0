//! The services with a port of their own: made before the tree, each placed beside the agent it is for.

use std::collections::HashMap;
use std::sync::Arc;

use crate::actors::accounts::{self, AlertSink};
use crate::actors::agent_router::{self, RouterHandle};
use crate::actors::directory::Directory;
use crate::actors::gateway::{self, Gateway, Means};
use crate::actors::heartbeat_monitor::{self, MonitorHandle};
use crate::actors::invoker::Invoker;
use crate::actors::jobs::Jobs;
use crate::actors::provider_router::{self, ProviderRouter};
use crate::actors::registry::{self, RegistryHandle};
use crate::actors::{address_book::AddressBook, announcer, file_queue_watcher};
use crate::config::Config;
use crate::domain::budget::Alert;
use crate::domain::routing::EndpointRules;
use crate::http::{self, tlc::Tlc};
use crate::supervision::{ActorSystem, ChildSpec, WorkerOptions};

/// What the edge's routers call.
#[derive(Clone)]
pub(super) struct Handles {
    pub(super) registry: RegistryHandle,
    pub(super) monitor: MonitorHandle,
    pub(super) router: RouterHandle,
    pub(super) providers: ProviderRouter,
    pub(super) gateway: Gateway,
    pub(super) tlc: Tlc,
}

/// The services' specifications by the agent they stand beside; `agent-router` and announcers are nobody's.
pub(super) type Placed = HashMap<&'static str, ChildSpec>;

pub(super) fn make(
    config: &Config,
    system: &ActorSystem,
    jobs: &Jobs,
    options: WorkerOptions,
) -> anyhow::Result<(Placed, Handles)> {
    let (store, workdir) = (jobs.book.store().clone(), &config.daemon.workdir);
    let roster = Arc::clone(jobs.agents.roster());
    let directory = Directory::new(system.clone(), Arc::clone(&roster), config.http.port_offset);
    let invoker: Arc<dyn Invoker> = Arc::<AddressBook>::clone(&jobs.agents);
    let (registry_spec, registry) =
        registry::spec(system, "registry-service", options, store.clone(), directory.clone());
    let (monitor_spec, monitor) = heartbeat_monitor::spec(
        system,
        "heartbeat-monitor-service",
        options,
        registry.clone(),
        config.registry.sweep,
        workdir.clone(),
    );
    let (router_spec, router) =
        agent_router::spec(system, "agent-router", options, directory, Arc::clone(&invoker), workdir.clone());
    let watcher_spec = file_queue_watcher::spec(
        system,
        "file-queue-watcher-service",
        options,
        roster,
        invoker,
        workdir.clone(),
    );
    let rules = EndpointRules { plain_http_hosts: config.provider_router.plain_http_hosts.clone() };
    let (providers_spec, providers) =
        provider_router::spec(system, "provider-router-service", options, store.clone(), rules);
    let settings = accounts::Settings {
        workdir: workdir.clone(),
        data_dir: config.daemon.data_dir.clone(),
        fsync: config.receipts.fsync,
    };
    let (accounts_spec, accounts) =
        accounts::spec(system, "accounts", options, store, settings, Arc::new(LoggedAlerts));
    let means = Means {
        accounts,
        router: providers.clone(),
        registry: registry.clone(),
        prices: Arc::new(accounts::prices::load(config.prices.file.as_deref())?),
        providers: config.providers.clone(),
        port_offset: config.http.port_offset,
    };
    let (gateway_spec, gateway) = gateway::spec(system, "gateway-service", options, means);
    let tlc = http::tlc::registration(8052_u16.saturating_add(config.http.port_offset));
    let tlc_spec = announcer::spec(system, "tlc-announcer", options, registry.clone(), tlc);
    let placed = Placed::from([
        ("cost-optimizer", accounts_spec),
        ("gateway", gateway_spec),
        ("provider-router", providers_spec),
        ("registry", registry_spec),
        ("heartbeat-monitor", monitor_spec),
        ("file-queue-watcher", watcher_spec),
        ("agent-router", router_spec),
        ("tlc-announcer", tlc_spec),
    ]);
    Ok((placed, Handles { registry, monitor, router, providers, gateway, tlc: Tlc::new(None) }))
}

/// Alerts of budgets as lines of the log.
struct LoggedAlerts;

impl AlertSink for LoggedAlerts {
    fn alert(&self, alert: &Alert) {
        let (scope, level, cap) = (&alert.scope, alert.level, alert.cap);
        tracing::warn!(%scope, %level, %cap, spent = %alert.spent, "a budget has reached a level");
    }
}
