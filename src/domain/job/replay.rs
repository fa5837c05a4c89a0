//! The state of a job, replayed from its events: the state machine of [`super::transition`] read backwards.
//!
//! Pure. Invariant: after the events of any change the replayed state is that of the changed row.

use super::event::JobEventKind;
use super::{JobEvent, JobState};

/// A job as its events so far leave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayedJob {
    pub state: JobState,
    /// The state to resume to, while paused.
    pub paused_from: Option<JobState>,
    /// Whether the attempt waits for machine resources.
    pub is_held_up: bool,
}

impl Default for ReplayedJob {
    /// A job just accepted.
    fn default() -> Self {
        Self { state: JobState::Queued, paused_from: None, is_held_up: false }
    }
}

impl ReplayedJob {
    pub fn apply(&mut self, event: &JobEvent) {
        match event.event {
            JobEventKind::Accepted => *self = Self::default(),
            JobEventKind::Started => self.enter(JobState::Running),
            JobEventKind::AwaitingApproval => self.lead_to(JobState::AwaitingApproval),
            // A rejection that ends the job is followed by `failed`; a no to a question sends the job back.
            JobEventKind::Approved
            | JobEventKind::Rejected
            | JobEventKind::Retrying
            | JobEventKind::Reassigned => self.lead_to(JobState::Queued),
            JobEventKind::Escalated => self.lead_to(JobState::Blocked),
            JobEventKind::Paused => {
                let before = self.state;
                self.enter(JobState::Paused);
                self.paused_from = Some(before);
            }
            JobEventKind::Resumed => self.enter(self.paused_from.unwrap_or(JobState::Queued)),
            // Ends a pause: what is held must run to the next checkpoint to stop.
            JobEventKind::CancelRequested if self.state == JobState::Paused => self.enter(JobState::Running),
            JobEventKind::Cancelled => self.enter(JobState::Cancelled),
            JobEventKind::Failed => self.enter(JobState::Failed),
            JobEventKind::Quarantined => self.enter(JobState::Quarantined),
            JobEventKind::Completed => self.enter(JobState::Done),
            JobEventKind::Progress => {
                if let Some(status) = event.detail.0["resources"]["status"].as_str() {
                    self.is_held_up = status == "waiting";
                }
            }
            JobEventKind::CancelRequested | JobEventKind::SoftTimeout | JobEventKind::HardTimeout => {}
        }
    }

    fn enter(&mut self, state: JobState) {
        *self = Self { state, paused_from: None, is_held_up: false };
    }

    /// What comes over a paused job only changes the state to resume to.
    fn lead_to(&mut self, state: JobState) {
        if self.state == JobState::Paused {
            self.paused_from = Some(state);
        } else {
            self.enter(state);
        }
    }
}
