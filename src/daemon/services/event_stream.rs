//! The event stream: port 6102 and the journal.

use axum::Router;

use super::{DaemonService, ServiceSite};
use crate::actors::event_stream::{self, EventLimits, EventSources, EventStreamHandle};
use crate::http::ListenerSpec;
use crate::http::event_stream as port;
use crate::http::page::HealthReporter;
use crate::supervision::ChildSpec;

pub(super) struct EventStreamService;

impl DaemonService for EventStreamService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        let (spec, events) = event_stream::spec(
            &site.system,
            "event-stream-service",
            site.options,
            EventSources { standings: site.need()?, book: site.jobs.book.clone(), store: site.store.clone() },
            &site.config.daemon.workdir,
            EventLimits {
                keep_days: site.config.retention.events_days.get(),
                max_body_bytes: site.config.http.max_body_bytes,
            },
        );
        site.provide(events)?;
        Ok(Some(spec))
    }

    fn routes(&self, site: &ServiceSite) -> anyhow::Result<Router> {
        Ok(port::routes(site.need()?))
    }

    fn health(&self, site: &ServiceSite) -> anyhow::Result<HealthReporter> {
        Ok(port::health(&site.need::<EventStreamHandle>()?))
    }

    fn listener(&self, usual: ListenerSpec) -> ListenerSpec {
        let mut limits = usual.limits.clone();
        limits.max_connections = limits.max_connections.max(port::MAX_CONNECTIONS);
        usual.limits(limits).own_bodies(port::OWN_BODIES)
    }
}
