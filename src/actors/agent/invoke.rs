//! What an agent answers to a request from outside of any job.
//!
//! Every agent answers `status`, which is also the answer to a request that names nothing. A task it takes is
//! answered at once by a service, and carried out as a run of its own by a plan or a skill. Whatever it does not
//! take it refuses, with what it takes. Invariant: `success` is said only of work that has ended well; a caller
//! whose time is over is handed the job that goes on.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::behaviour::system::{self, ServiceEntry};
use super::{Agent, AgentMessage};
use crate::actors::invoker::InvokeError;
use crate::actors::jobs::AsksPerson;
use crate::domain::job::{Job, JobRequest, JobState};
use crate::supervision::{Context, Reply};

/// How much earlier than the caller an agent gives up waiting, so that its answer still arrives.
const MARGIN: Duration = Duration::from_millis(500);
/// The request that every agent answers.
const STATUS: &str = "status";

/// Where the answer to a request goes.
pub(super) type InvokeReply = Reply<Result<Value, InvokeError>>;

impl Agent {
    /// Answers at once, or starts a task that will.
    pub(super) fn invoke(
        &mut self,
        payload: &Map<String, Value>,
        deadline: Duration,
        reply: InvokeReply,
        context: &Context<AgentMessage>,
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

    /// The task that a request names; `None` for its status. A request with inputs alone is one for the only
    /// task of its agent.
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
        context: &Context<AgentMessage>,
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

    /// How the agent stands, from what is known of it rather than from what it thinks.
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
        context: &Context<AgentMessage>,
    ) {
        let jobs = Arc::clone(&self.jobs);
        let work = async move {
            // The caller is told of a failure and decides; nobody else has to.
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

/// What is said of a job when its caller's wait is over.
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
            reason: format!("`{id}` is {state} and goes on; `GET /jobs/{id}` on port 6100 shows how it ends"),
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
