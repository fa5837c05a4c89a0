//! Follows a job to the end, and turns Ctrl-C into a cancel.
//!
//! Polls the tree and the events a few times a second, by sequence number, so that no event is missed or
//! printed twice even when the daemon restarts in between.

use std::collections::HashSet;
use std::pin::Pin;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::display::ProgressDisplay;
use super::outline::waiting_for_a_person;
use crate::cli::CommandContext;
use crate::cli::client::{LONG_CALL, ORCHESTRATOR};
use crate::cli::exit::{CommandExit, CommandFailure};
use crate::cli::render::news::{self, SupervisionNews};
use crate::cli::render::{cards, units};
use crate::cli::wire::{self, WireApproval, WireCancelProof, WireJob, WireJobEvent, WireSupervisionEvent};
use crate::domain::time::Timestamp;

/// Short enough for smooth bars, long enough to cost next to nothing.
const POLL: Duration = Duration::from_millis(250);
/// Longest wait for a silent daemon; a restart takes a second or two.
const PATIENCE: Duration = Duration::from_secs(15);
/// Width of proofs and approvals; progress lines are plain text.
const WIDTH: usize = 80;

/// How the watching ended.
#[derive(Debug)]
pub(super) enum WatchEnd {
    /// The job reached a terminal state.
    Terminal(Box<WireJob>),
    /// The user left first; the job's id.
    Left(String),
}

/// A job being followed.
pub(super) struct JobWatch<'a> {
    context: &'a CommandContext,
    job: WireJob,
    begun: Timestamp,
    event_seq: u64,
    supervision_seq: u64,
    news: SupervisionNews,
    asked: HashSet<String>,
    silent_since: Option<Instant>,
    is_first: bool,
}

type InterruptSignal = Pin<Box<dyn Future<Output = std::io::Result<()>>>>;

impl<'a> JobWatch<'a> {
    pub(super) fn new(context: &'a CommandContext, job: WireJob) -> Self {
        Self {
            context,
            begun: job.created_at,
            job,
            event_seq: 0,
            supervision_seq: 0,
            news: SupervisionNews::default(),
            asked: HashSet::new(),
            silent_since: None,
            is_first: true,
        }
    }

    /// Watches until the job has ended or Ctrl-C came twice.
    pub(super) async fn follow(mut self, display: &mut ProgressDisplay) -> Result<WatchEnd, CommandFailure> {
        let mut interrupt: InterruptSignal = Box::pin(tokio::signal::ctrl_c());
        let mut is_cancelling = false;
        loop {
            tokio::select! {
                biased;
                _ = &mut interrupt => {
                    interrupt = Box::pin(tokio::signal::ctrl_c());
                    if is_cancelling || !self.cancel(display, &mut interrupt).await? {
                        return Ok(WatchEnd::Left(self.job.job_id));
                    }
                    is_cancelling = true;
                }
                looked = self.poll(display) => {
                    self.bear(looked, display)?;
                    if self.job.state.is_terminal() {
                        return Ok(WatchEnd::Terminal(Box::new(self.job)));
                    }
                }
            }
        }
    }

    /// Reads the tree, then the new events. Cancel-safe: no event is lost at any await.
    async fn poll(&mut self, display: &mut ProgressDisplay) -> Result<(), CommandFailure> {
        if !std::mem::take(&mut self.is_first) {
            sleep(POLL).await;
        }
        let client = &self.context.client;
        let id = self.job.job_id.clone();
        let job: WireJob = client.fetch(&["jobs", &id], &[("tree", "true".to_owned())]).await?;
        let since = [("since", self.event_seq.to_string())];
        let events: Vec<WireJobEvent> =
            client.fetch_field(&["jobs", &id, "events"], &since, "events").await?;
        for event in events.iter().filter(|event| event.seq > self.event_seq) {
            self.print_event(event, &job, display);
        }
        self.event_seq = events.iter().map(|event| event.seq).fold(self.event_seq, u64::max);
        self.look_at_supervision(display).await?;
        self.look_for_approvals(&job, display).await?;
        display.update(&job);
        self.job = job;
        Ok(())
    }

