//! Performs a person's actions, which come in on port 6101.

use std::sync::Arc;

use super::{DaemonService, ServiceSite};
use crate::actors::steering::{self, SteeringDeps};
use crate::supervision::ChildSpec;

pub(super) struct SteeringService;

impl DaemonService for SteeringService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        let means = SteeringDeps {
            system: site.system.clone(),
            standings: site.need()?,
            jobs: Arc::clone(&site.jobs),
            resources: site.need()?,
            gateway: site.need()?,
            events: site.need()?,
            workdir: site.config.daemon.workdir.clone(),
        };
        let (spec, steering) = steering::spec(&site.system, "steering", site.options, means);
        site.provide(steering)?;
        Ok(Some(spec))
    }
}
