//! Keeps a service of this daemon registered.
//!
//! A service with a port of its own that is no agent of the roster registers like any outside service: at the
//! start, and again whenever the registry has forgotten the service; heartbeats go out in between. Invariant:
//! while this actor lives, the service is listed within one interval of any loss. Failure policy: a registry
//! that does not answer is asked again at the next heartbeat.

use tokio::time::Duration;

use super::registry::{RegistryError, RegistryHandle};
use crate::domain::registry::{ServiceHeartbeat, ServiceRegistration, ServiceStatus};
use crate::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, ChildSpec, WorkerOptions,
};

#[derive(Debug)]
pub enum AnnouncerMessage {
    /// Send a heartbeat, or register where necessary.
    Beat,
}

impl ActorMessage for AnnouncerMessage {
    fn kind(&self) -> &'static str {
        "beat"
    }
}

struct ServiceAnnouncer {
    registry: RegistryHandle,
    registration: ServiceRegistration,
    /// The service's id; a registration by the daemon always has one.
    id: String,
    registered: bool,
}

/// An announcer as a child of a supervisor. `registration` contains the `service_id`.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    registry: RegistryHandle,
    registration: ServiceRegistration,
) -> ChildSpec {
    let (spec, _) = system.worker(name, options, move |context| {
        let (registry, registration) = (registry.clone(), registration.clone());
        let id = registration.service_id.clone().unwrap_or_else(|| registration.name.clone());
        schedule(Duration::ZERO, &context);
        async move { Ok(ServiceAnnouncer { registry, registration, id, registered: false }) }
    });
    spec
}

impl ServiceAnnouncer {
    /// Registers anew: replaces a registration left by an earlier daemon, perhaps on another port.
    async fn register(&mut self) -> Result<(), RegistryError> {
        match self.registry.deregister(self.id.clone()).await {
            Ok(_) | Err(RegistryError::Unknown(_)) => {}
            Err(error) => return Err(error),
        }
        let registration =
            ServiceRegistration { service_id: Some(self.id.clone()), ..self.registration.clone() };
        self.registry.register(registration).await?;
        self.registered = true;
        Ok(())
    }

    async fn beat(&mut self) -> Result<(), RegistryError> {
        if !self.registered {
            return self.register().await;
        }
        let beat = ServiceHeartbeat {
            service_id: self.id.clone(),
            status: ServiceStatus::Ok,
            p95_ms: None,
            queue_depth: None,
            load: None,
            message: None,
        };
        match self.registry.heartbeat(beat) {
            Err(RegistryError::Unknown(_)) => self.register().await,
            other => other.map(drop),
        }
    }
}

impl Actor for ServiceAnnouncer {
    type Message = AnnouncerMessage;

    async fn handle(
        &mut self,
        _: AnnouncerMessage,
        context: &ActorContext<AnnouncerMessage>,
    ) -> Result<(), ActorError> {
        if let Err(error) = self.beat().await {
            tracing::warn!(service = self.id, %error, "a service could not be registered");
        }
        schedule(Duration::from_secs(self.registration.heartbeat_interval_s.into()), context);
        Ok(())
    }
}

fn schedule(wait: Duration, context: &ActorContext<AnnouncerMessage>) {
    let address = context.address().clone();
    context.spawn(async move {
        tokio::time::sleep(wait).await;
        // An announcer that has ended needs no reminder.
        let _ = address.send(AnnouncerMessage::Beat).await;
    });
}
