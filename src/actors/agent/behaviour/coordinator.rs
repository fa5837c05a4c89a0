//! A coordinator's job: divided by a plan, its steps handed over, their results gathered.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::AgentState;
use super::super::run_figures::metrics_inputs;
use crate::actors::jobs::JobError;
use crate::domain::agent_choice::{self, AgentAvailability};
use crate::domain::ids::AgentName;
use crate::domain::job::plan::{self, PlanProgress, TaskStep};
use crate::domain::job::{CancelCause, Job, JobCard, JobState, JobTransition};
use crate::domain::json::JsonValue;

impl AgentState {
    /// Looks at the children of a claimed job and takes the next action.
    pub(in super::super) async fn review(&mut self, job: &Job) -> Result<(), JobError> {
        let plan = plan::find(&job.card.task).filter(|_| self.takes(&job.card.task));
        let Some(plan) = plan else {
            return self.fail(job, self.lack(&job.card.task)).await;
        };
        let children = self.jobs.book.children(&job.id)?;
        let states: BTreeMap<&str, JobState> =
            children.iter().map(|child| (child.id.step(), child.state)).collect();
        match plan.next(&states) {
            PlanProgress::Begin(steps) if steps.is_empty() => Ok(()),
            PlanProgress::Begin(steps) => self.delegate(job, &steps).await,
            PlanProgress::Done => self.gather(job, &children).await,
            PlanProgress::Broken(step, state) => self.give_up(job, &children, step, state).await,
        }
    }

    /// Ends a job because of a failed step, once the steps still running have ended.
    async fn give_up(
        &mut self,
        job: &Job,
        children: &[Job],
        step: &str,
        state: JobState,
    ) -> Result<(), JobError> {
        let unfinished: Vec<_> = children.iter().filter(|child| !child.state.is_terminal()).collect();
        for child in &unfinished {
            self.cancel_below(child, &format!("the step `{step}` beside it was {}", state.as_str())).await?;
        }
        if !unfinished.is_empty() {
            return Ok(());
        }
        self.claimed.remove(&job.id);
        let broken = children.iter().find(|child| child.id.step() == step);
        let own = broken.and_then(|child| {
            child.error.clone().or_else(|| child.cancel.as_ref().map(|wish| wish.reason.clone()))
        });
        let error = cause_of(step, state, own.as_deref().unwrap_or("no reason is known"));
        self.commit(&job.id, JobTransition::GiveUp { fence: job.fence, error }).await.map(|_| ())
    }

    async fn cancel_below(&self, child: &Job, reason: &str) -> Result<(), JobError> {
        match self.jobs.cancel(&child.id, CancelCause::Asked(reason.to_owned())).await {
            Ok(_) | Err(JobError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn delegate(&mut self, job: &Job, steps: &[&TaskStep]) -> Result<(), JobError> {
        let mut cards = Vec::with_capacity(steps.len());
        for step in steps {
            let task = step.task_for(&job.card.inputs);
            let Some((agent, capability)) = self.route(task) else {
                let error = format!(
                    "no agent below or beside `{}` takes the task `{task}` of the step `{}`",
                    self.me.name, step.name
                );
                return self.fail(job, error).await;
            };
            let inputs = if step.task == plan::METRICS {
                let Some(figures) = self.figures_of_run(job).await? else { return Ok(()) };
                figures
            } else {
                job.card.inputs.clone()
            };
            cards.push((step.name.to_string(), card(job, step, agent, capability, inputs)));
        }
        let handed = self.jobs.book.hand_over(&job.id, job.fence, cards).await;
        match handed {
            Ok(children) => children.iter().for_each(|child| self.jobs.notify(child)),
            // Paused, cancelled or taken over between the read and the hand-over: the row decides.
            Err(JobError::Refused(_)) => {
                self.claimed.remove(&job.id);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The agent for a step's task, and the capability that agent is chosen by.
    fn route(&self, task: &str) -> Option<(AgentName, String)> {
        let (roster, catalogue) = (self.jobs.agents.roster(), self.jobs.tasks);
        let agent =
            agent_choice::for_step(roster, catalogue, task, &self.me.name, |_| AgentAvailability::IDLE)?;
        let capability = catalogue.get(task)?.capability.to_string();
        Some((agent.name.clone(), capability))
    }

    async fn gather(&mut self, job: &Job, children: &[Job]) -> Result<(), JobError> {
        self.claimed.remove(&job.id);
        let mut outputs = Map::new();
        for child in children {
            let output = match child.state {
                JobState::Done => child.outputs.0.clone(),
                _ => json!({ "waived": child.error }),
            };
            outputs.insert(child.id.step().to_owned(), output);
        }
        let complete = JobTransition::Complete {
            fence: job.fence,
            outputs: JsonValue(Value::Object(outputs)),
            artifacts: Vec::new(),
        };
        self.commit(&job.id, complete).await.map(|_| ())
    }

    async fn fail(&mut self, job: &Job, error: String) -> Result<(), JobError> {
        self.claimed.remove(&job.id);
        let director = self.jobs.director_of(&self.me.name);
        self.commit(&job.id, JobTransition::FailPermanent { fence: job.fence, error, director })
            .await
            .map(|_| ())
    }

    /// The figures for the accountant's report; `None` while the receipts cannot be read, which the next
    /// notice tries again.
    async fn figures_of_run(&self, job: &Job) -> Result<Option<JsonValue>, JobError> {
        match self.jobs.receipts_of(&job.run()).await {
            Ok(receipts) => Ok(Some(metrics_inputs(&self.jobs.book.subtree(&job.id)?, &receipts))),
            Err(error) => {
                tracing::warn!(job = %job.id, %error, "the costs of the run cannot be read yet; trying again");
                Ok(None)
            }
        }
    }
}

/// The reason for a step's end. A reason passed on from a step below keeps that step's path and own words,
/// instead of a chain through all steps above.
fn cause_of(step: &str, state: JobState, own: &str) -> String {
    const OF_STEP: &str = "its step `";
    match own.strip_prefix(OF_STEP) {
        Some(below) => format!("{OF_STEP}{step}.{below}"),
        None => format!("{OF_STEP}{step}` was {}: {own}", state.as_str()),
    }
}

fn card(parent: &Job, step: &TaskStep, agent: AgentName, capability: String, inputs: JsonValue) -> JobCard {
    JobCard {
        agent,
        task: step.task_for(&parent.card.inputs).to_owned(),
        capability: Some(capability),
        inputs,
        priority: parent.card.priority,
        resource_request: None,
        approvals_required: Vec::new(),
        deadline_at: parent.card.deadline_at,
        optional: step.optional,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_the_step_that_broke_a_run_reaches_the_top_with_its_path() {
        let audit = cause_of("audit", JobState::Failed, "cannot read the source");
        let lane = cause_of("lane", JobState::Failed, &audit);
        let data = cause_of("data", JobState::Failed, &lane);
        assert_eq!(data, "its step `data.lane.audit` was failed: cannot read the source");
    }
}
