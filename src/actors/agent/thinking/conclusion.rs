//! The conclusion of a step: the branch is delivered, files and outputs are left, or the job fails with
//! an account of what is missing.
//!
//! Invariant: a change is `done` only when its newest commit is proved and reviewed, and its branch is in
//! the person's repository.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::step_end::{StepEnd, StepResult};
use super::brief::BriefKind;
use super::claims::PROOF_TEXT;
use super::reviewing::REVIEWS_FILE;
use super::runner::ThinkingAttempt;
use super::workspace::blocking;
use crate::domain::artifact::Artifact;
use crate::domain::thinking::{ProofStatus, StepAccount, StepVerdict};
use crate::skills::{SkillError, StepOutcome};
use crate::worktree::{CommitId, change_patch, deliver, runs_on_merge};

/// Files that run on a person's machine when the branch is merged: as many as are read before a merge.
const MAX_RUNNERS: usize = 50;

impl ThinkingAttempt {
    pub(super) async fn conclude(&mut self) -> StepResult {
        let Some(account) = self.journal.state.account() else {
            return Err(SkillError::Permanent("the step has no end".to_owned()));
        };
        self.keep_file("account.md", account.text().as_bytes()).await?;
        match self.brief.kind {
            BriefKind::Review => self.conclude_review(&account),
            BriefKind::Piece => self.conclude_piece(&account),
            // Without a repository there is nobody to deliver to.
            BriefKind::Plain if self.prove.is_none() || self.brief.repository.is_none() => {
                self.conclude_plain(&account).await
            }
            BriefKind::Plain | BriefKind::Change => self.conclude_change(&account).await,
        }
    }

    fn conclude_review(&self, account: &StepAccount) -> StepResult {
        let (StepVerdict::Reported(claim), true) = (&account.verdict, account.is_done(true)) else {
            return Err(SkillError::Permanent(account.text()));
        };
        let model = self.journal.answering_model();
        let (vendor, model) = model.split_once('/').unwrap_or((model, ""));
        let outputs = json!({ "review": claim.summary, "vendor": vendor, "model": model });
        Ok(StepEnd::Done(StepOutcome { artifacts: Vec::new(), outputs }))
    }

    /// The result of a piece: its commit, for the tree that it is taken into.
    fn conclude_piece(&self, account: &StepAccount) -> StepResult {
        let ProofStatus::Passed { commit: Some(commit), .. } = &account.proof else {
            return Err(SkillError::Permanent(account.text()));
        };
        if !account.is_done(true) {
            return Err(SkillError::Permanent(account.text()));
        }
        let mut outputs = self.outputs_of(account);
        outputs["commit"] = json!(commit);
        Ok(StepEnd::Done(StepOutcome { artifacts: Vec::new(), outputs }))
    }

    async fn conclude_plain(&self, account: &StepAccount) -> StepResult {
        if !account.is_done(self.prove.is_some()) {
            return Err(SkillError::Permanent(account.text()));
        }
        let mut artifacts = vec![self.artifact("account.md", "account", "text/markdown").await?];
        if account.diffstat.as_deref().is_some_and(|stat| !stat.trim().is_empty()) {
            let snapshot = self.workspace.snapshot("the end".to_owned()).await?;
            artifacts.push(self.keep_patch(&snapshot.commit).await?);
        }
        Ok(StepEnd::Done(StepOutcome { artifacts, outputs: self.outputs_of(account) }))
    }

