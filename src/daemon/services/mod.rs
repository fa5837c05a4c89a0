//! The services of the daemon: one row each in [`SERVICES`], one trait, one file for each service.
//!
//! A row has the name, the port with the contract, and the place in the supervision tree; the trait joins the
//! actor's part with the port's. A new service is a row here, a file in this folder, and its own parts in
//! `actors` and `http`. Invariants: rows are built in order, so a row comes after the rows whose handles it
//! needs; under one supervisor services start in the order of their rows; every contract has a row, and every
//! port a contract with the same number.

mod accounts;
mod agent_router;
mod agent_status;
mod event_stream;
mod file_queue_watcher;
mod gateway;
mod heartbeat_monitor;
mod hmi;
mod model_ports;
mod orchestrator;
mod otlp_exporter;
mod own_ports;
mod provider_router;
mod registry;
mod resource_manager;
mod scheduler;
mod site;
mod steering;
mod store_keeper;
mod tlc;
mod token_governor;

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use axum::Router;

pub(super) use self::site::ServiceSite;
use crate::actors::gateway::own_ports::ModelPort;
use crate::http::page::{self, HealthReporter};
use crate::http::{ListenerSpec, PortContract, PortLimits};
use crate::supervision::ChildSpec;

/// A service; implementations override only the parts that exist.
pub(super) trait DaemonService: Sync {
    /// Makes the service's actors, and provides a handle to the rows below.
    fn start(&self, _site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        Ok(None)
    }

    /// The routes of the service's port, without the common ones.
    fn routes(&self, _site: &ServiceSite) -> anyhow::Result<Router> {
        Ok(Router::new())
    }

    /// The fields that the service adds to `/health`, beside service, port and time.
    fn health(&self, _site: &ServiceSite) -> anyhow::Result<HealthReporter> {
        Ok(page::plain_health())
    }

    /// The model served on the port, for providers that are registered at this daemon itself.
    fn model_port(&self) -> Option<ModelPort> {
        None
    }

    /// The routes that every port has.
    fn common_routes(&self, contract: PortContract, health: HealthReporter, _site: &ServiceSite) -> Router {
        page::routes(contract, health)
    }

