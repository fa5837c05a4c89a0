//! What an agent answers to a request from outside of any job.
//!
//! Every agent answers `{"action": "status"}`. Coordinators take tasks of the plan book, executors with a
//! skill do it as a run of its own, system agents answer for their service. Whatever an agent cannot do
//! it says, with what it lacks.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Agent, AgentMessage};
use crate::actors::jobs::AsksPerson;
use crate::domain::agent::Behaviour;
use crate::domain::job::{JobRequest, JobState};
use crate::supervision::{Context, Reply};

/// How much earlier than the caller an agent gives up waiting, so that its answer still arrives.
const MARGIN: Duration = Duration::from_millis(500);

impl Agent {
    /// Answers at once, or starts a task that will.
    pub(super) fn invoke(
        &mut self,
        payload: &Map<String, Value>,
        deadline: Duration,
        reply: Reply<Result<Value, String>>,
        context: &Context<AgentMessage>,
    ) {
        let action = payload.get("action").and_then(Value::as_str).unwrap_or_default().to_owned();
        let task = payload.get("task").and_then(Value::as_str).map(str::to_owned);
        match (&self.me.behaviour, action.as_str(), task) {
            (_, "status", _) => reply.send(Ok(self.status())),
            (Behaviour::Native { skill }, "" | "task" | "run", None) => {
                let skill = skill.as_str().to_owned();
                self.run_as_job(skill, payload, deadline, reply, context);
            }
            // Whether the agent knows the task is the card's check, as for every way in.
            (_, "" | "task" | "run", Some(task)) => self.run_as_job(task, payload, deadline, reply, context),
            (Behaviour::System, _, _) => self.answer_for_service(&action, payload, reply, context),
            (Behaviour::Coordinator, "", None) => reply.send(Ok(self.status())),
            (Behaviour::Coordinator | Behaviour::Native { .. }, other, _) => reply.send(Err(format!(
                "`{}` knows the actions `status` and `task`, not `{other}`",
                self.me.name
            ))),
            _ => reply.send(Err(self.lack(&action))),
        }
    }

    /// What an agent without a native skill lacks.
    pub(super) fn lack(&self, task: &str) -> String {
        let name = &self.me.name;
        match &self.me.behaviour {
            Behaviour::Llm => format!(
                "`{name}` needs a language model to do its work, and none is configured: the model gateway of this \
                 daemon has no provider"
            ),
            Behaviour::Command => {
                format!("`{name}` runs commands in a sandbox, and `{task}` gives none to run")
            }
            _ => format!("`{name}` has no way to carry out `{task}`"),
        }
    }

    /// How the agent stands, from what is known of it rather than from what it thinks.
    pub(super) fn status(&self) -> Value {
        let node = self.system.tree().by_name(self.me.name.as_str());
        let state = node.as_ref().map(|node| node.state());
        let vitals = node.and_then(|node| node.vitals());
        let mut status = json!({
            "agent": self.me.name,
            "display_name": self.me.display_name,
            "role": self.me.role,
            "behaviour": self.me.behaviour,
            "phase": state.as_ref().map(|state| state.phase),
            "incarnation": state.as_ref().map(|state| state.incarnation),
            "restarts": state.map(|state| state.restarts),
            "queue_depth": vitals.as_ref().map(|vitals| vitals.depth),
            "messages_handled": vitals.map(|vitals| vitals.handled),
            "jobs_held": self.held.keys().collect::<Vec<_>>(),
            "steps_running": self.running.keys().collect::<Vec<_>>(),
            "capabilities": self.me.capabilities,
            "resumed_from": self.memory.resumed.as_ref().map(|resumed| &resumed.reset.id),
        });
        if self.me.name.as_str() == "resource-manager" {
            status["resources"] = self.machine();
        }
        status
    }

    fn run_as_job(
        &self,
        task: String,
        payload: &Map<String, Value>,
        deadline: Duration,
        reply: Reply<Result<Value, String>>,
        context: &Context<AgentMessage>,
    ) {
        let request = JobRequest::of_invocation(&self.me.name, task, payload);
        let jobs = std::sync::Arc::clone(&self.jobs);
        let work = async move {
            let submitted = match request {
                // The caller is told of a failure and decides; nobody else has to.
                Ok(request) => jobs.submit(request, AsksPerson::No).await,
                Err(refusal) => Err(refusal.into()),
            };
            let answer = match submitted {
                Ok(job) => jobs.wait(&job.id, deadline.saturating_sub(MARGIN)).await,
                Err(error) => Err(error),
            };
            reply.send(match answer {
                Ok(job) if matches!(job.state, JobState::Failed | JobState::Quarantined | JobState::Cancelled) => {
                    Err(format!("`{}` is {}: {}", job.id, job.state.as_str(), job.error.unwrap_or_default()))
                }
                Ok(job) => Ok(json!({
                    "job_id": job.id, "state": job.state, "outputs": job.outputs.0, "artifacts": job.artifacts,
                })),
                Err(error) => Err(error.to_string()),
            });
        };
        context.spawn(work);
    }
}
