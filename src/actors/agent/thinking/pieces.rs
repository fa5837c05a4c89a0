//! Pieces of a change that other agents write: handed over as jobs, waited for, and taken into the tree one by one.
//!
//! Invariants: a piece starts from the tree as it stood at its `delegate` call; the tree moves only between two
//! snapshots; a piece that is taken in twice after a crash changes nothing the second time. Failure policy: whatever goes
//! wrong with a piece is the result of its call, and the work of the others stays.

use std::sync::Arc;

use serde_json::{Value, json};

use super::brief::AskPolicy;
use super::journal::from_store;
use super::runner::ThinkingAttempt;
use super::tasks::WRITE_PIECE;
use super::workspace::{blocking, tree_name};
use crate::domain::agent::AgentDefinition;
use crate::domain::agent_choice::{self, AgentAvailability, AgentWish};
use crate::domain::ids::JobId;
use crate::domain::job::{CancelCause, Job, JobCard, JobState};
use crate::domain::json::JsonValue;
use crate::domain::task::usd;
use crate::domain::thinking::{CallPlace, ChildBegunRow, ChildEndedRow, ReturnedRow, StepChild, StepRow};
use crate::skills::SkillError;
use crate::tools::DelegateCall;
use crate::worktree::{
    CommitId, ConflictedFile, PieceOutcome, SealOrder, TreeError, WorkTree, seal, take_piece,
};

/// How a piece came into the tree.
enum TakenPiece {
    /// The tree and the diffstat afterwards.
    Taken(String, String),
    Refused(String),
}

