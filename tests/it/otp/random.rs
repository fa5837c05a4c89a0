//! Random scenarios, as proptest strategies, so that failing ones shrink.
//!
//! Raw choices are drawn first and then made valid: OTP refuses a significant child that is permanent or
//! whose supervisor never shuts down automatically, and a `simple_one_for_one` supervisor has one template.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::scenario::{
    AutoShutdown, ChildSpec, Fate, Interruption, Outcome, Reason, Restart, Scenario, Step,
    Strategy as SupervisorStrategy,
};

/// The kind of time in a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timing {
    /// A number: any window, any pause; also planned restarts, which OTP lacks.
    Simulated,
    /// Real time, in which a real OTP sleeps.
    Real,
}

const POOL: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

/// A step that may be invalid.
#[derive(Debug, Clone)]
enum Raw {
    Exit(usize, Reason),
    Advance(u64),
    Restart(usize),
    Terminate(usize),
    Start(usize),
    Planned(usize),
    Shutdown,
    Together(Vec<Raw>),
}

/// Any valid scenario.
pub(crate) fn scenario(timing: Timing) -> impl Strategy<Value = Scenario> {
    let strategy = select(vec![
        SupervisorStrategy::OneForOne,
        SupervisorStrategy::OneForAll,
        SupervisorStrategy::RestForOne,
        SupervisorStrategy::SimpleOneForOne,
    ]);
    let auto = select(vec![AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant]);
    let period_s = match timing {
        Timing::Simulated => select(vec![1_u32, 2, 3, 5]),
        Timing::Real => select(vec![6, 60]),
    };
    let children = (2..=5_usize, vec(child(), POOL.len()));
    let steps = vec(step(timing), 1..14);
    (strategy, 0..=5_u32, period_s, auto, children, vec(interruption(), 0..4), steps).prop_map(
        |(strategy, intensity, period_s, auto_shutdown, (started, children), interruptions, raw)| {
            let mut pool = children;
            for (spec, id) in pool.iter_mut().zip(POOL) {
                spec.id = id.to_owned();
                spec.significant &=
                    auto_shutdown != AutoShutdown::Never && spec.restart != Restart::Permanent;
            }
            let mut scenario = Scenario {
                id: "random".into(),
                strategy,
                intensity,
                period_s,
                auto_shutdown,
                children: pool[..started].to_vec(),
                interruptions,
                steps: valid(&raw, &pool, started),
                expect: Outcome { log: Vec::new(), alive: Vec::new(), supervisor: Fate::Running },
            };
            if strategy == SupervisorStrategy::SimpleOneForOne {
                by_template(&mut scenario);
            }
            scenario
        },
    )
}

/// Lets the children of a `simple_one_for_one` supervisor be started by steps, all by the template of the
/// first, each name once. Their requests name a process, not a child, so a waiting request may name a process
/// that is gone: no request is made together with other things.
pub(crate) fn by_template(scenario: &mut Scenario) {
    let Some(template) = scenario.children.first().cloned() else { return };
    let dynamic = |spec: &ChildSpec| {
        let like = template.clone();
        ChildSpec { id: spec.id.clone(), fail_starts: spec.fail_starts.clone(), ..like }
    };
    let mut names: Vec<String> = Vec::new();
    let started = scenario.children.iter().cloned().map(Step::StartChild);
    let all: Vec<Step> = started.chain(scenario.steps.drain(..)).collect();
    scenario.steps = all.into_iter().filter_map(|step| once(step, &mut names, &dynamic)).collect();
    scenario.children = vec![ChildSpec { id: "template".into(), fail_starts: Vec::new(), ..template }];
}

fn once(step: Step, names: &mut Vec<String>, dynamic: &dyn Fn(&ChildSpec) -> ChildSpec) -> Option<Step> {
    let may_wait = |step: &Step| !matches!(step, Step::TerminateChild(_) | Step::RestartChild(_));
    match step {
        Step::StartChild(spec) if names.contains(&spec.id) => None,
        Step::StartChild(spec) => {
            names.push(spec.id.clone());
            Some(Step::StartChild(dynamic(&spec)))
        }
        Step::Together(steps) => {
            let steps = steps.into_iter().filter(may_wait);
            Some(Step::Together(steps.filter_map(|step| once(step, names, dynamic)).collect()))
        }
        other => Some(other),
    }
}

