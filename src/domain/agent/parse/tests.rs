//! Parsing of all kinds of definitions: sound, plain, broken, hostile, arbitrary.

use proptest::prelude::*;

use super::*;
use crate::agent::{
    AccessLevel, AgentBehaviour, AgentRole, AgentSupervision, DEFAULT_HEARTBEAT_S, DEFAULT_MEMORY_MB, Rights,
    TokenBudget,
};

const SOUND: &str = "---\nname: x\ndescription: Does x.\n---\nYou do x.\n";

/// A definition with more lines in the front matter, from line 4 on.
fn with(lines: &str) -> String {
    format!("---\nname: x\ndescription: Does x.\n{lines}\n---\nYou do x.\n")
}

fn refused(text: &str) -> (u32, String) {
    let error = parse("agents/x.md", text).unwrap_err();
    (error.line.unwrap(), error.reason)
}

/// Each: front matter from line 4 on, line, part of the reason.
fn check(cases: &[(&str, u32, &str)]) {
    for (lines, line, reason) in cases {
        let (at, why) = refused(&with(lines));
        assert!(at == *line && why.contains(reason), "{lines:?} gave {at}: {why}");
    }
}

#[test]
fn a_plain_claude_code_sub_agent_becomes_an_executor_of_the_architect() {
    let text = "---\nname: code-reviewer\ndescription: Reviews code.\ntools: Read, Bash(git diff:*)\nmodel: inherit\n\
                color: blue\n---\n\nYou review.\n\n---\n\nBe kind.\n";
    let agent = parse("agents/code-reviewer.md", text).unwrap();
    assert_eq!(agent.role, AgentRole::Exec);
    assert_eq!(agent.parent.as_ref().unwrap().as_str(), "architect");
    assert_eq!(agent.behaviour, AgentBehaviour::Llm);
    assert_eq!(agent.display_name, "Code Reviewer");
    assert_eq!(agent.tools, ["Read", "Bash(git diff:*)"]);
    assert_eq!(agent.rights, Some(Rights { filesystem: AccessLevel::Read, ..Rights::NONE }));
    assert_eq!(agent.models, [""; 0]);
    assert_eq!(agent.token_budget, TokenBudget::DEFAULT);
    assert_eq!(agent.heartbeat_interval.seconds(), DEFAULT_HEARTBEAT_S);
    assert_eq!(agent.resources.memory_mb.get(), DEFAULT_MEMORY_MB);
    assert_eq!(agent.supervision, AgentSupervision::default());
    assert_eq!(agent.prompt, "You review.\n\n---\n\nBe kind.", "a rule in the body stays in the body");
}

#[test]
fn tools_come_as_a_list_as_text_or_as_nothing() {
    for (lines, tools) in [
        ("tools: [Read, Edit]", vec!["Read", "Edit"]),
        ("tools: Read,Edit", vec!["Read", "Edit"]),
        ("tools:", vec![]),
    ] {
        assert_eq!(parse("x.md", &with(lines)).unwrap().tools, tools, "{lines}");
    }
}

#[test]
fn only_executors_have_a_parent_by_default() {
    for role in ["coord", "system"] {
        assert_eq!(parse("x.md", &with(&format!("role: {role}"))).unwrap().parent, None, "{role}");
    }
}

#[test]
fn an_empty_list_of_rights_is_stated_and_a_missing_one_is_not() {
    assert_eq!(parse("x.md", &with("rights: {}")).unwrap().rights, Some(Rights::NONE));
    assert_eq!(parse("x.md", SOUND).unwrap().rights, None);
    let stated = parse("x.md", &with("tools: Bash\nrights: { filesystem: read }")).unwrap();
    assert!(!stated.own_rights().bash, "what is stated counts, not what the tools imply");
}

#[test]
fn an_error_reads_as_file_line_and_reason() {
    let error = parse("agents/x.md", "---\nname: x\ndescription: d\n\ncolour: red\n---\nx").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("agents/x.md:5: unknown field `colour`, expected one of name, description")
    );
}

