//! The built-in roster against a table of facts, and user folders over the roster.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use pas_domain::agent::{
    AccessLevel, AgentBehaviour, AgentDefinition, AgentRole, MAX_DEFINITION_BYTES, Rights,
};
use pas_domain::ids::AgentName;
use pas_domain::roster::HierarchyLevel;

const FACTS: &str = include_str!("../../tests/data/roster.json");

#[derive(Deserialize)]
struct RosterFacts(Vec<BTreeMap<String, Value>>);

fn name(text: &str) -> AgentName {
    AgentName::new(text).unwrap()
}

fn built_in_roster() -> Roster {
    let (roster, refusals) = load(None);
    assert_eq!(refusals, []);
    roster
}

/// A definition as a row of the facts table.
fn row(agent: &AgentDefinition) -> BTreeMap<String, Value> {
    let mut row: BTreeMap<String, Value> =
        serde_json::from_value(serde_json::to_value(agent).unwrap()).unwrap();
    let resources = row["resources"].clone();
    row.insert("cpu_cores".to_owned(), resources["cpu_cores"].clone());
    row.insert("memory_mb".to_owned(), resources["memory_mb"].clone());
    row.insert("rights".to_owned(), serde_json::to_value(agent.own_rights()).unwrap());
    for amount in ["gpus", "gpu_memory_mb"] {
        row.insert(amount.to_owned(), resources[amount].clone());
    }
    row.entry("max_tokens".to_owned()).or_insert(Value::Null);
    row
}

#[test]
fn the_built_in_agents_are_the_ones_in_the_table() {
    let roster = built_in_roster();
    let facts: RosterFacts = serde_json::from_str(FACTS).unwrap();
    assert_eq!(facts.0.len(), roster.len());
    for mut fact in facts.0 {
        let agent = roster.get(fact["name"].as_str().unwrap()).unwrap();
        let rights: Rights = serde_json::from_value(fact["rights"].clone()).unwrap();
        fact.insert("rights".to_owned(), serde_json::to_value(rights).unwrap());
        let stated = row(agent);
        for (field, value) in fact {
            assert_eq!(stated[&field], value, "{}.{field}", agent.name);
        }
    }
}

#[test]
fn there_are_eleven_coordinators_eighteen_system_agents_and_twenty_one_executors() {
    let roster = built_in_roster();
    let counts = roster.counts();
    assert_eq!(
        counts.by_role,
        BTreeMap::from([(AgentRole::Coord, 11), (AgentRole::System, 18), (AgentRole::Exec, 21)])
    );
    assert_eq!(json!(counts.by_tier), json!({"1": 49, "2": 1}));
    let roots: Vec<_> = roster.roots().map(|agent| agent.name.as_str()).collect();
    assert_eq!(roots, ["architect", "event-stream", "gateway", "provider-router", "registry"]);
}

#[test]
fn the_levels_of_the_hierarchy_come_from_roles_and_parents() {
    let roster = built_in_roster();
    let mut levels: BTreeMap<HierarchyLevel, Vec<&str>> = BTreeMap::new();
    for agent in roster.iter() {
        levels.entry(roster.level_of(&agent.name).unwrap()).or_default().push(agent.name.as_str());
    }
    assert_eq!(levels[&HierarchyLevel::Architect], ["architect"]);
    for (level, kind) in [(HierarchyLevel::Director, "director-"), (HierarchyLevel::Manager, "manager-")] {
        assert_eq!(levels[&level].len(), 5);
        assert!(levels[&level].iter().all(|name| name.starts_with(kind)), "{levels:?}");
    }
    assert_eq!(levels[&HierarchyLevel::Worker].len(), 39);
    assert_eq!(roster.level_of(&AgentName::new("nobody").unwrap()), None);
}

#[test]
fn every_native_task_is_taken_by_one_agent() {
    let roster = built_in_roster();
    let native = roster.iter().filter(|agent| agent.behaviour == AgentBehaviour::Native);
    let mut tasks: Vec<_> = native.flat_map(|agent| agent.tasks.iter().flatten()).collect();
    let all = tasks.len();
    tasks.sort();
    tasks.dedup();
    assert_eq!((all, tasks.len()), (9, 9));
}

#[test]
fn every_prompt_is_worth_reading_and_no_sentence_is_shared() {
    let roster = built_in_roster();
    let mut sentences: BTreeMap<String, AgentName> = BTreeMap::new();
    for agent in roster.iter() {
        let words = agent.prompt.split_whitespace().count();
        assert!((120..=250).contains(&words), "{}: {words} words", agent.name);
        for sentence in agent.prompt.split(['.', ':', ';', '\n']).map(str::trim).filter(|s| s.len() > 30) {
            let other = sentences.insert(sentence.to_lowercase(), agent.name.clone());
            assert_eq!(other, None, "{} repeats: {sentence}", agent.name);
        }
    }
}

