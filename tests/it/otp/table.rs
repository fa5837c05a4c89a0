//! The scenarios of `tests/otp/scenarios.jsonl`: systematic ones, then random deep ones.
//!
//! Deterministic: the same table at every call. Scenarios that real clocks could decide either way, or that
//! would sleep too long, are left out. `expect` is the model's.

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::random::{self, Timing};
use super::scenario::{
    AutoShutdown, ChildSpec, Fate, Interruption, Outcome, Reason, Restart, Scenario, Step, Strategy,
};

const STRATEGIES: [Strategy; 4] =
    [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne, Strategy::SimpleOneForOne];
const GROUP_STRATEGIES: [Strategy; 2] = [Strategy::OneForAll, Strategy::RestForOne];
const RESTARTS: [Restart; 3] = [Restart::Permanent, Restart::Transient, Restart::Temporary];
const REASONS: [Reason; 5] =
    [Reason::Normal, Reason::Shutdown, Reason::ShutdownTerm, Reason::Crash, Reason::Killed];
const NAMES: [&str; 3] = ["a", "b", "c"];
/// So long that no scenario without sleeps comes near the end of the window.
const LONG_PERIOD_S: u32 = 60;
const RANDOM_SCENARIOS: usize = 250;
/// Most sleep of a scenario in real time; the runner sleeps in parallel.
const MOST_SLEEP_MS: u64 = 8000;

pub(crate) fn table() -> Vec<Scenario> {
    let mut table = Vec::new();
    exits(&mut table);
    significant_children(&mut table);
    intensity(&mut table);
    time(&mut table);
    failing_starts(&mut table);
    requests(&mut table);
    at_once(&mut table);
    interruptions(&mut table);
    random_ones(&mut table);
    for scenario in &mut table {
        let run = super::model::run(scenario);
        assert!(run.is_robust_in_time, "{} depends on rounding", scenario.id);
        scenario.expect = run.outcome;
    }
    table
}

/// OTP's word for a strategy.
fn word(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::OneForOne => "one_for_one",
        Strategy::OneForAll => "one_for_all",
        Strategy::RestForOne => "rest_for_one",
        Strategy::SimpleOneForOne => "simple_one_for_one",
    }
}

fn child(id: &str, restart: Restart) -> ChildSpec {
    ChildSpec { id: id.into(), restart, significant: false, fail_starts: Vec::new() }
}

fn exit(child: &str, reason: Reason) -> Step {
    Step::Exit { child: child.into(), reason }
}

fn crash(child: &str) -> Step {
    exit(child, Reason::Crash)
}

/// A scenario whose children are up before the steps: of a `simple_one_for_one` supervisor, all by the
/// template of the first, and started one by one.
fn scenario(
    id: String,
    strategy: Strategy,
    intensity: u32,
    children: &[ChildSpec],
    steps: Vec<Step>,
) -> Scenario {
    let mut scenario = Scenario {
        id,
        strategy,
        intensity,
        period_s: LONG_PERIOD_S,
        auto_shutdown: AutoShutdown::Never,
        children: children.to_vec(),
        interruptions: Vec::new(),
        steps,
        expect: Outcome { log: Vec::new(), alive: Vec::new(), supervisor: Fate::Running },
    };
    if strategy == Strategy::SimpleOneForOne {
        random::by_template(&mut scenario);
    }
    scenario
}

/// Strategy × restart type × exit reason × place of the child; then another one crashes, then all stop.
fn exits(table: &mut Vec<Scenario>) {
    for strategy in STRATEGIES {
        for restart in RESTARTS {
            for reason in REASONS {
                for place in 0..3 {
                    let mut children = ["a", "b", "c", "d"].map(|id| child(id, Restart::Permanent));
                    children[(place + 1) % 3].restart = Restart::Transient;
                    children[3].restart = Restart::Temporary;
                    children[place].restart = restart;
                    children.rotate_left(usize::from(strategy == Strategy::SimpleOneForOne) * place);
                    let (victim, other) = (NAMES[place], NAMES[(place + 2) % 3]);
                    table.push(scenario(
                        format!("exit/{}/{restart:?}/{reason:?}/{victim}", word(strategy)),
                        strategy,
                        2,
                        &children,
                        vec![exit(victim, reason), crash(other), Step::Shutdown],
                    ));
                }
            }
        }
    }
}

