//! The classifier of questions on port 8052, kept registered by an announcer. The port also answers chats
//! with the local model that classifies.

use std::sync::Arc;

use axum::Router;

use super::gateway::for_models;
use super::model_ports::adapter_for;
use super::{DaemonService, ServiceSite};
use crate::actors::announcer;
use crate::actors::gateway::LOCAL_MODELS;
use crate::actors::gateway::local_text::{GatewaySlot, LocalClassifier};
use crate::http::ListenerSpec;
use crate::http::adapter::{self, AdapterKind};
use crate::http::page::HealthReporter;
use crate::http::tlc::{self, TlcApi};
use crate::supervision::ChildSpec;

/// The name of the row, and of the contract.
pub(super) const NAME: &str = "tlc-domain-classifier";

pub(super) struct TlcService;

impl DaemonService for TlcService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        let port = site.port_of(NAME)?;
        site.provide(TlcApi::new(Some(Arc::new(LocalClassifier::new(site.need::<GatewaySlot>()?)))))?;
        site.provide_as(NAME, adapter_for(site, AdapterKind::Local(LOCAL_MODELS[1]), port)?)?;
        let (registry, registration) = (site.need()?, tlc::registration(port));
        Ok(Some(announcer::spec(&site.system, "tlc-announcer", site.options, registry, registration)))
    }

    fn routes(&self, site: &ServiceSite) -> anyhow::Result<Router> {
        let chats = adapter::chat_forms(site.need_as(NAME)?);
        Ok(tlc::routes(site.need()?).merge(chats))
    }

    fn health(&self, site: &ServiceSite) -> anyhow::Result<HealthReporter> {
        Ok(tlc::health(site.need()?))
    }

    fn listener(&self, usual: ListenerSpec) -> ListenerSpec {
        for_models(usual)
    }
}
