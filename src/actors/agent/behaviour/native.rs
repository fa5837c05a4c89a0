//! A step that is a skill: reserves resources, lets a model write prose, and runs on a blocking thread.
//!
//! Failure policy: a panic of the skill is caught and reported as such; the step may be tried again.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::super::writing::AttemptWriter;
use super::{ClaimedStep, StepRunner};
use crate::actors::agent::{StepEnd, StepResult};
use crate::actors::resource_manager::ReservationGuard;
use crate::llm::text_writer::{TextAuthor, TextWriter};
use crate::skills::{SkillEntry, SkillError, StepContext};

pub(super) struct NativeRunner {
    skill: &'static SkillEntry,
    writer: Arc<dyn TextWriter>,
}

impl NativeRunner {
    pub(super) fn new(skill: &'static SkillEntry, writer: Arc<dyn TextWriter>) -> Self {
        Self { skill, writer }
    }
}

impl StepRunner for NativeRunner {
    fn run(&self, step: ClaimedStep) -> BoxFuture<'static, StepResult> {
        let (skill, writer) = (self.skill, Arc::clone(&self.writer));
        Box::pin(async move {
            let lease = step.reserve().await?;
            let context = match skill.brief {
                Some(brief) => {
                    let (control, gate) = (Arc::clone(&step.control), step.gate.clone());
                    let writing = AttemptWriter { writer, author: author(&step), brief, control, gate };
                    writing.add_to(step.context()).await
                }
                None => step.context(),
            };
            on_thread(skill, step, context, lease).await
        })
    }
}

fn author(step: &ClaimedStep) -> TextAuthor {
    let name = &step.agent.name;
    TextAuthor {
        run: (&step.job.run()).into(),
        job: (&step.job.id).into(),
        agent: name.into(),
        lane: step.jobs.agents.roster().lane_of(name).map(|lane| (&lane.name).into()),
    }
}

async fn on_thread(
    skill: &'static SkillEntry,
    step: ClaimedStep,
    context: StepContext,
    lease: ReservationGuard,
) -> StepResult {
    let job = step.job.id.clone();
    let turn = step.turn;
    let work = move || {
        // Released by the thread itself, because a thread whose agent was killed works a little longer.
        let _lease = lease;
        let _turn = turn.lock();
        context.checkpoint()?;
        (skill.run)(&context).map(StepEnd::Done)
    };
    let worked = tokio::task::spawn_blocking(work).await;
    worked.unwrap_or_else(|error| {
        let error = ended_badly(skill.task, error);
        tracing::error!(%job, %error, "a skill ended without an outcome");
        Err(error)
    })
}

fn ended_badly(task: &str, error: tokio::task::JoinError) -> SkillError {
    match error.try_into_panic() {
        Ok(payload) => {
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            let text = text.unwrap_or_else(|| "no message".to_owned());
            SkillError::Panicked(format!("the skill `{task}` panicked: {text}"))
        }
        Err(_) => SkillError::Transient("the step's thread was cancelled".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_named_with_the_skill_and_its_message() {
        let panicked = tokio::task::spawn_blocking(|| panic!("row {} is missing", 7)).await.unwrap_err();
        let error = ended_badly("ingest.graph", panicked);
        assert_eq!(error, SkillError::Panicked("the skill `ingest.graph` panicked: row 7 is missing".into()));
    }
}
