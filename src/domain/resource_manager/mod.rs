//! Machine resources: requests, reservations, and the queue.
//!
//! Owns the values ([`ResourceAmounts`], [`ResourceRequest`], [`Reservation`]) and the pure rules
//! ([`ResourceLedger`]). No clock and no store: leases and rows belong to the resource manager.

mod amounts;
mod class;
mod ledger;
#[cfg(test)]
mod properties;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use amounts::{MilliCores, ResourceAmounts, ResourceKind};
pub use class::{ClassLimits, ResourceClass};
pub use ledger::{
    QueueAdvance, QuotaFigures, ResourceDenial, ResourceLedger, ResourceQuotas, ResourceVerdict,
};

use super::time::Timestamp;

/// A new id for a reservation; ids sort by time of creation.
#[must_use]
pub fn new_reservation_id() -> String {
    format!("res-{}", uuid::Uuid::now_v7().simple())
}

/// A request for resources: all or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceRequest {
    /// For which job. Any text: outside callers have jobs that PAS does not know.
    pub job_id: String,
    pub agent: String,
    pub amounts: ResourceAmounts,
    pub ports: BTreeSet<u16>,
    /// The agent's class, if of one with a limited number at work.
    pub class: Option<ResourceClass>,
    /// Whether less is useless. A request that is not strict takes a kind's whole capacity if the machine has
    /// less than requested, so that an agent's default request never excludes it from a small machine.
    pub strict: bool,
}

/// The owner of a reservation, which determines the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReservationOwner {
    /// A caller over HTTP: until the release, the end of the job, or the end of the lease.
    Client,
    /// An attempt of this daemon at a step: until the attempt ends, at the latest with the daemon.
    Attempt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationStatus {
    Active,
    Released,
    /// The lease ended without a release.
    Expired,
    /// Ended by `POST /kill`.
    Killed,
}

/// A stored reservation. Waiting requests are not stored: the caller asks again after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    pub reservation_id: String,
    pub job_id: String,
    pub agent: String,
    pub amounts: ResourceAmounts,
    pub ports: BTreeSet<u16>,
    pub status: ReservationStatus,
    /// Time of the grant.
    pub created_at: Timestamp,
    /// Time of the end, for any reason.
    pub released_at: Option<Timestamp>,
    pub holder: ReservationOwner,
    /// The lease of a client without a job in this daemon, in seconds.
    pub lease_s: u64,
}

impl Reservation {
    /// Whether this is for the given job or a descendant, whose id begins with the job's.
    #[must_use]
    pub fn is_of(&self, job_id: &str) -> bool {
        self.job_id.strip_prefix(job_id).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}
