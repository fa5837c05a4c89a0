//! When jobs of a run did not work, from the events of the run: the past as it was recorded.
//!
//! Pure. Between two events nothing is supposed but the state that the first left behind, by the state machine's
//! own rules ([`ReplayedJob`]); a job with parts is at what they are at ([`activity`]).

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::activity;
use crate::ids::JobId;
use crate::job::replay::ReplayedJob;
use crate::job::{Job, JobEvent, JobState};
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

/// When each job of a run did not work, oldest first; those that always did are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdleTimes {
    pub spans: HashMap<JobId, Vec<IdleSpan>>,
    /// Up to when the past is told, where it is not told to its end; no span goes beyond.
    pub cut_at: Option<Timestamp>,
}

impl IdleTimes {
    /// How long a job did not work between two moments.
    #[must_use]
    pub fn between(&self, job: &JobId, from: Timestamp, to: Timestamp) -> Duration {
        let spans = self.spans.get(job).map(Vec::as_slice).unwrap_or_default();
        spans.iter().map(|span| span.to.unwrap_or(to).min(to).since(span.from.max(from))).sum()
    }
}

/// Most spans kept of a run: of one that waits more often, the later past is not told.
pub const MAX_SPANS: usize = 20_000;

/// The past of one run, grown by its events in their order.
#[derive(Debug, Default)]
pub struct RunPast {
    /// The jobs that have not ended.
    jobs: BTreeMap<JobId, ReplayedJob>,
    open: HashMap<JobId, IdleSpan>,
    closed: HashMap<JobId, Vec<IdleSpan>>,
    spans: usize,
    cut_at: Option<Timestamp>,
}

impl RunPast {
    pub fn apply(&mut self, event: &JobEvent) {
        if self.cut_at.is_some() {
            return;
        }
        let mut job = self.jobs.get(&event.job_id).copied().unwrap_or_default();
        job.apply(event);
        let before = if job.state.is_terminal() {
            self.jobs.remove(&event.job_id)
        } else {
            self.jobs.insert(event.job_id.clone(), job)
        };
        if before != Some(job) {
            self.turn(event.ts);
        }
        if self.spans >= MAX_SPANS {
            self.cut_at = Some(event.ts);
        }
    }

    /// Closes and opens spans by what all jobs are at now.
    fn turn(&mut self, at: Timestamp) {
        let activities = self.activities();
        let ended = |id: &JobId, span: &mut IdleSpan| activities.get(id) != Some(&span.activity);
        for (id, mut span) in self.open.extract_if(ended) {
            span.to = Some(at);
            self.closed.entry(id).or_default().push(span);
        }
        for (id, activity) in activities.into_iter().filter(|(_, activity)| *activity != JobState::Running) {
            self.open.entry(id).or_insert_with(|| {
                self.spans += 1;
                IdleSpan { from: at, to: None, activity }
            });
        }
    }

    fn activities(&self) -> HashMap<JobId, JobState> {
        let states = self.jobs.iter().map(|(id, job)| (id, job.state));
        activity::of_states(states, |id| self.jobs.get(id).is_some_and(|job| job.is_held_up))
    }

    /// Each job's idle times after its first start, or after its acceptance while it has none. `jobs` are of
    /// the run; `read_to` is the time of the last event read where there are more.
    #[must_use]
    pub fn idle_times(&self, jobs: &[Job], read_to: Option<Timestamp>) -> IdleTimes {
        let cut_at = self.cut_at.or(read_to);
        let mut spans = HashMap::new();
        for job in jobs {
            let began = job.started_at.unwrap_or(job.created_at);
            let closed = self.closed.get(&job.id).into_iter().flatten();
            let own = closed.chain(self.open.get(&job.id)).map(|span| IdleSpan {
                from: span.from.max(began),
                // What is not told is not supposed to be as before.
                to: span.to.or(cut_at),
                activity: span.activity,
            });
            let own: Vec<IdleSpan> = own.filter(|span| span.to.is_none_or(|to| to > span.from)).collect();
            if !own.is_empty() {
                spans.insert(job.id.clone(), own);
            }
        }
        IdleTimes { spans, cut_at }
    }
}

