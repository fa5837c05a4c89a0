//! The daemon's own ports as endpoints of providers: the ports with models and those without.

use super::{SERVICES, ServiceSite};
use crate::actors::gateway::own_ports::{ModelPort, OwnPorts};
use crate::domain::provider_router::endpoint::port_here;
use crate::llm::{Vendor, VendorEndpoint};

/// Every bound port, with the model served there.
fn all(site: &ServiceSite) -> impl Iterator<Item = (u16, Option<ModelPort>)> {
    SERVICES.iter().filter_map(|row| Some((site.port(row.port()?.number), row.service.model_port())))
}

pub(super) fn with_models(site: &ServiceSite) -> OwnPorts {
    all(site).filter_map(|(number, model)| Some((number, model?))).collect()
}

pub(super) fn without_models(site: &ServiceSite) -> Vec<u16> {
    all(site).filter(|(_, model)| model.is_none()).map(|(number, _)| number).collect()
}

/// Refuses a configuration in which a vendor's address is a port of this daemon: the calls would come back
/// here without end.
pub(super) fn vendors_are_elsewhere(site: &ServiceSite) -> anyhow::Result<()> {
    let providers = &site.config.providers;
    let vendors = Vendor::ALL.into_iter().map(|vendor| {
        let endpoint = VendorEndpoint::configured(vendor, providers);
        (vendor.title().to_owned(), endpoint.base_url().to_owned())
    });
    let servers = providers.compatible.iter();
    let servers = servers.map(|server| (format!("`{}`", server.name), server.base_url.clone()));
    for (name, address) in vendors.chain(servers) {
        let Some(port) = port_here(&address) else { continue };
        anyhow::ensure!(
            all(site).all(|(own, _)| own != port),
            "the address of {name} in the configuration, {address}, is port {port} of this daemon itself: its \
             calls would come back without end; give the address of the server",
        );
    }
    Ok(())
}
