//! The processes of a scenario: starts, failed starts, stops and unasked ends, and the log of these.
//!
//! Knows no rule of supervision: the model and the machine's driver both act on such a world, so that their
//! logs can be compared. Unasked ends are put into [`World::exits`] for the supervisor.

use std::collections::{BTreeMap, VecDeque};

use super::scenario::{ChildSpec, Interruption, Reason, Scenario, Strategy};

pub(crate) type Pid = u32;

#[derive(Debug)]
pub(crate) struct World {
    alive: BTreeMap<Pid, String>,
    next_pid: Pid,
    starts: BTreeMap<String, u32>,
    fail_starts: BTreeMap<String, Vec<u32>>,
    interruptions: Vec<Interruption>,
    moment: u32,
    stops_are_moments: bool,
    /// Ends not yet reported to the supervisor.
    pub(crate) exits: VecDeque<(Pid, Reason)>,
    pub(crate) log: Vec<String>,
}

impl World {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut world = Self {
            alive: BTreeMap::new(),
            next_pid: 1,
            starts: BTreeMap::new(),
            fail_starts: BTreeMap::new(),
            interruptions: scenario.interruptions.clone(),
            moment: 0,
            stops_are_moments: scenario.strategy != Strategy::SimpleOneForOne,
            exits: VecDeque::new(),
            log: Vec::new(),
        };
        for child in &scenario.children {
            world.learn(child);
        }
        world
    }

    /// Notes which starts of a child are to fail.
    pub(crate) fn learn(&mut self, child: &ChildSpec) {
        self.fail_starts.insert(child.id.clone(), child.fail_starts.clone());
    }

    /// Starts a process, or fails to.
    pub(crate) fn start(&mut self, id: &str) -> Option<Pid> {
        self.pass_a_moment();
        let nth = self.starts.entry(id.to_owned()).or_default();
        *nth += 1;
        if self.fail_starts.get(id).is_some_and(|fails| fails.contains(nth)) {
            self.log.push(format!("start_failed {id}"));
            return None;
        }
        let pid = self.next_pid;
        self.next_pid += 1;
        self.alive.insert(pid, id.to_owned());
        self.log.push(format!("start {id}"));
        self.pass_a_moment();
        Some(pid)
    }

    /// Stops a process in an orderly way; false when it had already ended.
    pub(crate) fn stop(&mut self, pid: Pid) -> bool {
        let Some(id) = self.alive.remove(&pid) else { return false };
        self.log.push(format!("stop {id}"));
        if self.stops_are_moments {
            self.pass_a_moment();
        }
        true
    }

    /// Lets a process end unasked; nothing happens when none of that name runs.
    pub(crate) fn exit(&mut self, id: &str, reason: Reason) {
        let Some(pid) = self.alive.iter().find(|(_, name)| *name == id).map(|(pid, _)| *pid) else { return };
        self.alive.remove(&pid);
        self.log.push(format!("exit {id} {}", reason.word()));
        self.exits.push_back((pid, reason));
    }

    pub(crate) fn is_alive(&self, pid: Pid) -> bool {
        self.alive.contains_key(&pid)
    }

    pub(crate) fn alive_pids(&self) -> Vec<Pid> {
        self.alive.keys().copied().collect()
    }

    /// Names of the running processes, sorted.
    pub(crate) fn alive(&self) -> Vec<String> {
        let mut names: Vec<String> = self.alive.values().cloned().collect();
        names.sort();
        names
    }

    fn pass_a_moment(&mut self) {
        self.moment += 1;
        let now = self.moment;
        let due: Vec<_> = self.interruptions.iter().filter(|i| i.moment == now).cloned().collect();
        for Interruption { child, reason, .. } in due {
            self.exit(&child, reason);
        }
    }
}
