//! The scope of a kill: which actors end together with the killed one, by their supervisors' strategies.
//!
//! Reads the tree and sends no message. For one supervisor the answer matches the decision of its
//! [`SupervisorMachine`], as long as the restart stays within the intensity; beyond that the supervisor above
//! decides.
//!
//! [`SupervisorMachine`]: super::machine::SupervisorMachine

use std::ops::Range;

use super::policy::{RestartStrategy, RestartType};
use super::trace::ActorNumber;
use super::tree::ActorTree;

/// The workers that end when this actor is killed, itself included, in start order.
#[must_use]
pub fn of_kill(tree: &ActorTree, killed: ActorNumber) -> Vec<ActorNumber> {
    let Some(node) = tree.by_number(killed) else { return Vec::new() };
    let parent = node.parent().and_then(|no| tree.by_number(no));
    let siblings = parent.as_ref().map_or_else(|| vec![killed], |parent| parent.children());
    let position = siblings.iter().position(|no| *no == killed).unwrap_or(0);
    let strategy = parent.and_then(|parent| parent.strategy.get().copied()).unwrap_or_default();
    let restart = node.restart.get().copied().unwrap_or_default();
    let mut found = Vec::new();
    for sibling in &siblings[concerned(strategy, restart, position, siblings.len())] {
        workers_below(tree, *sibling, &mut found);
    }
    found
}

/// The positions of the children that end when the child at `killed` is killed.
fn concerned(
    strategy: RestartStrategy,
    restart: RestartType,
    killed: usize,
    children: usize,
) -> Range<usize> {
    match strategy {
        RestartStrategy::OneForAll if restart != RestartType::Temporary => 0..children,
        RestartStrategy::RestForOne if restart != RestartType::Temporary => killed..children,
        _ => killed..children.min(killed + 1),
    }
}

fn workers_below(tree: &ActorTree, no: ActorNumber, found: &mut Vec<ActorNumber>) {
    let Some(node) = tree.by_number(no) else { return };
    if node.mailbox.get().is_some() {
        found.push(no);
    }
    for child in node.children() {
        workers_below(tree, child, found);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::machine::{MachineCommand, MachineInput, SupervisorMachine};
    use crate::policy::{ChildPolicy, ExitReason, RestartStrategy, SupervisorPolicy};

    /// The children that the machine stops or starts after a kill.
    fn by_machine(policy: SupervisorPolicy, children: &[ChildPolicy], killed: usize) -> BTreeSet<usize> {
        let mut machine = SupervisorMachine::new(policy, children.iter().copied());
        let now = Duration::ZERO;
        let mut commands = machine.step(now, MachineInput::Boot);
        while let Some(MachineCommand::Start(key, _)) = commands.pop() {
            commands = machine.step(now, MachineInput::Started(key));
        }
        let key = u32::try_from(killed).unwrap();
        let incarnation = machine.running(key).unwrap();
        let mut touched = BTreeSet::from([killed]);
        let mut commands = machine.step(now, MachineInput::Exited(key, incarnation, ExitReason::Killed));
        while let Some(command) = commands.pop() {
            commands.extend(match command {
                MachineCommand::Start(key, _) => {
                    touched.insert(key as usize);
                    machine.step(now, MachineInput::Started(key))
                }
                MachineCommand::Stop(key, incarnation) => {
                    touched.insert(key as usize);
                    machine.step(now, MachineInput::Exited(key, incarnation, ExitReason::Shutdown))
                }
                MachineCommand::Forget(_) | MachineCommand::Wait(..) | MachineCommand::Exit(_) => Vec::new(),
            });
        }
        touched
    }

    fn any_strategy() -> impl proptest::strategy::Strategy<Value = RestartStrategy> {
        prop_oneof![
            Just(RestartStrategy::OneForOne),
            Just(RestartStrategy::OneForAll),
            Just(RestartStrategy::RestForOne),
            Just(RestartStrategy::Dynamic)
        ]
    }

    fn any_restart() -> impl proptest::strategy::Strategy<Value = RestartType> {
        prop_oneof![Just(RestartType::Permanent), Just(RestartType::Transient), Just(RestartType::Temporary)]
    }

    proptest! {
        #[test]
        fn a_kill_reaches_as_far_as_the_machine_goes(
            strategy in any_strategy(), restarts in prop::collection::vec(any_restart(), 1..8),
            killed in any::<prop::sample::Index>()
        ) {
            let killed = killed.index(restarts.len());
            let policy = SupervisorPolicy { strategy, ..SupervisorPolicy::default() };
            let children: Vec<_> =
                restarts.iter().map(|restart| ChildPolicy { restart: *restart, ..ChildPolicy::default() }).collect();
            let told: BTreeSet<usize> =
                concerned(strategy, restarts[killed], killed, restarts.len()).collect();
            prop_assert_eq!(told, by_machine(policy, &children, killed));
        }
    }
}
