//! The decisions of a supervisor, as a pure state machine: inputs in, commands out.
//!
//! Owns which child is up, what is to be stopped and started next and when to give up. Knows no actor,
//! no clock (the time is an argument) and no channel, so that the same scenarios can be put to it, to
//! a model and to a real Erlang/OTP. Invariants:
//! - at most one command is outstanding; the next follows its answer ([`Input::Started`],
//!   [`Input::StartFailed`] or [`Input::Exited`]), as OTP's supervisor handles one thing at a time;
//! - what happens meanwhile waits its turn, and is forgotten when the plan has overtaken it;
//! - children stop in the reverse order of their start.

use std::collections::VecDeque;
use std::time::Duration;

use super::policy::{AutoShutdown, ChildPolicy, ExitReason, Restart, Strategy, SupervisorPolicy};

/// Names a child within its supervisor; never reused.
pub type ChildKey = u32;
/// Numbers the starts of a supervisor's children; never reused.
pub type Incarnation = u64;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Start all children, in order.
    Boot,
    /// The child of the last [`Command::Start`] is up.
    Started(ChildKey),
    /// The child of the last [`Command::Start`] could not start.
    StartFailed(ChildKey, ExitReason),
    /// An incarnation ended, asked or by itself.
    Exited(ChildKey, Incarnation, ExitReason),
    /// Stop a running child and start it again, at no price (a planned restart); one that is stopped is
    /// treated as by [`Input::Start`].
    Restart(ChildKey),
    /// Stop a child and leave it stopped (`terminate_child`).
    Terminate(ChildKey),
    /// Start a child that [`Machine::add`] has made known (`start_child`) or that is stopped
    /// (`restart_child`). Nothing happens to one that runs or is being restarted; a start that fails is
    /// not tried again.
    Start(ChildKey),
    /// Stop all children and end.
    Shutdown,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Start this incarnation; answer with [`Input::Started`] or [`Input::StartFailed`].
    Start(ChildKey, Incarnation),
    /// Stop this incarnation; answer with [`Input::Exited`].
    Stop(ChildKey, Incarnation),
    /// Nothing is kept of the child: it was temporary or dynamic, or new and did not start.
    Forget(ChildKey),
    /// End the supervisor; all children are down.
    Exit(Ending),
}

/// Why a supervisor ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It was asked to.
    Asked,
    /// More restarts than its intensity allows: the parent decides.
    IntensityReached,
    /// Its significant children have ended.
    AutoShutdown,
    /// A child failed in the first start.
    BootFailed(ChildKey, ExitReason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// Made known but not yet started: no part of a group restart.
    New,
    /// Not running. `restarting` after a failed restart that is to be tried again.
    Down {
        restarting: bool,
    },
    Up(Incarnation),
    /// Ended by itself; the end waits to be decided upon.
    Dead(Incarnation),
}

#[derive(Debug, Clone)]
struct Child {
    key: ChildKey,
    policy: ChildPolicy,
    status: Status,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Stop { key: ChildKey, may_forget: bool },
    Start(ChildKey),
    Exit(Ending),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outstanding {
    Start { key: ChildKey, incarnation: Incarnation, on_failure: OnFailure },
    Stop { key: ChildKey, incarnation: Incarnation, may_forget: bool },
}

/// What a failed start means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnFailure {
    /// The supervisor itself fails to start.
    GiveUp,
    /// Try again, at the price of one more restart; a temporary child is forgotten.
    TryAgain,
    /// A new child is forgotten, another stays down.
    LeaveDown,
}

/// A wish that waits its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pending {
    Exited(ChildKey, Incarnation, ExitReason),
    TryAgain(ChildKey),
    Restart(ChildKey),
    Terminate(ChildKey),
    Start(ChildKey),
    Shutdown,
}

/// The state of one supervisor.
#[derive(Debug, Clone)]
pub struct Machine {
    policy: SupervisorPolicy,
    children: Vec<Child>,
    next_key: ChildKey,
    next_incarnation: Incarnation,
    restarts: VecDeque<Duration>,
    plan: VecDeque<Step>,
    on_failure: OnFailure,
    outstanding: Option<Outstanding>,
    pending: VecDeque<Pending>,
    ending: bool,
}

