//! The daemon's own ports that serve models, as endpoints of providers.
//!
//! A provider may be registered with a port of this same daemon: an adapter, a local model, the gateway.
//! Called over that port, its call would be a second one, with a second hold and receipt and without the
//! caller's run, agent and budgets. So such a provider is called where that port would call: one call, one
//! receipt, at the vendor's own price. Invariant: no call of the gateway comes back to the gateway.

use std::collections::BTreeMap;

use crate::domain::provider_router::endpoint::port_here;
use crate::llm::Vendor;

/// The target behind one of the daemon's ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelPort {
    /// One vendor, the local server included.
    Pinned(Vendor),
    /// The gateway, which calls the vendor of the named model.
    Gateway,
}

/// The daemon's ports that serve models, with their offset.
#[derive(Debug, Clone, Default)]
pub struct OwnPorts(BTreeMap<u16, ModelPort>);

impl FromIterator<(u16, ModelPort)> for OwnPorts {
    fn from_iter<I: IntoIterator<Item = (u16, ModelPort)>>(ports: I) -> Self {
        Self(ports.into_iter().collect())
    }
}

impl OwnPorts {
    /// The model port that an endpoint leads to, if any.
    pub(super) fn at(&self, endpoint: &str) -> Option<ModelPort> {
        self.0.get(&port_here(endpoint)?).copied()
    }
}
