//! The token governor on port 6105. Summaries come from a local model while one answers.

use std::sync::Arc;

use axum::Router;

use super::{DaemonService, ServiceSite};
use crate::actors::event_stream::EventStreamHandle;
use crate::actors::gateway::local_text::{GatewaySlot, LocalSummariser};
use crate::actors::provider_router::ProviderRouterHandle;
use crate::actors::token_governor;
use crate::http::page::HealthReporter;
use crate::http::token_governor as port;
use crate::skills::summary::ExtractiveSummariser;
use crate::skills::tokens::TokenCounter;
use crate::supervision::ChildSpec;

pub(super) struct TokenGovernorService;

impl DaemonService for TokenGovernorService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        // The gateway needs the governor, so the governor gets the gateway later, through this slot.
        let seat = GatewaySlot::default();
        site.provide(seat.clone())?;
        let counter = Arc::new(TokenCounter::default());
        let summariser = LocalSummariser::new(seat, ExtractiveSummariser::new(Arc::clone(&counter)));
        let providers = site.need::<ProviderRouterHandle>()?;
        let setup = token_governor::GovernorDeps {
            store: site.store.clone(),
            roster: Arc::clone(site.jobs.agents.roster()),
            workdir: site.config.daemon.workdir.clone(),
            counter,
            events: Some(site.need::<EventStreamHandle>()?),
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

    fn health(&self, site: &ServiceSite) -> anyhow::Result<HealthReporter> {
        Ok(port::health(site.need()?))
    }
}
