//! The rules of the tool box, case by case.

use std::collections::BTreeSet;
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::*;
use crate::command::CommandRefusal;
use crate::control::ControlCall;
use crate::outward::{OutwardEnd, OutwardReach, OutwardRefusal};
use crate::returned::sameness_of;
use crate::spill::tests::MemorySpill;
use pas_domain::agent::AccessLevel;

/// Runs commands directly, without a sandbox.
#[derive(Default)]
struct PlainRunner(Mutex<Vec<CommandRequest>>);

impl CommandRunner for PlainRunner {
    fn run(&self, request: CommandRequest) -> BoxFuture<'_, Result<CommandEnd, CommandRefusal>> {
        self.0.lock().unwrap().push(request.clone());
        Box::pin(async move {
            let output = std::process::Command::new(&request.argv[0])
                .args(&request.argv[1..])
                .output()
                .map_err(|error| CommandRefusal::NotStarted(error.to_string()))?;
            let output_bytes = [output.stdout, output.stderr].concat();
            Ok(CommandEnd { exit: output.status.code(), output: output_bytes, ..CommandEnd::default() })
        })
    }
}

struct PlainOutward;

impl OutwardRunner for PlainOutward {
    fn reach(&self) -> OutwardReach {
        OutwardReach { push: true, docker: true }
    }

    fn carry_out(&self, act: OutwardAct) -> BoxFuture<'_, Result<OutwardEnd, OutwardRefusal>> {
        Box::pin(async move {
            match act {
                OutwardAct::GitPush { remote, .. } => {
                    Ok(OutwardEnd { output: format!("to {remote}").into_bytes(), succeeded: true })
                }
                _ => Err(OutwardRefusal::Declined("not now".to_owned())),
            }
        })
    }
}

struct PlainReader;

impl SqlReader for PlainReader {
    fn connections(&self) -> Vec<String> {
        vec!["main".to_owned()]
    }

    fn query(&self, statement: SqlStatement) -> BoxFuture<'_, Result<Vec<u8>, String>> {
        Box::pin(async move { Ok(statement.statement.into_bytes()) })
    }
}

struct ToolBoxBench {
    root: tempfile::TempDir,
    tools: ToolBox,
    session: ToolSession,
}

impl ToolBoxBench {
    fn new(rights: Rights, role: ThinkerRole) -> Self {
        let root = tempfile::tempdir().unwrap();
        let tree = Arc::new(ToolTree::open(root.path(), &[]).unwrap());
        let executors = ToolExecutors {
            commands: Some(Arc::new(PlainRunner::default())),
            outward: Some(Arc::new(PlainOutward)),
            sql: Some(Arc::new(PlainReader)),
        };
        let tools = ToolBox::new(rights, role, Some(tree), executors);
        let session = ToolSession {
            seen: SeenFiles::default(),
            spill: Box::new(MemorySpill::default()),
            budget: 24_000,
        };
        Self { root, tools, session }
    }

    async fn run(&mut self, name: &str, arguments: Value) -> ToolReturn {
        self.tools.run(name, &arguments.to_string(), &mut self.session).await
    }
}

