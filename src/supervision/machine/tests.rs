//! The decisions one by one; the generated scenarios are in `tests/it`.

use super::*;

const NOW: Duration = Duration::from_secs(100);

fn policy(strategy: Strategy, intensity: u32) -> SupervisorPolicy {
    SupervisorPolicy { strategy, intensity, ..SupervisorPolicy::default() }
}

fn crash() -> ExitReason {
    ExitReason::Crashed("boom".into())
}

/// Answers every start with success and every stop with an orderly end; returns all commands.
fn obey(machine: &mut Machine, mut commands: Vec<Command>) -> Vec<Command> {
    let mut all = Vec::new();
    while !commands.is_empty() {
        let mut next = Vec::new();
        for command in commands {
            next.extend(match command {
                Command::Start(key, _) => machine.step(NOW, Input::Started(key)),
                Command::Stop(key, i) => machine.step(NOW, Input::Exited(key, i, ExitReason::Shutdown)),
                Command::Forget(_) | Command::Exit(_) => Vec::new(),
            });
            all.push(command);
        }
        commands = next;
    }
    all
}

fn boot(policy: SupervisorPolicy, children: usize) -> Machine {
    let mut machine = Machine::new(policy, vec![ChildPolicy::default(); children]);
    let commands = machine.step(NOW, Input::Boot);
    obey(&mut machine, commands);
    machine
}

fn feed(machine: &mut Machine, input: Input) -> Vec<Command> {
    let commands = machine.step(NOW, input);
    obey(machine, commands)
}

#[test]
fn rest_for_one_stops_later_children_in_reverse_and_starts_them_in_order() {
    let mut machine = boot(policy(Strategy::RestForOne, 3), 4);
    let commands = feed(&mut machine, Input::Exited(1, 2, crash()));
    assert_eq!(
        commands,
        [
            Command::Stop(3, 4),
            Command::Stop(2, 3),
            Command::Start(1, 5),
            Command::Start(2, 6),
            Command::Start(3, 7)
        ]
    );
}

#[test]
fn an_exit_that_the_plan_overtakes_is_forgotten() {
    let mut machine = boot(policy(Strategy::OneForAll, 1), 3);
    let first = machine.step(NOW, Input::Exited(1, 2, crash()));
    assert_eq!(first, [Command::Stop(2, 3)]);
    assert!(machine.step(NOW, Input::Exited(0, 1, crash())).is_empty(), "waits its turn");
    let rest = feed(&mut machine, Input::Exited(2, 3, ExitReason::Shutdown));
    assert_eq!(rest, [Command::Start(0, 4), Command::Start(1, 5), Command::Start(2, 6)]);
    assert_eq!(machine.recent_restarts(NOW), 1);
}

#[test]
fn one_restart_too_many_ends_the_supervisor_in_reverse_order() {
    let mut machine = boot(policy(Strategy::OneForOne, 1), 3);
    feed(&mut machine, Input::Exited(0, 1, crash()));
    let commands = feed(&mut machine, Input::Exited(0, 4, crash()));
    assert_eq!(commands, [Command::Stop(2, 3), Command::Stop(1, 2), Command::Exit(Ending::IntensityReached)]);
}

#[test]
fn a_restart_that_fails_is_tried_again_until_the_intensity_is_reached() {
    let mut machine = boot(policy(Strategy::OneForOne, 3), 1);
    let mut commands = machine.step(NOW, Input::Exited(0, 1, crash()));
    for incarnation in 2..=4 {
        assert_eq!(commands, [Command::Start(0, incarnation)]);
        commands = machine.step(NOW, Input::StartFailed(0, crash()));
    }
    assert_eq!(commands, [Command::Exit(Ending::IntensityReached)]);
}

#[test]
fn a_planned_restart_does_not_count() {
    let mut machine = boot(policy(Strategy::OneForAll, 0), 2);
    for round in 0..10 {
        let commands = feed(&mut machine, Input::Restart(1));
        assert_eq!(commands, [Command::Stop(1, 2 + round), Command::Start(1, 3 + round)]);
    }
    assert_eq!(machine.recent_restarts(NOW), 0);
}

#[test]
fn a_shutdown_waits_for_the_restart_under_way() {
    let mut machine = boot(policy(Strategy::RestForOne, 1), 2);
    assert_eq!(machine.step(NOW, Input::Exited(0, 1, crash())), [Command::Stop(1, 2)]);
    assert!(machine.step(NOW, Input::Shutdown).is_empty());
    let rest = feed(&mut machine, Input::Exited(1, 2, ExitReason::Shutdown));
    assert_eq!(
        rest,
        [
            Command::Start(0, 3),
            Command::Start(1, 4),
            Command::Stop(1, 4),
            Command::Stop(0, 3),
            Command::Exit(Ending::Asked)
        ]
    );
}

