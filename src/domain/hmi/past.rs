//! When jobs of a run did not work, from the events of the run: the past as it was recorded.
//!
//! Pure. Between two events nothing is supposed but the state that the first left behind; a job with parts
//! is at what they are at ([`activity`]).

use std::collections::{BTreeMap, HashMap};

use super::activity;
use crate::ids::JobId;
use crate::job::{Job, JobEvent, JobEventKind, JobState};
use crate::time::Timestamp;

/// A time in which a job did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdleSpan {
    pub from: Timestamp,
    /// `None`: still.
    pub to: Option<Timestamp>,
    /// What it was at instead.
    pub activity: JobState,
}

/// Each job's idle times after its first start, or after its acceptance while it has none; oldest first. `events` are those of one run, in their order;
/// `jobs` are of the same run.
#[must_use]
pub fn idle_spans<'e>(
    jobs: &[Job],
    events: impl IntoIterator<Item = &'e JobEvent>,
) -> HashMap<JobId, Vec<IdleSpan>> {
    let mut past = RunPast::default();
    for event in events {
        past.apply(event);
    }
    let began = |id: &JobId| {
        let job = jobs.iter().find(|job| job.id == *id)?;
        Some(job.started_at.unwrap_or(job.created_at))
    };
    let mut found = past.finish();
    found.retain(|id, spans| {
        let Some(began) = began(id) else { return false };
        spans.retain_mut(|span| {
            span.from = span.from.max(began);
            span.to.is_none_or(|to| to > span.from)
        });
        !spans.is_empty()
    });
    found
}

#[derive(Default)]
struct RunPast {
    /// The jobs that have not ended, and the state that each was paused in.
    states: BTreeMap<JobId, JobState>,
    paused_from: HashMap<JobId, JobState>,
    open: HashMap<JobId, IdleSpan>,
    closed: HashMap<JobId, Vec<IdleSpan>>,
}

impl RunPast {
    fn apply(&mut self, event: &JobEvent) {
        let before = self.states.get(&event.job_id).copied();
        let Some(state) = self.state_after(event, before) else { return };
        if before == Some(state) {
            return;
        }
        if state.is_terminal() {
            self.states.remove(&event.job_id);
        } else {
            self.states.insert(event.job_id.clone(), state);
        }
        self.turn(event.ts);
    }

    /// The state that an event leaves its job in; `None` where it changes none.
    fn state_after(&mut self, event: &JobEvent, before: Option<JobState>) -> Option<JobState> {
        let id = &event.job_id;
        Some(match event.event {
            JobEventKind::Accepted
            | JobEventKind::Approved
            | JobEventKind::Retrying
            | JobEventKind::Reassigned => JobState::Queued,
            JobEventKind::Started => JobState::Running,
            JobEventKind::AwaitingApproval => JobState::AwaitingApproval,
            JobEventKind::Escalated => JobState::Blocked,
            JobEventKind::Paused => {
                self.paused_from.insert(id.clone(), before.filter(|state| *state != JobState::Paused)?);
                JobState::Paused
            }
            JobEventKind::Resumed => self.paused_from.remove(id)?,
            JobEventKind::Cancelled => JobState::Cancelled,
            JobEventKind::Failed => JobState::Failed,
            JobEventKind::Quarantined => JobState::Quarantined,
            JobEventKind::Completed => JobState::Done,
            JobEventKind::Progress if matches!(before, Some(JobState::Running | JobState::Queued)) => {
                match event.detail.0["resources"]["status"].as_str()? {
                    "waiting" => JobState::Queued,
                    _ => JobState::Running,
                }
            }
            JobEventKind::Progress
            | JobEventKind::Rejected
            | JobEventKind::SoftTimeout
            | JobEventKind::HardTimeout
            | JobEventKind::CancelRequested => return None,
        })
    }

    /// Closes and opens spans by what all jobs are at now.
    fn turn(&mut self, at: Timestamp) {
        let activities = activity::of_states(self.states.iter().map(|(id, state)| (id, *state)), |_| false);
        let ended = |id: &JobId, span: &mut IdleSpan| activities.get(id) != Some(&span.activity);
        for (id, mut span) in self.open.extract_if(ended) {
            span.to = Some(at);
            self.closed.entry(id).or_default().push(span);
        }
        for (id, activity) in activities.into_iter().filter(|(_, activity)| *activity != JobState::Running) {
            self.open.entry(id).or_insert(IdleSpan { from: at, to: None, activity });
        }
    }

