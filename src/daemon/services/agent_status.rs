//! The agents' statuses, kept in step with the job book. Without a port: all ports show these statuses.

use std::sync::Arc;

use super::{DaemonService, ServiceSite};
use crate::actors::standing::{self, AgentStandings};
use crate::supervision::ChildSpec;

pub(super) struct AgentStatusService;

impl DaemonService for AgentStatusService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        let standings = AgentStandings::new(site.system.clone());
        site.provide(standings.clone())?;
        let jobs = Arc::clone(&site.jobs);
        Ok(Some(standing::spec(&site.system, "agent-status", site.options, jobs, standings)))
    }
}
