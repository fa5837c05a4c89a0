//! Drives the machine through a scenario: carries the commands out in a [`World`] at once and literally, and
//! answers them.
//!
//! Owns no rule of supervision but the names of children (the machine has keys). Checks on the way that at
//! most one command is outstanding, that the running children are those the machine believes to be up, that
//! none is started twice and that none is forgotten silently.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use pas::supervision::machine::{
    ChildKey, Incarnation, MachineCommand, MachineInput, SupervisorEnding, SupervisorMachine,
};
use pas::supervision::policy;

use super::scenario::{AutoShutdown, ChildSpec, Fate, Outcome, Reason, Restart, Scenario, Step, Strategy};
use super::world::{Pid, World};

/// Runs a scenario to the end.
pub(crate) fn run(scenario: &Scenario) -> Outcome {
    let mut driver = Driver::new(scenario);
    driver.feed(MachineInput::Boot);
    driver.obey();
    for step in &scenario.steps {
        driver.take(step);
        driver.obey();
    }
    Outcome {
        alive: driver.world.alive(),
        log: driver.world.log,
        supervisor: match driver.ending {
            None => Fate::Running,
            Some(SupervisorEnding::Asked) => Fate::Shutdown,
            Some(SupervisorEnding::IntensityReached) => Fate::Intensity,
            Some(SupervisorEnding::AutoShutdown) => Fate::AutoShutdown,
            Some(SupervisorEnding::BootFailed(..)) => Fate::BootFailed,
        },
    }
}

struct Driver {
    machine: SupervisorMachine,
    world: World,
    now: Duration,
    ids: Vec<String>,
    pids: BTreeMap<Pid, (ChildKey, Incarnation)>,
    commands: VecDeque<MachineCommand>,
    forgotten: usize,
    ending: Option<SupervisorEnding>,
}

impl Driver {
    fn new(scenario: &Scenario) -> Self {
        let is_template = scenario.strategy == Strategy::SimpleOneForOne;
        let children = || scenario.children.iter().filter(|_| !is_template);
        Self {
            machine: SupervisorMachine::new(supervisor_policy(scenario), children().map(child_policy)),
            world: World::new(scenario),
            now: Duration::from_secs(1000),
            ids: children().map(|child| child.id.clone()).collect(),
            pids: BTreeMap::new(),
            commands: VecDeque::new(),
            forgotten: 0,
            ending: None,
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::AdvanceMs(ms) => self.now += Duration::from_millis(*ms),
            Step::Together(steps) => steps.iter().for_each(|step| self.take(step)),
            Step::Exit { child, reason } => {
                self.world.exit(child, *reason);
                self.tell_exits();
            }
            Step::RestartChild(id) => self.ask(id, MachineInput::Start),
            Step::PlannedRestart(id) => self.ask(id, MachineInput::Restart),
            Step::TerminateChild(id) => self.ask(id, MachineInput::Terminate),
            Step::StartChild(spec) => self.start_child(spec),
            Step::Shutdown => self.feed(MachineInput::Shutdown),
        }
    }

    fn ask(&mut self, id: &str, input: fn(ChildKey) -> MachineInput) {
        if let Some(key) = self.key(id) {
            self.feed(input(key));
        }
    }

    fn start_child(&mut self, spec: &ChildSpec) {
        if self.key(&spec.id).is_none() && self.ending.is_none() {
            self.world.learn(spec);
            let key = self.machine.add(child_policy(spec));
            assert_eq!(key as usize, self.ids.len(), "keys are given in order");
            self.ids.push(spec.id.clone());
            self.feed(MachineInput::Start(key));
        }
    }

    fn key(&self, id: &str) -> Option<ChildKey> {
        self.machine.children().find(|&key| self.ids[key as usize] == id)
    }

    fn feed(&mut self, input: MachineInput) {
        let commands = self.machine.step(self.now, input);
        self.commands.extend(commands);
        let unanswered = self.commands.iter().filter(|command| self.is_unanswered(command)).count();
        assert!(unanswered <= 1, "one at a time: {:?}", self.commands);
    }

    /// A child that ends unasked answers the command to stop it before that is carried out.
    fn is_unanswered(&self, command: &MachineCommand) -> bool {
        match command {
            MachineCommand::Start(..) => true,
            MachineCommand::Stop(key, incarnation) => self.world.is_alive(self.pid(*key, *incarnation)),
            MachineCommand::Forget(_) | MachineCommand::Wait(..) | MachineCommand::Exit(_) => false,
        }
    }