    fn finish(mut self) -> HashMap<JobId, Vec<IdleSpan>> {
        for (id, span) in self.open {
            self.closed.entry(id).or_default().push(span);
        }
        self.closed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::hmi::waiting::tests::job;
    use crate::json::JsonValue;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn event(seconds: i64, id: &str, kind: JobEventKind) -> JobEvent {
        let id = JobId::new(id).unwrap();
        let (run_id, agent) = (id.run(), crate::ids::AgentName::new("architect").unwrap());
        let detail = JsonValue::object();
        JobEvent { seq: 1, ts: at(seconds), run_id, job_id: id, agent, event: kind, detail }
    }

    fn begun(id: &str, seconds: i64) -> Job {
        Job { started_at: Some(at(seconds)), ..job(id, "other", JobState::Running) }
    }

    fn span(from: i64, to: Option<i64>, activity: JobState) -> IdleSpan {
        IdleSpan { from: at(from), to: to.map(at), activity }
    }

    #[test]
    fn a_run_waits_while_all_that_is_left_of_it_waits() {
        use JobEventKind::{Accepted, Approved, AwaitingApproval, Completed, Started};
        let jobs = [begun("run", 1), begun("run.a", 2), begun("run.b", 2)];
        let events = [
            event(0, "run", Accepted),
            event(1, "run", Started),
            event(2, "run.a", Accepted),
            event(2, "run.b", Accepted),
            event(2, "run.a", Started),
            event(2, "run.b", Started),
            event(4, "run.a", AwaitingApproval),
            event(6, "run.b", Completed),
            event(9, "run.a", Approved),
            event(10, "run.a", Started),
        ];
        let found = idle_spans(&jobs, &events);
        let waits = [span(4, Some(9), JobState::AwaitingApproval), span(9, Some(10), JobState::Queued)];
        assert_eq!(found[&jobs[1].id], waits);
        let of_run = [span(6, Some(9), JobState::AwaitingApproval), span(9, Some(10), JobState::Queued)];
        assert_eq!(found[&jobs[0].id], of_run, "while the other part worked, so did the run");
        assert!(!found.contains_key(&jobs[2].id));
        let still = idle_spans(&jobs, &events[..8]);
        assert_eq!(still[&jobs[1].id], [span(4, None, JobState::AwaitingApproval)], "nobody has decided");
    }

    #[test]
    fn a_pause_ends_in_the_state_before_it_and_resources_are_waited_for() {
        use JobEventKind::{Accepted, Cancelled, Paused, Progress, Resumed, Started};
        let jobs = [begun("run", 1)];
        let machine = |seconds, status: &str| JobEvent {
            detail: JsonValue(json!({ "resources": { "status": status } })),
            ..event(seconds, "run", Progress)
        };
        let events = [
            event(0, "run", Accepted),
            event(1, "run", Started),
            machine(2, "waiting"),
            machine(3, "granted"),
            event(4, "run", Paused),
            event(7, "run", Resumed),
            event(8, "run", Paused),
            event(9, "run", Cancelled),
        ];
        let expected = [
            span(2, Some(3), JobState::Queued),
            span(4, Some(7), JobState::Paused),
            span(8, Some(9), JobState::Paused),
        ];
        assert_eq!(idle_spans(&jobs, &events)[&jobs[0].id], expected);
        assert!(idle_spans(&[], &events).is_empty(), "of another run");
    }

    #[test]
    fn a_job_that_waits_for_a_person_before_it_begins_is_waiting_from_its_acceptance_on() {
        let events =
            [event(0, "run", JobEventKind::Accepted), event(0, "run", JobEventKind::AwaitingApproval)];
        let asked = [job("run", "other", JobState::AwaitingApproval)];
        assert_eq!(idle_spans(&asked, &events)[&asked[0].id], [span(0, None, JobState::AwaitingApproval)]);
    }

    proptest! {
        #[test]
        fn at_every_moment_the_spans_tell_what_the_states_of_that_moment_tell(
            moves in proptest::collection::vec((0..5_usize, 0..9_usize), 1..80)
        ) {
            use JobEventKind::*;
            const KINDS: [JobEventKind; 9] = [
                Accepted, Started, AwaitingApproval, Approved, Paused, Resumed, Escalated, Retrying, Completed,
            ];
            let ids = ["r", "r.a", "r.b", "r.a.x", "r.b.y"];
            let jobs: Vec<Job> = ids.iter().map(|id| begun(id, 0)).collect();
            let mut events: Vec<JobEvent> = ids.iter().map(|id| event(0, id, Accepted)).collect();
            let mut past = RunPast::default();
            let mut told = Vec::new();
            events.iter().for_each(|event| past.apply(event));
            for (second, (id, kind)) in (1..).zip(moves) {
                let next = event(second, ids[id], KINDS[kind]);
                past.apply(&next);
                events.push(next);
                told.push((second, activity::of_states(past.states.iter().map(|(id, state)| (id, *state)), |_| false)));
            }
            let found = idle_spans(&jobs, &events);
            for (second, activities) in told {
                for job in &jobs {
                    let covers = |span: &&IdleSpan| {
                        span.from <= at(second) && span.to.is_none_or(|to| at(second) < to)
                    };
                    let spans = found.get(&job.id).map(Vec::as_slice).unwrap_or_default();
                    let said = spans.iter().find(covers).map(|span| span.activity);
                    let idle = activities.get(&job.id).copied().filter(|state| *state != JobState::Running);
                    prop_assert_eq!(said, idle, "{} at {}", job.id, second);
                }
            }
        }
    }
}
