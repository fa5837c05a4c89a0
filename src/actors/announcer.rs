//! Keeps a service of this daemon known to the registry.
//!
//! A service with a port of its own that is not an agent of the roster registers like any outside
//! service: at its start, and again whenever the registry has forgotten it; between that it beats.
//! Invariant: while this actor lives, the service is listed within one interval of any loss. Failure
//! policy: a registry that does not answer is asked again at the next beat.

use tokio::time::Duration;

use super::registry::{RegistryError, RegistryHandle};
use crate::domain::registry::{Beat, Registration, ServiceStatus};
use crate::supervision::{Actor, ActorError, ActorSystem, ChildSpec, Context, Message, WorkerOptions};

/// Tells the announcer to show life.
#[derive(Debug)]
pub enum Announce {
    /// Beat, or register where that is needed.
    Beat,
}

impl Message for Announce {
    fn kind(&self) -> &'static str {
        "beat"
    }
}

struct Announcer {
    registry: RegistryHandle,
    registration: Registration,
    /// Its id; a registration of the daemon's own always has one.
    id: String,
    registered: bool,
}

/// An announcer as a child of a supervisor. `registration` brings its own `service_id`.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    registry: RegistryHandle,
    registration: Registration,
) -> ChildSpec {
    let (spec, _) = system.worker(name, options, move |context| {
        let (registry, registration) = (registry.clone(), registration.clone());
        let id = registration.service_id.clone().unwrap_or_else(|| registration.name.clone());
        schedule(Duration::ZERO, &context);
        async move { Ok(Announcer { registry, registration, id, registered: false }) }
    });
    spec
}

impl Announcer {
    /// Registers anew: what an earlier daemon, perhaps on another port, has left is replaced.
    async fn register(&mut self) -> Result<(), RegistryError> {
        match self.registry.deregister(self.id.clone()).await {
            Ok(_) | Err(RegistryError::Unknown(_)) => {}
            Err(error) => return Err(error),
        }
        let registration = Registration { service_id: Some(self.id.clone()), ..self.registration.clone() };
        self.registry.register(registration).await?;
        self.registered = true;
        Ok(())
    }

    async fn beat(&mut self) -> Result<(), RegistryError> {
        if !self.registered {
            return self.register().await;
        }
        let beat = Beat {
            service_id: self.id.clone(),
            status: ServiceStatus::Ok,
            p95_ms: None,
            queue_depth: None,
            load: None,
            message: None,
        };
        match self.registry.heartbeat(beat).await {
            Err(RegistryError::Unknown(_)) => self.register().await,
            other => other.map(drop),
        }
    }
}

impl Actor for Announcer {
    type Message = Announce;

    async fn handle(&mut self, _: Announce, context: &Context<Announce>) -> Result<(), ActorError> {
        if let Err(error) = self.beat().await {
            tracing::warn!(service = self.id, %error, "the registry could not be told that a service is up");
        }
        schedule(Duration::from_secs(self.registration.heartbeat_interval_s.into()), context);
        Ok(())
    }
}

fn schedule(wait: Duration, context: &Context<Announce>) {
    let address = context.address().clone();
    context.spawn(async move {
        tokio::time::sleep(wait).await;
        // An announcer that has ended needs no reminder.
        let _ = address.send(Announce::Beat).await;
    });
}