    /// Changes to the usual listener of the port: limits, bodies, access.
    fn listener(&self, usual: ListenerSpec) -> ListenerSpec {
        usual
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServicePort {
    pub service: &'static str,
    /// The port's number, before the configured offset.
    pub number: u16,
    /// The name of the contract; services of one kind share theirs.
    pub contract: &'static str,
}

impl ServicePort {
    /// The name in the port's `GET /`: the contract's, or the service's where several share one.
    #[must_use]
    pub fn wire_name(&self) -> String {
        let own = PortContract::load(self.contract).ok().filter(|_| self.contract == self.service);
        own.map_or_else(|| self.service.to_owned(), |contract| contract.service)
    }
}

/// A service's place in the supervision tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServicePlacement {
    /// Under the supervisor of the service's system agent, right after the agent.
    BesideAgent(&'static str),
    /// Under the daemon's own supervisor.
    DaemonSupervisor,
}

pub(super) struct ServiceRow {
    pub(super) name: &'static str,
    port: Option<(u16, &'static str)>,
    pub(super) placement: ServicePlacement,
    pub(super) service: &'static dyn DaemonService,
}

impl ServiceRow {
    /// The service of the system agent with the same name.
    const fn of_agent(name: &'static str, service: &'static dyn DaemonService) -> Self {
        Self { name, port: None, placement: ServicePlacement::BesideAgent(name), service }
    }

    /// A service that belongs to no agent.
    const fn of_daemon(name: &'static str, service: &'static dyn DaemonService) -> Self {
        Self { name, port: None, placement: ServicePlacement::DaemonSupervisor, service }
    }

    /// With a port, described by the contract of the service's name.
    const fn on(self, number: u16) -> Self {
        let contract = self.name;
        self.sharing(number, contract)
    }

    /// With a port, described by a contract for several services.
    const fn sharing(mut self, number: u16, contract: &'static str) -> Self {
        self.port = Some((number, contract));
        self
    }

    /// Beside an agent of another name.
    const fn beside(mut self, agent: &'static str) -> Self {
        self.placement = ServicePlacement::BesideAgent(agent);
        self
    }

    pub(super) fn port(&self) -> Option<ServicePort> {
        self.port.map(|(number, contract)| ServicePort { service: self.name, number, contract })
    }

    /// The body of `/health`: service, port and time, and the service's own fields.
    fn health(&self, port: ServicePort, site: &ServiceSite) -> anyhow::Result<HealthReporter> {
        Ok(page::named_health(self.service.health(site)?, self.name, site.port(port.number)))
    }

    /// The service's port, ready to be bound; `None` for a service without one.
    pub(super) fn listener(&self, site: &ServiceSite) -> anyhow::Result<Option<ListenerSpec>> {
        let Some(port) = self.port() else { return Ok(None) };
        let mut contract = PortContract::load(port.contract)?;
        contract.service = port.wire_name();
        let common = self.service.common_routes(contract, self.health(port, site)?, site);
        let router = self.service.routes(site)?.merge(common);
        let http = &site.config.http;
        let limits = PortLimits {
            header_read: http.header_timeout,
            keep_alive_idle: http.idle_timeout,
            body_read: http.body_timeout,
            max_connections: http.max_connections.get(),
            max_body: http.max_body_bytes as u64,
            ..PortLimits::default()
        };
        let usual = ListenerSpec::new(self.name, site.port(port.number), router).limits(limits);
        Ok(Some(self.service.listener(usual)))
    }
}

/// All services, each below those whose handles it needs.
pub(super) static SERVICES: &[ServiceRow] = &[
    ServiceRow::of_daemon("agent-status", &agent_status::AgentStatusService),
    ServiceRow::of_agent("event-stream", &event_stream::EventStreamService).on(6102),
    ServiceRow::of_agent("provider-router", &provider_router::ProviderRouterService).on(6103),
    ServiceRow::of_agent("token-governor", &token_governor::TokenGovernorService).on(6105),
    ServiceRow::of_agent("registry", &registry::RegistryService).on(6121),
    ServiceRow::of_agent("heartbeat-monitor", &heartbeat_monitor::HeartbeatMonitorService).on(6109),
    ServiceRow::of_daemon("agent-router", &agent_router::AgentRouterService).on(6119),
    ServiceRow::of_agent("file-queue-watcher", &file_queue_watcher::FileQueueWatcherService),
    ServiceRow::of_agent("resource-manager", &resource_manager::ResourceManagerService).on(6104),
    ServiceRow::of_daemon("accounts", &accounts::AccountsService).beside("cost-optimizer"),
    ServiceRow::of_agent("gateway", &gateway::GatewayService).on(6120),
    model_ports::LLAMA.row(),
    model_ports::TINYLLAMA.row(),
    model_ports::OPENAI.row(),
    model_ports::ANTHROPIC.row(),
    model_ports::GEMINI.row(),
    model_ports::GROK.row(),
    ServiceRow::of_daemon(tlc::NAME, &tlc::TlcService).on(8052),
    ServiceRow::of_daemon("steering", &steering::SteeringService),
    ServiceRow::of_daemon("scheduler", &scheduler::SchedulerService),
    ServiceRow::of_daemon("otlp-exporter", &otlp_exporter::OtlpExporterService),
    ServiceRow::of_daemon("store-keeper", &store_keeper::StoreKeeperService),
    ServiceRow::of_daemon("orchestrator", &orchestrator::OrchestratorService).on(6100),
    ServiceRow::of_daemon("hmi", &hmi::HmiService).on(6101),
];

/// All ports of this daemon by number, which is the order in which they are bound.
#[must_use]
pub fn ports() -> Vec<ServicePort> {
    let mut ports: Vec<_> = SERVICES.iter().filter_map(ServiceRow::port).collect();
    ports.sort_unstable_by_key(|port| port.number);
    ports
}

/// The services' actors with their places, in the order of the rows.
pub(super) type PlacedServices = Vec<(ServicePlacement, ChildSpec)>;

/// Builds the services on `site`, in the order of their rows.
pub(super) fn start_all(site: &mut ServiceSite) -> anyhow::Result<PlacedServices> {
    let mut placed = Vec::new();
    for row in SERVICES {
        placed.extend(row.service.start(site)?.map(|child| (row.placement, child)));
    }
    Ok(placed)
}

/// The listeners of all ports, in the order in which they are bound.
pub(super) fn listeners(site: &ServiceSite) -> anyhow::Result<Vec<ListenerSpec>> {
    let mut listeners = Vec::new();
    for row in SERVICES {
        listeners.extend(row.listener(site)?);
    }
    listeners.sort_by_key(|listener| listener.port);
    Ok(listeners)
}

/// The ports' numbers on this machine, by service.
pub(super) fn numbers(site: &ServiceSite) -> BTreeMap<&'static str, u16> {
    ports().into_iter().map(|port| (port.service, site.port(port.number))).collect()
}
