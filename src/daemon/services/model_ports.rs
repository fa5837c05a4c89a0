//! The ports that each serve one vendor or one local model: 8050, 8051 and 8100-8103.

use axum::Router;

use super::gateway::for_models;
use super::{DaemonService, ServiceRow, ServiceSite};
use crate::actors::gateway::own_ports::ModelPort;
use crate::actors::gateway::{LOCAL_MODELS, LocalModel};
use crate::http::ListenerSpec;
use crate::http::adapter::{self, AdapterKind, ModelAdapter};
use crate::http::page::HealthReporter;
use crate::llm::Vendor;
use crate::supervision::ChildSpec;

/// The port of one vendor or local model.
pub(super) struct ModelPortService {
    name: &'static str,
    number: u16,
    kind: AdapterKind,
}

pub(super) static LLAMA: ModelPortService = ModelPortService::local(LOCAL_MODELS[0]);
pub(super) static TINYLLAMA: ModelPortService = ModelPortService::local(LOCAL_MODELS[1]);
pub(super) static OPENAI: ModelPortService = ModelPortService::vendor("openai-adapter", 8100, Vendor::OpenAi);
pub(super) static ANTHROPIC: ModelPortService =
    ModelPortService::vendor("anthropic-adapter", 8101, Vendor::Anthropic);
pub(super) static GEMINI: ModelPortService = ModelPortService::vendor("gemini-adapter", 8102, Vendor::Gemini);
pub(super) static GROK: ModelPortService = ModelPortService::vendor("grok-adapter", 8103, Vendor::Grok);

impl ModelPortService {
    const fn local(model: LocalModel) -> Self {
        Self { name: model.name, number: model.port, kind: AdapterKind::Local(model) }
    }

    const fn vendor(name: &'static str, number: u16, vendor: Vendor) -> Self {
        Self { name, number, kind: AdapterKind::Vendor(vendor) }
    }

    pub(super) const fn row(&'static self) -> ServiceRow {
        let contract = match self.kind {
            AdapterKind::Local(_) => "local-model",
            AdapterKind::Vendor(_) => "model-adapter",
        };
        ServiceRow::of_daemon(self.name, self).sharing(self.number, contract)
    }
}

impl DaemonService for ModelPortService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        site.provide_as(self.name, adapter_for(site, self.kind, site.port(self.number))?)?;
        Ok(None)
    }

    fn routes(&self, site: &ServiceSite) -> anyhow::Result<Router> {
        Ok(adapter::routes(site.need_as(self.name)?))
    }

    fn health(&self, site: &ServiceSite) -> anyhow::Result<HealthReporter> {
        Ok(adapter::health(site.need_as(self.name)?))
    }

    fn model_port(&self) -> Option<ModelPort> {
        Some(ModelPort::Pinned(self.kind.vendor()))
    }

    fn listener(&self, usual: ListenerSpec) -> ListenerSpec {
        for_models(usual)
    }
}

/// An adapter for a port of this machine, which knows the source of the vendor's key.
pub(super) fn adapter_for(site: &ServiceSite, kind: AdapterKind, port: u16) -> anyhow::Result<ModelAdapter> {
    let key = format!("providers.{}.api_key", kind.vendor());
    let key_from = site.config.origin(&key).map(ToString::to_string);
    Ok(ModelAdapter::new(kind, site.need()?, port, key_from))
}
