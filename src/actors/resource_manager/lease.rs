//! Leases: the proof, in this process, that a reservation is in use.
//!
//! Invariant: an attempt's reservation is in use exactly while its [`ReservationGuard`] lives; however the
//! guard is dropped (an end, a kill, a panic, an answer nobody waited for), the reservation is released. The
//! set of live ones belongs to the process, not to the actor, so a crash of the actor takes nothing from
//! running attempts. A lost notice of a release is found by the next sweep.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::ResourceMessage;
use crate::domain::resource_manager::Reservation;
use crate::supervision::Address;

#[derive(Debug, Clone, Default)]
pub(super) struct LiveReservations(Arc<Mutex<HashSet<String>>>);

impl LiveReservations {
    pub(super) fn has(&self, reservation_id: &str) -> bool {
        self.0.lock().contains(reservation_id)
    }
}

/// A reservation in use, released on drop.
#[derive(Debug)]
pub struct ReservationGuard {
    reservation: Arc<Reservation>,
    live: LiveReservations,
    /// The actor to notify of the release; `None` once the reservation is kept.
    address: Option<Address<ResourceMessage>>,
}

impl ReservationGuard {
    pub(super) fn new(
        reservation: Arc<Reservation>,
        live: LiveReservations,
        address: Address<ResourceMessage>,
    ) -> Self {
        live.0.lock().insert(reservation.reservation_id.clone());
        Self { reservation, live, address: Some(address) }
    }

    #[must_use]
    pub fn reservation(&self) -> &Reservation {
        &self.reservation
    }

    /// Leaves the reservation to the holder of the id: it ends by a release by name, with the job, or by
    /// time.
    #[must_use]
    pub fn keep(mut self) -> Arc<Reservation> {
        self.address = None;
        Arc::clone(&self.reservation)
    }
}

impl Drop for ReservationGuard {
    fn drop(&mut self) {
        let id = &self.reservation.reservation_id;
        self.live.0.lock().remove(id);
        if let Some(address) = &self.address {
            // Full or gone: the sweep, or the next daemon's start, finds unused reservations.
            let _ = address.cast(ResourceMessage::Returned(id.clone()));
        }
    }
}
