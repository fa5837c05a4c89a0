//! The services with a port of their own: made before the tree, each placed beside the agent it is for.

use std::collections::HashMap;
use std::sync::Arc;

use super::news::MoneyNews;
use super::ports::{Service, ports};
use crate::actors::accounts;
use crate::actors::agent_router::{self, RouterHandle};
use crate::actors::directory::Directory;
use crate::actors::event_stream::{self, Events};
use crate::actors::gateway::local_text::{LocalClassifier, LocalSummariser, Seat};
use crate::actors::gateway::own_ports::{ModelPort, OwnPorts};
use crate::actors::gateway::{self, Gateway, Means};
use crate::actors::heartbeat_monitor::{self, MonitorHandle};
use crate::actors::invoker::Invoker;
use crate::actors::jobs::Jobs;
use crate::actors::provider_router::{self, ProviderRouter};
use crate::actors::registry::{self, RegistryHandle};
use crate::actors::resource_manager::{self, ResourceHandle, detect};
use crate::actors::steering::{self, Steering};
use crate::actors::token_governor::{self, GovernorHandle, WindowLookup};
use crate::actors::{announcer, file_queue_watcher};
use crate::config::Config;
use crate::domain::resources::ClassLimits;
use crate::domain::routing::EndpointRules;
use crate::domain::routing::endpoint::port_here;
use crate::http::{self, tlc::Tlc};
use crate::llm::{Endpoint, Vendor};
use crate::skills::summary::Extractive;
use crate::skills::tokens::TokenCounter;
use crate::supervision::{ActorSystem, ChildSpec, WorkerOptions};

/// What the edge's routers call.
#[derive(Clone)]
pub(super) struct Handles {
    pub(super) events: Events,
    pub(super) registry: RegistryHandle,
    pub(super) monitor: MonitorHandle,
    pub(super) router: RouterHandle,
    pub(super) providers: ProviderRouter,
    pub(super) gateway: Gateway,
    pub(super) tlc: Tlc,
    pub(super) resources: ResourceHandle,
    pub(super) governor: GovernorHandle,
    pub(super) steering: Steering,
}

/// The services' specifications by the agent they stand beside; `agent-router` and announcers are nobody's.
pub(super) type Placed = HashMap<&'static str, ChildSpec>;

pub(super) fn make(
    config: &Config,
    system: &ActorSystem,
    jobs: &Arc<Jobs>,
    invoker: Arc<dyn Invoker>,
    options: WorkerOptions,
) -> anyhow::Result<(Placed, Handles)> {
    let (store, workdir) = (jobs.book.store().clone(), &config.daemon.workdir);
    let roster = Arc::clone(jobs.agents.roster());
    let directory = Directory::new(system.clone(), Arc::clone(&roster), config.http.port_offset);
    let (events_spec, events) = event_stream::spec(
        system,
        "event-stream-service",
        options,
        jobs.book.clone(),
        workdir,
        config.events.keep_days.get(),
    );
    let seat = Seat::default();
    let (registry_spec, registry) =
        registry::spec(system, "registry-service", options, store.clone(), directory.clone());
    let (monitor_spec, monitor) = heartbeat_monitor::spec(
        system,
        "heartbeat-monitor-service",
        options,
        registry.clone(),
        events.clone(),
        config.registry.sweep,
        workdir.clone(),
    );
    let (router_spec, router) = agent_router::spec(
        system,
        "agent-router",
        options,
        directory,
        Arc::clone(&invoker),
        events.clone(),
        workdir.clone(),
    );
    let watcher_spec = file_queue_watcher::spec(
        system,
        "file-queue-watcher-service",
        options,
        roster,
        invoker,
        workdir.clone(),
    );
    let (ports_without_models, own_ports) = ports_as_endpoints(config.http.port_offset);
    vendors_are_elsewhere(config)?;
    let plain_http_hosts = config.provider_router.plain_http_hosts.clone();
    let rules = EndpointRules { plain_http_hosts, ports_without_models };
    let (providers_spec, providers) =
        provider_router::spec(system, "provider-router-service", options, store.clone(), rules);
    let windows = providers.clone();
    let windows: WindowLookup = Arc::new(move |model| windows.context_window(model));
    let (governor_spec, governor) = governor(config, system, jobs, options, &seat, &events, windows);
    let classifier = http::tlc::registration(8052_u16.saturating_add(config.http.port_offset));
    let tlc_spec = announcer::spec(system, "tlc-announcer", options, registry.clone(), classifier);
    let (resources_spec, resources) = resource_manager::spec(
        system,
        "resource-manager-service",
        options,
        Arc::clone(jobs),
        detect::capacity(&config.resources),
        ClassLimits { trainers: config.resources.trainers, embedders: config.resources.embedders },
        ports().iter().map(|port| port.number.saturating_add(config.http.port_offset)).collect(),
    );
    let settings = accounts::Settings {
        workdir: workdir.clone(),
        data_dir: config.daemon.data_dir.clone(),
        fsync: config.receipts.fsync,
    };
    let news = Arc::new(MoneyNews(events.clone()));
    let (accounts_spec, accounts) = accounts::spec(system, "accounts", options, store, settings, news);
    let means = Means {
        accounts,
        book: jobs.book.clone(),
        roster: Arc::clone(jobs.agents.roster()),
        governor: governor.clone(),
        router: providers.clone(),
        registry: registry.clone(),
        prices: Arc::new(accounts::prices::load(config.prices.file.as_deref())?),
        providers: config.providers.clone(),
        limits: config.gateway,
        port_offset: config.http.port_offset,
        own_ports,
    };
    let (gateway_spec, gateway) = gateway::spec(system, "gateway-service", options, means);
    let means = steering::Means {
        system: system.clone(),
        jobs: Arc::clone(jobs),
        resources: resources.clone(),
        gateway: gateway.clone(),
        events: events.clone(),
        workdir: workdir.clone(),
    };
    let (steering_spec, steering) = steering::spec(system, "steering", options, means);
    let placed = Placed::from([
        ("event-stream", events_spec),
        ("cost-optimizer", accounts_spec),
        ("gateway", gateway_spec),
        ("provider-router", providers_spec),
        ("registry", registry_spec),
        ("heartbeat-monitor", monitor_spec),
        ("file-queue-watcher", watcher_spec),
        ("resource-manager", resources_spec),
        ("agent-router", router_spec),
        ("tlc-announcer", tlc_spec),
        ("token-governor", governor_spec),
        ("steering", steering_spec),
    ]);
    seat.put(&gateway);
    let tlc = Tlc::new(Some(Arc::new(LocalClassifier::new(seat))));
    let handles =
        Handles { events, registry, monitor, router, providers, gateway, tlc, resources, governor, steering };
    Ok((placed, handles))
}

