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
    /// The class of agents whose number is limited, if it is of one.
    pub class: Option<ResourceClass>,
    /// Whether less is useless. A request that is not strict takes the whole capacity of a kind if the
    /// machine has less than requested, so that an agent's default request never excludes it from a small
    /// machine.
    pub strict: bool,
}

/// The owner of a reservation, which determines its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReservationOwner {
    /// A caller over HTTP: until it releases, its job ends, or its lease does.
    Client,
    /// An attempt of this daemon at a step: until the attempt ends, at the latest with the daemon.
    Attempt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationStatus {
    Active,
    Released,
    /// Its lease ended without a release.
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
    /// When it was granted.
    pub created_at: Timestamp,
    /// When it ended, for any reason.
    pub released_at: Option<Timestamp>,
    pub holder: ReservationOwner,
    /// The lease of a client without a job in this daemon, in seconds.
    pub lease_s: u64,
}

impl Reservation {
    /// Whether it is for this job or one below it: the ids of a job's descendants begin with its own.
    #[must_use]
    pub fn is_of(&self, job_id: &str) -> bool {
        self.job_id.strip_prefix(job_id).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}