/// The idle times of a run by all its events.
#[cfg(test)]
pub(super) fn idle_times<'e>(jobs: &[Job], events: impl IntoIterator<Item = &'e JobEvent>) -> IdleTimes {
    let mut past = RunPast::default();
    events.into_iter().for_each(|event| past.apply(event));
    past.idle_times(jobs, None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::hmi::waiting::tests::job;
    use crate::job::JobEventKind;
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
        let found = idle_times(&jobs, &events).spans;
        let waits = [span(4, Some(9), JobState::AwaitingApproval), span(9, Some(10), JobState::Queued)];
        assert_eq!(found[&jobs[1].id], waits);
        let of_run = [span(6, Some(9), JobState::AwaitingApproval), span(9, Some(10), JobState::Queued)];
        assert_eq!(found[&jobs[0].id], of_run, "while the other part worked, so did the run");
        assert!(!found.contains_key(&jobs[2].id));
        let still = idle_times(&jobs, &events[..8]).spans;
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
        assert_eq!(idle_times(&jobs, &events).spans[&jobs[0].id], expected);
        assert!(idle_times(&[], &events).spans.is_empty(), "of another run");
    }

    #[test]
    fn a_job_that_waits_for_a_person_before_it_begins_is_waiting_from_its_acceptance_on() {
        let events =
            [event(0, "run", JobEventKind::Accepted), event(0, "run", JobEventKind::AwaitingApproval)];
        let asked = [job("run", "other", JobState::AwaitingApproval)];
        assert_eq!(
            idle_times(&asked, &events).spans[&asked[0].id],
            [span(0, None, JobState::AwaitingApproval)]
        );
    }

    #[test]
    fn a_past_that_is_cut_is_closed_there_and_says_so() {
        use JobEventKind::{Accepted, AwaitingApproval, Started};
        let jobs = [begun("run", 1)];
        let events = [event(0, "run", Accepted), event(1, "run", Started), event(4, "run", AwaitingApproval)];
        let mut past = RunPast::default();
        events.iter().for_each(|event| past.apply(event));
        let told = past.idle_times(&jobs, Some(at(9)));
        assert_eq!(told.spans[&jobs[0].id], [span(4, Some(9), JobState::AwaitingApproval)]);
        assert_eq!((told.cut_at, past.idle_times(&jobs, None).cut_at), (Some(at(9)), None));

        let mut last = 4;
        for second in (5..).step_by(2).take(MAX_SPANS + 10) {
            past.apply(&event(second, "run", Started));
            past.apply(&event(second + 1, "run", AwaitingApproval));
            last = second + 1;
        }
        let told = past.idle_times(&jobs, None);
        let spans = &told.spans[&jobs[0].id];
        let cut_at = told.cut_at.unwrap();
        assert!(spans.len() <= MAX_SPANS && cut_at < at(last));
        assert!(spans.iter().all(|span| span.to.is_some_and(|to| to <= cut_at)), "none is open");
    }

    #[test]
    fn what_was_waited_between_two_moments_is_counted_once() {
        let id = JobId::new("run").unwrap();
        let spans = vec![span(2, Some(4), JobState::Queued), span(6, None, JobState::Paused)];
        let times = IdleTimes { spans: HashMap::from([(id.clone(), spans)]), cut_at: None };
        assert_eq!(times.between(&id, at(3), at(10)), Duration::from_secs(5));
        assert_eq!(times.between(&id, at(0), at(2)), Duration::ZERO);
        assert_eq!(times.between(&JobId::new("other").unwrap(), at(0), at(10)), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn at_every_moment_the_spans_tell_what_the_states_of_that_moment_tell(
            moves in proptest::collection::vec((0..5_usize, 0..11_usize), 1..80)
        ) {
            use JobEventKind::*;
            const KINDS: [JobEventKind; 11] = [
                Accepted, Started, AwaitingApproval, Approved, Rejected, Paused, Resumed, Escalated, Retrying,
                CancelRequested, Completed,
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
                told.push((second, past.activities()));
            }
            let found = idle_times(&jobs, &events).spans;
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
