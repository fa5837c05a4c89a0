//! The money of a step: its own cap, the shares of its pieces, and additions by a person.
//!
//! Invariants: a piece's cap is on its card before the piece begins, and in force before its first call; the
//! unspent caps of pieces under way never exceed the step's own rest. A person who raises a piece's cap adds the same
//! to the run, so that no other piece pays for it.

use serde_json::Value;

use super::brief::BriefKind;
use super::journal::from_store;
use super::questions::MONEY;
use super::runner::ThinkingAttempt;
use super::tasks::WRITE_PIECE;
use crate::domain::accounts::budget::{BudgetScope, BudgetView};
use crate::domain::ids::JobId;
use crate::domain::job::approval::{Approval, ApprovalStatus, QUESTION};
use crate::domain::job::{Job, JobCard};
use crate::domain::money::NanoUsd;
use crate::domain::task::usd;
use crate::domain::thinking::StepPurse;
use crate::skills::SkillError;

/// The cap that a card gives its job.
pub(super) fn cap_of(card: &JobCard) -> Option<NanoUsd> {
    card.inputs.get("budget_usd").and_then(usd)
}

fn scope_of(job: &JobId) -> BudgetScope {
    BudgetScope::Job(job.into())
}

impl ThinkingAttempt {
    /// Puts the caps in force that the card and persons' raises give: of the job for a piece, and of the run.
    pub(super) async fn put_caps_in_force(&self) -> Result<(), SkillError> {
        // Two pieces that are raised at once must not overwrite each other's addition to the run.
        let _alone = self.deps.money.lock().await;
        let raises = self.raises_of_run()?;
        let own = raises.iter().filter(|(job, _)| job == self.journal.job()).count() as u64;
        if let (BriefKind::Piece, Some(budget)) = (self.brief.kind, self.brief.budget) {
            let cap = NanoUsd(budget.0.saturating_mul(own.saturating_add(1)));
            self.cap(scope_of(self.journal.job()), Some(cap)).await?;
        }
        let Some(budget) = self.budget_of_lead()? else { return Ok(()) };
        let added = raises.iter().fold(NanoUsd::ZERO, |sum, (_, raised)| sum.saturating_add(*raised));
        self.cap(BudgetScope::Run(self.author.run.clone()), Some(budget.saturating_add(added))).await
    }

    async fn cap(&self, scope: BudgetScope, cap: Option<NanoUsd>) -> Result<(), SkillError> {
        self.models.cap(scope, cap).await.map_err(SkillError::Passing)
    }

    /// The cap of the run: that of the step that leads it.
    fn budget_of_lead(&self) -> Result<Option<NanoUsd>, SkillError> {
        if self.brief.kind != BriefKind::Piece {
            return Ok(self.brief.budget);
        }
        let Some(parent) = self.journal.job().parent() else { return Ok(None) };
        Ok(cap_of(&self.jobs.book.get(&parent).map_err(from_store)?.card))
    }

    /// The raises of this run by persons: the job, and the amount that each added.
    fn raises_of_run(&self) -> Result<Vec<(JobId, NanoUsd)>, SkillError> {
        let run = self.journal.job().run();
        let is_raise = |approval: &Approval| {
            approval.kind == QUESTION
                && approval.run_id == run
                && approval.status == ApprovalStatus::Approved
                && approval.action.get("subject").and_then(Value::as_str) == Some(MONEY)
        };
        let approvals = self.jobs.book.approvals().map_err(from_store)?;
        let mut raises = Vec::new();
        for approval in approvals.into_iter().filter(is_raise) {
            let job = self.jobs.book.get(&approval.job_id).map_err(from_store)?;
            raises.push((job.id, cap_of(&job.card).unwrap_or_default()));
        }
        Ok(raises)
    }

    /// The step's remaining money, and the unspent caps of its pieces under way.
    pub(super) fn purse(&self) -> Result<StepPurse, SkillError> {
        let mut promised = NanoUsd::ZERO;
        for piece in self.jobs.book.children(self.journal.job()).map_err(from_store)? {
            promised = promised.saturating_add(self.unspent_of(&piece)?);
        }
        let run = self.budget(&BudgetScope::Run(self.author.run.clone()))?.free();
        let own = self.budget(&scope_of(self.journal.job()))?.free();
        Ok(StepPurse { left: run.into_iter().chain(own).min(), promised })
    }

    /// The unspent cap of a piece under way; nothing once it has ended.
    fn unspent_of(&self, piece: &Job) -> Result<NanoUsd, SkillError> {
        let Some(cap) = cap_of(&piece.card).filter(|_| piece.card.task == WRITE_PIECE) else {
            return Ok(NanoUsd::ZERO);
        };
        if piece.state.is_terminal() {
            return Ok(NanoUsd::ZERO);
        }
        // Before its first attempt its cap is on its card alone.
        Ok(self.budget(&scope_of(&piece.id))?.free().unwrap_or(cap))
    }

    fn budget(&self, scope: &BudgetScope) -> Result<BudgetView, SkillError> {
        self.models.budget(scope).map_err(SkillError::Passing)
    }

    /// Ends the cap of a piece that has ended. Gives its cost, and a sentence on the money that goes back.
    pub(super) async fn take_money_back(&self, piece: &Job) -> Result<(NanoUsd, String), SkillError> {
        let scope = scope_of(&piece.id);
        let spent = self.budget(&scope)?.settled;
        let Some(cap) = cap_of(&piece.card) else { return Ok((spent, String::new())) };
        self.cap(scope, None).await?;
        let text = format!("\nIt spent {spent} of the {cap} set aside for it; the rest is yours again.");
        Ok((spent, text))
    }
}
