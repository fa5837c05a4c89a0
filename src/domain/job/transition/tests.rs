//! The laws of change: by example, and for any sequence of transitions.

use proptest::prelude::*;

use super::*;
use crate::job::replay::ReplayedJob;
use crate::job::{JobEvent, testing};

fn director() -> AgentName {
    AgentName::new("director-data").unwrap()
}

fn job() -> Job {
    testing::job("run-1.audit", "corpus-auditor", "ingest.audit")
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

#[test]
fn an_old_fence_commits_nothing() {
    let mut job = job();
    job.apply(JobTransition::Claim, at(1)).unwrap();
    job.apply(JobTransition::Claim, at(2)).unwrap();
    let complete =
        |fence| JobTransition::Complete { fence, outputs: JsonValue::object(), artifacts: Vec::new() };
    let refused = job.apply(complete(1), at(3)).unwrap_err();
    assert_eq!(refused.to_string(), "`run-1.audit` has been taken over: fence 1 is older than 2");
    job.apply(complete(2), at(3)).unwrap();
    assert_eq!(job.state, JobState::Done);
}

#[test]
fn transient_failures_wait_and_then_escalate() {
    let mut job = job();
    let mut now = 0;
    for attempt in 1..=4 {
        job.apply(JobTransition::Claim, at(now)).unwrap();
        let fail = JobTransition::FailTransient {
            fence: job.fence,
            error: "disk full".into(),
            backoff: Duration::from_millis(100),
            max_attempts: 4,
            director: director(),
        };
        job.apply(fail, at(now)).unwrap();
        if attempt < 4 {
            assert!(job.apply(JobTransition::Claim, at(now + 99)).is_err(), "too early");
        }
        now += 100;
    }
    assert_eq!(job.state, JobState::Blocked);
    assert_eq!(job.error.as_deref(), Some("disk full (after 4 attempts)"));
    job.apply(JobTransition::AskPerson, at(now)).unwrap();
    job.apply(JobTransition::Approve { by: "me".into(), reason: String::new(), inputs: Map::new() }, at(now))
        .unwrap();
    assert_eq!((job.state, job.attempt), (JobState::Queued, 0));
}

#[test]
fn a_cancelled_holder_may_only_stop() {
    let mut job = job();
    job.apply(JobTransition::Claim, at(1)).unwrap();
    job.apply(JobTransition::Cancel { cause: CancelCause::Asked("enough".into()), has_attempt: true }, at(2))
        .unwrap();
    assert_eq!(job.state, JobState::Running);
    let complete = JobTransition::Complete { fence: 1, outputs: JsonValue::object(), artifacts: Vec::new() };
    assert!(job.apply(complete, at(3)).is_err());
    assert!(job.apply(JobTransition::Claim, at(3)).is_err());
    job.apply(JobTransition::Stopped { fence: 1, how: "at a checkpoint".into() }, at(4)).unwrap();
    assert_eq!((job.state, job.ended_at), (JobState::Cancelled, Some(at(4))));
}

fn permanent(fence: u64) -> JobTransition {
    JobTransition::FailPermanent { fence, error: "no such folder".into(), director: director() }
}

#[test]
fn a_failure_that_no_repeat_can_change_ends_the_job_with_its_reason() {
    let mut job = job();
    job.apply(JobTransition::Claim, at(1)).unwrap();
    let told = job.apply(permanent(1), at(2)).unwrap();
    assert_eq!(told[0].0, JobEventKind::Failed);
    assert_eq!((job.state, job.error.as_deref()), (JobState::Failed, Some("no such folder")));
    assert_eq!((job.ended_at, &job.escalated_to), (Some(at(2)), &None));
}

#[test]
fn an_optional_step_is_left_to_the_director_and_an_optional_root_is_not() {
    for (id, state) in [("run-1.audit", JobState::Blocked), ("run-1", JobState::Failed)] {
        let mut job = testing::job(id, "corpus-auditor", "ingest.audit");
        job.card.optional = true;
        job.apply(JobTransition::Claim, at(1)).unwrap();
        job.apply(permanent(1), at(2)).unwrap();
        assert_eq!(job.state, state, "{id}");
    }
}

#[test]
fn what_passes_is_waited_out_however_often_and_asks_nobody() {
    let mut job = job();
    for round in 0..100 {
        let now = at(round * 1000);
        job.apply(JobTransition::Claim, now).unwrap();
        assert_eq!(job.attempt, 1, "no attempt counts");
        let wait = JobTransition::WaitOut {
            fence: job.fence,
            error: "too many open files".into(),
            backoff: Duration::from_millis(500),
        };
        job.apply(wait, now).unwrap();
        assert_eq!((job.state, job.error.as_deref()), (JobState::Queued, Some("too many open files")));
        assert!(!job.is_due(now.plus(Duration::from_millis(499))));
    }
}

#[test]
fn a_person_can_correct_the_inputs_of_what_is_tried_again() {
    let mut job = job();
    job.card.inputs = JsonValue(json!({ "source": "/a", "name": "docs" }));
    job.state = JobState::AwaitingApproval;
    let inputs = json!({ "source": "/b" }).as_object().cloned().unwrap();
    let told =
        job.apply(JobTransition::Approve { by: "me".into(), reason: String::new(), inputs }, at(1)).unwrap();
    assert_eq!(job.card.inputs.0, json!({ "source": "/b", "name": "docs" }));
    assert_eq!(told[0].1["inputs"], json!({ "source": "/b" }), "the event says so");
}

#[test]
fn a_deadline_that_passed_says_so_and_a_person_who_cancels_is_no_error() {
    let deadline = at(60_000);
    for (cause, error) in [
        (CancelCause::Deadline, Some(format!("its deadline, {deadline}, has passed"))),
        (CancelCause::Asked("enough".into()), None),
    ] {
        let mut job = job();
        job.card.deadline_at = Some(deadline);
        job.apply(JobTransition::Cancel { cause, has_attempt: false }, at(60_001)).unwrap();
        assert_eq!((job.state, job.error), (JobState::Cancelled, error));
    }
}

#[test]
fn a_failure_that_may_pass_does_not_end_a_pause() {
    let mut job = job();
    job.apply(JobTransition::Claim, at(1)).unwrap();
    job.apply(JobTransition::Pause, at(2)).unwrap();
    let fail = JobTransition::FailTransient {
        fence: 1,
        error: "a panic".into(),
        backoff: Duration::ZERO,
        max_attempts: 1,
        director: director(),
    };
    job.apply(fail, at(3)).unwrap();
    assert_eq!(job.state, JobState::Paused);
    job.apply(JobTransition::Resume, at(4)).unwrap();
    assert_eq!((job.state, job.error.as_deref()), (JobState::Blocked, Some("a panic (after 1 attempts)")));
}

#[test]
fn a_reassigned_job_is_begun_anew_and_its_last_holder_commits_nothing() {
    let to = AgentName::new("second-auditor").unwrap();
    let reassign = || JobTransition::Reassign { to: to.clone(), by: "me".into(), reason: "slow".into() };
    let mut job = job();
    job.apply(JobTransition::Claim, at(1)).unwrap();
    let told = job.apply(reassign(), at(2)).unwrap();
    assert_eq!(told[0].0, JobEventKind::Reassigned);
    assert_eq!((&told[0].1["from"], &told[0].1["to"]), (&json!("corpus-auditor"), &json!(to)));
    assert_eq!((job.state, job.fence, job.attempt, &job.card.agent), (JobState::Queued, 2, 0, &to));
    let late = JobTransition::Complete { fence: 1, outputs: JsonValue::object(), artifacts: Vec::new() };
    assert!(matches!(job.apply(late, at(3)), Err(TransitionRefusal::Fenced { held: 1, newest: 2, .. })));

    job.apply(JobTransition::Claim, at(4)).unwrap();
    job.apply(JobTransition::Pause, at(5)).unwrap();
    job.apply(reassign(), at(6)).unwrap();
    assert_eq!((job.state, job.paused_from), (JobState::Paused, Some(JobState::Queued)), "held as before");
    job.apply(JobTransition::Resume, at(7)).unwrap();
    job.apply(
        JobTransition::Cancel { cause: CancelCause::Asked("enough".into()), has_attempt: false },
        at(8),
    )
    .unwrap();
    let refused = job.apply(reassign(), at(9)).unwrap_err().to_string();
    assert_eq!(refused, "`run-1.audit` is cancelled, so it cannot be given to an agent");
}

fn any_transition() -> impl Strategy<Value = JobTransition> {
    let text = || Just(String::from("x"));
    let fence = 0..6_u64;
    prop_oneof![
        4 => Just(JobTransition::Claim),
        2 => fence.clone().prop_map(|fence| JobTransition::Complete { fence, outputs: JsonValue::object(), artifacts: Vec::new() }),
        2 => fence.clone().prop_map(|fence| JobTransition::FailTransient {
            fence, error: "e".into(), backoff: Duration::from_millis(1), max_attempts: 2, director: director() }),
        1 => fence.clone().prop_map(|fence| JobTransition::FailPermanent { fence, error: "e".into(), director: director() }),
        1 => fence.clone().prop_map(|fence| JobTransition::FailLost { fence, error: "e".into(), director: director() }),
        1 => Just(JobTransition::Waive),
        1 => Just(JobTransition::AskPerson),
        1 => text().prop_map(|by| JobTransition::Approve { by, reason: String::new(), inputs: Map::new() }),
        1 => text().prop_map(|by| JobTransition::Reject { by, reason: String::new() }),
        1 => Just(JobTransition::Pause),
        1 => Just(JobTransition::Resume),
        1 => (text(), any::<bool>()).prop_map(|(reason, held)| JobTransition::Cancel { cause: CancelCause::Asked(reason), has_attempt: held }),
        1 => any::<bool>().prop_map(|held| JobTransition::Cancel { cause: CancelCause::Deadline, has_attempt: held }),
        1 => fence.clone().prop_map(|fence| JobTransition::WaitOut { fence, error: "e".into(), backoff: Duration::from_millis(1) }),
        1 => fence.clone().prop_map(|fence| JobTransition::GiveUp { fence, error: "e".into() }),
        1 => fence.clone().prop_map(|fence| JobTransition::Stopped { fence, how: "x".into() }),
        1 => fence.clone().prop_map(|fence| JobTransition::SoftTimeout { fence }),
        1 => text().prop_map(|by| JobTransition::Reassign { to: director(), by, reason: String::new() }),
        1 => fence.prop_map(|fence| JobTransition::HardTimeout { fence }),
    ]
}

/// The events of one change, as the book writes them.
fn events_of(job: &Job, is_question: bool, told: Vec<JobEventDraft>) -> Vec<JobEvent> {
    let asked = is_question.then(|| (JobEventKind::AwaitingApproval, json!({})));
    let event = |(event, detail): JobEventDraft| JobEvent {
        seq: 1,
        ts: at(0),
        run_id: job.run(),
        job_id: job.id.clone(),
        agent: job.card.agent.clone(),
        event,
        detail: JsonValue(detail),
    };
    told.into_iter().chain(asked).map(event).collect()
}

proptest! {
    #[test]
    fn the_replayed_past_is_the_states_passed_through(
        transitions in prop::collection::vec(
            prop_oneof![
                8 => any_transition(),
                1 => (0..6_u64).prop_map(|fence| JobTransition::AskQuestion { fence }),
                1 => any::<bool>().prop_map(|is_yes| JobTransition::AnswerQuestion { by: "x".into(), reason: String::new(), is_yes }),
            ],
            1..60,
        )
    ) {
        let (mut job, mut replayed) = (job(), ReplayedJob::default());
        for (step, transition) in transitions.into_iter().enumerate() {
            let is_question = matches!(transition, JobTransition::AskQuestion { .. });
            let Ok(told) = job.apply(transition, at(i64::try_from(step).unwrap() * 10)) else { continue };
            events_of(&job, is_question, told).iter().for_each(|event| replayed.apply(event));
            prop_assert_eq!((replayed.state, replayed.paused_from), (job.state, job.paused_from));
        }
    }

    #[test]
    fn whatever_is_asked_the_row_keeps_its_laws(transitions in prop::collection::vec(any_transition(), 1..60)) {
        let mut job = job();
        for (step, transition) in transitions.into_iter().enumerate() {
            let before = job.clone();
            let by_holder = match &transition {
                JobTransition::Complete { fence, .. } | JobTransition::FailPermanent { fence, .. }
                | JobTransition::FailLost { fence, .. }
                | JobTransition::FailTransient { fence, .. } | JobTransition::Stopped { fence, .. } => Some(*fence),
                _ => None,
            };
            match job.apply(transition, at(i64::try_from(step).unwrap() * 10)) {
                Ok(told) => {
                    prop_assert!(!before.state.is_terminal(), "a terminal state was left");
                    prop_assert!(!told.is_empty());
                    prop_assert_eq!(job.version, before.version + 1);
                    prop_assert!(job.fence >= before.fence);
                    prop_assert!(by_holder.is_none_or(|fence| fence == before.fence));
                    prop_assert_eq!(job.state.is_terminal(), job.ended_at.is_some());
                    prop_assert_eq!(job.state == JobState::Paused, job.paused_from.is_some());
                }
                Err(_) => prop_assert_eq!(&job, &before, "a refusal changed the row"),
            }
        }
    }
}
