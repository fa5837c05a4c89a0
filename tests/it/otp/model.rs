//! An executable model of OTP's supervisor: the rules as plain synchronous recursion.
//!
//! Written from the behaviour of `supervisor` in Erlang/OTP 25 and independent of the tested machine. A
//! supervisor has a mailbox and completes one thing at a time; messages that arrive meanwhile wait there. An
//! ending is an `Err` that unwinds to [`Model::serve`], which stops the children.

use std::collections::VecDeque;

use super::scenario::{AutoShutdown, ChildSpec, Fate, Outcome, Reason, Restart, Scenario, Step, Strategy};
use super::world::{Pid, World};

/// The model's outcome.
pub(crate) struct Run {
    pub(crate) outcome: Outcome,
    /// Whether the outcome also holds with a clock of whole seconds and delays of a second or more, as in a
    /// real OTP: no restart was near the edge of the window when another was counted.
    pub(crate) is_robust_in_time: bool,
}

/// Runs a scenario to the end.
pub(crate) fn run(scenario: &Scenario) -> Run {
    let mut model = Model::new(scenario);
    model.boot();
    for step in &scenario.steps {
        model.take(step);
        model.serve();
    }
    Run {
        outcome: Outcome {
            alive: model.world.alive(),
            log: model.world.log,
            supervisor: model.fate.unwrap_or(Fate::Running),
        },
        is_robust_in_time: model.is_robust_in_time,
    }
}

enum Message {
    Exit(Pid, Reason),
    TryAgain(String),
    Request(Step),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Process {
    Undefined,
    Restarting,
    Pid(Pid),
}

struct Child {
    spec: ChildSpec,
    process: Process,
}

struct Model {
    strategy: Strategy,
    intensity: usize,
    period_ms: u64,
    auto_shutdown: AutoShutdown,
    /// In start order.
    children: Vec<Child>,
    restarts_at_ms: Vec<u64>,
    now_ms: u64,
    mailbox: VecDeque<Message>,
    world: World,
    fate: Option<Fate>,
    is_robust_in_time: bool,
}

impl Model {
    fn new(scenario: &Scenario) -> Self {
        let is_template = scenario.strategy == Strategy::SimpleOneForOne;
        let children = scenario.children.iter().filter(|_| !is_template).cloned();
        Self {
            strategy: scenario.strategy,
            intensity: scenario.intensity as usize,
            period_ms: u64::from(scenario.period_s) * 1000,
            auto_shutdown: scenario.auto_shutdown,
            children: children.map(|spec| Child { spec, process: Process::Undefined }).collect(),
            restarts_at_ms: Vec::new(),
            now_ms: 0,
            mailbox: VecDeque::new(),
            world: World::new(scenario),
            fate: None,
            is_robust_in_time: true,
        }
    }

    fn boot(&mut self) {
        if self.start_from(0).is_err() {
            self.end(Fate::BootFailed);
        }
        self.serve();
    }

    /// Puts a step into the supervisor's mailbox, or advances the time.
    fn take(&mut self, step: &Step) {
        match step {
            Step::AdvanceMs(ms) => self.now_ms += ms,
            Step::Together(steps) => steps.iter().for_each(|step| self.take(step)),
            Step::Exit { child, reason } => {
                self.world.exit(child, *reason);
                self.hear();
            }
            request => self.mailbox.push_back(Message::Request(request.clone())),
        }
    }

    /// Handles the mailbox until it is empty or the supervisor has ended.
    fn serve(&mut self) {
        while self.fate.is_none() {
            let Some(message) = self.mailbox.pop_front() else { return };
            if let Err(fate) = self.handle(message) {
                self.end(fate);
            }
        }
    }

    fn end(&mut self, fate: Fate) {
        for at in (0..self.children.len()).rev() {
            self.terminate(at);
        }
        self.fate = Some(fate);
    }

    fn handle(&mut self, message: Message) -> Result<(), Fate> {
        match message {
            Message::Exit(pid, reason) => {
                match self.children.iter().position(|child| child.process == Process::Pid(pid)) {
                    Some(at) => self.handle_exit(at, reason),
                    None => Ok(()),
                }
            }
            Message::TryAgain(id) => match self.find(&id) {
                Some(at) if self.children[at].process == Process::Restarting => self.restart(at),
                _ => Ok(()),
            },
            Message::Request(Step::Shutdown) => Err(Fate::Shutdown),
            Message::Request(request) => {
                self.handle_request(&request);
                Ok(())
            }
        }
    }

    fn handle_exit(&mut self, at: usize, reason: Reason) -> Result<(), Fate> {
        let is_clean = matches!(reason, Reason::Normal | Reason::Shutdown | Reason::ShutdownTerm);
        match self.children[at].spec.restart {
            Restart::Permanent => self.restart(at),
            Restart::Transient if !is_clean => self.restart(at),
            Restart::Transient | Restart::Temporary => {
                let is_significant = self.children[at].spec.significant;
                self.delete(at);
                if is_significant { self.shut_down_automatically() } else { Ok(()) }
            }
        }
    }

