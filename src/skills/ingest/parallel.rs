//! Parallel work on many documents.
//!
//! Invariants: the pool belongs to the call (a paused step parks its threads, which must not be those of a
//! pool that others use); results come back in the order of the items, whichever thread made them; every item
//! passes a checkpoint. Failure policy: the first error in item order wins.

use rayon::prelude::*;

use crate::{SkillError, StepContext};

/// Applies `work` to every item with the step's threads, passing a checkpoint before each item and counting
/// the item afterwards.
///
/// # Errors
/// [`SkillError::Cancelled`], or the first error of `work`; [`SkillError::Transient`] when the
/// system refuses threads.
pub(super) fn map_documents<T, R>(
    step: &StepContext,
    items: &[T],
    work: impl Fn(&T) -> Result<R, SkillError> + Sync,
) -> Result<Vec<R>, SkillError>
where
    T: Sync,
    R: Send,
{
    in_pool(step, || {
        items
            .par_iter()
            .map(|item| {
                step.checkpoint()?;
                let result = work(item)?;
                step.advance(1);
                Ok(result)
            })
            .collect()
    })
}

/// Carries out `work` on a pool of [`StepContext::threads`] threads, which end with the work.
///
/// # Errors
/// The error of `work`; [`SkillError::Transient`] when the system refuses threads.
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
