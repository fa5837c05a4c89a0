//! Completes the card of a change that continues an earlier run, from that run's rows and tree.
//!
//! Failure policy: a run that cannot be continued is a fault of the card, with the reason in words.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{JobError, JobsShared};
use crate::actors::agent::thinking::tasks::LEADS;
use crate::domain::ids::{JobId, RunId};
use crate::domain::job::continuation::{self, CONTINUES, ContinuationRefusal, EarlierWork, SNAPSHOT};
use crate::domain::job::request::CardFault;
use crate::domain::job::{CardRefusal, Job, JobRequest, JobState};
use crate::domain::thinking::StepRow;
use crate::worktree::{CommitId, SourceRepository, TreeName, WorkTree};

/// Later runs by the run whose work they went on with.
pub type LaterRuns = HashMap<RunId, Vec<RunId>>;

impl JobsShared {
    /// The job of a run that leads the writing of its change, once it has begun.
    ///
    /// # Errors
    /// The store's.
    pub fn lead_of(&self, run: &RunId) -> Result<Option<Job>, JobError> {
        let jobs = self.book.subtree(&JobId::root(run))?;
        for job in jobs.into_iter().filter(|job| LEADS.contains(&job.card.task.as_str())) {
            if !self.book.step_rows(&job.id, 0, 1)?.is_empty() {
                return Ok(Some(job));
            }
        }
        Ok(None)
    }

    /// The runs that went on with the work of each of these, newest first. Read from the cards of the later runs, which
    /// alone say so.
    ///
    /// # Errors
    /// The store's.
    pub fn continuations_of<'j>(
        &self,
        roots: impl IntoIterator<Item = &'j Job>,
    ) -> Result<LaterRuns, JobError> {
        let may_be = |root: &&Job| {
            let is_left = root.state.is_terminal() && root.state != JobState::Done;
            is_left && root.id.parent().is_none() && self.leads_to_change(&root.card.task)
        };
        let runs: HashSet<RunId> = roots.into_iter().filter(may_be).map(Job::run).collect();
        let mut found = LaterRuns::new();
        self.book.roots_until(runs.clone(), |later| {
            let earlier = later.card.inputs.get(CONTINUES).and_then(Value::as_str);
            if let Some(earlier) = runs.iter().find(|run| Some(run.as_str()) == earlier) {
                found.entry(earlier.clone()).or_default().push(later.run());
            }
        })?;
        Ok(found)
    }

    /// The request as it is checked: that of a continuation is completed from the earlier run.
    pub(super) async fn with_earlier_work(&self, request: JobRequest) -> Result<JobRequest, JobError> {
        let given = request.inputs.clone().unwrap_or_default();
        let Some(id) = given.get(CONTINUES).and_then(Value::as_str) else {
            if given.contains_key(SNAPSHOT) {
                return Err(fault(&ContinuationRefusal::SnapshotNamed));
            }
            return Ok(request);
        };
        if given.get("with_uncommitted").and_then(Value::as_bool) == Some(true) {
            return Err(fault(&ContinuationRefusal::Uncommitted));
        }
        let root = self.root_of(id)?;
        let run = root.run();
        let lead = self.lead_of(&run)?;
        let is_change = self.book.subtree(&root.id)?.iter().any(|job| self.leads_to_change(&job.card.task));
        continuation::check(&root, is_change, lead.as_ref()).map_err(|refusal| fault(&refusal))?;
        let Some(lead) = lead else {
            return Err(fault(&ContinuationRefusal::NothingWritten { run: run.to_string() }));
        };
        let old = root.card.inputs.as_object().cloned().unwrap_or_default();
        let prove = self.book.step_rows(&lead.id, 0, 1)?.into_iter().find_map(|(_, row)| match row {
            StepRow::Begun(begun) => begun.prove,
            _ => None,
        });
        let text = |inputs: &Map<String, Value>, name: &str| {
            inputs.get(name).and_then(Value::as_str).map(PathBuf::from)
        };
        let old_repository = text(&old, "repository").unwrap_or_default();
        let repository = text(&given, "repository").unwrap_or_else(|| old_repository.clone());
        let trees = self.settings.trees.clone();
        // Trees and repository may be on a slow disk.
        let found = tokio::task::spawn_blocking(move || {
            let (base, snapshot) = work_of(&trees, &lead, &repository, &old_repository)?;
            let (base, snapshot) = (base.to_string(), snapshot.to_string());
            Ok(EarlierWork { run: run.to_string(), snapshot, base, prove })
        });
        let work = found
            .await
            .map_err(|error| JobError::Unchecked(error.to_string()))?
            .map_err(|refusal| fault(&refusal))?;
        Ok(JobRequest { inputs: Some(continuation::inputs(given, &old, &work)), ..request })
    }

    fn root_of(&self, id: &str) -> Result<Job, JobError> {
        let none = || fault(&ContinuationRefusal::NoJob(id.to_owned()));
        let job = JobId::new(id).map_err(|_| none())?;
        match self.book.get(&JobId::root(&job.run())) {
            Err(JobError::NotFound { .. }) => Err(none()),
            root => root,
        }
    }

    fn leads_to_change(&self, task: &str) -> bool {
        let leads = |task: &str| LEADS.contains(&task);
        leads(task) || self.tasks.get(task).is_some_and(|entry| entry.leads_to.iter().any(|task| leads(task)))
    }
}

fn fault(refusal: &ContinuationRefusal) -> JobError {
    let (field, kind, msg) = (format!("inputs.{CONTINUES}"), "value_error", refusal.to_string());
    JobError::Card(CardRefusal::Invalid(vec![CardFault { field, kind, msg }]))
}

/// The base and the newest snapshot of the tree that `lead` worked in.
fn work_of(
    trees: &Path,
    lead: &Job,
    repository: &Path,
    old_repository: &Path,
) -> Result<(CommitId, CommitId), ContinuationRefusal> {
    let run = lead.run().to_string();
    let gone = |why: String| ContinuationRefusal::WorkGone { run: run.clone(), why };
    let name = TreeName::of_job(&run, lead.id.as_str());
    let name = name.ok_or_else(|| gone(format!("`{}` names no tree", lead.id)))?;
    let tree = WorkTree::open(trees, &name).map_err(|error| gone(error.to_string()))?;
    let snapshot = tree.newest_snapshot().ok_or_else(|| gone("its tree has no snapshot".to_owned()))?;
    let source = SourceRepository::inspect(repository, None);
    let source = source.map_err(|error| gone(format!("its repository cannot be worked on: {error}")))?;
    if !tree.is_of(&source) {
        let old = old_repository.display().to_string();
        return Err(ContinuationRefusal::OtherRepository { run, old });
    }
    Ok((tree.base().clone(), snapshot))
}
