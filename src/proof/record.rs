//! The record of a proof: an artifact with the runs, their trees and ends, and the limits of the proof.
//!
//! Failure policy: a record is written whatever the verdict; unknown fields are ignored on reading, so that
//! an older daemon reads a newer one's records.

use serde::{Deserialize, Serialize};

use super::command::ProvingCommand;
use super::guards::GuardFinding;
use super::overlay::{OverlayEdit, TestOverlay};
use super::plan::{ProofConsent, ProofExpect, ProofPlan};
use super::stage::StageEnd;
use super::verdict::{ProofJudgement, ProofVerdict};

/// Raised when a field changes meaning.
pub const RECORD_VERSION: u32 = 1;

/// The two commits that a proof compares, with their trees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofSubject {
    pub base_commit: String,
    pub base_tree: String,
    pub commit: String,
    pub tree: String,
}

/// Sentences about the place where the proof ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofSetting {
    /// The sandbox, degraded parts included.
    pub sandbox: String,
    /// Whether build output was brought into the fresh trees, and how.
    pub build_output: String,
    /// The person's `--prepare`, if run.
    pub prepare: Option<String>,
    pub timeout_seconds: u64,
}

/// Files of the tests that were laid over other code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlaidPaths {
    pub old_tests: Vec<String>,
    pub new_tests: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofRecord {
    pub version: u32,
    pub subject: ProofSubject,
    pub command: ProvingCommand,
    pub argv: Vec<String>,
    /// A reason to doubt the command itself.
    pub doubt: Option<String>,
    pub expect: ProofExpect,
    pub consent: ProofConsent,
    pub setting: ProofSetting,
    pub stages: Vec<StageEnd>,
    pub overlaid: OverlaidPaths,
    pub guards: Vec<GuardFinding>,
    pub verdict: ProofVerdict,
    pub notes: Vec<String>,
}

impl ProofRecord {
    pub fn new(
        subject: ProofSubject,
        command: ProvingCommand,
        setting: ProofSetting,
        plan: &ProofPlan,
        stages: Vec<StageEnd>,
    ) -> Self {
        let ProofJudgement { verdict, notes } = plan.judge(&stages);
        Self {
            version: RECORD_VERSION,
            subject,
            argv: command.argv().map(str::to_owned).to_vec(),
            doubt: command.doubt(),
            command,
            expect: plan.expect,
            consent: plan.consent,
            setting,
            stages,
            overlaid: OverlaidPaths { old_tests: paths(&plan.old_tests), new_tests: paths(&plan.new_tests) },
            guards: plan.guards.clone(),
            verdict,
            notes,
        }
    }
}

fn paths(overlay: &TestOverlay) -> Vec<String> {
    let path = |act: &OverlayEdit| match act {
        OverlayEdit::Restore { path } | OverlayEdit::Remove { path } | OverlayEdit::Write { path, .. } => {
            path.clone()
        }
    };
    overlay.acts.iter().map(path).collect()
}
