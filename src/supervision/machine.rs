//! The decisions of a supervisor, as a pure state machine: inputs in, commands out.
//!
//! Owns which child is up, which is to be stopped or started next, and when to give up. Knows no actor, no
//! clock (the time is an argument) and no channel, so that the same scenarios can be put to this machine, to
//! a model and to a real Erlang/OTP. Invariants:
//! - at most one command is outstanding; the next follows its answer ([`MachineInput::Started`],
//!   [`MachineInput::StartFailed`] or [`MachineInput::Exited`]), as OTP's supervisor handles one thing at a
//!   time;
//! - an input that arrives meanwhile waits its turn, and is forgotten when the plan has overtaken it;
//! - children stop in the reverse order of their start;
//! - a child that waits for its restart is down and delays no other child, except those of its group.
//!
//! Inputs and commands are in [`protocol`], OTP's rules in [`decide`]; this file has the state, the handling
//! of answers, and the execution of the plan.

mod decide;
mod protocol;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use super::policy::{ChildPolicy, ExitReason, RestartStrategy, RestartType, SupervisorPolicy};

pub use protocol::{ChildKey, Incarnation, MachineCommand, MachineInput, SupervisorEnding};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChildStatus {
    /// Added but not yet started: no part of a group restart.
    New,
    /// Not running. `restarting` after a failed restart that will be tried again.
    Down {
        restarting: bool,
    },
    Up(Incarnation),
    /// Ended unasked; the decision about this end is still to come.
    Dead(Incarnation),
}

#[derive(Debug, Clone)]
struct ChildState {
    key: ChildKey,
    policy: ChildPolicy,
    status: ChildStatus,
    /// Failures in a row, each after a short life.
    failures: u32,
    up_since: Option<Duration>,
}

/// A restart that waits for its time: the failed child, and all children that start with it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PendingRestart {
    key: ChildKey,
    group: Vec<ChildKey>,
    until: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum MachineStep {
    Stop { key: ChildKey, may_forget: bool },
    Start(ChildKey),
    Wait(PendingRestart),
    Exit(SupervisorEnding),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutstandingCommand {
    Start { key: ChildKey, incarnation: Incarnation, on_failure: OnStartFailure },
    Stop { key: ChildKey, incarnation: Incarnation, may_forget: bool },
}

/// The meaning of a failed start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnStartFailure {
    /// The supervisor itself fails to start.
    GiveUp,
    /// Try again, which counts as one more restart; a temporary child is forgotten.
    TryAgain,
    /// A new child is forgotten, an existing one stays down.
    LeaveDown,
}

/// An input that waits its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
enum PendingInput {
    Exited(ChildKey, Incarnation, ExitReason),
    TryAgain(ChildKey),
    Restart(ChildKey),
    Terminate(ChildKey),
    Start(ChildKey),
    Due(ChildKey),
    Shutdown,
}

#[derive(Debug, Clone)]
pub struct SupervisorMachine {
    policy: SupervisorPolicy,
    children: Vec<ChildState>,
    next_key: ChildKey,
    next_incarnation: Incarnation,
    restarts: VecDeque<Duration>,
    plan: VecDeque<MachineStep>,
    on_failure: OnStartFailure,
    outstanding: Option<OutstandingCommand>,
    pending: VecDeque<PendingInput>,
    waits: Vec<PendingRestart>,
    /// Random numbers for the jitter of the pauses.
    random: fastrand::Rng,
    /// The child whose end spent the budget.
    culprit: Option<ChildKey>,
    ending: bool,
}

impl SupervisorMachine {
    /// A supervisor with its children, keyed 0, 1, 2, … in start order; nothing runs before
    /// [`MachineInput::Boot`].
    #[must_use]
    pub fn new(policy: SupervisorPolicy, children: impl IntoIterator<Item = ChildPolicy>) -> Self {
        let mut machine = Self {
            policy,
            children: Vec::new(),
            next_key: 0,
            next_incarnation: 1,
            restarts: VecDeque::new(),
            plan: VecDeque::new(),
            on_failure: OnStartFailure::TryAgain,
            outstanding: None,
            pending: VecDeque::new(),
            waits: Vec::new(),
            random: fastrand::Rng::with_seed(0),
            culprit: None,
            ending: false,
        };
        for child in children {
            machine.add(child);
        }
        machine
    }

