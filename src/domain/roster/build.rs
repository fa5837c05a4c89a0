//! Selects the definitions that are consistent with each other.
//!
//! Works in rounds: find the definitions at fault, remove them (restoring the ones they replaced), check
//! again. Every round removes at least one definition for good, so the process ends. A round checks only one
//! kind of fault, the simplest first, so that a definition is not blamed for another one's fault.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::agent::{AgentDefinition, AgentRole, DefinitionRefusal};
use crate::ids::AgentName;

/// How many names of a cycle a message shows.
const SHOWN_OF_CYCLE: usize = 8;

/// A slot in the roster: the current definition, and the one restored if that is refused.
struct RosterSlot {
    current: Option<AgentDefinition>,
    replaced: Option<AgentDefinition>,
    of_overlay: bool,
}

/// Slot → line and reason.
type RosterFaults = BTreeMap<usize, (u32, String)>;

/// The definitions that fit, in order (base first), and the refusals, by file and line.
pub(super) fn settle(
    base: Vec<AgentDefinition>,
    overlay: Vec<AgentDefinition>,
) -> (Vec<AgentDefinition>, Vec<DefinitionRefusal>) {
    let mut refusals = Vec::new();
    let mut slots = slots(base, overlay, &mut refusals);
    let mut gone: HashSet<AgentName> = HashSet::new();
    loop {
        let faults = RosterView::of(&slots).faults(&gone);
        if faults.is_empty() {
            break;
        }
        for (at, (line, reason)) in faults {
            let slot = &mut slots[at];
            let back = slot.replaced.take();
            let came_back = back.is_some();
            if let Some(refused) = std::mem::replace(&mut slot.current, back) {
                let note = if came_back { "; what it would replace stays" } else { "" };
                refusals.push(refused.refused(line, format!("{reason}{note}")));
                if !came_back {
                    gone.insert(refused.name);
                }
            }
            slot.of_overlay = slot.of_overlay && !came_back;
        }
    }
    refusals.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    (slots.into_iter().filter_map(|slot| slot.current).collect(), refusals)
}

fn slots(
    base: Vec<AgentDefinition>,
    overlay: Vec<AgentDefinition>,
    refusals: &mut Vec<DefinitionRefusal>,
) -> Vec<RosterSlot> {
    let mut slots: Vec<RosterSlot> = Vec::new();
    let mut index: HashMap<AgentName, usize> = HashMap::new();
    let layers = [(false, base), (true, overlay)];
    for (of_overlay, definition) in
        layers.into_iter().flat_map(|(layer, all)| all.into_iter().map(move |d| (layer, d)))
    {
        let Some(slot) = index.get(&definition.name).map(|at| &mut slots[*at]) else {
            index.insert(definition.name.clone(), slots.len());
            slots.push(RosterSlot { current: Some(definition), replaced: None, of_overlay });
            continue;
        };
        if of_overlay && !slot.of_overlay {
            slot.replaced = slot.current.replace(definition);
            slot.of_overlay = true;
        } else if let Some(first) = &slot.current {
            let reason = format!("`{}` is already defined in {}", definition.name, first.source.file);
            refusals.push(definition.refused(definition.source.name_line, reason));
        }
    }
    slots
}

/// The definitions in force at the moment.
struct RosterView<'a> {
    slots: &'a [RosterSlot],
    index: HashMap<&'a AgentName, usize>,
}