#[test]
fn an_agent_named_in_a_prompt_exists() {
    let roster = built_in_roster();
    let is_name = |word: &&str| word.contains('-') && AgentName::new(*word).is_ok();
    let named: Vec<_> =
        roster.iter().flat_map(|a| a.prompt.split('`').skip(1).step_by(2).filter(is_name)).collect();
    assert!(named.len() > 40, "only {} names found", named.len());
    for agent in named {
        assert!(roster.get(agent).is_some(), "{agent}");
    }
}

#[test]
fn lanes_and_paths_follow_the_directors() {
    let roster = built_in_roster();
    let lane = |agent| roster.lane_of(&name(agent)).map(|director| director.name.as_str());
    assert_eq!(lane("chunker-mgs"), Some("director-data"));
    assert_eq!(lane("director-code"), Some("director-code"));
    assert_eq!(
        [lane("architect"), lane("gateway"), lane("metrics-cost-accountant"), lane("nobody")],
        [None; 4]
    );
    let path: Vec<_> = roster.path_to(&name("chunker-mgs")).iter().map(|agent| agent.name.as_str()).collect();
    assert_eq!(path, ["architect", "director-data", "manager-data", "chunker-mgs"]);
    let below: Vec<_> = roster.children_of(&name("registry")).map(|agent| agent.name.as_str()).collect();
    assert_eq!(below, ["file-queue-watcher", "heartbeat-monitor"]);
}

#[test]
fn rights_are_bounded_by_every_ancestor_that_states_some() {
    let roster = built_in_roster();
    let chunker = roster.effective_rights(&name("chunker-mgs"));
    assert_eq!(chunker, Rights { filesystem: AccessLevel::ReadWrite, python: true, ..Rights::NONE });
    let indexer = roster.effective_rights(&name("embed-indexer"));
    assert!(
        roster.get("embed-indexer").unwrap().own_rights().sql && !indexer.sql,
        "the architect grants no SQL"
    );
    assert_eq!(roster.effective_rights(&name("manager-data")), Rights::NONE);
}

fn write(folder: &Path, path: &str, text: impl AsRef<[u8]>) {
    let file = folder.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

fn plain(name: &str, more: &str) -> String {
    format!("---\nname: {name}\ndescription: Does {name}.\n{more}---\nYou do {name}.\n")
}

/// Line and reason of each refusal, under the file's name.
fn reasons(refusals: &[DefinitionRefusal]) -> Vec<String> {
    let short = |r: &DefinitionRefusal| {
        r.to_string().rsplit_once('/').map_or_else(|| r.to_string(), |(_, tail)| tail.to_owned())
    };
    refusals.iter().map(short).collect()
}

#[test]
fn a_missing_folder_is_no_fault() {
    let folder = TempDir::new().unwrap();
    let (roster, refusals) = load(Some(&folder.path().join("none")));
    assert_eq!((roster.len(), refusals), (50, vec![]));
}

#[test]
fn a_users_folder_adds_and_replaces_whole_definitions() {
    let folder = TempDir::new().unwrap();
    write(
        folder.path(),
        "team/code-reviewer.md",
        plain("code-reviewer", "tools: Read, Grep\nmodel: sonnet\n"),
    );
    write(folder.path(), "test-writer.md", plain("test-writer", "parent: manager-code\n"));
    write(folder.path(), "README.md", "# Our agents");
    write(folder.path(), ".git/x.md", "no definition");
    let (roster, refusals) = load(Some(folder.path()));
    assert_eq!(refusals, []);
    assert_eq!(roster.len(), 51);
    let added = roster.get("code-reviewer").unwrap();
    assert_eq!(
        (added.parent.as_ref().unwrap().as_str(), &added.behaviour),
        ("architect", &AgentBehaviour::Llm)
    );
    assert_eq!(added.own_rights(), Rights { filesystem: AccessLevel::Read, ..Rights::NONE });
    assert!(added.can("code_reviewer"));
    let replaced = roster.get("test-writer").unwrap();
    assert_eq!(replaced.own_rights(), Rights::NONE, "nothing of the built-in one shows through");
    let order: Vec<_> = roster.children_of(&name("manager-code")).map(|agent| agent.name.as_str()).collect();
    assert_eq!(order, ["code-writer", "test-writer"]);
}

#[test]
fn a_replacement_that_does_not_fit_leaves_the_built_in_one_standing() {
    let folder = TempDir::new().unwrap();
    let coord = |parent: &str| format!("role: coord\nparent: {parent}\n");
    write(folder.path(), "architect.md", plain("architect", &coord("manager-data")));
    write(folder.path(), "director-code.md", plain("director-code", ""));
    write(folder.path(), "director-docs.md", plain("director-docs", &coord("nobody")));
    write(folder.path(), "director-data.md", "---\nname: director-data\nname: director-data\n---\nx");
    write(folder.path(), "spy.md", plain("spy", "port: 6121\n"));
    let (roster, refusals) = load(Some(folder.path()));
    assert_eq!(
        reasons(&refusals),
        [
            "director-data.md:3: duplicate mapping key `name` is not allowed here",
            "architect.md:5: its parents lead back to itself: architect → manager-data → director-data → architect; \
             what it would replace stays",
            "director-code.md:2: it is an executor, but `manager-code` below it is a coordinator; \
             what it would replace stays",
            "director-docs.md:5: its parent `nobody` does not exist; what it would replace stays",
            "spy.md:4: port 6121 is already taken by `registry`",
        ]
    );
    let (built_in, _) = load(None);
    assert!(roster.iter().eq(built_in.iter()));
}

#[test]
fn whatever_is_refused_for_its_parent_names_the_parent() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "a.md", plain("a", "role: coord\nparent: b\n"));
    write(folder.path(), "b.md", plain("b", "role: coord\nparent: ghost\n"));
    write(folder.path(), "sub/b.md", plain("b", ""));
    let (roster, refusals) = load(Some(folder.path()));
    assert_eq!(
        reasons(&refusals)[..2],
        ["a.md:5: its parent `b` was refused", "b.md:5: its parent `ghost` does not exist"]
    );
    assert!(refusals[2].reason.starts_with("`b` is already defined in "), "{}", refusals[2]);
    assert_eq!(roster.len(), 50);
}

