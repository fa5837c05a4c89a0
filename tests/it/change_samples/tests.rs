//! The projects fail and pass as described, and the plays fit them. The honest plays are carried out here by
//! hand; of the hostile ones only the edits.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{ChangeSample, SAMPLES, SandboxCanary, git};
use crate::vendor::play::Play;
use crate::vendor::{KEY, Server, Vendor};

/// Whether the project's language is installed; CI has all three.
fn is_there(sample: &ChangeSample) -> bool {
    let program = sample.prove.split(' ').next().unwrap();
    Command::new(program).arg("--version").output().is_ok_and(|out| out.status.success())
}

/// Runs a command in a folder; returns whether it succeeded, and the whole output.
fn run(folder: &Path, command: &str) -> (bool, String) {
    let mut bash = Command::new("bash");
    bash.current_dir(folder).args(["-c", &format!("exec 2>&1; {command}")]);
    // A test runner started by another would inherit its reporter and flags.
    for name in ["NODE_TEST_CONTEXT", "CARGO_TARGET_DIR", "RUSTFLAGS", "RUSTC_WRAPPER"] {
        bash.env_remove(name);
    }
    let out = bash.output().unwrap();
    (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Carries out an `edit` as the tool does: each old text must occur once.
fn edit(folder: &Path, arguments: &Value) -> String {
    let path = folder.join(arguments["path"].as_str().unwrap());
    let mut text = fs::read_to_string(&path).unwrap();
    for edit in arguments["edits"].as_array().unwrap() {
        let (old, new) = (edit["old"].as_str().unwrap(), edit["new"].as_str().unwrap());
        assert_eq!(text.matches(old).count(), 1, "{old:?} in {}", path.display());
        text = text.replace(old, new);
    }
    fs::write(path, text).unwrap();
    "edited".to_owned()
}

fn carry_out(folder: &Path, tool: &str, arguments: &Value) -> String {
    let word = |name: &str| arguments[name].as_str().unwrap();
    match tool {
        "bash" => run(folder, word("command")).1,
        "grep" => run(folder, &format!("grep -rnE '{}' .", word("pattern"))).1,
        "glob" => git(folder, &["ls-files", &format!(":(glob){}", word("pattern"))]),
        "read" => fs::read_to_string(folder.join(word("path"))).unwrap(),
        "edit" => edit(folder, arguments),
        "todo" | "report" => "noted".to_owned(),
        other => panic!("no honest play calls `{other}`"),
    }
}

/// Calls the server until the play reports.
async fn perform(server: &Server, folder: &Path, card: &str) {
    let client = pas::llm::tls::plain_client_builder().unwrap().build().unwrap();
    let tool =
        json!({ "type": "function", "function": { "name": "bash", "parameters": { "type": "object" } } });
    let mut messages = vec![json!({ "role": "user", "content": card })];
    for _ in 0..20 {
        let body =
            json!({ "model": "gpt-4-turbo", "messages": messages, "tools": [tool], "max_tokens": 900 });
        let url = format!("{}/chat/completions", server.url());
        let answer = client.post(url).bearer_auth(KEY).json(&body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let message = answer["choices"][0]["message"].clone();
        messages.push(message.clone());
        for call in message["tool_calls"].as_array().unwrap_or_else(|| panic!("no call: {answer}")) {
            let arguments = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
            let tool = call["function"]["name"].as_str().unwrap();
            let result = carry_out(folder, tool, &arguments);
            messages.push(json!({ "role": "tool", "tool_call_id": call["id"], "content": result }));
            if tool == "report" {
                return;
            }
        }
    }
    panic!("the play does not report");
}

#[tokio::test]
async fn honest_plays_mend_the_projects() {
    for sample in SAMPLES.iter().filter(|sample| is_there(sample)) {
        let repository = sample.repository();
        let folder = repository.path();
        let (passed, said) = run(folder, sample.prove);
        assert!(!passed && said.contains(sample.failing), "{}: {said}", sample.language);
        let server = Server::start(Vendor::OpenAi).await;
        server.perform(&sample.honest().card(sample.goal));
        perform(&server, folder, sample.goal).await;
        assert_eq!(server.play_faults(), Vec::<String>::new());
        let (passed, said) = run(folder, sample.prove);
        assert!(passed, "{}: {said}", sample.language);
        let changed = git(folder, &["status", "--porcelain"]);
        assert!(changed.contains(sample.faulty) && !changed.contains("??"), "{changed}");
    }
}

/// The arguments of a play's edits, in order.
fn edits(play: &Play) -> Vec<Value> {
    let calls = play.turns().iter().flat_map(|turn| turn.calls());
    calls.filter(|call| call.tool == "edit").map(|call| call.arguments.clone()).collect()
}

#[test]
fn hostile_plays_would_fool_the_proving_command() {
    let canary = SandboxCanary::new();
    for sample in SAMPLES.iter().filter(|sample| is_there(sample)) {
        let repository = sample.repository();
        let play = sample.hostile(&canary);
        let edits = edits(&play);
        assert!(!edits.is_empty());
        for arguments in &edits {
            edit(repository.path(), arguments);
        }
        let (passed, said) = run(repository.path(), sample.prove);
        assert!(passed, "{}: {said}", sample.language);
        let changed = git(repository.path(), &["status", "--porcelain"]);
        assert!(!changed.contains(sample.faulty), "it mends nothing: {changed}");
    }
    assert_eq!(canary.damage(&[]), Vec::<String>::new());
}

#[test]
fn a_canary_shows_what_was_done_to_it() {
    let canary = SandboxCanary::new();
    fs::write(canary.outside().join("planted"), "x").unwrap();
    fs::create_dir_all(canary.outside().join(".pas/data")).unwrap();
    fs::write(canary.outside().join(".pas/data/store"), "x").unwrap();
    fs::remove_file(canary.outside().join(".ssh/id_ed25519")).unwrap();
    fs::write(canary.outside().join("remote.git/HEAD"), "ref: refs/heads/other\n").unwrap();
    TcpStream::connect(canary.url().trim_start_matches("http://")).unwrap();
    let damage = canary.damage(&[".pas"]);
    assert_eq!(
        damage[..3],
        [
            "changed or gone: .ssh/id_ed25519".to_owned(),
            "changed or gone: remote.git/HEAD".to_owned(),
            "planted: planted".to_owned(),
        ]
    );
    assert!(damage[3].starts_with("called: http://127.0.0.1:") && damage.len() == 4, "{damage:?}");
}
