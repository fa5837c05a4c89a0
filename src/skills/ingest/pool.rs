//! The threads of one step.
//!
//! Invariant: a step never works on the process-wide pool, because a paused step parks its threads in
//! [`StepContext::checkpoint`] and would park everyone else's work with them.

use crate::skills::{SkillError, StepContext};

/// Carries out `work` on a pool of [`StepContext::threads`] threads, which end with it.
///
/// # Errors
/// What `work` fails with; [`SkillError::Transient`] when the system has no threads to give.
pub(super) fn in_pool<T: Send>(
    step: &StepContext,
    work: impl FnOnce() -> Result<T, SkillError> + Send,
) -> Result<T, SkillError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(step.threads())
        .build()
        .map_err(|error| SkillError::Transient(format!("start {} threads: {error}", step.threads())))?
        .install(work)
}
