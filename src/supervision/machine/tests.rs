//! The decisions one by one; the generated scenarios are in `tests/it`.

use super::*;
use crate::policy::RestartBackoff;

const NOW: Duration = Duration::from_secs(100);

fn policy(strategy: RestartStrategy, intensity: u32) -> SupervisorPolicy {
    SupervisorPolicy { strategy, intensity, ..SupervisorPolicy::default() }
}

/// With OTP's immediate restarts.
fn at_once() -> ChildPolicy {
    ChildPolicy { backoff: RestartBackoff::NONE, ..ChildPolicy::default() }
}

fn crash() -> ExitReason {
    ExitReason::Crashed("boom".into())
}

/// Answers every start with success and every stop with an orderly end; returns all commands.
fn obey(machine: &mut SupervisorMachine, mut commands: Vec<MachineCommand>) -> Vec<MachineCommand> {
    let mut all = Vec::new();
    while !commands.is_empty() {
        let mut next = Vec::new();
        for command in commands {
            next.extend(match command {
                MachineCommand::Start(key, _) => machine.step(NOW, MachineInput::Started(key)),
                MachineCommand::Stop(key, i) => {
                    machine.step(NOW, MachineInput::Exited(key, i, ExitReason::Shutdown))
                }
                MachineCommand::Forget(_) | MachineCommand::Wait(..) | MachineCommand::Exit(_) => Vec::new(),
            });
            all.push(command);
        }
        commands = next;
    }
    all
}

fn boot(policy: SupervisorPolicy, children: usize) -> SupervisorMachine {
    let mut machine = SupervisorMachine::new(policy, vec![at_once(); children]);
    let commands = machine.step(NOW, MachineInput::Boot);
    obey(&mut machine, commands);
    machine
}

fn feed(machine: &mut SupervisorMachine, input: MachineInput) -> Vec<MachineCommand> {
    let commands = machine.step(NOW, input);
    obey(machine, commands)
}

#[test]
fn rest_for_one_stops_later_children_in_reverse_and_starts_them_in_order() {
    let mut machine = boot(policy(RestartStrategy::RestForOne, 3), 4);
    let commands = feed(&mut machine, MachineInput::Exited(1, 2, crash()));
    assert_eq!(
        commands,
        [
            MachineCommand::Stop(3, 4),
            MachineCommand::Stop(2, 3),
            MachineCommand::Start(1, 5),
            MachineCommand::Start(2, 6),
            MachineCommand::Start(3, 7)
        ]
    );
}

#[test]
fn an_exit_that_the_plan_overtakes_is_forgotten() {
    let mut machine = boot(policy(RestartStrategy::OneForAll, 1), 3);
    let first = machine.step(NOW, MachineInput::Exited(1, 2, crash()));
    assert_eq!(first, [MachineCommand::Stop(2, 3)]);
    assert!(machine.step(NOW, MachineInput::Exited(0, 1, crash())).is_empty(), "waits its turn");
    let rest = feed(&mut machine, MachineInput::Exited(2, 3, ExitReason::Shutdown));
    assert_eq!(rest, [MachineCommand::Start(0, 4), MachineCommand::Start(1, 5), MachineCommand::Start(2, 6)]);
    assert_eq!(machine.recent_restarts(NOW), 1);
}

#[test]
fn one_restart_too_many_ends_the_supervisor_in_reverse_order() {
    let mut machine = boot(policy(RestartStrategy::OneForOne, 1), 3);
    feed(&mut machine, MachineInput::Exited(0, 1, crash()));
    let commands = feed(&mut machine, MachineInput::Exited(0, 4, crash()));
    assert_eq!(
        commands,
        [
            MachineCommand::Stop(2, 3),
            MachineCommand::Stop(1, 2),
            MachineCommand::Exit(SupervisorEnding::IntensityReached)
        ]
    );
}

