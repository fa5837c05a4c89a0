//! The decisions of a supervisor, as a pure state machine: inputs in, commands out.
//!
//! Owns which child is up, what is to be stopped and started next and when to give up. Knows no actor,
//! no clock (the time is an argument) and no channel, so that the same scenarios can be put to it, to
//! a model and to a real Erlang/OTP. Invariants:
//! - at most one command is outstanding; the next follows its answer ([`Input::Started`],
//!   [`Input::StartFailed`] or [`Input::Exited`]), as OTP's supervisor handles one thing at a time;
//! - what happens meanwhile waits its turn, and is forgotten when the plan has overtaken it;
//! - children stop in the reverse order of their start;
//! - a child that waits for its restart is down and holds nobody up, but for the children of its group.
//!
//! What is said to it and by it stands in [`protocol`], OTP's rules in [`decide`]; here is the state, what the
//! answers to commands mean, and the carrying out of the plan.

mod decide;
mod protocol;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use super::policy::{ChildPolicy, ExitReason, RestartStrategy, RestartType, SupervisorPolicy};

pub use protocol::{ChildKey, Command, Ending, Incarnation, Input};

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
    /// Failures in a row, each after a short life.
    failures: u32,
    up_since: Option<Duration>,
}

/// A restart that waits for its time: the child that failed, and all that are started with it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PendingRestart {
    key: ChildKey,
    group: Vec<ChildKey>,
    until: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Stop { key: ChildKey, may_forget: bool },
    Start(ChildKey),
    Wait(PendingRestart),
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
    Due(ChildKey),
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
    waits: Vec<PendingRestart>,
    /// Places the pauses within their jitter.
    random: fastrand::Rng,
    /// Whose end spent the budget.
    culprit: Option<ChildKey>,
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

    /// With other random numbers: supervisors that fell together are not to come back together.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.random = fastrand::Rng::with_seed(seed);
        self
    }

    /// Makes a further child known, last in order; [`Input::Start`] starts it.
    pub fn add(&mut self, policy: ChildPolicy) -> ChildKey {
        let key = self.next_key;
        self.next_key += 1;
        let backoff = policy.backoff.within(self.policy.intensity, self.policy.period);
        let policy = ChildPolicy { backoff, ..policy };
        self.children.push(Child { key, policy, status: Status::New, failures: 0, up_since: None });
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

    /// The child whose end was one too many.
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
            Input::Started(key) => self.started(now, key),
            Input::StartFailed(key, reason) => commands = self.start_failed(key, reason),
            Input::Exited(key, incarnation, reason) => commands = self.exited(key, incarnation, reason),
            Input::Restart(key) => self.pending.push_back(Pending::Restart(key)),
            Input::Terminate(key) => self.pending.push_back(Pending::Terminate(key)),
            Input::Start(key) => self.pending.push_back(Pending::Start(key)),
            Input::Due(key) => self.pending.push_back(Pending::Due(key)),
            Input::Shutdown => self.pending.push_back(Pending::Shutdown),
        }
        commands.extend(self.advance(now));
        commands
    }

    fn started(&mut self, now: Duration, key: ChildKey) {
        if let Some(Outstanding::Start { key: expected, incarnation, .. }) = self.outstanding
            && expected == key
        {
            self.outstanding = None;
            let ended = |pending: &Pending| matches!(pending, Pending::Exited(k, i, _) if (*k, *i) == (key, incarnation));
            let has_ended = self.pending.iter().any(ended);
            self.set(key, if has_ended { Status::Dead(incarnation) } else { Status::Up(incarnation) });
            if let Some(position) = self.position(key) {
                self.children[position].up_since = Some(now);
            }
        }
    }

    fn start_failed(&mut self, key: ChildKey, reason: ExitReason) -> Vec<Command> {
        let Some(Outstanding::Start { key: expected, on_failure, .. }) = self.outstanding else {
            return Vec::new();
        };
        let Some(child) = self.child(key).filter(|_| expected == key) else { return Vec::new() };
        let (is_new, is_temporary) =
            (child.status == Status::New, child.policy.restart == RestartType::Temporary);
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
        child.restart == RestartType::Temporary || self.policy.strategy == RestartStrategy::Dynamic
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
            Step::Wait(wait) => {
                for key in &wait.group {
                    if self.child(*key).is_some_and(|child| matches!(child.status, Status::Down { .. })) {
                        self.set(*key, Status::Down { restarting: true });
                    }
                }
                let command = Command::Wait(wait.key, wait.until);
                self.waits.push(wait);
                vec![command]
            }
            Step::Exit(ending) => vec![Command::Exit(ending)],
        }
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
