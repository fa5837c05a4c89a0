//! The supervision tree: the roster's hierarchy, with the daemon's own services around it.
//!
//! Every agent is a supervisor `<agent>-sup` whose first child is the agent's own worker; its other
//! children are the agents below it. A worker's crash restarts the worker alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::edge;
use super::services::{self, Handles, Placed};
use crate::actors::address_book::AddressBook;
use crate::actors::agent::{Agent, AgentMessage, Memory, Writer};
use crate::actors::crashes::Recorder;
use crate::actors::gateway::Gateway;
use crate::actors::jobs::Jobs;
use crate::actors::jobs::scheduler::Scheduler;
use crate::actors::otlp::OtlpExporter;
use crate::actors::resource_manager::ResourceHandle;
use crate::actors::token_governor::GovernorHandle;
use crate::config::Config;
use crate::domain::agent::{AgentDefinition, RestartType, Strategy as Declared};
use crate::domain::ids::AgentName;
use crate::supervision::policy::{AutoShutdown, ChildPolicy, Restart, Strategy, SupervisorPolicy};
use crate::supervision::{ActorSystem, Address, ChildSpec, WorkerOptions};

/// How often the daemon's own services must show life.
const SERVICE_HEARTBEAT: Duration = Duration::from_secs(10);

/// What supervisors do where nothing else is stated.
pub(super) fn default_policy(config: &Config) -> SupervisorPolicy {
    SupervisorPolicy {
        strategy: Strategy::OneForOne,
        intensity: config.supervision.intensity,
        period: config.supervision.period,
        auto_shutdown: AutoShutdown::Never,
    }
}

/// The children of the root, in start order (recorder, agents, scheduler, ports), and the handles of
/// resource manager and gateway.
pub(super) fn build(
    config: &Arc<Config>,
    system: &ActorSystem,
    jobs: &Arc<Jobs>,
    agents: &Arc<AddressBook>,
    shutdown: &CancellationToken,
) -> anyhow::Result<(Vec<ChildSpec>, ResourceHandle, Gateway)> {
    let options = worker_options(config, SERVICE_HEARTBEAT);
    let (placed, handles) = services::make(config, system, jobs, Arc::<AddressBook>::clone(agents), options)?;
    let (resources, governor) = (handles.resources.clone(), handles.governor.clone());
    let gateway = handles.gateway.clone();
    let addresses = HashMap::new();
    let writer: Arc<dyn Writer> = Arc::new(handles.gateway.clone());
    let mut builder = Builder { config, system, jobs, resources, governor, writer, addresses, placed };
    let mut children = vec![builder.recorder()];
    for root in jobs.agents.roster().roots() {
        children.push(builder.node(root));
    }
    children.push(builder.services(handles, shutdown));
    agents.publish(builder.addresses);
    Ok((children, builder.resources, gateway))
}

fn worker_options(config: &Config, heartbeat: Duration) -> WorkerOptions {
    let heartbeat = config.supervision.heartbeat_interval.unwrap_or(heartbeat);
    WorkerOptions { heartbeat: Some(heartbeat), capacity: config.supervision.mailbox_capacity.get() }
}

struct Builder<'a> {
    config: &'a Arc<Config>,
    system: &'a ActorSystem,
    jobs: &'a Arc<Jobs>,
    resources: ResourceHandle,
    governor: GovernorHandle,
    writer: Arc<dyn Writer>,
    addresses: HashMap<AgentName, Address<AgentMessage>>,
    /// Services that have not found their place yet.
    placed: Placed,
}

