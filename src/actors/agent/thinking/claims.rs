//! A report is a claim: its check, and the row of the check's end.
//!
//! A change is sealed, proved and reviewed, in that order and on one commit; a review must be readable as remarks; a
//! plain task's proof is its command alone. Everything that ran is kept by commit, so an attempt after a crash goes
//! on behind it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::brief::{AskPolicy, BriefKind, ReviewWish};
use super::calls::{millis, tally_of};
use super::proving::{TreeBench, changes, kept_stages};
use super::questions::ConsentKind;
use super::runner::ThinkingAttempt;
use super::workspace::{blocking, until_stopped};
use crate::domain::thinking::{ProofEndedRow, ReportClaim, StepRow};
use crate::files;
use crate::proof::command::ProvingCommand;
use crate::proof::plan::{ProofConsent, ProofExpect, ProofPlan};
use crate::proof::record::{ProofRecord, ProofSetting, ProofSubject};
use crate::proof::render::{proof_for_model, proof_for_person};
use crate::proof::runner::{ProofOrder, prove};
use crate::proof::stage::ProofStage;
use crate::proof::test_paths::TestPaths;
use crate::proof::verdict::{PersonQuestion, ProofVerdict};
use crate::review::report::ReviewerReport;
use crate::skills::SkillError;
use crate::worktree::{CommitId, CommitSignature, SealOrder, SealedCommit, TreeError, TreeName, seal};

/// The newest proof in words, below the step's folder.
pub(super) const PROOF_TEXT: &str = "proof.txt";
/// Longest first line of a commit message.
const MAX_SUBJECT: usize = 72;

/// How the check of a claim ended.
pub(super) enum ClaimEnd {
    Checked(ProofEndedRow),
    /// A person must consent to something before the claim can be judged.
    Asks(ConsentKind, String),
}

impl ClaimEnd {
    pub(super) fn failed(text: impl Into<String>) -> Self {
        Self::of(false, text.into(), None)
    }

    pub(super) fn of(passed: bool, text: String, commit: Option<String>) -> Self {
        Self::Checked(ProofEndedRow { passed, text, out: None, commit, tests: None, elapsed_ms: 0 })
    }
}

impl ThinkingAttempt {
    /// Checks a claim and writes the row of its end, or of a question to a person. That is the daemon's work, with
    /// limits of its own: a proof may take longer than a step may work.
    pub(super) async fn check_claim(&mut self, claim: &ReportClaim) -> Result<(), SkillError> {
        let _wait = self.control.wait();
        let began = Instant::now();
        self.waited = Duration::ZERO;
        let end = match self.brief.kind {
            BriefKind::Review => self.check_review(claim)?,
            BriefKind::Piece => Box::pin(self.check_piece(claim)).await?,
            BriefKind::Plain | BriefKind::Change => Box::pin(self.check_change(claim)).await?,
        };
        match end {
            ClaimEnd::Checked(row) => {
                let row =
                    ProofEndedRow { elapsed_ms: millis(began.elapsed().saturating_sub(self.waited)), ..row };
                self.journal.append(StepRow::ProofEnded(Box::new(row))).await
            }
            ClaimEnd::Asks(consent, text) => self.ask_consent(consent, text).await,
        }
    }

    /// A review's claim holds when its summary can be read as remarks on the commit.
    fn check_review(&self, claim: &ReportClaim) -> Result<ClaimEnd, SkillError> {
        let commit = self.brief.commit.clone().unwrap_or_default();
        let paths = self.test_paths()?;
        Ok(match ReviewerReport::parse(&claim.summary, &commit, |path| paths.is_test(path)) {
            Ok(_) => ClaimEnd::of(true, "The remarks can be read.".to_owned(), Some(commit)),
            Err(fault) => ClaimEnd::failed(format!(
                "The review cannot be read: {fault}. `report` again with the JSON object as its `summary`."
            )),
        })
    }

    /// A piece's claim holds when its changes lie within its paths and its command, if it has one, proves it.
    async fn check_piece(&mut self, claim: &ReportClaim) -> Result<ClaimEnd, SkillError> {
        let sealed = match self.seal(claim).await? {
            Ok(sealed) => sealed,
            Err(why) => return Ok(ClaimEnd::failed(why)),
        };
        let (tree, commit) = (Arc::clone(&self.workspace.tree), sealed.commit.clone());
        let changed = blocking(move || tree.changed_files(&tree.base().clone(), &commit)).await?;
        let changed = changed.map_err(|error| SkillError::Transient(error.to_string()))?;
        let changed = changed.iter().map(|file| String::from_utf8_lossy(file.path.as_bytes()).into_owned());
        let outside: Vec<String> = changed.filter(|path| !is_within(path, &self.brief.paths)).collect();
        if !outside.is_empty() {
            return Ok(ClaimEnd::failed(format!(
                "These lie outside of the paths of this piece: {}. Undo them, or `report` as `partial` what else is \
                 needed.",
                outside.join(", ")
            )));
        }
        if self.prove.is_some() {
            return self.check_change(claim).await;
        }
        let text = "The piece lies within its paths; nothing proves it alone.".to_owned();
        Ok(ClaimEnd::of(true, text, Some(sealed.commit.to_string())))
    }