    fn print_event(&self, event: &WireJobEvent, root: &WireJob, display: &ProgressDisplay) {
        let is_wanted = match display {
            ProgressDisplay::Bars(_) => news::is_remarkable(event) || event.event == "completed",
            _ => true,
        };
        let Some(sentence) = news::of_job(event).filter(|_| is_wanted) else { return };
        let job = root.walk().find(|job| job.job_id == event.job_id);
        let took =
            job.filter(|_| event.event == "completed").and_then(|job| cards::took(job, Timestamp::now()));
        let took = took.map(|took| format!(" in {}", units::duration(took))).unwrap_or_default();
        display.line(&format!("{sentence}{took}"));
    }

    async fn look_at_supervision(&mut self, display: &ProgressDisplay) -> Result<(), CommandFailure> {
        let query = [("since", self.supervision_seq.to_string()), ("limit", "1000".to_owned())];
        let client = &self.context.client;
        let events: Vec<WireSupervisionEvent> =
            client.fetch_field(&["supervision", "events"], &query, "events").await?;
        for event in events {
            self.supervision_seq = self.supervision_seq.max(event.seq);
            // An older event concerns another job.
            if event.at < self.begun {
                continue;
            }
            if let Some(sentence) = self.news.sentence_for(&event) {
                display.supervision(&sentence);
            }
        }
        Ok(())
    }

    /// Prints each pending approval once, with the commands that decide it.
    async fn look_for_approvals(
        &mut self,
        job: &WireJob,
        display: &ProgressDisplay,
    ) -> Result<(), CommandFailure> {
        if waiting_for_a_person(job).all(|job| self.asked.contains(&job.job_id)) {
            return Ok(());
        }
        let approvals: Vec<WireApproval> =
            self.context.client.fetch_field(&["approvals"], &[], "approvals").await?;
        let of_run = |approval: &WireApproval| job.walk().any(|job| job.job_id == approval.job_id);
        let new: Vec<WireApproval> =
            approvals.into_iter().filter(|a| of_run(a) && !self.asked.contains(&a.job_id)).collect();
        if !new.is_empty() {
            display.line("the job waits for your approval; decide in another terminal:");
            display.line(&cards::approvals(&new, &self.context.again(), Timestamp::now(), WIDTH));
        }
        self.asked.extend(new.into_iter().map(|approval| approval.job_id));
        Ok(())
    }

    /// Waits for a daemon that does not answer; a refusal is final.
    fn bear(
        &mut self,
        looked: Result<(), CommandFailure>,
        display: &ProgressDisplay,
    ) -> Result<(), CommandFailure> {
        match looked {
            Ok(()) => {
                if self.silent_since.take().is_some() {
                    display.line("the daemon is back");
                }
                Ok(())
            }
            Err(failure) if failure.exit == CommandExit::Unreachable => {
                if self.silent_since.is_none() {
                    display.line("the daemon does not answer; waiting");
                    // A new daemon numbers events from 1.
                    self.supervision_seq = 0;
                }
                let since = *self.silent_since.get_or_insert_with(Instant::now);
                if since.elapsed() < PATIENCE { Ok(()) } else { Err(self.lost(&failure)) }
            }
            Err(failure) => Err(failure),
        }
    }

    fn lost(&self, failure: &CommandFailure) -> CommandFailure {
        let (id, pas) = (&self.job.job_id, self.context.again());
        CommandFailure::new(
            CommandExit::Unreachable,
            format!(
                "{failure}\nthe job is stored and continues once a daemon runs: `{pas} up`, then `{pas} job {id}`"
            ),
        )
    }

    /// Cancels the job and shows the proof; false when Ctrl-C came again meanwhile.
    async fn cancel(
        &self,
        display: &ProgressDisplay,
        again: &mut InterruptSignal,
    ) -> Result<bool, CommandFailure> {
        display.line("cancelling; Ctrl-C again leaves immediately");
        let path = ["jobs", &*self.job.job_id, "cancel"];
        let body = json!({ "reason": "Ctrl-C in `pas run`" });
        let asked = self.context.client.post_to(ORCHESTRATOR, &path, &body, LONG_CALL);
        tokio::select! {
            biased;
            _ = again => Ok(false),
            answer = asked => {
                match answer {
                    Ok(answer) => display.line(&cards::proof(&wire::read::<WireCancelProof>(&answer)?, WIDTH)),
                    // The job may have just ended; the next poll shows how.
                    Err(error) => display.line(&CommandFailure::from(error).message),
                }
                Ok(true)
            }
        }
    }
}
