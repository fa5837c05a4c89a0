//! The gateway to the models on port 6120.

use std::sync::Arc;

use axum::Router;

use super::{DaemonService, ServiceSite, own_ports};
use crate::actors::accounts::prices;
use crate::actors::gateway::local_text::GatewaySlot;
use crate::actors::gateway::own_ports::ModelPort;
use crate::actors::gateway::{self, GatewayDeps};
use crate::http::ListenerSpec;
use crate::http::gateway as port;
use crate::http::limits::MODEL_BODY;
use crate::supervision::ChildSpec;

pub(super) struct GatewayService;

impl DaemonService for GatewayService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        let means = GatewayDeps {
            accounts: site.need()?,
            book: site.jobs.book.clone(),
            roster: Arc::clone(site.jobs.agents.roster()),
            governor: site.need()?,
            router: site.need()?,
            registry: site.need()?,
            prices: Arc::new(prices::load(site.config.prices.file.as_deref())?),
            providers: site.config.providers.clone(),
            limits: site.config.gateway,
            port_offset: site.config.http.port_offset,
            own_ports: own_ports::with_models(site),
        };
        let (spec, gateway) = gateway::spec(&site.system, "gateway-service", site.options, means);
        site.need::<GatewaySlot>()?.fill(&gateway);
        // Set once, by the only row that calls models.
        let _ = site.jobs.models.set(Arc::new(gateway.clone()));
        site.provide(gateway)?;
        Ok(Some(spec))
    }

    fn routes(&self, site: &ServiceSite) -> anyhow::Result<Router> {
        Ok(port::routes(site.need()?))
    }

    fn model_port(&self) -> Option<ModelPort> {
        Some(ModelPort::Gateway)
    }

    fn listener(&self, usual: ListenerSpec) -> ListenerSpec {
        for_models(usual)
    }
}

/// A port for vendors' clients: their bodies are large, and refusals have the vendors' forms.
pub(super) fn for_models(usual: ListenerSpec) -> ListenerSpec {
    let mut limits = usual.limits.clone();
    limits.max_body = MODEL_BODY;
    usual.limits(limits).speaking_for_vendors(true)
}