fn child() -> impl Strategy<Value = ChildSpec> {
    let restart = select(vec![Restart::Permanent, Restart::Transient, Restart::Temporary]);
    let fail_starts = prop_oneof![
        3 => Just(Vec::new()),
        1 => proptest::sample::subsequence(vec![2_u32, 3, 4, 5, 6], 1..=4),
    ];
    let boot_fails = prop::bool::weighted(0.02);
    (restart, any::<bool>(), fail_starts, boot_fails).prop_map(
        |(restart, significant, mut fail_starts, boot)| {
            if boot {
                fail_starts.insert(0, 1);
            }
            ChildSpec { id: String::new(), restart, significant, fail_starts }
        },
    )
}

fn reason() -> impl Strategy<Value = Reason> {
    prop_oneof![
        4 => Just(Reason::Crash),
        2 => Just(Reason::Killed),
        1 => Just(Reason::Normal),
        1 => Just(Reason::Shutdown),
        1 => Just(Reason::ShutdownTerm),
    ]
}

fn interruption() -> impl Strategy<Value = Interruption> {
    (1..50_u32, select(POOL.to_vec()), reason()).prop_map(|(moment, child, reason)| Interruption {
        moment,
        child: child.to_owned(),
        reason,
    })
}

fn step(timing: Timing) -> impl Strategy<Value = Raw> {
    let pauses_ms = match timing {
        Timing::Simulated => select(vec![0, 500, 999, 1000, 1001, 2000, 3000, 5000, 6000]),
        Timing::Real => select(vec![200, 1500, 7000]),
    };
    let planned = u32::from(timing == Timing::Simulated);
    prop_oneof![
        12 => happening(),
        3 => pauses_ms.prop_map(Raw::Advance),
        4 => vec(happening(), 2..5).prop_map(Raw::Together),
        planned => (0..POOL.len()).prop_map(Raw::Planned),
    ]
}

/// Events that may also happen together with others.
fn happening() -> impl Strategy<Value = Raw> {
    let which = 0..POOL.len();
    prop_oneof![
        24 => (which.clone(), reason()).prop_map(|(child, reason)| Raw::Exit(child, reason)),
        4 => which.clone().prop_map(Raw::Restart),
        4 => which.clone().prop_map(Raw::Terminate),
        6 => which.prop_map(Raw::Start),
        1 => Just(Raw::Shutdown),
    ]
}

/// Names the children. Together with other things only a child of a new name may be started: whether an old
/// name is free is known only after the earlier things.
fn valid(raw: &[Raw], pool: &[ChildSpec], started: usize) -> Vec<Step> {
    let mut is_new: Vec<bool> = (0..pool.len()).map(|at| at >= started).collect();
    let mut named = |raw: &Raw, is_alone: bool| {
        let name = |at: &usize| pool[*at].id.clone();
        Some(match raw {
            Raw::Exit(at, reason) => Step::Exit { child: name(at), reason: *reason },
            Raw::Advance(ms) => Step::AdvanceMs(*ms),
            Raw::Restart(at) => Step::RestartChild(name(at)),
            Raw::Terminate(at) => Step::TerminateChild(name(at)),
            Raw::Planned(at) => Step::PlannedRestart(name(at)),
            Raw::Shutdown => Step::Shutdown,
            Raw::Start(at) if is_alone || is_new[*at] => {
                is_new[*at] = false;
                Step::StartChild(pool[*at].clone())
            }
            Raw::Start(_) | Raw::Together(_) => return None,
        })
    };
    let mut steps = Vec::new();
    for step in raw {
        match step {
            Raw::Together(several) => {
                steps.push(Step::Together(several.iter().filter_map(|one| named(one, false)).collect()));
            }
            one => steps.extend(named(one, true)),
        }
    }
    steps
}
