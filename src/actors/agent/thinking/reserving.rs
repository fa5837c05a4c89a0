//! Cores and memory of a step: reserved while one of its commands or proofs runs, and at no other time.
//!
//! A step spends most of its life waiting for a model, a person or other jobs; with a reservation held meanwhile, two
//! cores would let two steps think at once. Invariant: a step that waits for a reservation holds none, so no two steps
//! wait for one another.

use std::time::Instant;

use super::runner::ThinkingAttempt;
use crate::actors::resource_manager::ReservationGuard;
use crate::skills::SkillError;

impl ThinkingAttempt {
    /// Reserves, queueing if necessary; the wait counts as nobody's work.
    pub(super) async fn reserve(&mut self) -> Result<ReservationGuard, SkillError> {
        let began = Instant::now();
        let _wait = self.control.wait();
        let reserved = self.step.reserve_for_command().await;
        self.waited += began.elapsed();
        reserved
    }
}
