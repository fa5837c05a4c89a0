//! The configured addresses and credentials: the vendors', and those of the user's own servers.

use crate::config::{CompatibleConfig, ProvidersConfig};
use crate::domain::accounts::price::{ModelPrice, PriceTable};
use crate::domain::provider_router::model_name::adapter_name;
use crate::domain::time::Timestamp;
use crate::llm::{Vendor, VendorEndpoint};

/// A server of the user's that speaks OpenAI's protocol.
#[derive(Debug, Clone)]
pub(super) struct CompatibleServer {
    pub(super) endpoint: VendorEndpoint,
    /// The models named in the settings; empty: those that it lists.
    pub(super) models: Vec<String>,
    /// The variable that should hold its key, and does not.
    pub(super) missing_key: Option<String>,
    is_free: bool,
}

impl CompatibleServer {
    fn configured(settings: &CompatibleConfig) -> Self {
        let missing_key = settings.key_env.clone().filter(|_| settings.key.is_none());
        Self {
            endpoint: VendorEndpoint::compatible(&settings.name, &settings.base_url, settings.key.clone()),
            models: settings.models.clone(),
            missing_key,
            is_free: settings.free,
        }
    }

    pub(super) fn name(&self) -> &str {
        self.endpoint.name()
    }

    /// The price of one of its models: a row's, or nothing where the settings say so.
    pub(super) fn price(&self, model: &str, prices: &PriceTable) -> Option<ModelPrice> {
        let listed = prices.find(self.name(), model, Timestamp::now()).cloned();
        listed.or_else(|| self.is_free.then(ModelPrice::nothing))
    }

    /// The router's name of one of its models.
    pub(super) fn provider(&self, model: &str) -> String {
        adapter_name(self.name(), model).replace('/', "-")
    }
}

/// Configured addresses and credentials.
#[derive(Debug, Clone)]
pub(super) struct VendorEndpoints {
    vendors: [VendorEndpoint; Vendor::ALL.len()],
    servers: Vec<CompatibleServer>,
}

impl From<[VendorEndpoint; Vendor::ALL.len()]> for VendorEndpoints {
    fn from(vendors: [VendorEndpoint; Vendor::ALL.len()]) -> Self {
        Self { vendors, servers: Vec::new() }
    }
}

impl VendorEndpoints {
    pub(super) fn configured(providers: &ProvidersConfig) -> Self {
        let servers = providers.compatible.iter().map(CompatibleServer::configured).collect();
        Self { vendors: Vendor::ALL.map(|vendor| VendorEndpoint::configured(vendor, providers)), servers }
    }

    /// The user's servers.
    pub(super) fn servers(&self) -> &[CompatibleServer] {
        &self.servers
    }

    /// The user's server of that name.
    pub(super) fn server(&self, name: &str) -> Option<&CompatibleServer> {
        self.servers.iter().find(|server| server.name() == name)
    }
}

/// The configured endpoint of a vendor.
pub(super) fn endpoint_of(endpoints: &VendorEndpoints, vendor: Vendor) -> &VendorEndpoint {
    let place = Vendor::ALL.iter().position(|known| *known == vendor).unwrap_or(0);
    &endpoints.vendors[place]
}
