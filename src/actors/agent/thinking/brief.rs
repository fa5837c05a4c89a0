//! The brief of a thinking step: the inputs of its card, typed, and the text that its model reads.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::tasks::{PROVE_LIMIT, REVIEW_CHANGE, WRITE_CHANGE, WRITE_PIECE};
use crate::domain::ids::RunId;
use crate::domain::job::Job;
use crate::domain::job::continuation::{CONTINUES, SNAPSHOT};
use crate::domain::job::plan::LEAD_CHANGE;
use crate::domain::money::NanoUsd;
use crate::domain::task::usd;
use crate::proof::plan::ProofExpect;
use crate::skills::SkillError;

/// Longest run of a proving command unless the card says otherwise: longer suites are for a part of the change.
pub(super) const PROVE_LIMIT_IF_NONE: Duration = Duration::from_secs(1_800);

/// The kind of work, which decides how a claim is checked and where the result goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BriefKind {
    /// A task in words: its report is its result.
    Plain,
    /// A change that is proved, reviewed and delivered.
    Change,
    /// A piece of a change, taken in by the agent that asked for it.
    Piece,
    /// A review: its report is read as remarks.
    Review,
}

/// Whether questions reach a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskPolicy {
    Person,
    Never,
}

/// Whether a change is reviewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReviewWish {
    Off,
    One,
}

/// The inputs of a card.
#[derive(Debug, Clone)]
pub(super) struct ThinkingBrief {
    pub(super) kind: BriefKind,
    pub(super) goal: String,
    pub(super) repository: Option<PathBuf>,
    pub(super) base: Option<String>,
    /// The proving command as given; found in the tree where it is left out.
    pub(super) prove: Option<String>,
    /// Its time limit for one run.
    pub(super) prove_limit: Duration,
    pub(super) expect: ProofExpect,
    pub(super) budget: Option<NanoUsd>,
    pub(super) prepare: Option<String>,
    pub(super) test_globs: Vec<String>,
    pub(super) allow_guards: bool,
    pub(super) allow_test_changes: bool,
    pub(super) with_uncommitted: bool,
    pub(super) review: ReviewWish,
    pub(super) ask: AskPolicy,
    /// Of a change: other agents write it, in pieces, and this step puts them together.
    pub(super) leads: bool,
    /// The continued run, and the snapshot with which the tree begins.
    pub(super) continues: Option<(RunId, String)>,
    /// A person's addition to the goal.
    pub(super) word: Option<String>,
    /// Of a piece: the files and folders that it may change; empty for all.
    pub(super) paths: Vec<String>,
    /// Of a review or a piece: the job whose tree it starts from, and the commit there.
    pub(super) change_of: Option<String>,
    pub(super) commit: Option<String>,
    pub(super) author_vendors: Vec<String>,
    /// Of a review: the whole message to the reviewer.
    pub(super) message: Option<String>,
}

