//! OTP's rules: the consequence of an exit, a request or a failed start. Each decision only extends the plan.

use std::time::Duration;

use super::{
    ChildKey, ChildState, ChildStatus, Incarnation, MachineCommand, MachineStep, OnStartFailure,
    PendingInput, PendingRestart, SupervisorEnding, SupervisorMachine,
};
use crate::policy::{AutoShutdown, ExitReason, RestartStrategy, RestartType};

impl SupervisorMachine {
    /// Decides on one queued input.
    pub(super) fn decide(&mut self, now: Duration, pending: PendingInput) -> Vec<MachineCommand> {
        match pending {
            PendingInput::Exited(key, incarnation, reason) => {
                return self.decide_exit(now, key, incarnation, &reason);
            }
            PendingInput::TryAgain(key) => {
                if self.child(key).is_some_and(|child| child.status == ChildStatus::Down { restarting: true })
                {
                    self.restart(now, key);
                }
            }
            PendingInput::Restart(key) if self.is_running(key) => {
                self.plan.extend([MachineStep::Stop { key, may_forget: false }, MachineStep::Start(key)]);
            }
            PendingInput::Restart(key) | PendingInput::Start(key) => self.start_stopped(key),
            PendingInput::Due(key) => self.resume(now, key),
            PendingInput::Terminate(key) => self.plan.push_back(MachineStep::Stop { key, may_forget: true }),
            PendingInput::Shutdown => self.end(SupervisorEnding::Asked),
        }
        Vec::new()
    }

    /// Up, or ended without a decision so far.
    fn is_running(&self, key: ChildKey) -> bool {
        matches!(self.child(key).map(|child| child.status), Some(ChildStatus::Up(_) | ChildStatus::Dead(_)))
    }

    fn start_stopped(&mut self, key: ChildKey) {
        let status = self.child(key).map(|child| child.status);
        if matches!(status, Some(ChildStatus::New | ChildStatus::Down { restarting: false })) {
            self.on_failure = OnStartFailure::LeaveDown;
            self.plan.push_back(MachineStep::Start(key));
        }
    }

    fn decide_exit(
        &mut self,
        now: Duration,
        key: ChildKey,
        incarnation: Incarnation,
        reason: &ExitReason,
    ) -> Vec<MachineCommand> {
        let Some(child) = self.child(key).filter(|child| child.status == ChildStatus::Dead(incarnation))
        else {
            return Vec::new();
        };
        let policy = child.policy;
        self.set(key, ChildStatus::Down { restarting: false });
        match policy.restart {
            RestartType::Permanent => self.restart(now, key),
            RestartType::Transient if reason.is_abnormal() => self.restart(now, key),
            RestartType::Transient | RestartType::Temporary => {
                let gone = self.is_gone_when_down(policy);
                let commands = if gone { self.forget(key) } else { Vec::new() };
                if policy.significant && self.shuts_down_automatically() {
                    self.end(SupervisorEnding::AutoShutdown);
                }
                return commands;
            }
        }
        Vec::new()
    }

    fn shuts_down_automatically(&self) -> bool {
        let is_left = |child: &ChildState| {
            child.policy.significant
                && !matches!(child.status, ChildStatus::New | ChildStatus::Down { restarting: false })
        };
        match self.policy.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => !self.children.iter().any(is_left),
        }
    }

    fn restart(&mut self, now: Duration, key: ChildKey) {
        // Sorted by time: restarts outside the window are in front.
        while self.restarts.front().is_some_and(|&at| now.saturating_sub(at) > self.policy.period) {
            self.restarts.pop_front();
        }
        self.restarts.push_back(now);
        if self.restarts.len() > self.policy.intensity as usize {
            self.culprit = Some(key);
            self.end(SupervisorEnding::IntensityReached);
            return;
        }
        let position = self.position(key).unwrap_or(0);
        let concerned: Vec<ChildKey> = match self.policy.strategy {
            RestartStrategy::OneForOne | RestartStrategy::Dynamic => vec![key],
            RestartStrategy::RestForOne => Self::started_once(&self.children[position..]),
            RestartStrategy::OneForAll => Self::started_once(&self.children),
        };
        self.set(key, ChildStatus::Down { restarting: false });
        let stops = concerned.iter().rev().filter(|&&other| other != key);
        self.plan.extend(stops.map(|&key| MachineStep::Stop { key, may_forget: true }));
        // Children among them that wait for a restart start with them.
        self.waits.retain(|wait| !concerned.contains(&wait.key));
        let pause = self.pause(now, key);
        if pause.is_zero() {
            self.plan.extend(concerned.iter().map(|&key| MachineStep::Start(key)));
        } else {
            self.plan.push_back(MachineStep::Wait(PendingRestart {
                key,
                group: concerned,
                until: now + pause,
            }));
        }
    }

    /// How long a failed child stays down: the longer, the more often it has failed in a row.
    fn pause(&mut self, now: Duration, key: ChildKey) -> Duration {
        let Some(position) = self.position(key) else { return Duration::ZERO };
        let child = &mut self.children[position];
        let backoff = child.policy.backoff;
        let lived = child.up_since.take().map(|since| now.saturating_sub(since));
        if lived.is_some_and(|lived| lived >= backoff.healthy_after) {
            child.failures = 0;
        }
        let failures = child.failures;
        child.failures = failures.saturating_add(1);
        backoff.pause(failures, self.random.f64())
    }

    /// Starts the children whose pause is over, except those stopped meanwhile.
    fn resume(&mut self, now: Duration, key: ChildKey) {
        let Some(place) = self.waits.iter().position(|wait| wait.key == key && wait.until <= now) else {
            return;
        };
        let PendingRestart { group, .. } = self.waits.swap_remove(place);
        for key in group {
            if self.child(key).is_some_and(|child| child.status == ChildStatus::Down { restarting: true }) {
                self.plan.push_back(MachineStep::Start(key));
            }
        }
    }

    fn started_once(children: &[ChildState]) -> Vec<ChildKey> {
        children.iter().filter(|child| child.status != ChildStatus::New).map(|child| child.key).collect()
    }

    /// Plans the end, which overtakes everything that waits.
    pub(super) fn end(&mut self, ending: SupervisorEnding) {
        self.ending = true;
        self.pending.clear();
        self.waits.clear();
        self.plan = self
            .children
            .iter()
            .rev()
            .map(|child| MachineStep::Stop { key: child.key, may_forget: false })
            .collect();
        self.plan.push_back(MachineStep::Exit(ending));
    }
}