#[test]
fn a_bad_value_is_named_with_its_line() {
    check(&[
        ("tier: 4", 4, "tier is 4; use 1, 2 or 3"),
        ("tier: x", 4, "`tier: x`"),
        ("\n\nport: 0", 6, "nonzero"),
        ("port: 70000", 4, "`port: 70000`"),
        ("role: boss", 4, "unknown variant `boss`, expected one of coord, system, exec"),
        ("parent: A/b", 4, "`A/b` is not a valid agent name"),
        ("heartbeat_interval_s: 0", 4, "nonzero"),
        ("heartbeat_interval_s: -1", 4, "`heartbeat_interval_s: -1`"),
        ("token_budget: { target_ratio: 0.9, hard_max_ratio: 0.5 }", 4, "0.9 is above hard_max_ratio 0.5"),
        ("token_budget: { target_ratio: .nan, hard_max_ratio: 0.5 }", 4, "between 0 and 1"),
        ("token_budget: { target_ratio: 0.5 }", 4, "missing field `hard_max_ratio`"),
        ("resources:\n  cpu_cores: 0\n  memory_mb: 1", 5, "nonzero"),
        ("supervision: { restart: often }", 4, "unknown variant `often`"),
        ("supervision: { period_s: 0 }", 4, "nonzero"),
        ("capabilities: []", 4, "capabilities is empty"),
        ("capabilities:\n  - one\n  - two\n  - one", 7, "`one` is listed twice"),
        ("capabilities: [Up]", 4, "`Up` is no capability"),
        ("transports: []", 4, "transports is empty"),
        ("transports: [smoke]", 4, "expected one of rpc, file, mcp, rest"),
        ("approvals_required: [git_psuh]", 4, "unknown variant `git_psuh`"),
    ]);
}

#[test]
fn wrong_types_are_errors() {
    check(&[
        ("rights: { bash: yes }", 4, "true or false"),
        ("rights: all", 4, "`rights: all`"),
        ("rights:\n  filesystem: write", 5, "unknown variant `write`, expected one of none, read, rw"),
        ("rights:\n  fly: true", 5, "unknown field `fly`"),
        ("tools: { a: b }", 4, "tool names, as a list or separated by commas"),
        ("display_name: [a]", 4, "`display_name: [a]`"),
        ("? [a]\n: b", 4, "`? [a]`"),
        ("tier: !!binary AAAA", 4, "`tier: !!binary AAAA`"),
    ]);
}

#[test]
fn fields_that_contradict_each_other_are_errors() {
    check(&[
        ("behaviour: native", 2, "`tasks` must list at least one"),
        ("behaviour: native\ntasks: [Bad Task]", 5, "`Bad Task` is no task name"),
        ("behaviour: native\ntasks: [a.b, a.b]", 5, "task `a.b` is listed twice"),
        ("behaviour: command\ntasks: [ingest.audit]", 5, "agents of behaviour command take no task"),
        ("tier: 1\nskill: ingest.audit", 5, "only behaviour native has one"),
        ("behaviour: native\ntasks: [a]\nskill: a", 6, "keep `tasks`"),
        ("behaviour: system", 4, "an executor cannot have behaviour system"),
        ("role: coord\nbehaviour: llm", 5, "a coordinator cannot have behaviour llm"),
    ]);
}

#[test]
fn the_older_spelling_of_a_native_agents_task_is_its_task() {
    let tasks = |lines: &str| parse("x.md", &with(lines)).unwrap().tasks.unwrap();
    assert_eq!(
        tasks("behaviour: native\nskill: ingest.audit"),
        tasks("behaviour: native\ntasks: [ingest.audit]")
    );
    assert_eq!(parse("x.md", &with("role: coord")).unwrap().tasks, None);
}