#[test]
fn files_that_cannot_be_definitions_are_refused_and_the_rest_is_read() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "fine.md", plain("fine", ""));
    write(folder.path(), "huge.md", vec![b'a'; 10 * 1024 * 1024]);
    write(folder.path(), "latin.md", b"---\nname: latin\n# caf\xe9\n---\nx");
    write(folder.path(), "folder.md/inner.md", plain("inner", ""));
    let (definitions, refusals) = read_folder(folder.path());
    assert_eq!(definitions.iter().map(|agent| agent.name.as_str()).collect::<Vec<_>>(), ["fine", "inner"]);
    assert_eq!(
        reasons(&refusals),
        [
            format!("huge.md: larger than {MAX_DEFINITION_BYTES} bytes, the limit for a definition"),
            "latin.md:3: not UTF-8 from this line on: save the file as UTF-8".to_owned(),
        ]
    );
}

#[test]
fn a_folder_of_too_many_definitions_is_cut_off_with_a_word() {
    let folder = TempDir::new().unwrap();
    for number in 0..=MAX_FILES {
        write(folder.path(), &format!("a{number:04}.md"), plain(&format!("a{number:04}"), ""));
    }
    let (definitions, refusals) = read_folder(folder.path());
    assert_eq!(definitions.len(), MAX_FILES);
    assert_eq!(reasons(&refusals), ["a1000.md: more than 1000 definitions: those from here on are left out"]);
}

#[cfg(unix)]
#[test]
fn symbolic_links_are_never_followed() {
    use std::os::unix::fs::symlink;
    let folder = TempDir::new().unwrap();
    let outside = TempDir::new().unwrap();
    write(outside.path(), "secret.md", plain("secret", ""));
    symlink(outside.path().join("secret.md"), folder.path().join("secret.md")).unwrap();
    symlink(outside.path(), folder.path().join("elsewhere")).unwrap();
    symlink(folder.path(), folder.path().join("circle")).unwrap();
    let (definitions, refusals) = read_folder(folder.path());
    assert_eq!(definitions, []);
    assert_eq!(reasons(&refusals), ["secret.md: is a symbolic link; put the file itself here"]);
}

#[test]
fn a_file_in_the_folders_place_is_refused() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "agents", "not a folder");
    let (definitions, refusals) = read_folder(&folder.path().join("agents"));
    assert_eq!((definitions, reasons(&refusals)), (vec![], vec!["agents: is no folder".to_owned()]));
}