impl ThinkingAttempt {
    /// Hands a piece to an agent with the capability that the model named.
    pub(super) async fn delegate(&mut self, place: CallPlace, call: DelegateCall) -> Result<(), SkillError> {
        let Some(writer) = self.writer_for(&call.capability) else {
            let known = self.piece_capabilities();
            let text =
                format!("nobody writes pieces with the capability `{}`; there are: {known}", call.capability);
            let row = ReturnedRow::error(place, "no_agent", text);
            return self.journal.append(StepRow::Returned(Box::new(row))).await;
        };
        let (task, commit) = (call.task.clone(), self.position().await?);
        let card = self.piece_card(&writer, call, &commit);
        let name = format!("piece{}x{}", place.turn, place.index);
        let handed = self.jobs.book.hand_over(self.journal.job(), self.fence, vec![(name, card)]).await;
        let Some(child) = handed.map_err(from_store)?.into_iter().next() else {
            return Err(SkillError::Transient("the piece could not be handed over".to_owned()));
        };
        self.jobs.notify(&child);
        let row = ChildBegunRow { place, child: child.id.to_string(), task };
        self.journal.append(StepRow::ChildBegun(row)).await
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

    fn piece_card(&self, writer: &AgentDefinition, call: DelegateCall, commit: &CommitId) -> JobCard {
        let ask = if self.brief.ask == AskPolicy::Never { "never" } else { "person" };
        let mut inputs = json!({
            "goal": call.task, "change_of": self.journal.job(), "commit": commit.to_string(),
            "paths": call.paths, "tests": self.brief.test_globs, "ask": ask,
        });
        if let Some(prove) = call.prove {
            inputs["prove"] = prove.into();
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

    /// The commit that the tree is at: sealed as it stands, or the base where nothing has changed.
    async fn position(&self) -> Result<CommitId, SkillError> {
        let (tree, order) =
            (Arc::clone(&self.workspace.tree), self.piece_order("As it stood for a piece.", None));
        blocking(move || position_of(&tree, &order))
            .await?
            .map_err(|error| SkillError::Permanent(error.to_string()))
    }

    fn piece_order(&self, message: &str, parent: Option<CommitId>) -> SealOrder {
        SealOrder {
            author: self.signature(),
            message: message.to_owned(),
            trailers: Vec::new(),
            second: self.began_at,
            parent: parent.unwrap_or_else(|| self.workspace.tree.base().clone()),
        }
    }

    /// Waits for the first open piece, with nothing reserved, and takes it in.
    pub(super) async fn take_in_piece(&mut self) -> Result<(), SkillError> {
        let Some(open) = self.journal.state.open_children().next().cloned() else {
            return Err(SkillError::Permanent("the step waits for pieces, and none is open".to_owned()));
        };
        let id = JobId::new(open.child.clone()).map_err(|error| SkillError::Permanent(error.to_string()))?;
        self.control.show(0, 0, &format!("waiting for a piece: {}", open.task));
        drop(self.lease.take());
        let ended = self.end_of(&id).await?;
        self.lease = Some(self.step.reserve().await?);
        let row = self.settle_piece(&open, &ended).await?;
        self.last_snapshot = None;
        self.journal.append(StepRow::ChildEnded(Box::new(row))).await
    }

    async fn settle_piece(&self, open: &StepChild, ended: &Job) -> Result<ChildEndedRow, SkillError> {
        let field = |name: &str| ended.outputs.get(name).and_then(Value::as_str).unwrap_or_default();
        let cost = ended.outputs.get("cost_usd").and_then(usd).unwrap_or_default();
        let end = |succeeded: bool, text: String, taken: Option<(String, String)>| {
            let (tree_after, diffstat) = taken.unzip();
            let (child, verdict) = (open.child.clone(), ended.state.as_str().to_owned());
            ChildEndedRow {
                child,
                verdict,
                succeeded,
                text,
                out: None,
                cost_nano: cost.0,
                tree_after,
                diffstat,
            }
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
            TakenPiece::Taken(tree, diffstat) => {
                let text = format!("taken into your tree: {summary}\n{}", field("diffstat"));
                end(true, text, Some((tree, diffstat)))
            }
            TakenPiece::Refused(why) => end(false, format!("{why}\nIts writer says: {summary}"), None),
        })
    }

    async fn take_in(&self, child: &JobId, piece: &CommitId) -> Result<TakenPiece, SkillError> {
        let name = tree_name(child)?;
        let (root, tree, piece) = (self.deps.trees.clone(), Arc::clone(&self.workspace.tree), piece.clone());
        let (at, onto) =
            (self.piece_order("As it stood for a piece.", None), self.piece_order("Take a piece in", None));
        let taken = blocking(move || {
            let writer = WorkTree::open(&root, &name)?;
            let parent = position_of(&tree, &at)?;
            take_piece(&tree, &writer, &piece, &SealOrder { parent, ..onto })
        });
        match taken.await?.map_err(|error| SkillError::Transient(error.to_string()))? {
            PieceOutcome::Taken(_) | PieceOutcome::AlreadyIn => {
                let after = self.workspace.snapshot(format!("took in {child}")).await?;
                let diffstat = self.workspace.diffstat(&after.commit).await?;
                Ok(TakenPiece::Taken(after.tree.to_string(), diffstat))
            }
            PieceOutcome::Conflicts(files) => Ok(TakenPiece::Refused(conflicts_text(&files))),
        }
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

fn position_of(tree: &WorkTree, order: &SealOrder) -> Result<CommitId, TreeError> {
    match seal(tree, order) {
        Ok(sealed) => Ok(sealed.commit),
        Err(TreeError::NothingChanged(base)) => Ok(base),
        Err(error) => Err(error),
    }
}

fn conflicts_text(files: &[ConflictedFile]) -> String {
    let mut text = String::from("not taken in, because your tree has changed in the same places:");
    for file in files {
        text.push_str(&format!("\n- {}", String::from_utf8_lossy(file.path.as_bytes())));
        file.words.iter().for_each(|words| text.push_str(&format!("\n  {words}")));
    }
    text.push_str("\nMake the change yourself, or delegate it again from the tree as it is now.");
    text
}
