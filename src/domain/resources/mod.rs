//! The machine, shared out: what is asked for, what is held, and who waits in which order.
//!
//! Owns the values ([`Amounts`], [`Ask`], [`Reservation`]) and the pure rules ([`Ledger`]). No clock and no
//! store: leases and rows are the resource manager's.

mod amounts;
mod class;
mod ledger;
#[cfg(test)]
mod properties;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use amounts::{Amounts, Cores, Resource};
pub use class::{Class, ClassLimits};
pub use ledger::{Advance, Denial, Ledger, Quota, Quotas, Verdict};

use super::time::Timestamp;

/// A new id for a reservation; they sort by the time of their making.
#[must_use]
pub fn new_reservation_id() -> String {
    format!("res-{}", uuid::Uuid::now_v7().simple())
}

/// What somebody asks for: all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// For which job. Any text: outside callers have jobs that PAS does not know.
    pub job_id: String,
    pub agent: String,
    pub amounts: Amounts,
    pub ports: BTreeSet<u16>,
    /// The class of agents whose number is limited, if it is of one.
    pub class: Option<Class>,
    /// Whether less does not do. An ask that is not strict takes all there is of a kind where the machine
    /// has less than asked for, so that an agent's usual wish never excludes it from a small machine.
    pub strict: bool,
}

/// Who answers for a reservation, and so what ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holder {
    /// A caller over HTTP: until it releases, its job ends, or its lease does.
    Client,
    /// An attempt of this daemon at a step: until the attempt ends, at the latest with the daemon.
    Attempt,
}

/// How a reservation stands.
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

/// A reservation as stored. Waiting asks have none: whoever waits asks again after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    pub reservation_id: String,
    pub job_id: String,
    pub agent: String,
    pub amounts: Amounts,
    pub ports: BTreeSet<u16>,
    pub status: ReservationStatus,
    /// When it was granted.
    pub created_at: Timestamp,
    /// When it ended, in whatever way.
    pub released_at: Option<Timestamp>,
    /// Who answers for it.
    pub holder: Holder,
    /// How long a client's holds without a job of this daemon, in seconds.
    pub lease_s: u64,
}

impl Reservation {
    /// Whether it is for this job or one below it: the ids of a job's descendants begin with its own.
    #[must_use]
    pub fn is_of(&self, job_id: &str) -> bool {
        self.job_id.strip_prefix(job_id).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}
