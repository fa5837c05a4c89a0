//! The process groups that work for a job, so that ending the job ends them, grandchildren included.
//!
//! Invariants: a group is known from the moment the first process runs until the [`GroupChild`] is dropped,
//! which ends the rest of the group; a group's number is never signalled after the group is forgotten.
//! (Between the end of a group's last process and the drop the kernel could in principle reuse the number;
//! but numbers are assigned in a cycle of tens of thousands, and the drop follows at once.) Only Unix has
//! process groups: elsewhere nothing can be started here.

use std::collections::HashMap;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use serde::Serialize;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// How long a group may take to end after SIGTERM: enough for compilers and test runners to clean up their
/// files.
pub const TERM_GRACE: Duration = Duration::from_secs(2);
/// How long the kernel may take to end a group after SIGKILL, before the group is reported as surviving.
const KILL_GRACE: Duration = Duration::from_secs(1);
/// Time between two checks whether a group has ended.
const LOOK: Duration = Duration::from_millis(20);

/// The running groups, by job. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ProcessGroups(Arc<Mutex<HashMap<String, Vec<Pid>>>>);

/// A child that leads a process group of its own. Dropping this ends and forgets the group.
#[derive(Debug)]
pub struct GroupChild {
    child: Child,
    group: Pid,
    job_id: String,
    groups: ProcessGroups,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndedGroup {
    pub job_id: String,
    /// The group's number: the process id of its first process.
    pub process_group: i32,
    /// The last signal sent: `SIGTERM` sufficed, or `SIGKILL` was needed.
    pub signal: &'static str,
    /// Whether the group has ended.
    pub ended: bool,
}

impl ProcessGroups {
    /// Starts a command as the leader of a new group that works for a job.
    ///
    /// # Errors
    /// The system's, when the command cannot be started.
    pub fn spawn(&self, job_id: &str, command: &mut Command) -> io::Result<GroupChild> {
        // Locked during the start, so that a kill finds the group or comes before it.
        let mut groups = self.0.lock();
        let child = command.process_group(0).spawn()?;
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the command ended before its process id could be read"))?;
        groups.entry(job_id.to_owned()).or_default().push(group);
        Ok(GroupChild { child, group, job_id: job_id.to_owned(), groups: self.clone() })
    }

    /// The groups that work for jobs that `is_meant`, by number.
    #[must_use]
    pub fn numbers(&self, is_meant: impl Fn(&str) -> bool) -> Vec<i32> {
        let groups = self.0.lock();
        let meant = groups.iter().filter(|(job, _)| is_meant(job));
        meant.flat_map(|(_, groups)| groups.iter().map(|group| group.as_raw_nonzero().get())).collect()
    }

    /// The number of groups working for a job and those below it.
    #[must_use]
    pub fn count(&self, job_id: &str) -> usize {
        self.of(job_id).len()
    }

    /// Ends all groups of a job and those below it: SIGTERM, then SIGKILL for those left after
    /// [`TERM_GRACE`].
    pub async fn kill(&self, job_id: &str) -> Vec<EndedGroup> {
        let all = self.of(job_id);
        for (_, group) in &all {
            signal(*group, Signal::TERM);
        }
        let unmoved = left_after(&all, TERM_GRACE).await;
        for (_, group) in &unmoved {
            signal(*group, Signal::KILL);
        }
        let surviving = left_after(&unmoved, KILL_GRACE).await;
        let ended = |(job_id, group): (String, Pid)| EndedGroup {
            process_group: group.as_raw_nonzero().get(),
            signal: if unmoved.iter().any(|(_, other)| *other == group) { "SIGKILL" } else { "SIGTERM" },
            ended: surviving.iter().all(|(_, other)| *other != group),
            job_id,
        };
        all.into_iter().map(ended).collect()
    }

    fn of(&self, job_id: &str) -> Vec<(String, Pid)> {
        let is_meant =
            |job: &str| job.strip_prefix(job_id).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let groups = self.0.lock();
        let meant = groups.iter().filter(|(job, _)| is_meant(job));
        meant.flat_map(|(job, groups)| groups.iter().map(|group| (job.clone(), *group))).collect()
    }