    fn obey(&mut self) {
        while let Some(command) = self.commands.pop_front() {
            assert!(self.ending.is_none(), "{command:?} after the end");
            match command {
                MachineCommand::Start(key, incarnation) => self.start(key, incarnation),
                MachineCommand::Stop(key, incarnation) => self.stop(key, incarnation),
                MachineCommand::Forget(_) => self.forgotten += 1,
                MachineCommand::Wait(key, _) => unreachable!("{key} has no backoff"),
                MachineCommand::Exit(ending) => self.ending = Some(ending),
            }
        }
        let known = self.machine.children().count();
        assert_eq!(known + self.forgotten, self.ids.len(), "whoever is forgotten is named");
        let up: Vec<_> = self.machine.children().filter_map(|key| self.machine.running(key)).collect();
        let mut running: Vec<_> = self.world.alive_pids().iter().map(|pid| self.pids[pid].1).collect();
        running.sort_by_key(|incarnation| up.iter().position(|known| known == incarnation));
        assert_eq!(up, running, "what is up to the machine is what runs");
    }

    fn start(&mut self, key: ChildKey, incarnation: Incarnation) {
        let id = self.ids[key as usize].clone();
        assert!(!self.world.alive().contains(&id), "{id} is started twice");
        let started = self.world.start(&id);
        if let Some(pid) = started {
            self.pids.insert(pid, (key, incarnation));
        }
        self.tell_exits();
        let failure = policy::ExitReason::StartFailed("as the scenario says".into());
        self.feed(match started {
            Some(_) => MachineInput::Started(key),
            None => MachineInput::StartFailed(key, failure),
        });
    }

    /// An unasked end has been, or will be, reported as such, which answers the stop too.
    fn stop(&mut self, key: ChildKey, incarnation: Incarnation) {
        if self.world.stop(self.pid(key, incarnation)) {
            self.tell_exits();
            self.feed(MachineInput::Exited(key, incarnation, policy::ExitReason::Shutdown));
        }
    }

    fn pid(&self, key: ChildKey, incarnation: Incarnation) -> Pid {
        let of = |(pid, known): (&Pid, &_)| (*known == (key, incarnation)).then_some(*pid);
        self.pids.iter().find_map(of).expect("only what was started is stopped")
    }

    fn tell_exits(&mut self) {
        while let Some((pid, reason)) = self.world.exits.pop_front() {
            let (key, incarnation) = self.pids[&pid];
            self.feed(MachineInput::Exited(key, incarnation, exit_reason(reason)));
        }
    }
}

fn supervisor_policy(scenario: &Scenario) -> policy::SupervisorPolicy {
    policy::SupervisorPolicy {
        strategy: match scenario.strategy {
            Strategy::OneForOne => policy::RestartStrategy::OneForOne,
            Strategy::OneForAll => policy::RestartStrategy::OneForAll,
            Strategy::RestForOne => policy::RestartStrategy::RestForOne,
            Strategy::SimpleOneForOne => policy::RestartStrategy::Dynamic,
        },
        intensity: scenario.intensity,
        period: Duration::from_secs(u64::from(scenario.period_s)),
        auto_shutdown: match scenario.auto_shutdown {
            AutoShutdown::Never => policy::AutoShutdown::Never,
            AutoShutdown::AnySignificant => policy::AutoShutdown::AnySignificant,
            AutoShutdown::AllSignificant => policy::AutoShutdown::AllSignificant,
        },
    }
}

fn child_policy(spec: &ChildSpec) -> policy::ChildPolicy {
    policy::ChildPolicy {
        restart: match spec.restart {
            Restart::Permanent => policy::RestartType::Permanent,
            Restart::Transient => policy::RestartType::Transient,
            Restart::Temporary => policy::RestartType::Temporary,
        },
        significant: spec.significant,
        // OTP has no backoff.
        backoff: policy::RestartBackoff::NONE,
    }
}

fn exit_reason(reason: Reason) -> policy::ExitReason {
    match reason {
        Reason::Normal => policy::ExitReason::Normal,
        Reason::Shutdown | Reason::ShutdownTerm => policy::ExitReason::Shutdown,
        Reason::Crash => policy::ExitReason::Crashed("as the scenario says".into()),
        Reason::Killed => policy::ExitReason::Killed,
    }
}