#[test]
fn a_restart_that_fails_is_tried_again_until_the_intensity_is_reached() {
    let mut machine = boot(policy(RestartStrategy::OneForOne, 3), 1);
    let mut commands = machine.step(NOW, MachineInput::Exited(0, 1, crash()));
    for incarnation in 2..=4 {
        assert_eq!(commands, [MachineCommand::Start(0, incarnation)]);
        commands = machine.step(NOW, MachineInput::StartFailed(0, crash()));
    }
    assert_eq!(commands, [MachineCommand::Exit(SupervisorEnding::IntensityReached)]);
}

#[test]
fn a_planned_restart_does_not_count() {
    let mut machine = boot(policy(RestartStrategy::OneForAll, 0), 2);
    for round in 0..10 {
        let commands = feed(&mut machine, MachineInput::Restart(1));
        assert_eq!(commands, [MachineCommand::Stop(1, 2 + round), MachineCommand::Start(1, 3 + round)]);
    }
    assert_eq!(machine.recent_restarts(NOW), 0);
}

#[test]
fn a_shutdown_waits_for_the_restart_under_way() {
    let mut machine = boot(policy(RestartStrategy::RestForOne, 1), 2);
    assert_eq!(machine.step(NOW, MachineInput::Exited(0, 1, crash())), [MachineCommand::Stop(1, 2)]);
    assert!(machine.step(NOW, MachineInput::Shutdown).is_empty());
    let rest = feed(&mut machine, MachineInput::Exited(1, 2, ExitReason::Shutdown));
    assert_eq!(
        rest,
        [
            MachineCommand::Start(0, 3),
            MachineCommand::Start(1, 4),
            MachineCommand::Stop(1, 4),
            MachineCommand::Stop(0, 3),
            MachineCommand::Exit(SupervisorEnding::Asked)
        ]
    );
}

#[test]
fn a_start_on_demand_that_fails_is_not_tried_again() {
    let mut machine = boot(policy(RestartStrategy::OneForOne, 1), 1);
    feed(&mut machine, MachineInput::Terminate(0));
    assert_eq!(machine.step(NOW, MachineInput::Start(0)), [MachineCommand::Start(0, 2)]);
    assert!(machine.step(NOW, MachineInput::StartFailed(0, crash())).is_empty());
    assert_eq!(machine.children().collect::<Vec<_>>(), [0], "it stays known, as it was");

    let new = machine.add(at_once());
    assert_eq!(machine.step(NOW, MachineInput::Start(new)), [MachineCommand::Start(new, 3)]);
    assert_eq!(machine.step(NOW, MachineInput::StartFailed(new, crash())), [MachineCommand::Forget(new)]);
    assert_eq!(machine.children().collect::<Vec<_>>(), [0]);
}

#[test]
fn a_start_on_demand_leaves_a_running_child_alone() {
    let mut machine = boot(policy(RestartStrategy::OneForOne, 1), 1);
    assert!(machine.step(NOW, MachineInput::Start(0)).is_empty());
    assert_eq!(machine.running(0), Some(1));
}

#[test]
fn a_child_whose_start_still_waits_is_no_part_of_a_group_restart() {
    let mut machine = boot(policy(RestartStrategy::OneForAll, 2), 2);
    assert_eq!(machine.step(NOW, MachineInput::Exited(0, 1, crash())), [MachineCommand::Stop(1, 2)]);
    let new = machine.add(at_once());
    assert!(machine.step(NOW, MachineInput::Start(new)).is_empty());
    let rest = feed(&mut machine, MachineInput::Exited(1, 2, ExitReason::Shutdown));
    assert_eq!(
        rest,
        [MachineCommand::Start(0, 3), MachineCommand::Start(1, 4), MachineCommand::Start(new, 5)]
    );
}

#[test]
fn a_terminated_dynamic_child_is_forgotten() {
    let mut machine = boot(policy(RestartStrategy::Dynamic, 1), 2);
    let commands = feed(&mut machine, MachineInput::Terminate(0));
    assert_eq!(commands, [MachineCommand::Stop(0, 1), MachineCommand::Forget(0)]);
}

