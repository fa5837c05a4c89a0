//! The laws of a roster, over random definitions: sound forests, and heaps with every fault at once.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::agent::{AccessLevel, parse};

/// One agent of a heap: which name, role, parent and port, each from a small choice so that they clash.
type AgentSample = (u8, AgentRole, Option<u8>, Option<u16>);

/// The agents' stated rights: unstated, none, few, many.
const RIGHTS: [&str; 4] = [
    "",
    "rights: {}\n",
    "rights: { filesystem: read }\n",
    "rights: { filesystem: rw, bash: true, sql: true }\n",
];

fn any_role() -> impl Strategy<Value = AgentRole> {
    prop_oneof![4 => Just(AgentRole::Coord), 2 => Just(AgentRole::System), 3 => Just(AgentRole::Exec)]
}

fn any_row() -> impl Strategy<Value = AgentSample> {
    (0..12_u8, any_role(), prop::option::weighted(0.8, 0..14_u8), prop::option::weighted(0.3, 7000..7006_u16))
}

fn any_heap() -> impl Strategy<Value = Vec<AgentSample>> {
    prop::collection::vec(any_row(), 0..24)
}

fn definition(at: usize, layer: &str, (number, role, parent, port): AgentSample) -> AgentDefinition {
    let mut text = format!(
        "---\nname: a{number}\ndescription: d\nrole: {}\ncapabilities: [c{}]\n",
        role.as_str(),
        number % 3
    );
    text.push_str(RIGHTS[usize::from(number) % RIGHTS.len()]);
    if let Some(parent) = parent {
        text.push_str(&format!("parent: a{parent}\n"));
    }
    if let Some(port) = port {
        text.push_str(&format!("port: {port}\n"));
    }
    parse(&format!("{layer}{at}/a{number}.md"), &format!("{text}---\nprompt")).unwrap()
}

fn definitions(layer: &str, heap: &[AgentSample]) -> Vec<AgentDefinition> {
    heap.iter().enumerate().map(|(at, row)| definition(at, layer, *row)).collect()
}

/// Agent `n` hangs below an earlier coordinator, or is a root: sound by construction.
fn any_forest() -> impl Strategy<Value = Vec<AgentDefinition>> {
    prop::collection::vec((any_role(), any::<prop::sample::Index>()), 1..40).prop_map(|rows| {
        let mut coordinators: Vec<u8> = vec![0];
        let mut forest = vec![definition(0, "f", (0, AgentRole::Coord, None, None))];
        for ((role, above), number) in rows.into_iter().zip(1..) {
            let root = role != AgentRole::Exec && number % 7 == 0;
            let parent = (!root).then(|| *above.get(&coordinators));
            if role == AgentRole::Coord {
                coordinators.push(number);
            }
            forest.push(definition(number.into(), "f", (number, role, parent, None)));
        }
        forest
    })
}

fn assert_sound(roster: &Roster) {
    let mut ports = HashSet::new();
    for (at, agent) in roster.iter().enumerate() {
        assert_eq!(roster.get(agent.name.as_str()).unwrap(), agent);
        assert_eq!(roster.index[&agent.name], at, "names are unique");
        assert!(agent.port.is_none_or(|port| ports.insert(port)), "ports are unique");
        let path = roster.path_to(&agent.name);
        assert!(path.len() <= roster.len() && path[0].parent.is_none(), "the way up ends at a root");
        assert_eq!(path.last().unwrap(), &agent);
        assert!(agent.role != AgentRole::Exec || path.len() > 1, "no executor is a root");
        for pair in path.windows(2) {
            assert!(pair[0].role != AgentRole::Exec, "executors have nobody below them");
            assert!(pair[0].role == AgentRole::Coord || pair[1].role == AgentRole::System);
            assert!(roster.children_of(&pair[0].name).any(|child| child == pair[1]));
        }
    }
    let below: usize = roster.iter().map(|agent| roster.children_of(&agent.name).count()).sum();
    assert_eq!(below + roster.roots().count(), roster.len(), "each agent hangs in one place");
}

proptest! {
    #[test]
    fn a_sound_forest_is_taken_whole_and_in_order(forest in any_forest()) {
        let (roster, refusals) = Roster::build(forest.clone());
        prop_assert_eq!(refusals, vec![]);
        prop_assert!(roster.iter().eq(forest.iter()));
        assert_sound(&roster);
    }

    #[test]
    fn of_any_heap_each_definition_is_taken_or_refused_once(heap in any_heap()) {
        let given = definitions("h", &heap);
        let (roster, refusals) = Roster::build(given.clone());
        assert_sound(&roster);
        let taken = roster.iter().map(|agent| &agent.source.file);
        let mut files: Vec<_> = taken.chain(refusals.iter().map(|refusal| &refusal.file)).collect();
        files.sort();
        let mut all: Vec<_> = given.iter().map(|agent| &agent.source.file).collect();
        all.sort();
        prop_assert_eq!(files, all);
        prop_assert!(refusals.iter().all(|refusal| refusal.line.is_some_and(|line| line > 1)));
        // The accepted definitions are sound without the others, and building again gives the same roster.
        let (again, none) = Roster::build(roster.iter().cloned().collect());
        prop_assert!(none.is_empty() && again.iter().eq(roster.iter()));
    }

    #[test]
    fn no_overlay_takes_an_agent_of_a_sound_base_away(forest in any_forest(), heap in any_heap()) {
        let (roster, refusals) = Roster::layered(forest.clone(), definitions("user", &heap));
        assert_sound(&roster);
        for agent in &forest {
            prop_assert!(roster.get(agent.name.as_str()).is_some(), "{} is gone: {refusals:?}", agent.name);
        }
        prop_assert!(refusals.iter().all(|refusal| refusal.file.starts_with("user")), "{refusals:?}");
    }

    #[test]
    fn effective_rights_are_the_greatest_that_agent_and_ancestors_grant(forest in any_forest()) {
        let (roster, _) = Roster::build(forest);
        for agent in roster.iter() {
            let rights = roster.effective_rights(&agent.name);
            let path = roster.path_to(&agent.name);
            let (own, above) = path.split_last().unwrap();
            let bounds: Vec<Rights> = above.iter().filter_map(|a| a.rights).chain([own.own_rights()]).collect();
            prop_assert!(bounds.iter().all(|bound| rights.is_within(*bound)));
            for least in [Rights { bash: true, ..Rights::NONE }, Rights { filesystem: AccessLevel::Read, ..Rights::NONE }] {
                let granted_by_all = bounds.iter().all(|bound| least.is_within(*bound));
                prop_assert_eq!(least.is_within(rights), granted_by_all);
            }
        }
    }
}