impl Machine {
    /// A supervisor with its children, keyed 0, 1, 2, … in start order; nothing runs before
    /// [`Input::Boot`].
    #[must_use]
    pub fn new(policy: SupervisorPolicy, children: impl IntoIterator<Item = ChildPolicy>) -> Self {
        let mut machine = Self {
            policy,
            children: Vec::new(),
            next_key: 0,
            next_incarnation: 1,
            restarts: VecDeque::new(),
            plan: VecDeque::new(),
            on_failure: OnFailure::TryAgain,
            outstanding: None,
            pending: VecDeque::new(),
            ending: false,
        };
        for child in children {
            machine.add(child);
        }
        machine
    }

    /// Makes a further child known, last in order; [`Input::Start`] starts it.
    pub fn add(&mut self, policy: ChildPolicy) -> ChildKey {
        let key = self.next_key;
        self.next_key += 1;
        self.children.push(Child { key, policy, status: Status::New });
        key
    }

    /// The incarnation of a child that is up.
    #[must_use]
    pub fn running(&self, key: ChildKey) -> Option<Incarnation> {
        match self.child(key)?.status {
            Status::Up(incarnation) => Some(incarnation),
            _ => None,
        }
    }

    /// The children still known, in start order.
    pub fn children(&self) -> impl Iterator<Item = ChildKey> + '_ {
        self.children.iter().map(|child| child.key)
    }

    /// Restarts counted within the window that ends `now`.
    #[must_use]
    pub fn recent_restarts(&self, now: Duration) -> usize {
        self.restarts.iter().filter(|&&at| now.saturating_sub(at) <= self.policy.period).count()
    }

    /// Whether the supervisor has decided to end.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.ending
    }

    /// Whether a child that is down is about to be started again.
    #[must_use]
    pub fn is_coming_back(&self, key: ChildKey) -> bool {
        let starting = matches!(self.outstanding, Some(Outstanding::Start { key: k, .. }) if k == key);
        let status = self.child(key).map(|child| child.status);
        starting
            || self.plan.contains(&Step::Start(key))
            || matches!(status, Some(Status::Dead(_) | Status::Down { restarting: true }))
    }

    /// Takes an input at a time and says what is to be done.
    pub fn step(&mut self, now: Duration, input: Input) -> Vec<Command> {
        let mut commands = Vec::new();
        match input {
            Input::Boot => {
                self.on_failure = OnFailure::GiveUp;
                self.plan = self.children.iter().map(|child| Step::Start(child.key)).collect();
            }
            Input::Started(key) => self.started(key),
            Input::StartFailed(key, reason) => commands = self.start_failed(key, reason),
            Input::Exited(key, incarnation, reason) => commands = self.exited(key, incarnation, reason),
            Input::Restart(key) => self.pending.push_back(Pending::Restart(key)),
            Input::Terminate(key) => self.pending.push_back(Pending::Terminate(key)),
            Input::Start(key) => self.pending.push_back(Pending::Start(key)),
            Input::Shutdown => self.pending.push_back(Pending::Shutdown),
        }
        commands.extend(self.advance(now));
        commands
    }

    fn started(&mut self, key: ChildKey) {
        if let Some(Outstanding::Start { key: expected, incarnation, .. }) = self.outstanding
            && expected == key
        {
            self.outstanding = None;
            let ended = |pending: &Pending| matches!(pending, Pending::Exited(k, i, _) if (*k, *i) == (key, incarnation));
            let has_ended = self.pending.iter().any(ended);
            self.set(key, if has_ended { Status::Dead(incarnation) } else { Status::Up(incarnation) });
        }
    }

    fn start_failed(&mut self, key: ChildKey, reason: ExitReason) -> Vec<Command> {
        let Some(Outstanding::Start { key: expected, on_failure, .. }) = self.outstanding else {
            return Vec::new();
        };
        let Some(child) = self.child(key).filter(|_| expected == key) else { return Vec::new() };
        let (is_new, is_temporary) =
            (child.status == Status::New, child.policy.restart == Restart::Temporary);
        self.outstanding = None;
        self.plan.clear();
        match on_failure {
            OnFailure::GiveUp => self.end(Ending::BootFailed(key, reason)),
            OnFailure::TryAgain if is_temporary => return self.forget(key),
            OnFailure::LeaveDown if is_new => return self.forget(key),
            OnFailure::TryAgain => {
                self.set(key, Status::Down { restarting: true });
                self.pending.push_back(Pending::TryAgain(key));
            }
            OnFailure::LeaveDown => {}
        }
        Vec::new()
    }

    fn exited(&mut self, key: ChildKey, incarnation: Incarnation, reason: ExitReason) -> Vec<Command> {
        match self.outstanding {
            Some(Outstanding::Stop { key: k, incarnation: i, may_forget })
                if (k, i) == (key, incarnation) =>
            {
                self.outstanding = None;
                return self.stopped(key, may_forget);
            }
            // It came up and ended before its start was answered for: the end waits for the answer.
            Some(Outstanding::Start { key: k, incarnation: i, .. }) if (k, i) == (key, incarnation) => {
                self.pending.push_back(Pending::Exited(key, incarnation, reason));
                return Vec::new();
            }
            _ => {}
        }
        if self.running(key) == Some(incarnation) {
            self.set(key, Status::Dead(incarnation));
            self.pending.push_back(Pending::Exited(key, incarnation, reason));
        }
        Vec::new()
    }

    fn stopped(&mut self, key: ChildKey, may_forget: bool) -> Vec<Command> {
        self.set(key, Status::Down { restarting: false });
        let gone = self.child(key).is_some_and(|child| self.is_gone_when_down(child.policy));
        if may_forget && gone { self.forget(key) } else { Vec::new() }
    }

    /// Whether nothing of a child is kept once it is down for good.
    fn is_gone_when_down(&self, child: ChildPolicy) -> bool {
        child.restart == Restart::Temporary || self.policy.strategy == Strategy::Dynamic
    }

    fn forget(&mut self, key: ChildKey) -> Vec<Command> {
        self.children.retain(|child| child.key != key);
        vec![Command::Forget(key)]
    }

    /// Carries the plan on until a command is outstanding or nothing is left to decide.
    fn advance(&mut self, now: Duration) -> Vec<Command> {
        let mut commands = Vec::new();
        while self.outstanding.is_none() {
            if let Some(step) = self.plan.pop_front() {
                commands.extend(self.carry_out(step));
            } else if let Some(pending) = (!self.ending).then(|| self.pending.pop_front()).flatten() {
                self.on_failure = OnFailure::TryAgain;
                commands.extend(self.decide(now, pending));
            } else {
                break;
            }
        }
        commands
    }

    fn carry_out(&mut self, step: Step) -> Vec<Command> {
        match step {
            Step::Stop { key, may_forget } => match self.child(key).map(|child| child.status) {
                Some(Status::Up(incarnation)) => {
                    self.outstanding = Some(Outstanding::Stop { key, incarnation, may_forget });
                    vec![Command::Stop(key, incarnation)]
                }
                Some(Status::Dead(_) | Status::Down { .. }) => self.stopped(key, may_forget),
                Some(Status::New) | None => Vec::new(),
            },
            Step::Start(key) => {
                if self.child(key).is_none() {
                    return Vec::new();
                }
                let incarnation = self.next_incarnation;
                self.next_incarnation += 1;
                self.outstanding = Some(Outstanding::Start { key, incarnation, on_failure: self.on_failure });
                vec![Command::Start(key, incarnation)]
            }
            Step::Exit(ending) => vec![Command::Exit(ending)],
        }
    }

    fn decide(&mut self, now: Duration, pending: Pending) -> Vec<Command> {
        match pending {
            Pending::Exited(key, incarnation, reason) => {
                return self.decide_exit(now, key, incarnation, &reason);
            }
            Pending::TryAgain(key) => {
                if self.child(key).is_some_and(|child| child.status == Status::Down { restarting: true }) {
                    self.restart(now, key);
                }
            }
            Pending::Restart(key) if self.is_running(key) => {
                self.plan.extend([Step::Stop { key, may_forget: false }, Step::Start(key)]);
            }
            Pending::Restart(key) | Pending::Start(key) => self.start_stopped(key),
            Pending::Terminate(key) => self.plan.push_back(Step::Stop { key, may_forget: true }),
            Pending::Shutdown => self.end(Ending::Asked),
        }
        Vec::new()
    }

    /// Up, or its end has not been decided upon.
    fn is_running(&self, key: ChildKey) -> bool {
        matches!(self.child(key).map(|child| child.status), Some(Status::Up(_) | Status::Dead(_)))
    }

    fn start_stopped(&mut self, key: ChildKey) {
        let status = self.child(key).map(|child| child.status);
        if matches!(status, Some(Status::New | Status::Down { restarting: false })) {
            self.on_failure = OnFailure::LeaveDown;
            self.plan.push_back(Step::Start(key));
        }
    }

    fn decide_exit(
        &mut self,
        now: Duration,
        key: ChildKey,
        incarnation: Incarnation,
        reason: &ExitReason,
    ) -> Vec<Command> {
        let Some(child) = self.child(key).filter(|child| child.status == Status::Dead(incarnation)) else {
            return Vec::new();
        };
        let policy = child.policy;
        self.set(key, Status::Down { restarting: false });
        match policy.restart {
            Restart::Permanent => self.restart(now, key),
            Restart::Transient if reason.is_abnormal() => self.restart(now, key),
            Restart::Transient | Restart::Temporary => {
                let gone = self.is_gone_when_down(policy);
                let commands = if gone { self.forget(key) } else { Vec::new() };
                if policy.significant && self.shuts_down_automatically() {
                    self.end(Ending::AutoShutdown);
                }
                return commands;
            }
        }
        Vec::new()
    }

    fn shuts_down_automatically(&self) -> bool {
        let is_left = |child: &Child| {
            child.policy.significant
                && !matches!(child.status, Status::New | Status::Down { restarting: false })
        };
        match self.policy.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => !self.children.iter().any(is_left),
        }
    }

    fn restart(&mut self, now: Duration, key: ChildKey) {
        // In the order of time: those that are too old stand in front.
        while self.restarts.front().is_some_and(|&at| now.saturating_sub(at) > self.policy.period) {
            self.restarts.pop_front();
        }
        self.restarts.push_back(now);
        if self.restarts.len() > self.policy.intensity as usize {
            self.end(Ending::IntensityReached);
            return;
        }
        let position = self.position(key).unwrap_or(0);
        let concerned: Vec<ChildKey> = match self.policy.strategy {
            Strategy::OneForOne | Strategy::Dynamic => vec![key],
            Strategy::RestForOne => Self::started_once(&self.children[position..]),
            Strategy::OneForAll => Self::started_once(&self.children),
        };
        self.set(key, Status::Down { restarting: false });
        let stops = concerned.iter().rev().filter(|&&other| other != key);
        self.plan.extend(stops.map(|&key| Step::Stop { key, may_forget: true }));
        self.plan.extend(concerned.iter().map(|&key| Step::Start(key)));
    }

    fn started_once(children: &[Child]) -> Vec<ChildKey> {
        children.iter().filter(|child| child.status != Status::New).map(|child| child.key).collect()
    }

    /// Plans the end: whatever waits is overtaken by it.
    fn end(&mut self, ending: Ending) {
        self.ending = true;
        self.pending.clear();
        self.plan = self
            .children
            .iter()
            .rev()
            .map(|child| Step::Stop { key: child.key, may_forget: false })
            .collect();
        self.plan.push_back(Step::Exit(ending));
    }

    /// Keys grow in start order, so the children are sorted by them.
    fn position(&self, key: ChildKey) -> Option<usize> {
        self.children.binary_search_by_key(&key, |child| child.key).ok()
    }

    fn child(&self, key: ChildKey) -> Option<&Child> {
        self.position(key).map(|position| &self.children[position])
    }

    fn set(&mut self, key: ChildKey, status: Status) {
        if let Some(position) = self.position(key) {
            self.children[position].status = status;
        }
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            commands,
            [Command::Stop(2, 3), Command::Stop(1, 2), Command::Exit(Ending::IntensityReached)]
        );
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
}