impl<'a> RosterView<'a> {
    fn of(slots: &'a [RosterSlot]) -> Self {
        let names =
            |(at, slot): (usize, &'a RosterSlot)| slot.current.as_ref().map(|agent| (&agent.name, at));
        Self { slots, index: slots.iter().enumerate().filter_map(names).collect() }
    }

    fn agents(&self) -> impl Iterator<Item = (usize, &'a AgentDefinition)> {
        self.slots.iter().enumerate().filter_map(|(at, slot)| slot.current.as_ref().map(|agent| (at, agent)))
    }

    fn parent(&self, agent: &AgentDefinition) -> Option<(usize, &'a AgentDefinition)> {
        let at = *self.index.get(agent.parent.as_ref()?)?;
        self.slots[at].current.as_ref().map(|parent| (at, parent))
    }

    fn faults(&self, gone: &HashSet<AgentName>) -> RosterFaults {
        let checks = [Self::shared_ports, Self::missing_parents, Self::unfit_parents, Self::cycles];
        checks.iter().map(|check| check(self, gone)).find(|faults| !faults.is_empty()).unwrap_or_default()
    }

    /// The base keeps its ports; within a layer the earlier definition keeps them.
    fn shared_ports(&self, _gone: &HashSet<AgentName>) -> RosterFaults {
        let mut owners = HashMap::new();
        let mut faults = RosterFaults::new();
        for layer in [false, true] {
            for (at, agent) in self.agents().filter(|(at, _)| self.slots[*at].of_overlay == layer) {
                let Some(port) = agent.port else { continue };
                if let Some(owner) = owners.get(&port) {
                    let reason = format!("port {port} is already taken by `{owner}`");
                    faults.insert(at, (agent.source.port_line, reason));
                } else {
                    owners.insert(port, &agent.name);
                }
            }
        }
        faults
    }

    fn missing_parents(&self, gone: &HashSet<AgentName>) -> RosterFaults {
        let missing = |(at, agent): (usize, &'a AgentDefinition)| {
            let parent = agent.parent.as_ref().filter(|parent| !self.index.contains_key(parent))?;
            let reason = if gone.contains(parent) {
                format!("its parent `{parent}` was refused")
            } else {
                format!("its parent `{parent}` does not exist")
            };
            Some((at, (agent.source.parent_line, reason)))
        };
        self.agents().filter_map(missing).collect()
    }

    /// Checks the roles of parent and child. If only the parent is of the overlay, the parent is at fault:
    /// the agents below were sound without the overlay.
    fn unfit_parents(&self, _gone: &HashSet<AgentName>) -> RosterFaults {
        let mut faults = RosterFaults::new();
        for (at, agent) in self.agents() {
            let Some((above, parent)) = self.parent(agent) else { continue };
            if may_stand_below(agent.role, parent.role) {
                continue;
            }
            let (child, chief) = (agent.role.noun(), parent.role.noun());
            if self.slots[above].of_overlay && !self.slots[at].of_overlay {
                let reason = format!("it is {chief}, but `{}` below it is {child}", agent.name);
                faults.entry(above).or_insert((parent.source.name_line, reason));
            } else {
                let reason = format!("{child} cannot stand below `{}`, which is {chief}", parent.name);
                faults.insert(at, (agent.source.parent_line, reason));
            }
        }
        faults
    }

    /// In a cycle the overlay's agents are at fault; all agents when the cycle is within one layer.
    fn cycles(&self, _gone: &HashSet<AgentName>) -> RosterFaults {
        let mut faults = RosterFaults::new();
        let mut walked: HashMap<usize, usize> = HashMap::new();
        for (start, _) in self.agents() {
            let Some(cycle) = self.cycle_from(start, &mut walked) else { continue };
            let text = self.describe(&cycle);
            let of_overlay = |at: &usize| self.slots[*at].of_overlay;
            let any_of_overlay = cycle.iter().any(of_overlay);
            for at in cycle.iter().filter(|at| !any_of_overlay || of_overlay(at)) {
                if let Some(agent) = &self.slots[*at].current {
                    faults.insert(*at, (agent.source.parent_line, text.clone()));
                }
            }
        }
        faults
    }

    /// Walks up from `start` until a root or a place walked before; a cycle if that was on this walk.
    fn cycle_from(&self, start: usize, walked: &mut HashMap<usize, usize>) -> Option<Vec<usize>> {
        let mut path = Vec::new();
        let mut at = start;
        while !walked.contains_key(&at) {
            walked.insert(at, start);
            path.push(at);
            at = self.parent(self.slots[at].current.as_ref()?)?.0;
        }
        let first = path.iter().position(|seen| *seen == at)?;
        Some(path.split_off(first))
    }

    fn describe(&self, cycle: &[usize]) -> String {
        let name = |at: &usize| self.slots[*at].current.as_ref().map_or("", |agent| agent.name.as_str());
        let mut names: Vec<&str> = cycle.iter().take(SHOWN_OF_CYCLE).map(name).collect();
        let last = if cycle.len() > SHOWN_OF_CYCLE { Some("…") } else { names.first().copied() };
        names.extend(last);
        format!("its parents lead back to itself: {}", names.join(" → "))
    }
}

/// Executors have no children; only coordinators delegate to coordinators and executors.
fn may_stand_below(child: AgentRole, parent: AgentRole) -> bool {
    match parent {
        AgentRole::Coord => true,
        AgentRole::System => child == AgentRole::System,
        AgentRole::Exec => false,
    }
}