impl Builder<'_> {
    fn options(&self, heartbeat: Duration) -> WorkerOptions {
        worker_options(self.config, heartbeat)
    }

    fn node(&mut self, agent: &AgentDefinition) -> ChildSpec {
        let (worker, address) = self.agent(agent);
        self.addresses.insert(agent.name.clone(), address);
        let mut children = vec![worker];
        children.extend(self.placed.remove(agent.name.as_str()));
        for child in self.jobs.agents.roster().children_of(&agent.name) {
            children.push(self.node(child));
        }
        self.system.supervisor(&format!("{}-sup", agent.name), self.policy_of(agent), children)
    }

    fn agent(&self, agent: &AgentDefinition) -> (ChildSpec, Address<AgentMessage>) {
        let me = Arc::new(agent.clone());
        let (jobs, system) = (Arc::clone(self.jobs), self.system.clone());
        let (resources, governor) = (self.resources.clone(), self.governor.clone());
        let writer = Arc::clone(&self.writer);
        let options = self.options(agent.heartbeat_interval.as_duration());
        let (spec, address) = self.system.worker(agent.name.as_str(), options, move |context| {
            let (me, jobs, system) = (Arc::clone(&me), Arc::clone(&jobs), system.clone());
            let (resources, governor) = (resources.clone(), governor.clone());
            let writer = Arc::clone(&writer);
            async move {
                // First of all: until this is written, the governor takes the context for the old one.
                let resumed = governor.resume(me.name.as_str()).await?;
                let memory = Memory { governor, resumed };
                Ok(Agent::wake(me, jobs, resources, system, (memory, writer), &context)?)
            }
        });
        let restart = match agent.supervision.restart {
            RestartType::Permanent => Restart::Permanent,
            RestartType::Transient => Restart::Transient,
            RestartType::Temporary => Restart::Temporary,
        };
        (spec.with_policy(ChildPolicy { restart, significant: false }), address)
    }

    fn policy_of(&self, agent: &AgentDefinition) -> SupervisorPolicy {
        let default = default_policy(self.config);
        let stated = &agent.supervision;
        SupervisorPolicy {
            strategy: match stated.strategy {
                Declared::OneForOne => Strategy::OneForOne,
                Declared::OneForAll => Strategy::OneForAll,
                Declared::RestForOne => Strategy::RestForOne,
            },
            intensity: stated.intensity.unwrap_or(default.intensity),
            period: stated.period_s.map_or(default.period, |s| Duration::from_secs(u64::from(s.get()))),
            auto_shutdown: AutoShutdown::Never,
        }
    }

    fn recorder(&self) -> ChildSpec {
        let (store, system) = (self.jobs.book.store().clone(), self.system.clone());
        let frozen = self.config.trace.frozen_spans.get();
        let (spec, _) =
            self.system.worker("crash-recorder", self.options(SERVICE_HEARTBEAT), move |context| {
                let recorder = Recorder::listen(store.clone(), system.clone(), frozen, &context);
                async move { Ok(recorder) }
            });
        spec
    }

    fn services(&mut self, handles: Handles, shutdown: &CancellationToken) -> ChildSpec {
        // Set once, when the tree is built.
        let _ = self.jobs.costs.set(Arc::new(handles.gateway.accounts().clone()));
        let mut children = vec![self.scheduler()];
        children.extend(std::mem::take(&mut self.placed).into_values());
        if let Some(endpoint) = &self.config.trace.otlp.endpoint {
            children.push(self.exporter(endpoint.clone()));
        }
        children.push(edge::spec(
            self.config,
            self.system,
            self.jobs,
            handles,
            shutdown,
            self.options(SERVICE_HEARTBEAT),
        ));
        self.system.supervisor("services-sup", default_policy(self.config), children)
    }

    fn scheduler(&self) -> ChildSpec {
        let (jobs, system) = (Arc::clone(self.jobs), self.system.clone());
        let (spec, _) = self.system.worker("scheduler", self.options(SERVICE_HEARTBEAT), move |context| {
            let scheduler = Scheduler::start(Arc::clone(&jobs), system.clone(), &context);
            async move { Ok(scheduler) }
        });
        spec
    }

    fn exporter(&self, endpoint: String) -> ChildSpec {
        let (system, interval) = (self.system.clone(), self.config.trace.otlp.interval);
        let (spec, _) =
            self.system.worker("otlp-exporter", self.options(SERVICE_HEARTBEAT), move |context| {
                let exporter = OtlpExporter::start(system.clone(), &endpoint, interval, &context);
                async move { exporter }
            });
        spec
    }
}
