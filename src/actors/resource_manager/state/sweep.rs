//! The search for reservations that nobody uses any more, and for rows that are too old to keep.

use super::super::{KEPT_ENDED, RESERVATIONS, ResourceMessage};
use super::{Instant, ResourceState};
use crate::actors::jobs::readers;
use crate::domain::ids::JobId;
use crate::domain::resource_manager::{ReservationOwner, ReservationStatus};
use crate::store::{KeyRange, ScanOrder, StoreChanges, StoreError};
use crate::supervision::ActorContext;

/// Most old rows deleted at once: some milliseconds of the writer's time.
const PRUNED_AT_ONCE: usize = 1_000;

impl ResourceState {
    pub(super) fn sweep(&mut self, context: &ActorContext<ResourceMessage>) -> Result<(), StoreError> {
        self.forget_abandoned();
        let ended = self.look_at_jobs()?;
        self.end_all(&ended, ReservationStatus::Released);
        let live = self.shared.live.clone();
        let unused = self.ids(|active| {
            active.reservation.holder == ReservationOwner::Attempt
                && !live.has(&active.reservation.reservation_id)
        });
        self.end_all(&unused, ReservationStatus::Released);
        let over =
            self.ids(|active| active.reservation.holder == ReservationOwner::Client && active.has_expired());
        self.end_all(&over, ReservationStatus::Expired);
        self.prune(context)
    }

    /// Renews the leases of running jobs, and returns the reservations whose jobs have ended.
    fn look_at_jobs(&mut self) -> Result<Vec<String>, StoreError> {
        let store = self.table.store().clone();
        store.read(|view| {
            let mut ended = Vec::new();
            for (id, active) in &mut self.active {
                let Ok(job_id) = JobId::new(active.reservation.job_id.as_str()) else { continue };
                if active.reservation.holder == ReservationOwner::Attempt {
                    continue;
                }
                match readers::job(view, &job_id)? {
                    Some(job) if job.state.is_terminal() => ended.push(id.clone()),
                    Some(_) => active.renewed = Instant::now(),
                    None => {}
                }
            }
            Ok(ended)
        })
    }

    /// Deletes the oldest ended reservations, once there are too many.
    fn prune(&self, context: &ActorContext<ResourceMessage>) -> Result<(), StoreError> {
        let store = self.table.store().clone();
        let rows = store.read(|view| view.count(&RESERVATIONS))?;
        // Active ones may be the oldest of all: skip them.
        let held = self.active.len();
        let excess = usize::try_from(rows).unwrap_or(usize::MAX).saturating_sub(held + KEPT_ENDED);
        if excess == 0 {
            return Ok(());
        }
        context.spawn(async move {
            let pruned = store.write_soft(move |view| {
                let oldest = view.range(
                    &RESERVATIONS,
                    &KeyRange::all(),
                    ScanOrder::Ascending,
                    held + excess.min(PRUNED_AT_ONCE),
                )?;
                let ended = oldest.iter().filter(|(_, row)| row.status != ReservationStatus::Active);
                let changes = ended
                    .take(excess.min(PRUNED_AT_ONCE))
                    .fold(StoreChanges::none(), |changes, (id, _)| changes.delete(&RESERVATIONS, id));
                Ok::<_, StoreError>((changes, ()))
            });
            if let Err(error) = pruned.await {
                tracing::warn!(%error, "old reservations could not be deleted; trying again later");
            }
        });
        Ok(())
    }
}