    async fn check_change(&mut self, claim: &ReportClaim) -> Result<ClaimEnd, SkillError> {
        let sealed = match self.seal(claim).await? {
            Ok(sealed) => sealed,
            Err(why) => return Ok(ClaimEnd::failed(why)),
        };
        let record = self.prove_with_consents(&sealed).await?;
        let bytes =
            serde_json::to_vec_pretty(&record).map_err(|error| SkillError::Transient(error.to_string()))?;
        self.keep_file("proof.json", &bytes).await?;
        self.keep_file(PROOF_TEXT, proof_for_person(&record).as_bytes()).await?;
        let verdict = match (&record.verdict, self.brief.ask) {
            (verdict, AskPolicy::Never) => verdict.clone().without_person(),
            (verdict, AskPolicy::Person) => verdict.clone(),
        };
        let tests = record
            .stages
            .iter()
            .find(|end| end.stage == ProofStage::After)
            .and_then(|end| end.counts.clone())
            .map(tally_of);
        let commit = Some(sealed.commit.to_string());
        match verdict {
            ProofVerdict::Proved => {}
            ProofVerdict::NeedsPerson(question) => {
                return Ok(ClaimEnd::Asks(consent_of(&question), question.to_string()));
            }
            ProofVerdict::NotProved(_) | ProofVerdict::Flaky(_) => {
                let text = proof_for_model(&record);
                let (passed, out, elapsed_ms) = (false, None, 0);
                return Ok(ClaimEnd::Checked(ProofEndedRow { passed, text, out, commit, tests, elapsed_ms }));
            }
        }
        if self.brief.kind == BriefKind::Change && self.brief.review != ReviewWish::Off {
            return self.review(&sealed, &record, tests).await;
        }
        let (passed, text, out) = (true, "Proved. No review was asked for.".to_owned(), None);
        Ok(ClaimEnd::Checked(ProofEndedRow { passed, text, out, commit, tests, elapsed_ms: 0 }))
    }

    /// The author of the agent's commits.
    pub(super) fn signature(&self) -> CommitSignature {
        CommitSignature {
            name: format!("{} (PAS)", self.agent.display_name),
            email: format!("{}@pas.localhost", self.agent.name),
        }
    }

    /// The one commit that is proved, reviewed and delivered; the same tree gives the same commit.
    async fn seal(&self, claim: &ReportClaim) -> Result<Result<SealedCommit, String>, SkillError> {
        let subject: String =
            self.brief.goal.lines().next().unwrap_or_default().chars().take(MAX_SUBJECT).collect();
        let order = SealOrder {
            author: self.signature(),
            message: format!("{subject}\n\n{}", claim.summary),
            trailers: vec![("Pas-Run".to_owned(), self.journal.job().run().to_string())],
            second: self.began_at,
            parent: self.workspace.tree.base().clone(),
        };
        let tree = Arc::clone(&self.workspace.tree);
        match blocking(move || seal(&tree, &order)).await? {
            Ok(sealed) => Ok(Ok(sealed)),
            Err(TreeError::NothingChanged(_)) => Ok(Err(
                "Nothing has changed in the tree, so there is nothing to prove. Make the change, or `report` with \
                 outcome `impossible` and the reason."
                    .to_owned(),
            )),
            Err(error) => Err(SkillError::Permanent(error.to_string())),
        }
    }

    /// Proves, with the consents that persons have given to exactly this proof's questions.
    async fn prove_with_consents(&mut self, sealed: &SealedCommit) -> Result<ProofRecord, SkillError> {
        let _reserved = self.reserve().await?;
        let mut consent =
            ProofConsent { guards: self.brief.allow_guards, old_tests: self.brief.allow_test_changes };
        let mut expect = self.brief.expect;
        loop {
            let record = self.prove(sealed, consent, expect).await?;
            let ProofVerdict::NeedsPerson(question) = &record.verdict else { return Ok(record) };
            let kind = consent_of(question);
            if !self.has_consent(kind, &question.to_string())? {
                return Ok(record);
            }
            // Each is asked about once: the runs are kept, and the next judgement knows the answer.
            match kind {
                ConsentKind::Guards => consent.guards = true,
                ConsentKind::OldTests => consent.old_tests = true,
                ConsentKind::Expectation | ConsentKind::Remarks => expect = ProofExpect::Any,
            }
        }
    }

