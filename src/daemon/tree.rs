//! The supervision tree: the roster's hierarchy, with the daemon's own services around it.
//!
//! Every agent is a supervisor `<agent>-sup` whose first child is the agent's own worker; the other children
//! are the agents below. A worker's crash restarts only the worker.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::edge;
use super::services::{self, PlacedServices, ServicePlacement, ServiceSite};
use crate::actors::address_book::AddressBook;
use crate::actors::agent::{AgentMemory, AgentMessage, AgentState, AgentTools, ThinkingDeps};
use crate::actors::crashes::CrashRecorder;
use crate::actors::gateway::GatewayHandle;
use crate::actors::jobs::JobsShared;
use crate::actors::resource_manager::ResourceHandle;
use crate::actors::token_governor::GovernorHandle;
use crate::config::SwarmConfig;
use crate::domain::agent::AgentDefinition;
use crate::domain::ids::AgentName;
use crate::store::Store;
use crate::supervision::policy::{AutoShutdown, ChildPolicy, RestartStrategy, SupervisorPolicy};
use crate::supervision::{ActorSystem, Address, ChildSpec, WorkerOptions};

/// How often the daemon's own services must send a heartbeat.
const SERVICE_HEARTBEAT: Duration = Duration::from_secs(10);

/// The policy of supervisors unless stated otherwise.
pub(super) fn default_policy(config: &SwarmConfig) -> SupervisorPolicy {
    SupervisorPolicy {
        strategy: RestartStrategy::OneForOne,
        intensity: config.supervision.intensity,
        period: config.supervision.period,
        auto_shutdown: AutoShutdown::Never,
    }
}

/// The values that the services are built from.
pub(super) fn site(
    config: &Arc<SwarmConfig>,
    system: &ActorSystem,
    store: &Store,
    jobs: &Arc<JobsShared>,
    agents: &Arc<AddressBook>,
    shutdown: &CancellationToken,
) -> ServiceSite {
    let options = worker_options(config, SERVICE_HEARTBEAT);
    let (config, system) = (Arc::clone(config), system.clone());
    let (store, jobs, agents) = (store.clone(), Arc::clone(jobs), Arc::clone(agents));
    ServiceSite::new(config, system, store, jobs, agents, shutdown.clone(), options)
}

/// The children of the root, in start order (recorder, agents, services, ports), and the handles of
/// resource manager and gateway. Commands of agents are confined by `program`.
pub(super) fn build(
    mut site: ServiceSite,
    program: &Path,
) -> anyhow::Result<(Vec<ChildSpec>, ResourceHandle, GatewayHandle)> {
    let services = services::start_all(&mut site)?;
    assemble(site, services, program)
}

/// Puts the agents and the services in their places.
fn assemble(
    site: ServiceSite,
    services: PlacedServices,
    program: &Path,
) -> anyhow::Result<(Vec<ChildSpec>, ResourceHandle, GatewayHandle)> {
    let (config, system) = (Arc::clone(&site.config), site.system.clone());
    let (jobs, agents) = (Arc::clone(&site.jobs), Arc::clone(&site.agents));
    let (resources, gateway): (ResourceHandle, GatewayHandle) = (site.need()?, site.need()?);
    let thinking = ThinkingDeps::new(&config.daemon.data_dir, config.sandbox.unconfined);
    let mut builder = TreeBuilder {
        config: &config,
        system: &system,
        jobs: &jobs,
        resources: resources.clone(),
        governor: site.need()?,
        tools: AgentTools {
            store: site.store.clone(),
            writer: Arc::new(gateway.clone()),
            thinking: thinking.confined_by(program).traced(&system),
        },
        addresses: HashMap::new(),
        services,
    };
    let mut children = vec![builder.recorder()];
    for root in jobs.agents.roster().roots() {
        children.push(builder.node(root));
    }
    children.push(builder.daemon_services(site)?);
    agents.publish(builder.addresses);
    Ok((children, resources, gateway))
}

fn worker_options(config: &SwarmConfig, heartbeat: Duration) -> WorkerOptions {
    let heartbeat = config.supervision.heartbeat_interval.unwrap_or(heartbeat);
    WorkerOptions { heartbeat: Some(heartbeat), capacity: config.supervision.mailbox_capacity.get() }
}

struct TreeBuilder<'a> {
    config: &'a Arc<SwarmConfig>,
    system: &'a ActorSystem,
    jobs: &'a Arc<JobsShared>,
    resources: ResourceHandle,
    governor: GovernorHandle,
    tools: AgentTools,
    addresses: HashMap<AgentName, Address<AgentMessage>>,
    /// Services without a place so far, in the order of their rows.
    services: PlacedServices,
}

