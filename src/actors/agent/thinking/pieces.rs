//! Pieces of a change that other agents write: handed over as jobs, with money of their own, and waited for.
//!
//! Invariants: a piece starts from the tree as it stood at its `delegate` call; its money is set aside on its card
//! before it begins; pieces are taken in one by one, in the order of their calls (`intake.rs`). Failure policy: a piece's
//! failure is the result of its call, and the work of the others stays.

use serde_json::{Value, json};

use super::brief::AskPolicy;
use super::intake::TakenPiece;
use super::journal::from_store;
use super::money::cap_of;
use super::runner::ThinkingAttempt;
use super::tasks::{PROVE_LIMIT, WRITE_PIECE};
use crate::actors::jobs::JobError;
use crate::domain::agent::AgentDefinition;
use crate::domain::agent_choice::{self, AgentAvailability, AgentWish};
use crate::domain::ids::JobId;
use crate::domain::job::{CancelCause, Job, JobCard, JobState};
use crate::domain::json::JsonValue;
use crate::domain::money::NanoUsd;
use crate::domain::task::usd;
use crate::domain::thinking::{
    CallPlace, ChildBegunRow, ChildEndedRow, MoneyCarvedRow, PurseRefusal, ReturnedRow, StepChild, StepRow,
};
use crate::skills::SkillError;
use crate::tools::DelegateCall;
use crate::worktree::CommitId;

impl ThinkingAttempt {
    /// Hands a piece to an agent with the capability that the model named, and money with it.
    pub(super) async fn delegate(&mut self, place: CallPlace, call: DelegateCall) -> Result<(), SkillError> {
        let Some(writer) = self.writer_for(&call.capability) else {
            let known = self.piece_capabilities();
            let text =
                format!("nobody writes pieces with the capability `{}`; there are: {known}", call.capability);
            let row = ReturnedRow::error(place, "no_agent", text);
            return self.journal.append(StepRow::Returned(Box::new(row))).await;
        };
        let name = format!("piece{}x{}", place.turn, place.index);
        let id = self.journal.job().child(&name, 0);
        let id = id.map_err(|error| SkillError::Permanent(error.to_string()))?;
        let task = call.task.clone();
        // One that a crash left behind has its money already.
        let child = match self.jobs.book.get(&id) {
            Ok(child) => child,
            Err(JobError::NotFound { .. }) => match self.money_for(&call)? {
                Ok(cap) => self.hand_over(&writer, call, name, cap).await?,
                Err(refusal) => {
                    let row = ReturnedRow::error(place, "no_money", refusal.to_string());
                    return self.journal.append(StepRow::Returned(Box::new(row))).await;
                }
            },
            Err(error) => return Err(from_store(error)),
        };
        let cap = cap_of(&child.card).filter(|_| self.journal.state.carved_for() != Some(id.as_str()));
        if let Some(cap) = cap {
            let left = self.purse()?.free();
            let (child, cap_nano, left_nano) = (id.to_string(), cap.0, left.map(|left| left.0));
            let row = MoneyCarvedRow { place, child, cap_nano, left_nano };
            self.journal.append(StepRow::MoneyCarved(row)).await?;
        }
        self.jobs.notify(&child);
        let row = ChildBegunRow { place, child: id.to_string(), task };
        self.journal.append(StepRow::ChildBegun(row)).await
    }

    /// The cap of a new piece, carved out of this step's remaining money.
    fn money_for(&self, call: &DelegateCall) -> Result<Result<Option<NanoUsd>, PurseRefusal>, SkillError> {
        let wanted = call.budget.as_deref().and_then(|budget| usd(&Value::from(budget)));
        Ok(self.purse()?.carve(wanted, self.journal.state.undecided_children()))
    }

    async fn hand_over(
        &self,
        writer: &AgentDefinition,
        call: DelegateCall,
        name: String,
        cap: Option<NanoUsd>,
    ) -> Result<Job, SkillError> {
        let commit = self.position().await?;
        let card = self.piece_card(writer, call, &commit, cap);
        let handed = self.jobs.book.hand_over(self.journal.job(), self.fence, vec![(name, card)]).await;
        let child = handed.map_err(from_store)?.into_iter().next();
        child.ok_or_else(|| SkillError::Transient("the piece could not be handed over".to_owned()))
    }

    fn writer_for(&self, capability: &str) -> Option<AgentDefinition> {
        let (roster, tasks) = (self.jobs.agents.roster(), self.jobs.tasks);
        let wish =
            AgentWish { capabilities: &[capability], task: Some(WRITE_PIECE), from: Some(&self.agent.name) };
        let ranked = agent_choice::ranked(roster, tasks, wish, |_| AgentAvailability::IDLE);
        ranked.into_iter().find(|agent| tasks.takes(agent, WRITE_PIECE)).cloned()
    }

