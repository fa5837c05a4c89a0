//! The agent router on port 6119.

use std::sync::Arc;

use axum::Router;

use super::{DaemonService, ServiceSite};
use crate::actors::address_book::AddressBook;
use crate::actors::agent_router::{self, AgentChooser};
use crate::http::agent_router as port;
use crate::supervision::ChildSpec;

pub(super) struct AgentRouterService;

impl DaemonService for AgentRouterService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        let (spec, router) = agent_router::spec(
            &site.system,
            "agent-router",
            site.options,
            AgentChooser { directory: site.need()?, workload: Arc::new(site.jobs.book.clone()) },
            Arc::<AddressBook>::clone(&site.agents),
            site.need()?,
            site.config.daemon.workdir.clone(),
        );
        site.provide(router)?;
        Ok(Some(spec))
    }

    fn routes(&self, site: &ServiceSite) -> anyhow::Result<Router> {
        Ok(port::routes(site.need()?))
    }
}
