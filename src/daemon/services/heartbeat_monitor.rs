//! The heartbeat monitor on port 6109.

use axum::Router;

use super::{DaemonService, ServiceSite};
use crate::actors::heartbeat_monitor::{self, MonitorHandle};
use crate::http::heartbeat_monitor as port;
use crate::http::page::HealthReporter;
use crate::supervision::ChildSpec;

pub(super) struct HeartbeatMonitorService;

impl DaemonService for HeartbeatMonitorService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        let (spec, monitor) = heartbeat_monitor::spec(
            &site.system,
            "heartbeat-monitor-service",
            site.options,
            site.need()?,
            site.need()?,
            site.config.registry.sweep,
            site.config.daemon.workdir.clone(),
        );
        site.provide(monitor)?;
        Ok(Some(spec))
    }

    fn routes(&self, site: &ServiceSite) -> anyhow::Result<Router> {
        Ok(port::routes(site.need()?))
    }

    fn health(&self, site: &ServiceSite) -> anyhow::Result<HealthReporter> {
        Ok(port::health(&site.need::<MonitorHandle>()?))
    }
}
