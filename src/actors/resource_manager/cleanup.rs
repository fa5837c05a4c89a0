//! The clean-up plan of a killed job: ended processes, returned resources, and leftovers for a person to
//! check.
//!
//! Invariant: the file name is made from the job's id such that no id leads out of the folder, and two ids
//! never share a file. A second kill of a job overwrites the plan.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::ResourceError;
use super::process_groups::EndedGroup;
use crate::actors::jobs::CancelledJob;
use crate::domain::ids::{JobId, MAX_ID_LEN};
use crate::domain::resource_manager::{Reservation, ResourceAmounts};
use crate::domain::time::Timestamp;
use crate::files::{DRAFT_ENDING, replace_file};

/// The folder of the plans, below the working directory.
const FOLDER: &str = "artifacts/resources/cleanup";
/// Most files searched for leftovers; a run leaves some dozens.
const MAX_LOOKED_AT: usize = 10_000;

/// The plan as written.
#[derive(Debug, Clone, Serialize)]
pub(super) struct CleanupPlan {
    job_id: String,
    reason: String,
    ts: Timestamp,
    /// Process groups and jobs.
    killed: Value,
    /// Reservations, and their sum.
    returned: Value,
    /// Leftovers, a line each with the remedy.
    left: Vec<CleanupLeftover>,
}

#[derive(Debug, Clone, Serialize)]
struct CleanupLeftover {
    what: String,
    todo: &'static str,
}

impl CleanupPlan {
    pub(super) fn new(
        job_id: &str,
        reason: &str,
        reservations: &[Arc<Reservation>],
        processes: &[EndedGroup],
        jobs: &[CancelledJob],
    ) -> Self {
        let amounts = reservations.iter().fold(ResourceAmounts::NONE, |sum, held| sum.plus(&held.amounts));
        let ports: BTreeSet<u16> = reservations.iter().flat_map(|held| held.ports.clone()).collect();
        let ids: Vec<&str> = reservations.iter().map(|held| held.reservation_id.as_str()).collect();
        let surviving = processes.iter().filter(|group| !group.ended).map(|group| CleanupLeftover {
            what: format!("process group {} of `{}`", group.process_group, group.job_id),
            todo: "the process group outlived SIGKILL: look at it with `ps`; a process in uninterruptible sleep ends with its I/O",
        });
        let stopping = jobs.iter().filter(|part| part.stopped_at.is_none()).map(|part| CleanupLeftover {
            what: format!("`{}`, at work as `{}`", part.job_id, part.agent),
            todo: "the step ends at its next checkpoint; the scheduler kills the agent if that takes too long",
        });
        Self {
            job_id: job_id.to_owned(),
            reason: reason.to_owned(),
            ts: Timestamp::now(),
            left: surviving.chain(stopping).collect(),
            killed: json!({ "processes": processes, "jobs": jobs }),
            returned: json!({ "reservations": ids, "amounts": amounts, "ports": ports }),
        }
    }

    /// Adds files that the job was still writing.
    fn add_partial_files(&mut self, workdir: &Path) {
        let Ok(run) = JobId::new(self.job_id.as_str()).map(|id| id.run()) else { return };
        let folder = workdir.join("artifacts").join("runs").join(run.as_str());
        let files = walkdir::WalkDir::new(folder).into_iter().take(MAX_LOOKED_AT).filter_map(Result::ok);
        let partial = files.filter(|file| {
            file.file_type().is_file() && file.file_name().to_string_lossy().ends_with(DRAFT_ENDING)
        });
        self.left.extend(partial.map(|file| CleanupLeftover {
            what: file.path().strip_prefix(workdir).unwrap_or(file.path()).display().to_string(),
            todo: "delete the file: it is unfinished and nobody reads it",
        }));
    }
}

/// Writes a plan; returns the path, relative to the working directory.
pub(super) async fn write(workdir: PathBuf, mut plan: CleanupPlan) -> Result<String, ResourceError> {
    let path = format!("{FOLDER}/{}", file_name(&plan.job_id));
    let target = workdir.join(&path);
    let written = tokio::task::spawn_blocking(move || {
        plan.add_partial_files(&workdir);
        replace_file(&target, &serde_json::to_vec_pretty(&plan)?)
    });
    match written.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Ok(()) => Ok(path),
        Err(error) => Err(ResourceError::Plan { path, reason: error.to_string() }),
    }
}

/// The job's id where that is a safe name; else the safe characters, and a hash of the whole id.
fn file_name(job_id: &str) -> String {
    if JobId::new(job_id).is_ok() {
        return format!("{job_id}.json");
    }
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let readable: String = job_id.chars().take(MAX_ID_LEN / 2).map(safe).collect();
    let hash = blake3::hash(job_id.as_bytes()).to_hex();
    // A safe id has no upper case, so no other id gives this name.
    format!("{readable}-X{}.json", &hash.as_str()[..16])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn no_id_leads_out_of_the_folder_or_to_another_s_file() {
        assert_eq!(file_name("run-1.data"), "run-1.data.json");
        let wild = ["../../etc/passwd", "Job 1", "Job_1", "job/1", "", "ä"];
        let names: BTreeSet<String> = wild.iter().map(|id| file_name(id)).collect();
        assert_eq!(names.len(), wild.len());
        assert!(names.iter().all(|name| !name.contains(['/', '\\']) && !name.starts_with('.')), "{names:?}");
    }

    #[tokio::test]
    async fn a_plan_names_what_is_left_and_is_written_whole() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("artifacts/runs/run-1/clean");
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join(".documents.jsonl.01.part"), "half").unwrap();
        fs::write(run.join("documents.jsonl"), "whole").unwrap();
        let group =
            EndedGroup { job_id: "run-1.a".into(), process_group: 7, signal: "SIGKILL", ended: false };
        let plan = CleanupPlan::new("run-1", "a test", &[], &[group], &[]);
        let path = write(dir.path().to_owned(), plan).await.unwrap();
        let read: Value = serde_json::from_slice(&fs::read(dir.path().join(&path)).unwrap()).unwrap();
        assert_eq!((&read["job_id"], &read["reason"]), (&json!("run-1"), &json!("a test")));
        let left: Vec<_> =
            read["left"].as_array().unwrap().iter().map(|l| l["what"].as_str().unwrap()).collect();
        assert_eq!(
            left,
            ["process group 7 of `run-1.a`", "artifacts/runs/run-1/clean/.documents.jsonl.01.part"]
        );
    }
}