#[test]
fn yaml_that_is_broken_or_hostile_is_an_error() {
    let bomb = "display_name: &a lol\nmodels: [*a, *a, *a]";
    let deep = format!("tools: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    let many = format!("models: [{}]", "a,".repeat(5_000));
    check(&[
        (bomb, 4, "anchors and aliases"),
        ("tier: *nowhere", 4, "*nowhere"),
        (&deep, 4, ""),
        (&many, 4, ""),
        ("<<: { tier: 1 }", 4, "merge key"),
        ("tier: 1\ntier: 2", 5, "duplicate mapping key `tier`"),
        ("rights:\n  bash: true\n  bash: true", 6, "duplicate mapping key `bash`"),
        ("\ttier: 1", 4, "indented with a tab"),
        ("tools:\n\t- Read", 5, "indented with a tab"),
        ("tier: 1\n...\ntier: 2", 6, "documents"),
        ("model: 'unclosed", 4, "unclosed quote"),
        ("- list", 4, "`- list`"),
        ("just text", 4, "`just text`"),
    ]);
    let (_, reason) = refused(&with("mode: \u{1b}[31m"));
    assert!(!reason.contains('\u{1b}'), "control characters never reach a terminal: {reason}");
}

#[test]
fn a_file_without_proper_front_matter_or_body_is_an_error() {
    for (text, line, reason) in [
        ("", 1, "begins with a line `---`"),
        ("hello", 1, "begins with a line `---`"),
        ("--- # hi\nname: x\n---\nx", 1, "begins with a line `---`"),
        ("---\nname: x\ndescription: d\n--\nx", 1, "missing closing `---`"),
        ("---\n---\nx", 1, "expected mapping"),
        ("---\n- a\n---\nx", 2, "expected mapping"),
        ("---\nname: x\n---\nx", 2, "missing field `description`"),
        ("---\ndescription: d\n---\nx", 2, "missing field `name`"),
        ("---\nname: x\ndescription: ' '\n---\nx", 3, "description is empty"),
        ("---\nname: x\ndescription: d\n---\n \n\n", 4, "nothing follows the front matter"),
        ("---\ndescription: d\nname: y\n---\nx", 3, "name is `y`, but the file is called `x.md`"),
    ] {
        let (at, why) = refused(text);
        assert!(at == line && why.contains(reason), "{text:?} gave {at}: {why}");
    }
}

#[test]
fn byte_order_mark_and_line_ends_change_nothing() {
    let marked = format!("\u{feff}{SOUND}");
    for text in [SOUND.replace('\n', "\r\n"), marked.clone(), marked.replace('\n', "\r\n")] {
        assert_eq!(parse("x.md", &text).unwrap(), parse("x.md", SOUND).unwrap());
    }
    let (line, _) = refused(&format!("\u{feff}{}", with("colour: y")).replace('\n', "\r\n"));
    assert_eq!(line, 4);
}

#[test]
fn size_is_bounded_and_bytes_must_be_utf8() {
    let huge = with(&format!("models: [{}]", "x".repeat(10 * 1024 * 1024)));
    let error = parse("x.md", &huge).unwrap_err();
    assert_eq!(error.to_string(), "x.md: larger than 262144 bytes, the limit for a definition");
    assert_eq!(parse_bytes("x.md", b"---\nname: x\n\n\xff").unwrap_err().line, Some(4));
    assert_eq!(parse_bytes("x.md", SOUND.as_bytes()), parse("x.md", SOUND));
}

#[test]
fn a_long_reason_is_cut() {
    let (_, reason) = refused(&with(&format!("role: {}", "é".repeat(100_000))));
    assert_eq!(reason.chars().count(), MAX_REASON_CHARS + 1);
    assert!(reason.ends_with('…'));
}

fn lines_of(text: &[u8]) -> u32 {
    1 + count_lines(text)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_bytes_panic_and_every_error_has_a_line_of_the_file(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Err(error) = parse_bytes("x.md", &bytes) {
            prop_assert!((1..=lines_of(&bytes)).contains(&error.line.unwrap()), "{error}");
        }
    }

    #[test]
    fn no_yaml_like_text_panics(lines in prop::collection::vec("[ \t]{0,4}[-?&*!|>{}\\[\\]'\",:#a-c~<.%@`0-9]{0,14}", 0..24)) {
        let text = with(&lines.join("\n"));
        if let Err(error) = parse("x.md", &text) {
            prop_assert!((1..=lines_of(text.as_bytes())).contains(&error.line.unwrap()), "{error}");
        }
    }

    #[test]
    fn no_damage_to_a_sound_definition_panics(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = with("role: coord\ntoken_budget: { target_ratio: 0.1, hard_max_ratio: 0.2 }\nport: 1").into_bytes();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        if let Err(error) = parse_bytes("x.md", &bytes) {
            prop_assert!((1..=lines_of(&bytes)).contains(&error.line.unwrap()), "{error}");
        }
    }
}

#[test]
fn an_agent_file_of_claude_code_is_taken_as_it_is() {
    let text = "---\nname: scout\ndescription: Looks around.\ntools: Read, Grep, Bash, Write\ndisallowedTools: Bash\n\
                model: sonnet\npermissionMode: plan\nmaxTurns: 7\nmcpServers: [docs]\nhooks: {}\nskills: [a]\n\
                memory: project\nbackground: true\neffort: high\nisolation: worktree\ncolor: blue\n---\nLook.";
    let scout = parse("scout.md", text).unwrap();
    let rights = Rights { filesystem: AccessLevel::Read, ..Rights::NONE };
    assert_eq!(scout.own_rights(), rights, "plan mode reads, and Bash is taken away");
    assert_eq!(scout.max_turns.map(std::num::NonZeroU32::get), Some(7));
    let ignored = ["mcpServers", "isolation", "skills", "hooks", "memory", "background", "effort"];
    assert_eq!(scout.ignored, ignored, "each is named, none is refused");
    assert!(
        parse("scout.md", &text.replace("effort", "efort")).is_err(),
        "a misspelt field is still an error"
    );
}