    async fn conclude_change(&self, account: &StepAccount) -> StepResult {
        let proved = match &account.proof {
            ProofStatus::Passed { commit: Some(commit), .. } if account.is_done(true) => {
                CommitId::parse(commit)
            }
            _ => None,
        };
        let Some(commit) = proved else {
            let tree = self.workspace.tree.path();
            return Err(SkillError::Permanent(format!(
                "{}\nNothing was delivered. The work is kept in {}.",
                account.text(),
                tree.display()
            )));
        };
        let (tree, branch) = (Arc::clone(&self.workspace.tree), format!("pas/{}", self.journal.job().run()));
        let sealed = commit.clone();
        let delivered = blocking(move || deliver(&tree, &sealed, &branch)).await?;
        let delivered = delivered.map_err(|error| {
            SkillError::Permanent(format!("the change is proved, and could not be delivered: {error}"))
        })?;
        let mut artifacts = vec![self.keep_patch(&commit).await?];
        for (name, kind, media_type) in [
            ("proof.json", "proof", "application/json"),
            (PROOF_TEXT, "proof", "text/plain"),
            (REVIEWS_FILE, "review", "application/json"),
        ] {
            if self.work_folder().join(name).exists() {
                artifacts.push(self.artifact(name, kind, media_type).await?);
            }
        }
        artifacts.push(self.artifact("account.md", "account", "text/markdown").await?);
        let mut outputs = self.outputs_of(account);
        outputs["branch"] = json!(delivered.branch);
        outputs["commit"] = json!(commit.to_string());
        outputs["base"] = json!(self.workspace.tree.base().to_string());
        outputs["merge"] = json!(format!("git merge {}", delivered.branch));
        outputs["runs_on_merge"] = self.runners(&commit).await?;
        outputs["review"] = self.review_outputs();
        outputs["prove"] = json!(self.prove);
        outputs["proof"] =
            json!(std::fs::read_to_string(self.work_folder().join(PROOF_TEXT)).unwrap_or_default());
        Ok(StepEnd::Done(StepOutcome { artifacts, outputs }))
    }

    fn review_outputs(&self) -> Value {
        let verdicts = self.verdicts();
        verdicts.last().map_or(Value::Null, |verdict| {
            json!({
                "round": verdict.round, "vendor": verdict.vendor, "model": verdict.model,
                "independence": verdict.independence.to_string(), "summary": verdict.summary,
                "approves": verdict.approves(), "remarks": verdict.remarks.len(),
            })
        })
    }

    /// Files of the change that run on the person's machine once it is merged.
    async fn runners(&self, commit: &CommitId) -> Result<Value, SkillError> {
        let (tree, commit) = (Arc::clone(&self.workspace.tree), commit.clone());
        let changed = blocking(move || tree.changed_files(&tree.base().clone(), &commit)).await?;
        let changed = changed.map_err(|error| SkillError::Transient(error.to_string()))?;
        let mut runners = runs_on_merge(&changed);
        runners.truncate(MAX_RUNNERS);
        serde_json::to_value(runners).map_err(|error| SkillError::Transient(error.to_string()))
    }

    async fn keep_patch(&self, commit: &CommitId) -> Result<Artifact, SkillError> {
        let (tree, commit) = (Arc::clone(&self.workspace.tree), commit.clone());
        let patch = blocking(move || change_patch(&tree, &tree.base().clone(), &commit)).await?;
        let patch = patch.map_err(|error| SkillError::Transient(error.to_string()))?;
        self.keep_file("change.patch", &patch).await?;
        self.artifact("change.patch", "patch", "text/x-diff").await
    }

    /// A kept file as an artifact of the run.
    async fn artifact(&self, name: &str, kind: &str, media_type: &str) -> Result<Artifact, SkillError> {
        let file = self.work_folder().join(name);
        let path = file.strip_prefix(&self.run_dir).unwrap_or(&file).to_string_lossy().into_owned();
        let bytes = blocking(move || std::fs::read(file)).await?;
        let bytes = bytes.map_err(|error| SkillError::io(format_args!("read {name}"), &error))?;
        Ok(Artifact {
            path,
            kind: kind.to_owned(),
            media_type: media_type.to_owned(),
            bytes: bytes.len() as u64,
            blake3: blake3::hash(&bytes).to_hex().to_string(),
            // A model never says the same twice.
            deterministic: false,
        })
    }
}