#[test]
fn a_start_on_demand_that_fails_is_not_tried_again() {
    let mut machine = boot(policy(Strategy::OneForOne, 1), 1);
    feed(&mut machine, Input::Terminate(0));
    assert_eq!(machine.step(NOW, Input::Start(0)), [Command::Start(0, 2)]);
    assert!(machine.step(NOW, Input::StartFailed(0, crash())).is_empty());
    assert_eq!(machine.children().collect::<Vec<_>>(), [0], "it stays known, as it was");

    let new = machine.add(ChildPolicy::default());
    assert_eq!(machine.step(NOW, Input::Start(new)), [Command::Start(new, 3)]);
    assert_eq!(machine.step(NOW, Input::StartFailed(new, crash())), [Command::Forget(new)]);
    assert_eq!(machine.children().collect::<Vec<_>>(), [0]);
}

#[test]
fn a_start_on_demand_leaves_a_running_child_alone() {
    let mut machine = boot(policy(Strategy::OneForOne, 1), 1);
    assert!(machine.step(NOW, Input::Start(0)).is_empty());
    assert_eq!(machine.running(0), Some(1));
}

#[test]
fn a_child_whose_start_still_waits_is_no_part_of_a_group_restart() {
    let mut machine = boot(policy(Strategy::OneForAll, 2), 2);
    assert_eq!(machine.step(NOW, Input::Exited(0, 1, crash())), [Command::Stop(1, 2)]);
    let new = machine.add(ChildPolicy::default());
    assert!(machine.step(NOW, Input::Start(new)).is_empty());
    let rest = feed(&mut machine, Input::Exited(1, 2, ExitReason::Shutdown));
    assert_eq!(rest, [Command::Start(0, 3), Command::Start(1, 4), Command::Start(new, 5)]);
}

#[test]
fn a_terminated_dynamic_child_is_forgotten() {
    let mut machine = boot(policy(Strategy::Dynamic, 1), 2);
    let commands = feed(&mut machine, Input::Terminate(0));
    assert_eq!(commands, [Command::Stop(0, 1), Command::Forget(0)]);
}

#[test]
fn an_end_that_overtakes_the_answer_to_its_start_waits_for_it() {
    let mut machine = boot(policy(Strategy::OneForOne, 3), 1);
    assert_eq!(machine.step(NOW, Input::Exited(0, 1, crash())), [Command::Start(0, 2)]);
    assert!(machine.step(NOW, Input::Exited(0, 2, crash())).is_empty());
    assert_eq!(machine.step(NOW, Input::Started(0)), [Command::Start(0, 3)]);
    assert!(machine.step(NOW, Input::StartFailed(0, crash())).contains(&Command::Start(0, 4)));
}

#[test]
fn only_the_child_whose_start_failed_is_being_restarted() {
    let mut machine = boot(policy(Strategy::OneForAll, 9), 3);
    machine.step(NOW, Input::Exited(1, 2, crash()));
    machine.step(NOW, Input::Exited(2, 3, ExitReason::Shutdown));
    machine.step(NOW, Input::Exited(0, 1, ExitReason::Shutdown));
    machine.step(NOW, Input::Start(1));
    let commands = machine.step(NOW, Input::StartFailed(0, crash()));
    assert_eq!(commands, [Command::Start(1, 5)], "it is down, so a start on demand is heard");
}

#[test]
fn a_failed_boot_stops_what_had_started() {
    let mut machine = Machine::new(policy(Strategy::OneForOne, 1), vec![ChildPolicy::default(); 3]);
    machine.step(NOW, Input::Boot);
    machine.step(NOW, Input::Started(0));
    machine.step(NOW, Input::Started(1));
    let commands = feed(&mut machine, Input::StartFailed(2, crash()));
    assert_eq!(
        commands,
        [Command::Stop(1, 2), Command::Stop(0, 1), Command::Exit(Ending::BootFailed(2, crash()))]
    );
}

#[test]
fn old_restarts_fall_out_of_the_window() {
    let mut machine = boot(policy(Strategy::OneForOne, 1), 1);
    for round in 0..20_u64 {
        let now = NOW + Duration::from_secs(6) * u32::try_from(round).unwrap();
        let commands = machine.step(now, Input::Exited(0, round + 1, crash()));
        assert_eq!(commands, [Command::Start(0, round + 2)]);
        machine.step(now, Input::Started(0));
    }
}