    async fn prove(
        &self,
        sealed: &SealedCommit,
        consent: ProofConsent,
        expect: ProofExpect,
    ) -> Result<ProofRecord, SkillError> {
        let tree = Arc::clone(&self.workspace.tree);
        let (base, commit) = (tree.base().clone(), sealed.commit.clone());
        let (paths, command) = (self.test_paths()?, self.proving_command()?);
        let plan = {
            let (tree, base, commit, command) =
                (Arc::clone(&tree), base.clone(), commit.clone(), command.clone());
            blocking(move || {
                let changed = changes(&tree, &base, &commit)?;
                Ok::<_, String>(ProofPlan::new(expect, consent, &changed, &paths, &command))
            })
            .await?
            .map_err(SkillError::Transient)?
        };
        let mut bench = self.bench_for(&commit)?;
        if bench.ends.is_empty() {
            // Made where a lead has taken pieces in.
            let on_base = self.bench_for(&base)?.ends.into_iter();
            bench.ends.extend(on_base.filter(|end| end.stage == ProofStage::Before));
        }
        let done = bench.ends.clone();
        let order = ProofOrder {
            subject: ProofSubject {
                base_tree: tree_of(&base),
                base_commit: base.to_string(),
                commit: commit.to_string(),
                tree: sealed.tree.to_string(),
            },
            command,
            plan,
            setting: ProofSetting {
                sandbox: self.workspace.sandbox.sentence(),
                // Filled in below: it is known once a tree was made.
                build_output: String::new(),
                prepare: self.brief.prepare.clone(),
                timeout_seconds: self.brief.prove_limit.as_secs(),
            },
        };
        let proving = prove(order, &mut bench, done);
        let proved = until_stopped(&self.control, &self.cancel, proving).await?;
        let mut record = proved.map_err(|error| SkillError::Transient(error.to_string()))?;
        record.setting.build_output = bench.build_sentence();
        Ok(record)
    }

    /// Which files are tests: by convention, and by the person's globs.
    pub(super) fn test_paths(&self) -> Result<TestPaths, SkillError> {
        TestPaths::new(&self.brief.test_globs).map_err(|error| SkillError::Permanent(error.to_string()))
    }

    pub(super) fn proving_command(&self) -> Result<ProvingCommand, SkillError> {
        let refused = |error: crate::proof::command::ProvingRefusal| SkillError::Permanent(error.to_string());
        match &self.prove {
            Some(script) => ProvingCommand::given(script).map_err(refused),
            None => Err(SkillError::Permanent("the step has no proving command".to_owned())),
        }
    }

    /// Fresh trees and runs for the proof of one commit, after the runs that an earlier attempt has kept.
    pub(super) fn bench_for(&self, commit: &CommitId) -> Result<TreeBench, SkillError> {
        let name = super::workspace::tree_name(self.journal.job())?;
        let fresh = TreeName::new(name.run(), &format!("{}-proof", name.name()))
            .ok_or_else(|| SkillError::Permanent(format!("`{name}` has no name for its proof")))?;
        let folder = self.work_folder().join("proofs");
        let stages_file = folder.join(format!("{commit}.json"));
        Ok(TreeBench {
            workspace: self.workspace.clone(),
            deps: self.deps.clone(),
            name: fresh,
            build_output: self.deps.scratch(&name).join("build"),
            ends: kept_stages(&stages_file),
            stages_file,
            cancel: self.cancel.clone(),
            open: HashMap::new(),
            prepare: self.brief.prepare.clone(),
            sentence: String::new(),
        })
    }

    /// The folder of this step's files, below the run's.
    pub(super) fn work_folder(&self) -> PathBuf {
        let job = self.journal.job().as_str().replace('.', "_");
        self.run_dir.join("change").join(job)
    }

    pub(super) async fn keep_file(&self, name: &str, bytes: &[u8]) -> Result<(), SkillError> {
        let (file, bytes) = (self.work_folder().join(name), bytes.to_vec());
        let kept = blocking(move || files::replace_file(&file, &bytes)).await?;
        kept.map_err(|error| SkillError::io(format_args!("keep {name}"), &error))
    }
}

fn consent_of(question: &PersonQuestion) -> ConsentKind {
    match question {
        PersonQuestion::GuardsTouched(_) => ConsentKind::Guards,
        PersonQuestion::OldTestsRewritten { .. } => ConsentKind::OldTests,
        PersonQuestion::BeforePasses | PersonQuestion::BeforeFails { .. } => ConsentKind::Expectation,
    }
}

/// The record names trees beside commits; a base that was not snapshot here is named by its commit.
fn tree_of(commit: &CommitId) -> String {
    format!("{commit}^{{tree}}")
}

/// Whether a path is one of `places` or lies below one; anything is within no places.
fn is_within(path: &str, places: &[String]) -> bool {
    let below = |place: &String| {
        let place = place.trim_end_matches('/');
        path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    places.is_empty() || places.iter().any(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_may_change_its_paths_and_what_lies_below() {
        let places = ["src/a".to_owned(), "docs/".to_owned()];
        for within in ["src/a", "src/a/b.rs", "docs/c.md"] {
            assert!(is_within(within, &places), "{within}");
        }
        for outside in ["src/ab.rs", "src", "docs.md", "x/docs/c.md"] {
            assert!(!is_within(outside, &places), "{outside}");
        }
        assert!(is_within("anything", &[]));
    }
}
