//! Takes a written piece into the lead's tree, runs the proving command on the whole, and rolls the piece back when the
//! command does worse with it.
//!
//! Invariants: where the tree stood before a piece is on the disk before the piece comes in, so that a crash between the
//! two judges by the same runs; each run is kept by its commit and made once. Failure policy: a refusal
//! is the result of the piece's call, and the tree is as before.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::runner::ThinkingAttempt;
use super::workspace::{blocking, tree_name, until_stopped};
use crate::domain::ids::JobId;
use crate::proof::intake::{IntakeVerdict, judge_intake, rolled_back_text};
use crate::proof::runner::run_on;
use crate::proof::stage::{ProofStage, StageEnd};
use crate::skills::SkillError;
use crate::worktree::{
    CommitId, ConflictedFile, PieceOutcome, SealOrder, TreeError, WorkTree, roll_back_last, seal, take_piece,
};

/// The piece that is being taken in, below the step's folder.
const TAKING_FILE: &str = "taking.json";

/// How a piece came into the tree.
pub(super) enum TakenPiece {
    /// The tree and the diffstat afterwards, and the verdict of the proving command.
    Taken {
        tree: String,
        diffstat: String,
        note: String,
    },
    Refused(String),
}

/// Where the tree stood before a piece came in.
#[derive(Serialize, Deserialize)]
struct TakingMark {
    child: String,
    before: String,
}

impl ThinkingAttempt {
    /// The commit that the tree is at: sealed as it stands, or the base where nothing has changed.
    pub(super) async fn position(&self) -> Result<CommitId, SkillError> {
        let (tree, order) = (Arc::clone(&self.workspace.tree), self.piece_order("As it stood for a piece."));
        let at = blocking(move || match seal(&tree, &order) {
            Ok(sealed) => Ok(sealed.commit),
            Err(TreeError::NothingChanged(base)) => Ok(base),
            Err(error) => Err(error),
        });
        at.await?.map_err(|error| SkillError::Permanent(error.to_string()))
    }

    fn piece_order(&self, message: &str) -> SealOrder {
        SealOrder {
            author: self.signature(),
            message: message.to_owned(),
            trailers: Vec::new(),
            second: self.began_at,
            parent: self.workspace.tree.base().clone(),
        }
    }

    pub(super) async fn take_in(
        &mut self,
        child: &JobId,
        piece: &CommitId,
    ) -> Result<TakenPiece, SkillError> {
        let before = self.position_before(child).await?;
        let name = tree_name(child)?;
        let (root, tree, piece) = (self.deps.trees.clone(), Arc::clone(&self.workspace.tree), piece.clone());
        let (parent, order) = (self.position().await?, self.piece_order("Take a piece in"));
        let taken = blocking(move || {
            take_piece(&tree, &WorkTree::open(&root, &name)?, &piece, &SealOrder { parent, ..order })
        });
        let taken = taken.await?.map_err(|error| SkillError::Transient(error.to_string()))?;
        if let PieceOutcome::Conflicts(files) = taken {
            return Ok(TakenPiece::Refused(conflicts_text(&files)));
        }
        let after = self.position().await?;
        let note = if after == before {
            "your tree had all of it already".to_owned()
        } else {
            match self.judge_piece(&before, &after).await? {
                (IntakeVerdict::Stays(note), _) => note,
                (IntakeVerdict::Worse(why), end) => {
                    self.roll_back().await?;
                    return Ok(TakenPiece::Refused(rolled_back_text(&why, &end)));
                }
            }
        };
        let snapshot = self.workspace.snapshot(format!("took in {child}")).await?;
        let diffstat = self.workspace.diffstat(&snapshot.commit).await?;
        Ok(TakenPiece::Taken { tree: snapshot.tree.to_string(), diffstat, note })
    }

    /// Where the tree stood before this piece; on the disk before anything of the piece is in the tree.
    async fn position_before(&self, child: &JobId) -> Result<CommitId, SkillError> {
        let file = self.work_folder().join(TAKING_FILE);
        let kept = blocking(move || std::fs::read(file).ok()).await?;
        let kept: Option<TakingMark> = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let known = kept.filter(|mark| mark.child == child.as_str());
        if let Some(before) = known.and_then(|mark| CommitId::parse(&mark.before)) {
            return Ok(before);
        }
        let before = self.position().await?;
        let mark = TakingMark { child: child.to_string(), before: before.to_string() };
        let bytes = serde_json::to_vec(&mark).map_err(|error| SkillError::Transient(error.to_string()))?;
        self.keep_file(TAKING_FILE, &bytes).await?;
        Ok(before)
    }

    /// The verdict on a piece, and the run that shows it. A worse run is repeated once: it may be chance.
    async fn judge_piece(
        &mut self,
        before: &CommitId,
        after: &CommitId,
    ) -> Result<(IntakeVerdict, StageEnd), SkillError> {
        self.control.note("proving with a piece");
        let was = self.run_at(before, ProofStage::After).await?;
        let is = self.run_at(after, ProofStage::After).await?;
        match judge_intake(&was, &is) {
            IntakeVerdict::Worse(_) => {
                let again = self.run_at(after, ProofStage::AfterAgain).await?;
                Ok((judge_intake(&was, &again), again))
            }
            stays => Ok((stays, is)),
        }
    }

    /// How the proving command ends on a commit; run once, and kept.
    async fn run_at(&mut self, commit: &CommitId, stage: ProofStage) -> Result<StageEnd, SkillError> {
        // The run on the base is also that of the proof of the whole.
        let stage = if commit == self.workspace.tree.base() { ProofStage::Before } else { stage };
        let mut bench = self.bench_for(commit)?;
        if let Some(end) = bench.ends.iter().find(|end| end.stage == stage) {
            return Ok(end.clone());
        }
        let command = self.proving_command()?;
        let _reserved = self.reserve().await?;
        let _wait = self.control.wait();
        let running = run_on(commit.as_str(), stage, &command, self.brief.prove_limit, &mut bench);
        let ended = until_stopped(&self.control, &self.cancel, running).await?;
        ended.map_err(|error| SkillError::Transient(error.to_string()))
    }

    async fn roll_back(&self) -> Result<(), SkillError> {
        let tree = Arc::clone(&self.workspace.tree);
        let done = blocking(move || roll_back_last(&tree)).await?;
        done.map(drop).map_err(|error| SkillError::Transient(error.to_string()))
    }
}

fn conflicts_text(files: &[ConflictedFile]) -> String {
    let mut text = String::from("not taken in, because your tree has changed in the same places:");
    for file in files {
        text.push_str(&format!("\n- {}", String::from_utf8_lossy(file.path.as_bytes())));
        file.words.iter().for_each(|words| text.push_str(&format!("\n  {words}")));
    }
    text.push_str("\nDelegate it again: a new piece begins with the tree as it is now.");
    text
}