    fn forget(&self, job_id: &str, group: Pid) {
        let mut groups = self.0.lock();
        if let Some(of_job) = groups.get_mut(job_id) {
            of_job.retain(|other| *other != group);
            if of_job.is_empty() {
                groups.remove(job_id);
            }
        }
    }
}

impl GroupChild {
    /// The child, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits until the child has ended, then ends the rest of the group.
    ///
    /// # Errors
    /// The system's.
    pub async fn wait(mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }
}

impl Drop for GroupChild {
    fn drop(&mut self) {
        signal(self.group, Signal::KILL);
        self.groups.forget(&self.job_id, self.group);
    }
}

/// A group that has ended meanwhile cannot be signalled, which is fine.
fn signal(group: Pid, signal: Signal) {
    let _ = kill_process_group(group, signal);
}

/// Whether a group still runs: zombies do not count.
fn lives(group: Pid) -> bool {
    test_kill_process_group(group).is_ok() && !has_only_zombies(group)
}

/// On Linux a signal also reaches zombies, until their parent reaps them (in a container process 1, which may
/// never reap). Their state is in `/proc`, see proc_pid_stat(5).
#[cfg(target_os = "linux")]
fn has_only_zombies(group: Pid) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    let number = group.as_raw_nonzero().to_string();
    let lives_in_group = |entry: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // After the name, which may contain anything: state, parent, group.
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let (state, _parent, of_group) = (fields.next(), fields.next(), fields.next());
        of_group == Some(number.as_str()) && !matches!(state, Some("Z" | "X"))
    };
    !processes.filter_map(Result::ok).any(lives_in_group)
}

/// Elsewhere a signal to a group of zombies is refused.
#[cfg(not(target_os = "linux"))]
fn has_only_zombies(_group: Pid) -> bool {
    false
}

/// The groups still alive when all have ended or the time is over.
async fn left_after(groups: &[(String, Pid)], patience: Duration) -> Vec<(String, Pid)> {
    let deadline = Instant::now() + patience;
    loop {
        let left: Vec<_> = groups.iter().filter(|(_, group)| lives(*group)).cloned().collect();
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::io::{AsyncBufReadExt as _, BufReader};

    use super::*;

    /// Starts a shell script and waits until it prints `ready`.
    async fn shell(groups: &ProcessGroups, job: &str, script: &str) -> GroupChild {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = groups.spawn(job, &mut command).unwrap();
        let mut said = String::new();
        BufReader::new(child.child().stdout.as_mut().unwrap()).read_line(&mut said).await.unwrap();
        assert_eq!(said, "ready\n");
        child
    }

    #[tokio::test]
    async fn a_kill_ends_the_grandchildren_too_and_reaches_the_jobs_below() {
        let groups = ProcessGroups::default();
        let child = shell(&groups, "run-1.step", "sleep 1000 & sleep 1000 & echo ready; wait").await;
        let other = shell(&groups, "run-12", "echo ready; sleep 1000").await;
        let group = child.group;
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        let waiting = tokio::spawn(child.wait());
        let ended = groups.kill("run-1").await;
        assert_eq!(ended.len(), 1, "run-12 is another job");
        assert!(
            ended[0].ended && ended[0].signal == "SIGTERM" && ended[0].job_id == "run-1.step",
            "{ended:?}"
        );
        assert!(!waiting.await.unwrap().unwrap().success());
        assert!(!lives(group), "no process of the group is left");
        assert_eq!((groups.count("run-1"), groups.count("run-12")), (0, 1));
        drop(other);
        assert_eq!(groups.count("run-12"), 0);
    }

    #[tokio::test]
    async fn who_does_not_listen_to_sigterm_is_killed() {
        let groups = ProcessGroups::default();
        let child = shell(&groups, "stubborn", "trap '' TERM; echo ready; while :; do sleep 1; done").await;
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        let waiting = tokio::spawn(child.wait());
        let ended = groups.kill("stubborn").await;
        assert!(ended[0].ended && ended[0].signal == "SIGKILL", "{ended:?}");
        waiting.await.unwrap().unwrap();
        assert!(groups.kill("stubborn").await.is_empty());
    }

    #[tokio::test]
    async fn dropping_a_child_ends_its_group() {
        let groups = ProcessGroups::default();
        let child = shell(&groups, "job", "sleep 1000 & echo ready; wait").await;
        let group = child.group;
        drop(child);
        assert!(left_after(&[("job".into(), group)], KILL_GRACE).await.is_empty());
        assert!(groups.0.lock().is_empty());
    }

    #[tokio::test]
    async fn what_cannot_be_started_leaves_nothing_behind() {
        let groups = ProcessGroups::default();
        assert!(groups.spawn("job", &mut Command::new("/no/such/program")).is_err());
        assert_eq!(groups.count("job"), 0);
    }
}