    /// For a model that names one which nobody has.
    fn piece_capabilities(&self) -> String {
        let (roster, tasks) = (self.jobs.agents.roster(), self.jobs.tasks);
        let writers = roster.iter().filter(|agent| tasks.takes(agent, WRITE_PIECE));
        let all: Vec<String> = writers
            .map(|agent| {
                let names: Vec<&str> =
                    agent.capabilities.iter().map(|capability| capability.as_str()).collect();
                format!("{} ({})", names.join(", "), agent.name)
            })
            .collect();
        all.join("; ")
    }

    fn piece_card(
        &self,
        writer: &AgentDefinition,
        call: DelegateCall,
        commit: &CommitId,
        cap: Option<NanoUsd>,
    ) -> JobCard {
        let ask = if self.brief.ask == AskPolicy::Never { "never" } else { "person" };
        let mut goal = call.task;
        if !call.inputs.is_empty() {
            goal.push_str(&format!("\n\nInputs:\n{:#}", Value::Object(call.inputs)));
        }
        let mut inputs = json!({
            "goal": goal, "change_of": self.journal.job(), "commit": commit.to_string(),
            "paths": call.paths, "tests": self.brief.test_globs, "ask": ask,
        });
        if let Some(prove) = call.prove {
            inputs["prove"] = prove.into();
            inputs[PROVE_LIMIT] = self.brief.prove_limit.as_secs().into();
        }
        if let Some(cap) = cap {
            inputs["budget_usd"] = cap.usd().normalize().to_string().into();
        }
        JobCard {
            agent: writer.name.clone(),
            task: WRITE_PIECE.to_owned(),
            capability: Some(call.capability),
            inputs: JsonValue(inputs),
            priority: self.card.priority,
            resource_request: None,
            approvals_required: Vec::new(),
            deadline_at: self.card.deadline_at,
            optional: false,
        }
    }

    /// Waits for the first open piece and takes it in.
    pub(super) async fn take_in_piece(&mut self) -> Result<(), SkillError> {
        let Some(open) = self.journal.state.open_children().next().cloned() else {
            return Err(SkillError::Permanent("the step waits for pieces, and none is open".to_owned()));
        };
        let id = JobId::new(open.child.clone()).map_err(|error| SkillError::Permanent(error.to_string()))?;
        self.control.note(&format!("waiting for a piece: {}", open.task));
        let ended = self.end_of(&id).await?;
        let mut row = self.settle_piece(&open, &ended).await?;
        let (spent, text) = self.take_money_back(&ended).await?;
        row.cost_nano = spent.0;
        row.text.push_str(&text);
        self.last_snapshot = None;
        self.journal.append(StepRow::ChildEnded(Box::new(row))).await
    }

    async fn settle_piece(&mut self, open: &StepChild, ended: &Job) -> Result<ChildEndedRow, SkillError> {
        let field = |name: &str| ended.outputs.get(name).and_then(Value::as_str).unwrap_or_default();
        let end = |succeeded: bool, text: String, taken: Option<(String, String)>| {
            let (tree_after, diffstat) = taken.unzip();
            let (child, verdict) = (open.child.clone(), ended.state.as_str().to_owned());
            ChildEndedRow { child, verdict, succeeded, text, out: None, cost_nano: 0, tree_after, diffstat }
        };
        if ended.state != JobState::Done {
            let why = ended.error.as_deref().unwrap_or("it gave no reason");
            return Ok(end(
                false,
                format!("the piece was not written ({}): {why}", ended.state.as_str()),
                None,
            ));
        }
        let summary = field("summary");
        let Some(commit) = CommitId::parse(field("commit")) else {
            return Ok(end(true, format!("done, without a change of any file: {summary}"), None));
        };
        Ok(match self.take_in(&ended.id, &commit).await? {
            TakenPiece::Taken { tree, diffstat, note } => {
                let text = format!("taken into your tree: {summary}\n{}\n{note}", field("diffstat"));
                end(true, text, Some((tree, diffstat)))
            }
            TakenPiece::Refused(why) => end(false, format!("{why}\nIts writer says: {summary}"), None),
        })
    }

    /// Ends pieces that a step leaves under way at its own end.
    pub(super) async fn cancel_pieces(&self) {
        for open in self.journal.state.open_children() {
            let Ok(id) = JobId::new(open.child.clone()) else { continue };
            let cause = CancelCause::Asked("the step that it is a piece of has ended".to_owned());
            if let Err(error) = self.jobs.cancel(&id, cause).await {
                tracing::warn!(job = %id, %error, "a piece of an ended step goes on");
            }
        }
    }
}