fn significant_children(table: &mut Vec<Scenario>) {
    for strategy in STRATEGIES {
        for auto_shutdown in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
            for restart in [Restart::Transient, Restart::Temporary] {
                for reason in REASONS {
                    let mut children = NAMES.map(|id| child(id, restart));
                    children[0].significant = true;
                    children[2].significant = true;
                    let mut scenario = scenario(
                        format!("significant/{}/{auto_shutdown:?}/{restart:?}/{reason:?}", word(strategy)),
                        strategy,
                        3,
                        &children,
                        vec![
                            exit("b", Reason::Normal),
                            Step::TerminateChild("b".into()),
                            exit("a", reason),
                            exit("c", reason),
                            exit("a", Reason::Normal),
                        ],
                    );
                    scenario.auto_shutdown = auto_shutdown;
                    table.push(scenario);
                }
            }
        }
    }
}

fn intensity(table: &mut Vec<Scenario>) {
    for strategy in STRATEGIES {
        for intensity in 0..4 {
            let steps = (0..=intensity).map(|n| crash(NAMES[n as usize % 3])).collect();
            let children = NAMES.map(|id| child(id, Restart::Permanent));
            table.push(scenario(
                format!("intensity/{}/{intensity}", word(strategy)),
                strategy,
                intensity,
                &children,
                steps,
            ));
        }
    }
}

/// Restarts within and beyond the window, and a window that slides.
fn time(table: &mut Vec<Scenario>) {
    let patterns: [(&str, u32, &[u64]); 6] = [
        ("within", 1, &[0, 1500]),
        ("beyond", 1, &[0, 7000]),
        ("slides", 2, &[0, 3500, 3500]),
        ("slides_and_fills", 2, &[0, 3500, 3500, 0]),
        ("burst_beyond_burst", 2, &[0, 0, 7000, 0]),
        ("burst_too_many", 2, &[0, 0, 7000, 0, 0]),
    ];
    for strategy in STRATEGIES {
        for (name, intensity, pauses_ms) in patterns {
            let children = NAMES.map(|id| child(id, Restart::Permanent));
            let crash_after = |pause_ms: &u64| [Step::AdvanceMs(*pause_ms), crash("b")];
            let steps = pauses_ms.iter().flat_map(crash_after).collect();
            let id = format!("time/{}/{name}", word(strategy));
            let mut scenario = scenario(id, strategy, intensity, &children, steps);
            scenario.period_s = 6;
            table.push(scenario);
        }
    }
}

/// Starts that fail: the first (the supervisor's own start) and further ones.
fn failing_starts(table: &mut Vec<Scenario>) {
    let runs: [(&str, &[u32]); 4] =
        [("boot", &[1]), ("once", &[2]), ("twice", &[2, 3]), ("many", &[2, 3, 4, 5, 6])];
    for strategy in STRATEGIES {
        for failing in NAMES {
            for (name, fail_starts) in runs {
                let mut children = NAMES.map(|id| child(id, Restart::Permanent));
                children[2].restart = Restart::Transient;
                for child in &mut children {
                    if child.id == failing {
                        child.fail_starts = fail_starts.to_vec();
                    }
                }
                table.push(scenario(
                    format!("failing/{}/{failing}/{name}", word(strategy)),
                    strategy,
                    4,
                    &children,
                    vec![crash("b"), crash(failing), exit("c", Reason::Normal), crash("a"), Step::Shutdown],
                ));
            }
        }
    }
}

