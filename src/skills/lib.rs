//! Native work of executors: plain functions from files to files, one row each in [`SKILLS`].
//!
//! Invariants: a skill knows no actor, no store and no network; it reads inputs, writes below
//! [`StepContext::run_dir`] and reports through [`StepContext`]. A skill is idempotent: run again after a
//! crash, it leaves the same bytes, because every output is written to a temporary name and renamed when
//! complete. Failure policy: [`SkillError`] states whether a retry can help.

pub mod context;
pub mod ingest;
pub mod summary;
pub mod tlc;
pub mod tokens;

use std::collections::BTreeSet;

pub use context::{SkillError, StepBrief, StepContext, StepControl, StepOutcome, is_passing};
pub use ingest::run_hidden;

use pas_domain::task::{InputKind, TaskEntry, TaskInput, TaskKind};

/// A skill: one attempt at one step, on a separate thread.
pub type SkillFn = fn(&StepContext) -> Result<StepOutcome, SkillError>;

/// Makes the digest for a model before a step works.
pub type BriefingFn = fn(&StepContext) -> Result<StepBrief, SkillError>;

/// The row of one skill.
#[derive(Debug)]
pub struct SkillEntry {
    /// The skill's task, as named in cards and definitions.
    pub task: &'static str,
    /// The capability by which an agent is found for the task.
    pub capability: &'static str,
    /// A description for people.
    pub about: &'static str,
    /// The fields of the card's `inputs`.
    pub inputs: &'static [TaskInput],
    /// Tasks of the same run whose files the skill requires.
    pub reads: &'static [&'static str],
    pub run: SkillFn,
    /// The request to a model beforehand, if the outcome has a written part.
    pub brief: Option<BriefingFn>,
}

/// All skills of this build.
pub const SKILLS: &[SkillEntry] = &[
    SkillEntry {
        task: "ingest.audit",
        capability: "source_checking",
        about: "list the files of a folder with encoding, language, licences and flags",
        inputs: &[
            TaskInput::required("source", InputKind::Source),
            TaskInput::optional("max_file_bytes", InputKind::Count),
            TaskInput::optional("max_files", InputKind::Count),
        ],
        reads: &[],
        run: ingest::audit::run,
        brief: None,
    },
    SkillEntry {
        task: "ingest.clean",
        capability: "normalization",
        about: "repair the text of every document and mark duplicates",
        inputs: &[
            TaskInput::required("source", InputKind::Source),
            TaskInput::optional("max_file_bytes", InputKind::Count),
            TaskInput::optional("near_duplicate_percent", InputKind::UpTo(100)),
            TaskInput::optional("boilerplate_percent", InputKind::UpTo(100)),
        ],
        reads: &["ingest.audit"],
        run: ingest::clean::run,
        brief: None,
    },
    SkillEntry {
        task: "ingest.chunk",
        capability: "paragraph_banking",
        about: "cut documents into sections, paragraphs and sentences",
        inputs: &[],
        reads: &["ingest.clean"],
        run: ingest::chunk::run,
        brief: None,
    },
    SkillEntry {
        task: "ingest.classify",
        capability: "domain_classification",
        about: "name the field each document is about",
        inputs: &[],
        reads: &["ingest.clean"],
        run: ingest::classify::run,
        brief: None,
    },
    SkillEntry {
        task: "ingest.graph",
        capability: "kg_construction",
        about: "link documents by links and names",
        inputs: &[],
        reads: &["ingest.clean"],
        run: ingest::graph::run,
        brief: None,
    },
    SkillEntry {
        task: "ingest.index",
        capability: "faiss_indexing",
        about: "build the full-text index",
        inputs: &[],
        reads: &["ingest.clean"],
        run: ingest::index::run,
        brief: None,
    },
    SkillEntry {
        task: "ingest.compliance.check",
        capability: "pii_verification",
        about: "judge licences, secrets and personal data",
        inputs: &[TaskInput::optional("deny_licences", InputKind::Licences)],
        reads: &["ingest.audit"],
        run: ingest::compliance::run,
        brief: None,
    },
    SkillEntry {
        task: "ingest.report.write",
        capability: "report_generation",
        about: "write the report of a run",
        inputs: &[
            TaskInput::optional("name", InputKind::Text),
            TaskInput::optional("max_file_bytes", InputKind::Count),
            TaskInput::optional("max_files", InputKind::Count),
            TaskInput::optional("deny_licences", InputKind::Licences),
            TaskInput::optional("near_duplicate_percent", InputKind::UpTo(100)),
            TaskInput::optional("boilerplate_percent", InputKind::UpTo(100)),
        ],
        reads: &["ingest.audit"],
        run: ingest::report::run,
        brief: Some(ingest::report::brief),
    },
    SkillEntry {
        task: "ingest.metrics",
        capability: "cost_tracking",
        about: "report what the steps of a run took and cost",
        inputs: &[TaskInput::required("steps", InputKind::Rows)],
        reads: &[],
        run: ingest::metrics::run,
        brief: None,
    },
];

/// The skill for a card's task.
#[must_use]
pub fn find(task: &str) -> Option<&'static SkillEntry> {
    SKILLS.iter().find(|entry| entry.task == task)
}

impl SkillEntry {
    /// The skill as a row of the catalogue of tasks.
    #[must_use]
    pub fn to_task(&self) -> TaskEntry {
        TaskEntry {
            task: self.task.into(),
            kind: TaskKind::Skill,
            capability: self.capability.into(),
            about: self.about.into(),
            inputs: self.inputs.to_vec(),
            reads: self.reads.iter().map(|task| (*task).into()).collect(),
            leads_to: BTreeSet::new(),
        }
    }
}