impl ThinkingBrief {
    pub(super) fn of(job: &Job) -> Result<Self, SkillError> {
        let inputs = &job.card.inputs.0;
        let text = |name: &str| inputs.get(name).and_then(Value::as_str).map(str::to_owned);
        let flag = |name: &str| inputs.get(name).and_then(Value::as_bool).unwrap_or_default();
        let kind = match job.card.task.as_str() {
            WRITE_CHANGE | LEAD_CHANGE => BriefKind::Change,
            WRITE_PIECE => BriefKind::Piece,
            REVIEW_CHANGE => BriefKind::Review,
            _ => BriefKind::Plain,
        };
        let goal = text("goal").filter(|goal| !goal.trim().is_empty());
        let texts = |name: &str| -> Vec<String> {
            let listed = inputs.get(name).and_then(Value::as_array).into_iter().flatten();
            listed.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Ok(Self {
            kind,
            goal: goal.ok_or_else(|| SkillError::Permanent("the card has no `goal`".to_owned()))?,
            repository: text("repository").map(PathBuf::from),
            base: text("base"),
            prove: text("prove"),
            prove_limit: prove_limit(inputs),
            expect: match text("expect").as_deref() {
                Some("pass") => ProofExpect::Pass,
                Some("any") => ProofExpect::Any,
                Some(_) => ProofExpect::Fail,
                // A command that a person gives shows the fault; one that was found only has to hold.
                None if text("prove").is_some() && kind != BriefKind::Piece => ProofExpect::Fail,
                None => ProofExpect::Any,
            },
            budget: inputs.get("budget_usd").and_then(usd),
            prepare: text("prepare"),
            test_globs: texts("tests"),
            allow_guards: flag("allow_guards"),
            allow_test_changes: flag("allow_test_changes"),
            with_uncommitted: flag("with_uncommitted"),
            review: if text("review").as_deref() == Some("off") { ReviewWish::Off } else { ReviewWish::One },
            ask: if text("ask").as_deref() == Some("never") { AskPolicy::Never } else { AskPolicy::Person },
            leads: job.card.task == LEAD_CHANGE,
            continues: text(CONTINUES).and_then(|run| RunId::new(run).ok()).zip(text(SNAPSHOT)),
            word: text("word").filter(|word| !word.trim().is_empty()),
            paths: texts("paths"),
            change_of: text("change_of"),
            commit: text("commit"),
            author_vendors: texts("author_vendors"),
            message: text("message"),
        })
    }

    /// A brief without a job, for the tree of a repository at its HEAD.
    pub(super) fn rehearsal(repository: &Path) -> Self {
        Self {
            kind: BriefKind::Plain,
            goal: String::new(),
            repository: Some(repository.to_owned()),
            base: None,
            prove: None,
            prove_limit: PROVE_LIMIT_IF_NONE,
            expect: ProofExpect::Any,
            budget: None,
            prepare: None,
            test_globs: Vec::new(),
            allow_guards: false,
            allow_test_changes: false,
            with_uncommitted: false,
            review: ReviewWish::Off,
            ask: AskPolicy::Never,
            leads: false,
            continues: None,
            word: None,
            paths: Vec::new(),
            change_of: None,
            commit: None,
            author_vendors: Vec::new(),
            message: None,
        }
    }

    /// The card as the model reads it, the same in every turn.
    pub(super) fn card_text(&self, prove: Option<&str>) -> String {
        if let Some(message) = &self.message {
            return message.clone();
        }
        let mut text = format!("Goal:\n{}\n", self.goal.trim());
        if let Some(word) = &self.word {
            text.push_str(&format!("\nA person adds:\n{}\n", word.trim()));
        }
        if let Some(prove) = prove {
            // Writing to a text cannot fail.
            let _ =
                write!(text, "\nThe command that proves it, run by the daemon in fresh trees:\n{prove}\n");
            let _ = match self.expect {
                ProofExpect::Fail => writeln!(text, "It must fail before your change and pass after it."),
                ProofExpect::Pass => writeln!(text, "It must pass before your change and after it."),
                ProofExpect::Any => writeln!(text, "It must pass after your change."),
            };
        }
        if self.kind == BriefKind::Piece {
            text.push_str(
                "\nThis is one piece of a larger change. You work in a private tree as it stood when the piece was \
                 given; another agent takes your work in when you `report`, and puts the pieces together.\n",
            );
            if !self.paths.is_empty() {
                let _ = writeln!(text, "Change nothing outside of: {}", self.paths.join(", "));
            }
        }
        if self.leads {
            text.push_str(LEADING);
        } else if self.kind == BriefKind::Change {
            text.push_str(
                "\nYou work in a private tree of the repository. The tests that exist must hold; new tests must fail \
                 without your change. Files that decide what is tested (CI, test settings, skips) are not to be \
                 changed. `report` when you are done: the daemon then runs the proof, and another model reviews the \
                 change.\n",
            );
        }
        text
    }
}

fn prove_limit(inputs: &Value) -> Duration {
    inputs.get(PROVE_LIMIT).and_then(Value::as_u64).map_or(PROVE_LIMIT_IF_NONE, Duration::from_secs)
}

/// For the lead of a change.
const LEADING: &str = "
You lead this change and write nothing yourself: other agents write it, each in a private tree, and their pieces are put \
together in yours. Look at what the goal touches, then `delegate`, at most 16 pieces. A goal that one writer can do well \
is one piece: delegate it whole in your first answer, with `report` behind it in the same answer. Cut only where parts do \
not touch the same files, and settle what they share first. Give each piece its `paths`, all it must know, a `prove` \
command where it can be proved alone, and a `budget` where an equal share of the money is wrong.

Pieces of one answer are written side by side, and taken in one by one in their order. After each the proving command is \
run on the whole; a piece with which it turns red is rolled back. So put code before the tests that need it, or both into \
one piece. What fails or is rolled back comes back as the result of its call: delegate it again with what was missing.

The tests that exist must hold; new tests must fail without the change. Files that decide what is tested (CI, test \
settings, skips) are not to be changed. `report` when all is in: the daemon then runs the proof, and another model reviews \
the change.
";
