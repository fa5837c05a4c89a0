//! OTP's rules: what an end, a wish or a failed start leads to. Each decision only extends the plan.

use std::time::Duration;

use super::{
    Child, ChildKey, Command, Ending, Incarnation, Machine, OnFailure, Pending, PendingRestart, Status, Step,
};
use crate::supervision::policy::{AutoShutdown, ExitReason, RestartStrategy, RestartType};

impl Machine {
    /// Decides upon one wish that has waited its turn.
    pub(super) fn decide(&mut self, now: Duration, pending: Pending) -> Vec<Command> {
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
            Pending::Due(key) => self.resume(now, key),
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
            RestartType::Permanent => self.restart(now, key),
            RestartType::Transient if reason.is_abnormal() => self.restart(now, key),
            RestartType::Transient | RestartType::Temporary => {
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
            self.culprit = Some(key);
            self.end(Ending::IntensityReached);
            return;
        }
        let position = self.position(key).unwrap_or(0);
        let concerned: Vec<ChildKey> = match self.policy.strategy {
            RestartStrategy::OneForOne | RestartStrategy::Dynamic => vec![key],
            RestartStrategy::RestForOne => Self::started_once(&self.children[position..]),
            RestartStrategy::OneForAll => Self::started_once(&self.children),
        };
        self.set(key, Status::Down { restarting: false });
        let stops = concerned.iter().rev().filter(|&&other| other != key);
        self.plan.extend(stops.map(|&key| Step::Stop { key, may_forget: true }));
        // Whoever waits among them comes back with them.
        self.waits.retain(|wait| !concerned.contains(&wait.key));
        let pause = self.pause(now, key);
        if pause.is_zero() {
            self.plan.extend(concerned.iter().map(|&key| Step::Start(key)));
        } else {
            self.plan.push_back(Step::Wait(PendingRestart { key, group: concerned, until: now + pause }));
        }
    }

    /// How long a child that has failed stays down: the longer, the more often it has failed in a row.
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

    /// Starts what has waited long enough, as far as nobody has stopped it meanwhile.
    fn resume(&mut self, now: Duration, key: ChildKey) {
        let Some(place) = self.waits.iter().position(|wait| wait.key == key && wait.until <= now) else {
            return;
        };
        let PendingRestart { group, .. } = self.waits.swap_remove(place);
        for key in group {
            if self.child(key).is_some_and(|child| child.status == Status::Down { restarting: true }) {
                self.plan.push_back(Step::Start(key));
            }
        }
    }

    fn started_once(children: &[Child]) -> Vec<ChildKey> {
        children.iter().filter(|child| child.status != Status::New).map(|child| child.key).collect()
    }

    /// Plans the end: whatever waits is overtaken by it.
    pub(super) fn end(&mut self, ending: Ending) {
        self.ending = true;
        self.pending.clear();
        self.waits.clear();
        self.plan = self
            .children
            .iter()
            .rev()
            .map(|child| Step::Stop { key: child.key, may_forget: false })
            .collect();
        self.plan.push_back(Step::Exit(ending));
    }
}
