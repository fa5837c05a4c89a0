//! An agent's answers to requests from outside any job.
//!
//! Every agent answers `status`, also to a request that names nothing. A service answers a task at once; a
//! task with a plan or a skill becomes a run of its own. Any other task is refused, with a list of the
//! agent's tasks. Invariant: `success` means work that ended well; a caller whose time is over gets the id of
//! the continuing job.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::behaviour::system::{self, ServiceEntry};
use super::{AgentMessage, AgentState};
use crate::actors::invoker::InvokeError;
use crate::actors::jobs::AsksPerson;
use crate::domain::job::{Job, JobRequest, JobState};
use crate::supervision::{ActorContext, ReplySender};

/// How much earlier than the caller an agent stops waiting, so that the answer still arrives.
const MARGIN: Duration = Duration::from_millis(500);
/// The request every agent answers.
const STATUS: &str = "status";

/// The way back for an answer.
pub(super) type InvokeReply = ReplySender<Result<Value, InvokeError>>;

impl AgentState {
    /// Answers at once, or starts a task that will.
    pub(super) fn invoke(
        &mut self,
        payload: &Map<String, Value>,
        deadline: Duration,
        reply: InvokeReply,
        context: &ActorContext<AgentMessage>,
    ) {
        let Some(task) = self.asked_for(payload) else { return reply.send(Ok(self.status())) };
        let request = JobRequest::of_invocation(&self.me.name, task, payload);
        match request {
            Err(refusal) => reply.send(Err(InvokeError::Refused(refusal.to_string()))),
            Ok(request) => match system::find(&request.task) {
                Some(service) => self.answer_by_service(service, request, reply, context),
                None => self.run_as_job(request, deadline, reply, context),
            },
        }
    }

    /// The task named by a request; `None` for the status. A request with inputs alone means the agent's only
    /// task.
    fn asked_for(&self, payload: &Map<String, Value>) -> Option<String> {
        let word = |name: &str| {
            let word = payload.get(name)?;
            Some(word.as_str().map_or_else(|| word.to_string(), str::to_owned))
        };
        // `task` and `run` are older words for "do this".
        let action = word("action").filter(|action| !matches!(action.as_str(), "" | "task" | "run"));
        let named = word("task").or(action);
        if named.is_some() || payload.keys().all(|name| name == "action") {
            return named.filter(|name| name != STATUS);
        }
        let mut known = self.jobs.tasks.of_agent(&self.me);
        match (known.next(), known.next()) {
            (Some(only), None) => Some(only.task.to_string()),
            _ => Some(String::new()),
        }
    }

    fn answer_by_service(
        &self,
        service: &'static ServiceEntry,
        request: JobRequest,
        reply: InvokeReply,
        context: &ActorContext<AgentMessage>,
    ) {
        let (jobs, access) = (Arc::clone(&self.jobs), self.service_access());
        context.spawn(async move {
            let answer = match jobs.check(request).await {
                Ok((_, card)) => {
                    service.answer(access, card.inputs.0).await.map_err(|error| error.to_string())
                }
                Err(refusal) => Err(refusal.to_string()),
            };
            reply.send(answer.map_err(InvokeError::Refused));
        });
    }

    /// The agent's status, from the tree and the book rather than from the agent's own view.
    pub(super) fn status(&self) -> Value {
        let node = self.system.tree().by_name(self.me.name.as_str());
        let state = node.as_ref().map(|node| node.state());
        let vitals = node.and_then(|node| node.vitals());
        let tasks: Vec<_> = self.jobs.tasks.of_agent(&self.me).map(|entry| &entry.task).collect();
        let mut status = json!({
            "agent": self.me.name,
            "display_name": self.me.display_name,
            "role": self.me.role,
            "behaviour": self.me.behaviour,
            "tasks": tasks,
            "phase": state.as_ref().map(|state| state.phase),
            "incarnation": state.as_ref().map(|state| state.incarnation),
            "restarts": state.map(|state| state.restarts),
            "queue_depth": vitals.as_ref().map(|vitals| vitals.depth),
            "messages_handled": vitals.map(|vitals| vitals.handled),
            "jobs_held": self.claimed.keys().collect::<Vec<_>>(),
            "steps_running": self.running.keys().collect::<Vec<_>>(),
            "capabilities": self.me.capabilities,
            "resumed_from": self.memory.resumed.as_ref().map(|resumed| &resumed.reset.id),
        });
        if self.takes("quotas") {
            status["resources"] = self.machine();
        }
        status
    }

    fn run_as_job(
        &self,
        request: JobRequest,
        deadline: Duration,
        reply: InvokeReply,
        context: &ActorContext<AgentMessage>,
    ) {
        let jobs = Arc::clone(&self.jobs);
        let work = async move {
            // A failure goes to the caller, who decides; nobody else has to.
            let ended = match jobs.submit(request, AsksPerson::No).await {
                Ok(job) => jobs.wait(&job.id, deadline.saturating_sub(MARGIN)).await,
                Err(error) => Err(error),
            };
            reply.send(match ended {
                Ok(job) => answer_of(&job),
                Err(error) => Err(InvokeError::Refused(error.to_string())),
            });
        };
        context.spawn(work);
    }
}

/// The answer about a job when the caller's wait is over.
fn answer_of(job: &Job) -> Result<Value, InvokeError> {
    let (id, state) = (&job.id, job.state.as_str());
    match job.state {
        JobState::Done => Ok(json!({
            "job_id": id, "state": state, "outputs": job.outputs.0, "artifacts": job.artifacts,
        })),
        JobState::Failed | JobState::Quarantined | JobState::Cancelled => {
            let error = job.error.clone().unwrap_or_default();
            Err(InvokeError::Refused(format!("`{id}` is {state}: {error}")))
        }
        JobState::Queued
        | JobState::Running
        | JobState::AwaitingApproval
        | JobState::Blocked
        | JobState::Paused => Err(InvokeError::JobGoesOn {
            job: json!({ "job_id": id, "state": state }),
            reason: format!(
                "`{id}` is {state} and continues; `GET /jobs/{id}` on port 6100 shows how it ends"
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::testing;

    #[test]
    fn only_a_job_that_is_done_is_a_success() {
        use JobState::{
            AwaitingApproval, Blocked, Cancelled, Done, Failed, Paused, Quarantined, Queued, Running,
        };
        for state in
            [AwaitingApproval, Blocked, Cancelled, Done, Failed, Paused, Quarantined, Queued, Running]
        {
            let mut job = testing::job("run-1", "architect", "ingest");
            job.state = state;
            let answer = answer_of(&job);
            assert_eq!(answer.is_ok(), state == Done, "{state:?}");
            let goes_on =
                matches!(&answer, Err(InvokeError::JobGoesOn { job, .. }) if job["job_id"] == "run-1");
            assert_eq!(goes_on, !state.is_terminal(), "{state:?}");
        }
    }
}