fn requests(table: &mut Vec<Scenario>) {
    for strategy in STRATEGIES {
        for restart in RESTARTS {
            let children = NAMES.map(|id| child(id, restart));
            let named = |name: &str| format!("requests/{}/{restart:?}/{name}", word(strategy));
            let b = || "b".to_owned();
            let new = |fail_starts: &[u32]| {
                Step::StartChild(ChildSpec { fail_starts: fail_starts.to_vec(), ..child("d", restart) })
            };
            let scenarios = [
                ("terminate", vec![Step::TerminateChild(b()), crash("b"), crash("a"), Step::Shutdown]),
                (
                    "terminate_and_restart",
                    vec![Step::TerminateChild(b()), Step::RestartChild(b()), crash("b"), Step::Shutdown],
                ),
                ("restart_running", vec![Step::RestartChild(b()), Step::Shutdown]),
                ("restart_ended", vec![exit("b", Reason::Normal), Step::RestartChild(b()), crash("b")]),
                ("start", vec![new(&[]), crash("a"), crash("d"), Step::Shutdown]),
                ("start_fails", vec![new(&[1]), Step::RestartChild("d".into()), crash("a")]),
                ("unknown", vec![Step::TerminateChild("x".into()), Step::RestartChild("x".into())]),
            ];
            for (name, steps) in scenarios {
                table.push(scenario(named(name), strategy, 2, &children, steps));
            }
            let mut failing = children.clone();
            failing[1].fail_starts = vec![2];
            let steps =
                vec![Step::TerminateChild(b()), Step::RestartChild(b()), Step::RestartChild(b()), crash("a")];
            table.push(scenario(named("restart_fails"), strategy, 2, &failing, steps));
        }
    }
}

/// Two things that reach the supervisor before it handles the first.
fn at_once(table: &mut Vec<Scenario>) {
    for strategy in STRATEGIES {
        let children = NAMES.map(|id| child(id, Restart::Permanent));
        let add = |name: &str, steps: Vec<Step>, table: &mut Vec<Scenario>| {
            let id = format!("at_once/{}/{name}", word(strategy));
            table.push(scenario(id, strategy, 2, &children, vec![Step::Together(steps)]));
        };
        for (first, second) in [("a", "b"), ("a", "c"), ("b", "a"), ("b", "c"), ("c", "a"), ("c", "b")] {
            add(&format!("{first}_then_{second}"), vec![crash(first), crash(second)], table);
        }
        add("all", vec![crash("a"), crash("b"), crash("c")], table);
        add("crash_then_shutdown", vec![crash("a"), Step::Shutdown], table);
        add("shutdown_then_crash", vec![Step::Shutdown, crash("a")], table);
        add("crash_then_terminate", vec![crash("b"), Step::TerminateChild("b".into())], table);
        add("terminate_then_crash", vec![Step::TerminateChild("b".into()), crash("b")], table);
        add("crash_then_restart", vec![crash("b"), Step::RestartChild("b".into())], table);
        let new = || Step::StartChild(child("d", Restart::Permanent));
        add("crash_then_start", vec![crash("b"), new(), crash("a")], table);
        add("start_then_terminate", vec![new(), Step::TerminateChild("d".into())], table);
    }
}

/// A child crashes at every moment of a group restart.
fn interruptions(table: &mut Vec<Scenario>) {
    /// Booting three children takes six moments, a group restart of them at most eight.
    const MOMENTS: std::ops::RangeInclusive<u32> = 2..=14;
    for strategy in GROUP_STRATEGIES {
        for moment in MOMENTS {
            for victim in NAMES {
                let mut children = NAMES.map(|id| child(id, Restart::Permanent));
                children[2].fail_starts = vec![2];
                let mut scenario = scenario(
                    format!("interrupted/{}/{moment}/{victim}", word(strategy)),
                    strategy,
                    3,
                    &children,
                    vec![crash("a"), Step::Shutdown],
                );
                let child = victim.to_owned();
                scenario.interruptions = vec![Interruption { moment, child, reason: Reason::Crash }];
                table.push(scenario);
            }
        }
    }
}

fn random_ones(table: &mut Vec<Scenario>) {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[25; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let any = random::scenario(Timing::Real);
    let mut found = 0;
    while found < RANDOM_SCENARIOS {
        let mut scenario = any.new_tree(&mut runner).expect("nothing is rejected").current();
        let run = super::model::run(&scenario);
        if run.is_robust_in_time && sleep_ms(&scenario) <= MOST_SLEEP_MS && run.outcome.log.len() > 8 {
            found += 1;
            scenario.id = format!("random/{}/{found}", word(scenario.strategy));
            table.push(scenario);
        }
    }
}

fn sleep_ms(scenario: &Scenario) -> u64 {
    let pause = |step: &Step| if let Step::AdvanceMs(ms) = step { *ms } else { 0 };
    scenario.steps.iter().map(pause).sum()
}
