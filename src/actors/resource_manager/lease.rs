//! Leases: the proof, in this process, that a reservation is in use.
//!
//! Invariant: a reservation of an attempt is in use exactly while its [`Lease`] lives; dropped in whatever
//! way (an end, a kill, a panic, an answer nobody waited for) it goes back. The set of live ones belongs to
//! the process, not to the actor, so a crash of the actor takes nothing from who works. A hint of a return
//! that is lost is found by the next sweep.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Message;
use crate::domain::resources::Reservation;
use crate::supervision::Address;

/// The reservations in use.
#[derive(Debug, Clone, Default)]
pub(super) struct Live(Arc<Mutex<HashSet<String>>>);

impl Live {
    pub(super) fn has(&self, reservation_id: &str) -> bool {
        self.0.lock().contains(reservation_id)
    }
}

/// A reservation in use. Dropped, it goes back.
#[derive(Debug)]
pub struct Lease {
    reservation: Arc<Reservation>,
    live: Live,
    /// Whom to tell of the return; nobody once it is kept.
    address: Option<Address<Message>>,
}

impl Lease {
    pub(super) fn new(reservation: Arc<Reservation>, live: Live, address: Address<Message>) -> Self {
        live.0.lock().insert(reservation.reservation_id.clone());
        Self { reservation, live, address: Some(address) }
    }

    #[must_use]
    pub fn reservation(&self) -> &Reservation {
        &self.reservation
    }

    /// Leaves the reservation to whoever has its id: a release by name, its job's end or its time ends it.
    #[must_use]
    pub fn keep(mut self) -> Arc<Reservation> {
        self.address = None;
        Arc::clone(&self.reservation)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let id = &self.reservation.reservation_id;
        self.live.0.lock().remove(id);
        if let Some(address) = &self.address {
            // Full or gone: the sweep, or the next daemon's start, finds what nobody uses.
            let _ = address.cast(Message::Returned(id.clone()));
        }
    }
}