    fn shut_down_automatically(&self) -> Result<(), Fate> {
        let is_left = |child: &Child| child.spec.significant && child.process != Process::Undefined;
        match self.auto_shutdown {
            AutoShutdown::Never => Ok(()),
            AutoShutdown::AllSignificant if self.children.iter().any(is_left) => Ok(()),
            AutoShutdown::AnySignificant | AutoShutdown::AllSignificant => Err(Fate::AutoShutdown),
        }
    }

    fn restart(&mut self, at: usize) -> Result<(), Fate> {
        self.count_a_restart();
        if self.restarts_at_ms.len() > self.intensity {
            self.children[at].process = Process::Undefined;
            return Err(Fate::Intensity);
        }
        let failed = match self.strategy {
            Strategy::OneForOne | Strategy::SimpleOneForOne => self.start(at).err(),
            Strategy::RestForOne => self.restart_from(at, at),
            Strategy::OneForAll => self.restart_from(0, at),
        };
        if let Some(id) = failed {
            let at = self.find(&id).expect("what failed to start is known");
            self.children[at].process = Process::Restarting;
            self.mailbox.push_back(Message::TryAgain(id));
        }
        Ok(())
    }

    fn count_a_restart(&mut self) {
        const SLACK_BEFORE_MS: u64 = 2000;
        const SLACK_AFTER_MS: u64 = 1000;
        let (now, period) = (self.now_ms, self.period_ms);
        let is_near_the_edge = |&at: &u64| {
            (period..period + SLACK_BEFORE_MS + SLACK_AFTER_MS).contains(&(now - at + SLACK_BEFORE_MS))
        };
        self.is_robust_in_time &= !self.restarts_at_ms.iter().any(is_near_the_edge);
        self.restarts_at_ms.retain(|at| now - at <= period);
        self.restarts_at_ms.push(now);
    }

    /// Stops and starts the children from `first` on, of which the one at `ended` has ended; returns the name
    /// of one that failed to start.
    fn restart_from(&mut self, first: usize, ended: usize) -> Option<String> {
        self.children[ended].process = Process::Undefined;
        for at in (first..self.children.len()).rev() {
            self.terminate(at);
            if self.children[at].spec.restart == Restart::Temporary {
                self.children.remove(at);
            }
        }
        self.start_from(first).err()
    }

    fn start_from(&mut self, first: usize) -> Result<(), String> {
        (first..self.children.len()).try_for_each(|at| self.start(at))
    }

    fn start(&mut self, at: usize) -> Result<(), String> {
        let id = self.children[at].spec.id.clone();
        let started = self.world.start(&id);
        self.hear();
        match started {
            Some(pid) => {
                self.children[at].process = Process::Pid(pid);
                Ok(())
            }
            None => Err(id),
        }
    }

    /// Waits for the end of a child, whose exit message then no longer counts.
    fn terminate(&mut self, at: usize) {
        if let Process::Pid(pid) = self.children[at].process {
            self.world.stop(pid);
            self.hear();
            self.mailbox.retain(|message| !matches!(message, Message::Exit(old, _) if *old == pid));
        }
        self.children[at].process = Process::Undefined;
    }

    fn handle_request(&mut self, request: &Step) {
        match request {
            Step::TerminateChild(id) => {
                if let Some(at) = self.find(id) {
                    self.terminate(at);
                    self.delete(at);
                }
            }
            Step::RestartChild(id) => self.start_stopped(id),
            Step::StartChild(spec) if self.find(&spec.id).is_none() => {
                self.world.learn(spec);
                self.children.push(Child { spec: spec.clone(), process: Process::Undefined });
                if self.start(self.children.len() - 1).is_err() {
                    self.children.pop();
                }
            }
            Step::PlannedRestart(id) => self.restart_as_planned(id),
            _ => {}
        }
    }

    fn start_stopped(&mut self, id: &str) {
        let stopped = self.find(id).filter(|&at| self.children[at].process == Process::Undefined);
        if let Some(at) = stopped {
            // Only the caller learns of a failure; the child stays stopped.
            self.start(at).ok();
        }
    }

    fn restart_as_planned(&mut self, id: &str) {
        let Some(at) = self.find(id) else { return };
        if !matches!(self.children[at].process, Process::Pid(_)) {
            return self.start_stopped(id);
        }
        self.terminate(at);
        match self.start(at) {
            Err(_) if self.children[at].spec.restart == Restart::Temporary => self.delete(at),
            Err(id) => {
                self.children[at].process = Process::Restarting;
                self.mailbox.push_back(Message::TryAgain(id));
            }
            Ok(()) => {}
        }
    }

    /// Removes a child that is down for good, unless its specification is kept.
    fn delete(&mut self, at: usize) {
        let is_kept = self.children[at].spec.restart != Restart::Temporary
            && self.strategy != Strategy::SimpleOneForOne;
        if is_kept {
            self.children[at].process = Process::Undefined;
        } else {
            self.children.remove(at);
        }
    }

    fn hear(&mut self) {
        self.mailbox.extend(self.world.exits.drain(..).map(|(pid, reason)| Message::Exit(pid, reason)));
    }

    fn find(&self, id: &str) -> Option<usize> {
        self.children.iter().position(|child| child.spec.id == id)
    }
}