/// Our own ports as endpoints of providers: those that serve no model, and those that do.
fn ports_as_endpoints(offset: u16) -> (Vec<u16>, OwnPorts) {
    let model_port = |service| match service {
        Service::Gateway => Some(ModelPort::Gateway),
        Service::Adapter(vendor) => Some(ModelPort::Pinned(vendor)),
        Service::LocalModel(_) => Some(ModelPort::Pinned(Vendor::Ollama)),
        _ => None,
    };
    let numbered = ports().iter().map(|port| (port.number.saturating_add(offset), model_port(port.service)));
    let (with, without): (Vec<_>, Vec<_>) = numbered.partition(|(_, model)| model.is_some());
    let own_ports = with.into_iter().filter_map(|(number, model)| Some((number, model?))).collect();
    (without.into_iter().map(|(number, _)| number).collect(), own_ports)
}

/// Refuses a configuration in which a vendor's address is a port of ours: its calls would come back to this
/// daemon without end.
fn vendors_are_elsewhere(config: &Config) -> anyhow::Result<()> {
    for vendor in Vendor::ALL {
        let endpoint = Endpoint::configured(vendor, &config.providers);
        let Some(port) = port_here(endpoint.base_url()) else { continue };
        anyhow::ensure!(
            ports().iter().all(|own| own.number.saturating_add(config.http.port_offset) != port),
            "the address of {} in the configuration, {}, is port {port} of this daemon itself: its calls would \
             come back without end; give the address of the vendor's server",
            vendor.title(),
            endpoint.base_url()
        );
    }
    Ok(())
}

fn governor(
    config: &Config,
    system: &ActorSystem,
    jobs: &Jobs,
    options: WorkerOptions,
    seat: &Seat,
    events: &Events,
    windows: WindowLookup,
) -> (ChildSpec, GovernorHandle) {
    let counter = Arc::new(TokenCounter::default());
    let summariser = LocalSummariser::new(seat.clone(), Extractive::new(Arc::clone(&counter)));
    let setup = token_governor::Setup {
        store: jobs.book.store().clone(),
        roster: Arc::clone(jobs.agents.roster()),
        workdir: config.daemon.workdir.clone(),
        counter,
        events: Some(events.clone()),
        summariser: Some(Arc::new(summariser)),
        windows,
    };
    token_governor::spec(system, "token-governor-service", options, setup)
}
