//! Follows a job to its end, and carries Ctrl-C to it.
//!
//! The tree and the events are asked for a few times a second, by sequence number, so that nothing is
//! missed or told twice even when the daemon restarts in between.

use std::collections::HashSet;
use std::pin::Pin;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::display::Display;
use super::outline::waiting_for_a_person;
use crate::cli::Context;
use crate::cli::client::{LONG_CALL, ORCHESTRATOR};
use crate::cli::exit::{Exit, Failure};
use crate::cli::render::news::{self, News};
use crate::cli::render::{cards, units};
use crate::cli::wire::{self, Approval, CancelProof, Job, JobEvent, SupervisionEvent};
use crate::domain::time::Timestamp;

/// Between two looks: smooth bars, and next to no load.
const POLL: Duration = Duration::from_millis(250);
/// How long a silent daemon is waited for: a restart takes a second or two.
const PATIENCE: Duration = Duration::from_secs(15);
/// Lines of progress are text, not drawings; proofs and approvals are drawn for this width.
const WIDTH: usize = 80;

/// How the watching ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The job reached its end.
    Terminal(Box<Job>),
    /// The person left before; the job's id.
    Left(String),
}

/// A job being followed.
pub(super) struct Watch<'a> {
    context: &'a Context,
    job: Job,
    begun: Timestamp,
    event_seq: u64,
    supervision_seq: u64,
    news: News,
    asked: HashSet<String>,
    silent_since: Option<Instant>,
    is_first: bool,
}

type Interrupt = Pin<Box<dyn Future<Output = std::io::Result<()>>>>;

impl<'a> Watch<'a> {
    pub(super) fn new(context: &'a Context, job: Job) -> Self {
        Self {
            context,
            begun: job.created_at,
            job,
            event_seq: 0,
            supervision_seq: 0,
            news: News::default(),
            asked: HashSet::new(),
            silent_since: None,
            is_first: true,
        }
    }

    /// Watches until the job has ended, or Ctrl-C came twice.
    pub(super) async fn follow(mut self, display: &mut Display) -> Result<Ended, Failure> {
        let mut interrupt: Interrupt = Box::pin(tokio::signal::ctrl_c());
        let mut is_cancelling = false;
        loop {
            tokio::select! {
                biased;
                _ = &mut interrupt => {
                    interrupt = Box::pin(tokio::signal::ctrl_c());
                    if is_cancelling || !self.cancel(display, &mut interrupt).await? {
                        return Ok(Ended::Left(self.job.job_id));
                    }
                    is_cancelling = true;
                }
                looked = self.look(display) => {
                    self.bear(looked, display)?;
                    if self.job.state.is_terminal() {
                        return Ok(Ended::Terminal(Box::new(self.job)));
                    }
                }
            }
        }
    }

    /// One look: the tree, then what happened. May be broken off at any await without losing news.
    async fn look(&mut self, display: &mut Display) -> Result<(), Failure> {
        if !std::mem::take(&mut self.is_first) {
            sleep(POLL).await;
        }
        let client = &self.context.client;
        let id = self.job.job_id.clone();
        let job: Job = client.fetch(&["jobs", &id], &[("tree", "true".to_owned())]).await?;
        let since = [("since", self.event_seq.to_string())];
        let events: Vec<JobEvent> = client.fetch_field(&["jobs", &id, "events"], &since, "events").await?;
        for event in events.iter().filter(|event| event.seq > self.event_seq) {
            self.tell(event, &job, display);
        }
        self.event_seq = events.iter().map(|event| event.seq).fold(self.event_seq, u64::max);
        self.look_at_supervision(display).await?;
        self.look_for_approvals(&job, display).await?;
        display.update(&job);
        self.job = job;
        Ok(())
    }

