//! The token governor on port 6105. Its summaries come from a local model while one answers.

use std::sync::Arc;

use axum::Router;

use super::{DaemonService, ServiceSite};
use crate::actors::event_stream::Events;
use crate::actors::gateway::local_text::{LocalSummariser, Seat};
use crate::actors::provider_router::ProviderRouter;
use crate::actors::token_governor;
use crate::http::page::Health;
use crate::http::token_governor as port;
use crate::skills::summary::Extractive;
use crate::skills::tokens::TokenCounter;
use crate::supervision::ChildSpec;

pub(super) struct TokenGovernorService;

impl DaemonService for TokenGovernorService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        // The gateway needs the governor, so the governor is given the gateway later, through this.
        let seat = Seat::default();
        site.provide(seat.clone())?;
        let counter = Arc::new(TokenCounter::default());
        let summariser = LocalSummariser::new(seat, Extractive::new(Arc::clone(&counter)));
        let providers = site.need::<ProviderRouter>()?;
        let setup = token_governor::Setup {
            store: site.store(),
            roster: Arc::clone(site.jobs.agents.roster()),
            workdir: site.config.daemon.workdir.clone(),
            counter,
            events: Some(site.need::<Events>()?),
            summariser: Some(Arc::new(summariser)),
            windows: Arc::new(move |model| providers.context_window(model)),
        };
        let (spec, governor) =
            token_governor::spec(&site.system, "token-governor-service", site.options, setup);
        site.provide(governor)?;
        Ok(Some(spec))
    }

    fn routes(&self, site: &ServiceSite) -> anyhow::Result<Router> {
        Ok(port::routes(site.need()?))
    }

    fn health(&self, site: &ServiceSite) -> anyhow::Result<Health> {
        Ok(port::health(site.need()?))
    }
}
