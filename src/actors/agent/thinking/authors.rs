//! The vendors of all models behind a step's work: its own, its pieces', and those of the runs that it continues.

use serde_json::Value;

use super::journal::{StepJournal, from_store};
use super::runner::ThinkingAttempt;
use super::tasks::WRITE_PIECE;
use crate::actors::jobs::JobError;
use crate::domain::ids::{JobId, RunId};
use crate::domain::job::continuation::CONTINUES;
use crate::skills::SkillError;

/// Runs that are followed back: a change that was continued more often has had every vendor there is.
const MAX_EARLIER: usize = 16;

impl ThinkingAttempt {
    /// The vendors of all models that wrote for this step's commit: a review by one of them is not independent.
    pub(super) fn author_vendors(&self) -> Result<Vec<String>, SkillError> {
        let mut vendors = self.journal.vendors();
        vendors.extend(self.vendors_of_pieces(self.journal.job())?);
        let mut earlier = self.brief.continues.as_ref().map(|(run, _)| run.clone());
        for _ in 0..MAX_EARLIER {
            let Some(run) = earlier else { break };
            let lead = match self.jobs.lead_of(&run) {
                // A run whose rows are gone has no log to read.
                Ok(None) | Err(JobError::NotFound { .. }) => break,
                Ok(Some(lead)) => lead,
                Err(error) => return Err(from_store(error)),
            };
            vendors.extend(StepJournal::open(&self.jobs, &lead)?.vendors());
            vendors.extend(self.vendors_of_pieces(&lead.id)?);
            let before = lead.card.inputs.get(CONTINUES).and_then(Value::as_str);
            earlier = before.and_then(|run| RunId::new(run).ok());
        }
        vendors.sort_unstable();
        vendors.dedup();
        Ok(vendors)
    }

    fn vendors_of_pieces(&self, lead: &JobId) -> Result<Vec<String>, SkillError> {
        let mut vendors = Vec::new();
        for piece in self.jobs.book.children(lead).map_err(from_store)? {
            if piece.card.task == WRITE_PIECE {
                vendors.extend(StepJournal::open(&self.jobs, &piece)?.vendors());
            }
        }
        Ok(vendors)
    }
}