    fn tell(&self, event: &JobEvent, root: &Job, display: &Display) {
        let is_wanted = match display {
            Display::Bars(_) => news::is_remarkable(event) || event.event == "completed",
            _ => true,
        };
        let Some(sentence) = news::of_job(event).filter(|_| is_wanted) else { return };
        let job = root.walk().find(|job| job.job_id == event.job_id);
        let took =
            job.filter(|_| event.event == "completed").and_then(|job| cards::took(job, Timestamp::now()));
        let took = took.map(|took| format!(" in {}", units::duration(took))).unwrap_or_default();
        display.line(&format!("{sentence}{took}"));
    }

    async fn look_at_supervision(&mut self, display: &Display) -> Result<(), Failure> {
        let query = [("since", self.supervision_seq.to_string()), ("limit", "1000".to_owned())];
        let client = &self.context.client;
        let events: Vec<SupervisionEvent> =
            client.fetch_field(&["supervision", "events"], &query, "events").await?;
        for event in events {
            self.supervision_seq = self.supervision_seq.max(event.seq);
            // What was before the job concerns another one.
            if event.at < self.begun {
                continue;
            }
            if let Some(sentence) = self.news.tell(&event) {
                display.supervision(&sentence);
            }
        }
        Ok(())
    }

    /// Says once what waits for a person, with the commands that decide it.
    async fn look_for_approvals(&mut self, job: &Job, display: &Display) -> Result<(), Failure> {
        if waiting_for_a_person(job).all(|job| self.asked.contains(&job.job_id)) {
            return Ok(());
        }
        let approvals: Vec<Approval> =
            self.context.client.fetch_field(&["approvals"], &[], "approvals").await?;
        let of_run = |approval: &Approval| job.walk().any(|job| job.job_id == approval.job_id);
        let new: Vec<Approval> =
            approvals.into_iter().filter(|a| of_run(a) && !self.asked.contains(&a.job_id)).collect();
        if !new.is_empty() {
            display.line("the job waits for you; decide in another terminal:");
            display.line(&cards::approvals(&new, &self.context.again(), Timestamp::now(), WIDTH));
        }
        self.asked.extend(new.into_iter().map(|approval| approval.job_id));
        Ok(())
    }

    /// A daemon that does not answer is waited for; what it refuses is final.
    fn bear(&mut self, looked: Result<(), Failure>, display: &Display) -> Result<(), Failure> {
        match looked {
            Ok(()) => {
                if self.silent_since.take().is_some() {
                    display.line("the daemon answers again");
                }
                Ok(())
            }
            Err(failure) if failure.exit == Exit::Unreachable => {
                if self.silent_since.is_none() {
                    display.line("the daemon does not answer; waiting for it");
                    // A new daemon counts its own events from 1.
                    self.supervision_seq = 0;
                }
                let since = *self.silent_since.get_or_insert_with(Instant::now);
                if since.elapsed() < PATIENCE { Ok(()) } else { Err(self.lost(&failure)) }
            }
            Err(failure) => Err(failure),
        }
    }

    fn lost(&self, failure: &Failure) -> Failure {
        let (id, pas) = (&self.job.job_id, self.context.again());
        Failure::new(
            Exit::Unreachable,
            format!(
                "{failure}\nthe job is stored and goes on once a daemon runs: `{pas} up`, then `{pas} job {id}`"
            ),
        )
    }

    /// Asks for the job to be cancelled and shows the proof; false when Ctrl-C came again meanwhile.
    async fn cancel(&self, display: &Display, again: &mut Interrupt) -> Result<bool, Failure> {
        display.line("cancelling; Ctrl-C once more leaves at once");
        let path = ["jobs", &*self.job.job_id, "cancel"];
        let body = json!({ "reason": "Ctrl-C in `pas run`" });
        let asked = self.context.client.post_to(ORCHESTRATOR, &path, &body, LONG_CALL);
        tokio::select! {
            biased;
            _ = again => Ok(false),
            answer = asked => {
                match answer {
                    Ok(answer) => display.line(&cards::proof(&wire::read::<CancelProof>(&answer)?, WIDTH)),
                    // It may have ended in this very moment; the next look shows how.
                    Err(error) => display.line(&Failure::from(error).message),
                }
                Ok(true)
            }
        }
    }
}
