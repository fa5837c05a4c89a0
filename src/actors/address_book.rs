//! The address book: the roster, and every agent's address.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::agent::AgentMessage;
use super::invoker::{AgentInvoker, InvokeError};
use super::jobs::JobNotifier;
use crate::domain::agent_router::AgentInvocation;
use crate::domain::ids::{AgentName, JobId};
use crate::domain::roster::Roster;
use crate::supervision::Address;

/// The roster and the agents' addresses, which are filled in once, when the tree is built.
pub struct AddressBook {
    roster: Arc<Roster>,
    addresses: OnceLock<HashMap<AgentName, Address<AgentMessage>>>,
}

impl AddressBook {
    /// An address book without addresses.
    #[must_use]
    pub fn new(roster: Arc<Roster>) -> Self {
        Self { roster, addresses: OnceLock::new() }
    }

    /// Fills in the addresses; later calls change nothing.
    pub fn publish(&self, addresses: HashMap<AgentName, Address<AgentMessage>>) {
        // Set once, while the tree is built.
        let _ = self.addresses.set(addresses);
    }

    #[must_use]
    pub fn address(&self, agent: &str) -> Option<&Address<AgentMessage>> {
        self.addresses.get()?.get(agent)
    }
}

impl JobNotifier for AddressBook {
    fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// Notices never take more than half of a mailbox, so that a slow or paused agent can still be called;
    /// the scheduler repeats skipped notices.
    fn notify(&self, agent: &str, job: &JobId) {
        let Some(address) = self.address(agent) else { return };
        let vitals = address.inspect().vitals();
        if vitals.depth <= vitals.capacity / 2 {
            let _ = address.cast(AgentMessage::Reconcile { job: job.clone() });
        }
    }
}

impl AgentInvoker for AddressBook {
    fn invoke(
        &self,
        agent: &AgentName,
        request: AgentInvocation,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Value, InvokeError>> {
        let address = self.address(agent.as_str()).cloned();
        Box::pin(async move {
            let address = address.ok_or(InvokeError::Gone)?;
            let payload = request.payload;
            address.call(deadline, |reply| AgentMessage::Invoke { payload, deadline, reply }).await?
        })
    }
}