    /// With other random numbers, so that supervisors that failed together do not restart in step.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.random = fastrand::Rng::with_seed(seed);
        self
    }

    /// Adds a child, last in order; [`MachineInput::Start`] starts it.
    pub fn add(&mut self, policy: ChildPolicy) -> ChildKey {
        let key = self.next_key;
        self.next_key += 1;
        let backoff = policy.backoff.within(self.policy.intensity, self.policy.period);
        let policy = ChildPolicy { backoff, ..policy };
        self.children.push(ChildState { key, policy, status: ChildStatus::New, failures: 0, up_since: None });
        key
    }

    /// The incarnation of a child that is up.
    #[must_use]
    pub fn running(&self, key: ChildKey) -> Option<Incarnation> {
        match self.child(key)?.status {
            ChildStatus::Up(incarnation) => Some(incarnation),
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

    /// The child whose end exceeded the intensity.
    #[must_use]
    pub fn culprit(&self) -> Option<ChildKey> {
        self.culprit
    }

    /// Whether the supervisor has decided to end.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.ending
    }

    /// Whether a child that is down is about to be started again.
    #[must_use]
    pub fn is_coming_back(&self, key: ChildKey) -> bool {
        let starting = matches!(self.outstanding, Some(OutstandingCommand::Start { key: k, .. }) if k == key);
        let status = self.child(key).map(|child| child.status);
        starting
            || self.plan.contains(&MachineStep::Start(key))
            || matches!(status, Some(ChildStatus::Dead(_) | ChildStatus::Down { restarting: true }))
    }

    /// Takes one input and returns the commands to execute.
    pub fn step(&mut self, now: Duration, input: MachineInput) -> Vec<MachineCommand> {
        let mut commands = Vec::new();
        match input {
            MachineInput::Boot => {
                self.on_failure = OnStartFailure::GiveUp;
                self.plan = self.children.iter().map(|child| MachineStep::Start(child.key)).collect();
            }
            MachineInput::Started(key) => self.started(now, key),
            MachineInput::StartFailed(key, reason) => commands = self.start_failed(key, reason),
            MachineInput::Exited(key, incarnation, reason) => {
                commands = self.exited(key, incarnation, reason);
            }
            MachineInput::Restart(key) => self.pending.push_back(PendingInput::Restart(key)),
            MachineInput::Terminate(key) => self.pending.push_back(PendingInput::Terminate(key)),
            MachineInput::Start(key) => self.pending.push_back(PendingInput::Start(key)),
            MachineInput::Due(key) => self.pending.push_back(PendingInput::Due(key)),
            MachineInput::Shutdown => self.pending.push_back(PendingInput::Shutdown),
        }
        commands.extend(self.advance(now));
        commands
    }

    fn started(&mut self, now: Duration, key: ChildKey) {
        if let Some(OutstandingCommand::Start { key: expected, incarnation, .. }) = self.outstanding
            && expected == key
        {
            self.outstanding = None;
            let ended = |pending: &PendingInput| matches!(pending, PendingInput::Exited(k, i, _) if (*k, *i) == (key, incarnation));
            let has_ended = self.pending.iter().any(ended);
            self.set(
                key,
                if has_ended { ChildStatus::Dead(incarnation) } else { ChildStatus::Up(incarnation) },
            );
            if let Some(position) = self.position(key) {
                self.children[position].up_since = Some(now);
            }
        }
    }

    fn start_failed(&mut self, key: ChildKey, reason: ExitReason) -> Vec<MachineCommand> {
        let Some(OutstandingCommand::Start { key: expected, on_failure, .. }) = self.outstanding else {
            return Vec::new();
        };
        let Some(child) = self.child(key).filter(|_| expected == key) else { return Vec::new() };
        let (is_new, is_temporary) =
            (child.status == ChildStatus::New, child.policy.restart == RestartType::Temporary);
        self.outstanding = None;
        self.plan.clear();
        match on_failure {
            OnStartFailure::GiveUp => self.end(SupervisorEnding::BootFailed(key, reason)),
            OnStartFailure::TryAgain if is_temporary => return self.forget(key),
            OnStartFailure::LeaveDown if is_new => return self.forget(key),
            OnStartFailure::TryAgain => {
                self.set(key, ChildStatus::Down { restarting: true });
                self.pending.push_back(PendingInput::TryAgain(key));
            }
            OnStartFailure::LeaveDown => {}
        }
        Vec::new()
    }

    fn exited(&mut self, key: ChildKey, incarnation: Incarnation, reason: ExitReason) -> Vec<MachineCommand> {
        match self.outstanding {
            Some(OutstandingCommand::Stop { key: k, incarnation: i, may_forget })
                if (k, i) == (key, incarnation) =>
            {
                self.outstanding = None;
                return self.stopped(key, may_forget);
            }
            // The child came up and ended before its start was answered: the end waits for that answer.
            Some(OutstandingCommand::Start { key: k, incarnation: i, .. })
                if (k, i) == (key, incarnation) =>
            {
                self.pending.push_back(PendingInput::Exited(key, incarnation, reason));
                return Vec::new();
            }
            _ => {}
        }
        if self.running(key) == Some(incarnation) {
            self.set(key, ChildStatus::Dead(incarnation));
            self.pending.push_back(PendingInput::Exited(key, incarnation, reason));
        }
        Vec::new()
    }

    fn stopped(&mut self, key: ChildKey, may_forget: bool) -> Vec<MachineCommand> {
        self.set(key, ChildStatus::Down { restarting: false });
        let gone = self.child(key).is_some_and(|child| self.is_gone_when_down(child.policy));
        if may_forget && gone { self.forget(key) } else { Vec::new() }
    }

    /// Whether the child is forgotten once it is down for good.
    fn is_gone_when_down(&self, child: ChildPolicy) -> bool {
        child.restart == RestartType::Temporary || self.policy.strategy == RestartStrategy::Dynamic
    }

    fn forget(&mut self, key: ChildKey) -> Vec<MachineCommand> {
        self.children.retain(|child| child.key != key);
        vec![MachineCommand::Forget(key)]
    }

    /// Executes the plan until a command is outstanding or nothing is left to decide.
    fn advance(&mut self, now: Duration) -> Vec<MachineCommand> {
        let mut commands = Vec::new();
        while self.outstanding.is_none() {
            if let Some(step) = self.plan.pop_front() {
                commands.extend(self.commands_for(step));
            } else if let Some(pending) = (!self.ending).then(|| self.pending.pop_front()).flatten() {
                self.on_failure = OnStartFailure::TryAgain;
                commands.extend(self.decide(now, pending));
            } else {
                break;
            }
        }
        commands
    }

    fn commands_for(&mut self, step: MachineStep) -> Vec<MachineCommand> {
        match step {
            MachineStep::Stop { key, may_forget } => match self.child(key).map(|child| child.status) {
                Some(ChildStatus::Up(incarnation)) => {
                    self.outstanding = Some(OutstandingCommand::Stop { key, incarnation, may_forget });
                    vec![MachineCommand::Stop(key, incarnation)]
                }
                Some(ChildStatus::Dead(_) | ChildStatus::Down { .. }) => self.stopped(key, may_forget),
                Some(ChildStatus::New) | None => Vec::new(),
            },
            MachineStep::Start(key) => {
                if self.child(key).is_none() {
                    return Vec::new();
                }
                let incarnation = self.next_incarnation;
                self.next_incarnation += 1;
                self.outstanding =
                    Some(OutstandingCommand::Start { key, incarnation, on_failure: self.on_failure });
                vec![MachineCommand::Start(key, incarnation)]
            }
            MachineStep::Wait(wait) => {
                for key in &wait.group {
                    if self.child(*key).is_some_and(|child| matches!(child.status, ChildStatus::Down { .. }))
                    {
                        self.set(*key, ChildStatus::Down { restarting: true });
                    }
                }
                let command = MachineCommand::Wait(wait.key, wait.until);
                self.waits.push(wait);
                vec![command]
            }
            MachineStep::Exit(ending) => vec![MachineCommand::Exit(ending)],
        }
    }

    /// Keys grow in start order, so the children are sorted by key.
    fn position(&self, key: ChildKey) -> Option<usize> {
        self.children.binary_search_by_key(&key, |child| child.key).ok()
    }

    fn child(&self, key: ChildKey) -> Option<&ChildState> {
        self.position(key).map(|position| &self.children[position])
    }

    fn set(&mut self, key: ChildKey, status: ChildStatus) {
        if let Some(position) = self.position(key) {
            self.children[position].status = status;
        }
    }
}