impl TreeBuilder<'_> {
    fn options(&self, heartbeat: Duration) -> WorkerOptions {
        worker_options(self.config, heartbeat)
    }

    fn node(&mut self, agent: &AgentDefinition) -> ChildSpec {
        let (worker, address) = self.agent(agent);
        self.addresses.insert(agent.name.clone(), address);
        let mut children = vec![worker];
        let is_beside = |place: &ServicePlacement| matches!(place, ServicePlacement::BesideAgent(name) if *name == agent.name.as_str());
        children.extend(self.services_at(is_beside));
        for child in self.jobs.agents.roster().children_of(&agent.name) {
            children.push(self.node(child));
        }
        self.system.supervisor(&format!("{}-sup", agent.name), self.policy_of(agent), children)
    }

    fn agent(&self, agent: &AgentDefinition) -> (ChildSpec, Address<AgentMessage>) {
        let me = Arc::new(agent.clone());
        let (jobs, system) = (Arc::clone(self.jobs), self.system.clone());
        let (resources, governor) = (self.resources.clone(), self.governor.clone());
        let tools = self.tools.clone();
        let options = self.options(agent.heartbeat_interval.as_duration());
        let (spec, address) = self.system.worker(agent.name.as_str(), options, move |context| {
            let (me, jobs, system) = (Arc::clone(&me), Arc::clone(&jobs), system.clone());
            let (resources, governor) = (resources.clone(), governor.clone());
            let tools = tools.clone();
            async move {
                // Must come first: until this is written, the governor takes this context for the old one.
                let resumed = governor.resume(me.name.as_str()).await?;
                let memory = AgentMemory { governor, resumed };
                Ok(AgentState::start(me, jobs, resources, system, (memory, tools), &context)?)
            }
        });
        let policy = ChildPolicy { restart: agent.supervision.restart, ..ChildPolicy::default() };
        (spec.with_policy(policy), address)
    }

    fn policy_of(&self, agent: &AgentDefinition) -> SupervisorPolicy {
        let default = default_policy(self.config);
        let stated = &agent.supervision;
        SupervisorPolicy {
            strategy: stated.strategy,
            intensity: stated.intensity.unwrap_or(default.intensity),
            period: stated.period_s.map_or(default.period, |s| Duration::from_secs(u64::from(s.get()))),
            auto_shutdown: AutoShutdown::Never,
        }
    }

    fn recorder(&self) -> ChildSpec {
        let (store, system) = (self.tools.store.clone(), self.system.clone());
        let frozen = self.config.trace.frozen_spans.get();
        let (spec, _) =
            self.system.worker("crash-recorder", self.options(SERVICE_HEARTBEAT), move |context| {
                let recorder = CrashRecorder::listen(store.clone(), system.clone(), frozen, &context);
                async move { Ok(recorder) }
            });
        spec
    }

    /// Takes the services for a place, in the order of their rows.
    fn services_at(&mut self, is_place: impl Fn(&ServicePlacement) -> bool) -> Vec<ChildSpec> {
        self.services.extract_if(.., |(place, _)| is_place(place)).map(|(_, child)| child).collect()
    }

    /// The daemon's own supervisor: the services that belong to no agent, and last of all the ports.
    fn daemon_services(&mut self, site: ServiceSite) -> anyhow::Result<ChildSpec> {
        let mut children = self.services_at(|place| *place == ServicePlacement::DaemonSupervisor);
        if let Some((place, child)) = self.services.first() {
            anyhow::bail!(
                "the service `{}` is placed at {place:?}, which is not in the roster",
                child.name()
            );
        }
        children.push(edge::spec(Arc::new(site)));
        Ok(self.system.supervisor("services-sup", default_policy(self.config), children))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::daemon::services::SERVICES;
    use crate::daemon::services::testing::{TestSite, test_site};

    fn start_order(system: &ActorSystem) -> Vec<(String, Vec<String>)> {
        let tree = system.tree();
        let named = |no| tree.name_of(no).to_string();
        tree.all()
            .iter()
            .map(|node| (node.name.to_string(), node.children().into_iter().map(named).collect()))
            .filter(|(_, children): &(String, Vec<String>)| !children.is_empty())
            .collect()
    }

    #[tokio::test]
    async fn every_start_has_the_written_order() {
        let mut orders = BTreeSet::new();
        for _ in 0..4 {
            let TestSite { mut site, store, folder } = test_site();
            let system = site.system.clone();
            let services = services::start_all(&mut site).unwrap();
            assemble(site, services, Path::new("pas")).unwrap();
            orders.insert(start_order(&system));
            store.close().await.unwrap();
            drop(folder);
        }
        assert_eq!(orders.len(), 1, "{orders:#?}");
        let order: HashMap<_, _> = orders.pop_first().unwrap().into_iter().collect();
        assert_eq!(
            order["services-sup"],
            [
                "agent-status",
                "agent-router",
                "tlc-announcer",
                "steering",
                "scheduler",
                "store-keeper",
                "edge"
            ],
            "the rows of the daemon's own supervisor, then the ports"
        );
        assert_eq!(order["registry-sup"][..2], ["registry", "registry-service"]);
        assert_eq!(order["cost-optimizer-sup"][..2], ["cost-optimizer", "accounts"]);
        let placed =
            SERVICES.iter().filter(|row| row.placement != ServicePlacement::DaemonSupervisor).count();
        assert!(placed > 8, "only {placed} services stand beside an agent");
    }

    #[tokio::test]
    async fn a_place_that_is_not_there_is_an_error() {
        let TestSite { mut site, store, folder } = test_site();
        let mut services = services::start_all(&mut site).unwrap();
        services[0].0 = ServicePlacement::BesideAgent("event-steam");
        let first = SERVICES[0].name;
        let error = assemble(site, services, Path::new("pas")).map(drop).unwrap_err().to_string();
        assert!(error.contains(first) && error.contains("event-steam"), "{error}");
        store.close().await.unwrap();
        drop(folder);
    }
}
