//! The laws of change: by example, and for whatever is asked in whatever order.

use proptest::prelude::*;

use super::*;
use crate::domain::job::testing;

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
    job.apply(Transition::Claim, at(1)).unwrap();
    job.apply(Transition::Claim, at(2)).unwrap();
    let complete = |fence| Transition::Complete { fence, outputs: Json::object(), artifacts: Vec::new() };
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
        job.apply(Transition::Claim, at(now)).unwrap();
        let fail = Transition::FailTransient {
            fence: job.fence,
            error: "disk full".into(),
            backoff: Duration::from_millis(100),
            max_attempts: 4,
            director: director(),
        };
        job.apply(fail, at(now)).unwrap();
        if attempt < 4 {
            assert!(job.apply(Transition::Claim, at(now + 99)).is_err(), "too early");
        }
        now += 100;
    }
    assert_eq!(job.state, JobState::Blocked);
    assert_eq!(job.error.as_deref(), Some("disk full (after 4 attempts)"));
    job.apply(Transition::AskPerson, at(now)).unwrap();
    job.apply(Transition::Approve { by: "me".into(), reason: String::new() }, at(now)).unwrap();
    assert_eq!((job.state, job.attempt), (JobState::Queued, 0));
}

#[test]
fn a_cancelled_holder_may_only_stop() {
    let mut job = job();
    job.apply(Transition::Claim, at(1)).unwrap();
    job.apply(Transition::Cancel { reason: "enough".into(), held: true }, at(2)).unwrap();
    assert_eq!(job.state, JobState::Running);
    let complete = Transition::Complete { fence: 1, outputs: Json::object(), artifacts: Vec::new() };
    assert!(job.apply(complete, at(3)).is_err());
    assert!(job.apply(Transition::Claim, at(3)).is_err());
    job.apply(Transition::Stopped { fence: 1, how: "at a checkpoint".into() }, at(4)).unwrap();
    assert_eq!((job.state, job.ended_at), (JobState::Cancelled, Some(at(4))));
}

#[test]
fn a_failure_does_not_end_a_hold() {
    let mut job = job();
    job.apply(Transition::Claim, at(1)).unwrap();
    job.apply(Transition::Pause, at(2)).unwrap();
    let fail = Transition::FailPermanent { fence: 1, error: "no disk".into(), director: director() };
    job.apply(fail, at(3)).unwrap();
    assert_eq!(job.state, JobState::Paused);
    job.apply(Transition::Resume, at(4)).unwrap();
    assert_eq!((job.state, job.error.as_deref()), (JobState::Blocked, Some("no disk")));
}

#[test]
fn a_reassigned_job_is_begun_anew_and_its_last_holder_commits_nothing() {
    let to = AgentName::new("second-auditor").unwrap();
    let reassign = || Transition::Reassign { to: to.clone(), by: "me".into(), reason: "slow".into() };
    let mut job = job();
    job.apply(Transition::Claim, at(1)).unwrap();
    let told = job.apply(reassign(), at(2)).unwrap();
    assert_eq!(told[0].0, EventKind::Reassigned);
    assert_eq!((&told[0].1["from"], &told[0].1["to"]), (&json!("corpus-auditor"), &json!(to)));
    assert_eq!((job.state, job.fence, job.attempt, &job.card.agent), (JobState::Queued, 2, 0, &to));
    let late = Transition::Complete { fence: 1, outputs: Json::object(), artifacts: Vec::new() };
    assert!(matches!(job.apply(late, at(3)), Err(Refusal::Fenced { held: 1, newest: 2, .. })));

    job.apply(Transition::Claim, at(4)).unwrap();
    job.apply(Transition::Pause, at(5)).unwrap();
    job.apply(reassign(), at(6)).unwrap();
    assert_eq!((job.state, job.paused_from), (JobState::Paused, Some(JobState::Queued)), "held as before");
    job.apply(Transition::Resume, at(7)).unwrap();
    job.apply(Transition::Cancel { reason: "enough".into(), held: false }, at(8)).unwrap();
    let refused = job.apply(reassign(), at(9)).unwrap_err().to_string();
    assert_eq!(refused, "`run-1.audit` is cancelled, so it cannot be given to an agent");
}

fn any_transition() -> impl Strategy<Value = Transition> {
    let text = || Just(String::from("x"));
    let fence = 0..6_u64;
    prop_oneof![
        4 => Just(Transition::Claim),
        2 => fence.clone().prop_map(|fence| Transition::Complete { fence, outputs: Json::object(), artifacts: Vec::new() }),
        2 => fence.clone().prop_map(|fence| Transition::FailTransient {
            fence, error: "e".into(), backoff: Duration::from_millis(1), max_attempts: 2, director: director() }),
        1 => fence.clone().prop_map(|fence| Transition::FailPermanent { fence, error: "e".into(), director: director() }),
        1 => Just(Transition::Waive),
        1 => Just(Transition::AskPerson),
        1 => text().prop_map(|by| Transition::Approve { by, reason: String::new() }),
        1 => text().prop_map(|by| Transition::Reject { by, reason: String::new() }),
        1 => Just(Transition::Pause),
        1 => Just(Transition::Resume),
        1 => (text(), any::<bool>()).prop_map(|(reason, held)| Transition::Cancel { reason, held }),
        1 => fence.clone().prop_map(|fence| Transition::GiveUp { fence, error: "e".into() }),
        1 => fence.clone().prop_map(|fence| Transition::Stopped { fence, how: "x".into() }),
        1 => fence.clone().prop_map(|fence| Transition::SoftTimeout { fence }),
        1 => text().prop_map(|by| Transition::Reassign { to: director(), by, reason: String::new() }),
        1 => fence.prop_map(|fence| Transition::HardTimeout { fence }),
    ]
}

proptest! {
    #[test]
    fn whatever_is_asked_the_row_keeps_its_laws(transitions in prop::collection::vec(any_transition(), 1..60)) {
        let mut job = job();
        for (step, transition) in transitions.into_iter().enumerate() {
            let before = job.clone();
            let by_holder = match &transition {
                Transition::Complete { fence, .. } | Transition::FailPermanent { fence, .. }
                | Transition::FailTransient { fence, .. } | Transition::Stopped { fence, .. } => Some(*fence),
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
