//! The resource manager on port 6104.

use std::sync::Arc;

use axum::Router;

use super::{DaemonService, ServiceSite, numbers};
use crate::actors::resource_manager::{self, ResourceRules, detect};
use crate::domain::resource_manager::ClassLimits;
use crate::http::page::HealthReporter;
use crate::http::resource_manager as port;
use crate::supervision::ChildSpec;

pub(super) struct ResourceManagerService;

impl DaemonService for ResourceManagerService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        let limits = &site.config.resources;
        let (spec, resources) = resource_manager::spec(
            &site.system,
            "resource-manager-service",
            site.options,
            Arc::clone(&site.jobs),
            site.store.clone(),
            ResourceRules {
                capacity: detect::capacity(limits),
                limits: ClassLimits { trainers: limits.trainers, embedders: limits.embedders },
                own_ports: numbers(site).into_values().collect(),
            },
        );
        site.provide(resources)?;
        Ok(Some(spec))
    }

    fn routes(&self, site: &ServiceSite) -> anyhow::Result<Router> {
        Ok(port::routes(site.need()?, site.config.resources.lease))
    }

    fn health(&self, site: &ServiceSite) -> anyhow::Result<HealthReporter> {
        Ok(port::health(site.need()?))
    }
}