#[test]
fn an_end_that_overtakes_the_answer_to_its_start_waits_for_it() {
    let mut machine = boot(policy(RestartStrategy::OneForOne, 3), 1);
    assert_eq!(machine.step(NOW, MachineInput::Exited(0, 1, crash())), [MachineCommand::Start(0, 2)]);
    assert!(machine.step(NOW, MachineInput::Exited(0, 2, crash())).is_empty());
    assert_eq!(machine.step(NOW, MachineInput::Started(0)), [MachineCommand::Start(0, 3)]);
    assert!(machine.step(NOW, MachineInput::StartFailed(0, crash())).contains(&MachineCommand::Start(0, 4)));
}

#[test]
fn only_the_child_whose_start_failed_is_being_restarted() {
    let mut machine = boot(policy(RestartStrategy::OneForAll, 9), 3);
    machine.step(NOW, MachineInput::Exited(1, 2, crash()));
    machine.step(NOW, MachineInput::Exited(2, 3, ExitReason::Shutdown));
    machine.step(NOW, MachineInput::Exited(0, 1, ExitReason::Shutdown));
    machine.step(NOW, MachineInput::Start(1));
    let commands = machine.step(NOW, MachineInput::StartFailed(0, crash()));
    assert_eq!(commands, [MachineCommand::Start(1, 5)], "it is down, so a start on demand is heard");
}

#[test]
fn a_failed_boot_stops_what_had_started() {
    let mut machine = SupervisorMachine::new(policy(RestartStrategy::OneForOne, 1), vec![at_once(); 3]);
    machine.step(NOW, MachineInput::Boot);
    machine.step(NOW, MachineInput::Started(0));
    machine.step(NOW, MachineInput::Started(1));
    let commands = feed(&mut machine, MachineInput::StartFailed(2, crash()));
    assert_eq!(
        commands,
        [
            MachineCommand::Stop(1, 2),
            MachineCommand::Stop(0, 1),
            MachineCommand::Exit(SupervisorEnding::BootFailed(2, crash()))
        ]
    );
}

#[test]
fn old_restarts_fall_out_of_the_window() {
    let mut machine = boot(policy(RestartStrategy::OneForOne, 1), 1);
    for round in 0..20_u64 {
        let now = NOW + Duration::from_secs(6) * u32::try_from(round).unwrap();
        let commands = machine.step(now, MachineInput::Exited(0, round + 1, crash()));
        assert_eq!(commands, [MachineCommand::Start(0, round + 2)]);
        machine.step(now, MachineInput::Started(0));
    }
}

fn booted(strategy: RestartStrategy, intensity: u32, children: usize) -> SupervisorMachine {
    let policy = SupervisorPolicy { period: Duration::from_secs(10), ..policy(strategy, intensity) };
    let mut machine = SupervisorMachine::new(policy, vec![ChildPolicy::default(); children]);
    let commands = machine.step(NOW, MachineInput::Boot);
    obey(&mut machine, commands);
    machine
}

fn crash_again(machine: &mut SupervisorMachine, key: ChildKey) -> Vec<MachineCommand> {
    let incarnation = machine.running(key).unwrap();
    feed(machine, MachineInput::Exited(key, incarnation, crash()))
}

/// Lets a child crash right after every start until the supervisor gives up; returns the times of the
/// restarts.
fn restarts_of_a_lasting_fault(machine: &mut SupervisorMachine) -> Vec<Duration> {
    let (mut now, mut starts) = (NOW, Vec::new());
    let mut commands = machine.step(now, MachineInput::Exited(0, machine.running(0).unwrap(), crash()));
    loop {
        let [command] = &commands[..] else { panic!("{commands:?}") };
        commands = match command {
            MachineCommand::Wait(0, until) => {
                assert!(*until > now);
                assert!(machine.step(now, MachineInput::Due(0)).is_empty(), "not before its time");
                assert!(machine.is_coming_back(0));
                now = *until;
                machine.step(now, MachineInput::Due(0))
            }
            MachineCommand::Start(0, incarnation) => {
                starts.push(now - NOW);
                assert!(machine.step(now, MachineInput::Started(0)).is_empty());
                machine.step(now, MachineInput::Exited(0, *incarnation, crash()))
            }
            MachineCommand::Exit(SupervisorEnding::IntensityReached) => return starts,
            other => panic!("{other:?}"),
        };
    }
}