fn failure_of(returned: &ToolReturn) -> Value {
    assert!(returned.is_error, "{returned:?}");
    serde_json::from_str(&returned.text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_file_is_written_read_changed_and_found() {
    let mut bench = ToolBoxBench::new(Rights::ALL, ThinkerRole::Executor);
    let returned = bench.run("write", json!({"path": "src/a.rs", "content": "fn a() {}\n"})).await;
    assert!(returned.changed && !returned.is_error, "{returned:?}");
    let edits = json!([{"old": "fn a", "new": "fn b"}]);
    let returned = bench.run("edit", json!({"path": "src/a.rs", "edits": edits})).await;
    assert_eq!(returned.text, "edited src/a.rs: line 1.");
    let returned = bench.run("grep", json!({"pattern": "fn b"})).await;
    assert_eq!(returned.text, "src/a.rs\n1:fn b() {}\n[1 match in 1 of 1 file]\n");
    assert!(!returned.changed);
    let returned = bench.run("read", json!({"path": "src/a.rs"})).await;
    assert_eq!(returned.text, "     1\tfn b() {}\n[lines 1-1 of 1]\n");
    let text = "*** Begin Patch\n*** Delete File: src/a.rs\n*** End Patch";
    assert_eq!(bench.run("patch", json!({"patch": text})).await.text, "deleted src/a.rs\n");
    assert_eq!(
        bench.run("glob", json!({"pattern": "*"})).await.text,
        "[no file matches among 0 below `.`]\n"
    );
    assert!(!bench.root.path().join("src/a.rs").exists());
}

#[tokio::test]
async fn wrong_calls_are_answered_with_the_right_fields() {
    let mut bench = ToolBoxBench::new(Rights::ALL, ThinkerRole::Executor);
    let failure = failure_of(&bench.run("read", json!({"file": "x"})).await);
    assert_eq!(failure["what"], "read");
    assert!(
        failure["why"].as_str().unwrap().starts_with("file: unknown field `file`, expected one of `path`"),
        "{failure}"
    );
    assert_eq!(failure["do"], "fields: path (string), from (integer, optional), lines (integer, optional).");
    let edits = json!([{"old": "a", "new": "b", "count": "1"}]);
    let failure = failure_of(&bench.run("edit", json!({"path": "x", "edits": edits})).await);
    assert_eq!(failure["why"], "edits[0].count: invalid type: string \"1\", expected usize.");
    assert!(
        failure["do"]
            .as_str()
            .unwrap()
            .contains("edits (array of {old (string), new (string), count (integer, optional)})"),
        "{failure}"
    );
    let failure = failure_of(&bench.run("reed", json!({})).await);
    assert!(
        failure["do"].as_str().unwrap().starts_with("perhaps read is meant; the tools are read, grep"),
        "{failure}"
    );
    let returned = bench.run("delegate", json!({})).await;
    assert_eq!(returned.error_class, Some(FailureClass::NotGranted));
    for broken in ["{\"path\": \"a", "[1]", "null", "{\"path\": \"a\"} x"] {
        let returned = bench.tools.run("read", broken, &mut bench.session).await;
        assert_eq!(returned.error_class, Some(FailureClass::BadArguments), "{broken}");
    }
    let returned = bench.tools.run("read", "", &mut bench.session).await;
    assert!(returned.text.contains("missing field `path`"), "{}", returned.text);
}

#[tokio::test]
async fn a_cut_result_is_read_from_where_it_was_cut() {
    let mut bench = ToolBoxBench::new(Rights::ALL, ThinkerRole::Executor);
    bench.session.budget = 2_000;
    let returned = bench.run("bash", json!({"command": "seq 1 20000"})).await;
    let number = returned.full_output.unwrap();
    assert!(returned.text.ends_with("19999\n20000\n") && returned.text.len() < 2_100, "{}", returned.text);
    let mark = format!("[… 108,894 bytes; read @out:{number} from=");
    let from: u64 = returned.text.split_once(&mark).unwrap().1.split(']').next().unwrap().parse().unwrap();
    let returned =
        bench.run("read", json!({"path": format!("@out:{number}"), "from": from, "lines": 2})).await;
    assert!(returned.text.starts_with(&format!("{from:>6}\t{from}\n")), "{}", returned.text);
}

#[tokio::test]
async fn failures_fit_the_budget_too() {
    let mut bench = ToolBoxBench::new(Rights::ALL, ThinkerRole::Executor);
    bench.session.budget = 0;
    let content: String = (0..400).map(|number| format!("line number {number}\n")).collect();
    std::fs::write(bench.root.path().join("f"), &content).unwrap();
    let old = content.replace("number", "nomber");
    let edits = json!([{"old": old, "new": "x"}]);
    let returned = bench.run("edit", json!({"path": "f", "edits": edits})).await;
    assert!(returned.is_error && returned.text.len() < 2_000, "{}", returned.text.len());
    let returned = bench.run(&"x".repeat(100_000), json!({})).await;
    assert!(returned.text.starts_with("{\"what\":\"xxx") && returned.text.len() < 2_000);
}

#[tokio::test]
async fn commands_end_in_words() {
    let mut bench =
        ToolBoxBench::new(Rights { network: AccessLevel::None, ..Rights::ALL }, ThinkerRole::Executor);
    let command = "echo curl: Could not resolve host: x; exit 6";
    let returned = bench.run("bash", json!({"command": command})).await;
    assert_eq!(returned.error_class, Some(FailureClass::NetworkDenied));
    assert!(returned.text.starts_with("exit 6 after 0.0 s\n[no network for this agent"), "{}", returned.text);
    let returned = bench.run("bash", json!({"command": "exit 1"})).await;
    assert!(!returned.is_error && returned.text.ends_with("[no output]\n"), "{returned:?}");
    let returned = bench.run("bash", json!({"command": "x", "timeout_s": 601})).await;
    assert_eq!(returned.error_class, Some(FailureClass::BadArguments));
}

#[tokio::test]
async fn outward_acts_are_told_apart_before_they_run() {
    let mut bench = ToolBoxBench::new(Rights::ALL, ThinkerRole::Executor);
    let push = json!({"operation": "push", "remote": "origin", "reference": "main"});
    let call = bench.tools.check("git", &push.to_string()).unwrap();
    assert_eq!(call.class(), ToolClass::Outward);
    assert_eq!(call.canonical_arguments(), r#"{"operation":"push","reference":"main","remote":"origin"}"#);
    assert_eq!(bench.tools.run_checked(call, &mut bench.session).await.text, "to origin");
    let class =
        |name: &str, arguments: Value| bench.tools.check(name, &arguments.to_string()).unwrap().class();
    assert_eq!(class("git", json!({"operation": "status"})), ToolClass::Tree);
    assert_eq!(class("sql", json!({"connection": "main", "statement": "select 1"})), ToolClass::Pure);
    assert_eq!(class("read", json!({"path": "x"})), ToolClass::Pure);
    let write = json!({"connection": "main", "statement": "delete from t"});
    assert_eq!(class("sql", write.clone()), ToolClass::Outward);
    let returned = bench.run("sql", write.clone()).await;
    assert!(returned.text.contains("nobody has approved it"), "{}", returned.text);
    let call = bench.tools.check("sql", &write.to_string()).unwrap();
    let returned = bench.tools.run_checked(call, &mut bench.session).await;
    assert!(returned.text.contains("a person declined it: not now."), "{}", returned.text);
    let returned = bench.run("sql", json!({"connection": "other", "statement": "select 1"})).await;
    assert!(returned.text.contains("use one of main"), "{}", returned.text);
    let reviewer = ToolBoxBench::new(Rights::ALL, ThinkerRole::Reviewer);
    assert_eq!(reviewer.tools.check("git", &push.to_string()).unwrap_err().class, FailureClass::NotGranted);
}

#[tokio::test]
async fn control_calls_are_handed_to_the_loop() {
    let mut bench = ToolBoxBench::new(Rights::NONE, ThinkerRole::Coordinator);
    let returned = bench.run("todo", json!({"plan": "1. look"})).await;
    assert!(matches!(returned.control, Some(ControlCall::Todo(call)) if call.plan == "1. look"));
    let delegate = json!({"capability": "code", "task": "do it", "paths": ["src"], "budget": "0.5"});
    assert!(matches!(bench.run("delegate", delegate).await.control, Some(ControlCall::Delegate(_))));
    let returned = bench.run("report", json!({"outcome": "finished", "summary": "x"})).await;
    assert!(
        returned.text.contains("unknown variant `finished`, expected one of `done`, `partial`, `impossible`")
    );
}

#[test]
fn results_that_differ_by_chance_are_the_same() {
    let text = |seconds: &str, out: u32| {
        format!(
            "exit 1 after {seconds} s\ntest failed; finished in {seconds}s [… 9 bytes; read @out:{out} from=1]"
        )
    };
    assert_eq!(sameness_of(&text("0.2", 3)), sameness_of(&text("11.4", 4)));
    assert_ne!(sameness_of("1 failed"), sameness_of("2 failed"));
}

#[test]
fn schemas_and_argument_types_have_the_same_fields() {
    let without_bash = Rights { bash: false, ..Rights::ALL };
    let benches = [
        ToolBoxBench::new(Rights::ALL, ThinkerRole::Executor),
        ToolBoxBench::new(without_bash, ThinkerRole::Executor),
        ToolBoxBench::new(Rights::ALL, ThinkerRole::Coordinator),
    ];
    let offers =
        || benches.iter().flat_map(|bench| bench.tools.offers().iter().map(move |offer| (bench, offer)));
    let names: BTreeSet<_> = offers().map(|(_, offer)| offer.name).collect();
    assert_eq!(names.len(), ToolName::ALL.len());
    for (bench, offer) in offers() {
        let failure = bench.tools.check(offer.name, r#"{"no such field": 1}"#).unwrap_err();
        let quoted = |text: &str| -> BTreeSet<String> {
            text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        let mut expected = quoted(failure.why.split_once(", expected ").unwrap().1);
        expected.remove("no such field");
        let properties: BTreeSet<String> =
            offer.parameters["properties"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(properties, expected, "{}", offer.name);
        assert_eq!(offer.parameters["additionalProperties"], false);
        for required in offer.parameters["required"].as_array().unwrap() {
            assert!(properties.contains(required.as_str().unwrap()));
        }
    }
}

#[test]
fn a_return_can_cross_threads() {
    fn is_send<T: Send>(_: &T) {}
    let mut bench = ToolBoxBench::new(Rights::NONE, ThinkerRole::Executor);
    is_send(&bench.tools.run("todo", "{}", &mut bench.session));
}