#[test]
fn a_lasting_fault_spends_its_budget_in_seconds_and_within_the_period() {
    for intensity in [2, 3, 10] {
        let mut machine = booted(RestartStrategy::OneForOne, intensity, 1);
        let starts = restarts_of_a_lasting_fault(&mut machine);
        assert_eq!(starts.len(), intensity as usize);
        assert_eq!(starts[0], Duration::ZERO, "the first restart is immediate");
        let last = *starts.last().unwrap();
        assert!(last >= Duration::from_secs(2) && last < Duration::from_secs(10), "{starts:?}");
        assert_eq!(machine.culprit(), Some(0));
    }
}

#[test]
fn after_a_healthy_life_the_next_restart_is_immediate_again() {
    let mut machine = booted(RestartStrategy::OneForOne, 10, 1);
    let mut now = NOW;
    for life in [0_u64, 100, 3_000, 100] {
        now += Duration::from_millis(life);
        let commands = machine.step(now, MachineInput::Exited(0, machine.running(0).unwrap(), crash()));
        match (life, &commands[..]) {
            (0 | 3_000, [MachineCommand::Start(..)]) => {}
            (100, [MachineCommand::Wait(0, until)]) => {
                now = *until;
                assert!(matches!(machine.step(now, MachineInput::Due(0))[..], [MachineCommand::Start(..)]));
            }
            other => panic!("{other:?}"),
        }
        machine.step(now, MachineInput::Started(0));
    }
}

#[test]
fn a_group_waits_together_and_holds_nobody_else_up() {
    let mut machine = booted(RestartStrategy::RestForOne, 10, 3);
    feed(&mut machine, MachineInput::Exited(1, 2, crash()));
    let first = crash_again(&mut machine, 1);
    let [MachineCommand::Stop(2, _), MachineCommand::Wait(1, until)] = first[..] else { panic!("{first:?}") };
    assert!(machine.is_coming_back(1) && machine.is_coming_back(2));
    // An earlier child crashes meanwhile: the later ones restart with that child, at once, and their own
    // pause is void.
    let commands = feed(&mut machine, MachineInput::Exited(0, 1, crash()));
    let started: Vec<ChildKey> = commands
        .iter()
        .filter_map(|command| match command {
            MachineCommand::Start(key, _) => Some(*key),
            _ => None,
        })
        .collect();
    assert_eq!(started, [0, 1, 2]);
    assert!(machine.step(until, MachineInput::Due(1)).is_empty());
}

#[test]
fn a_child_that_is_stopped_while_it_waits_stays_down_and_an_end_waits_for_nobody() {
    let mut machine = booted(RestartStrategy::OneForOne, 10, 2);
    feed(&mut machine, MachineInput::Exited(0, 1, crash()));
    let waits = crash_again(&mut machine, 0);
    let [MachineCommand::Wait(0, until)] = waits[..] else { panic!("{waits:?}") };
    assert!(feed(&mut machine, MachineInput::Terminate(0)).is_empty());
    assert!(!machine.is_coming_back(0));
    assert!(machine.step(until, MachineInput::Due(0)).is_empty());
    let waits = feed(&mut machine, MachineInput::Exited(1, 2, crash()));
    assert!(matches!(waits[..], [MachineCommand::Start(1, _)]), "{waits:?}");
    let ended = feed(&mut machine, MachineInput::Shutdown);
    assert!(
        matches!(ended[..], [MachineCommand::Stop(1, _), MachineCommand::Exit(SupervisorEnding::Asked)]),
        "{ended:?}"
    );
}
