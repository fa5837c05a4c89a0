//! The vendors' SDKs and the AI SDK for Node (`tests/clients/node`), and those of Python, all with models of the
//! protocol's own vendor: what passes untouched.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::agent_run::node_clients;
use super::relay::{ClientRequest, RecordingRelay};
use super::{GATEWAY, LEAST_CHECKS, PATIENCE, differential, run_script};
use crate::gateway::Stage;

/// Runs a script for Node, and ends the test with all it printed when it fails.
async fn run_node(script: &str, arguments: &[&str]) {
    let modules = node_clients().join("node_modules");
    assert!(modules.exists(), "{} is missing: run scripts/setup-test.sh", modules.display());
    let output = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/node").join(script))
        .args(arguments)
        .env("NODE_PATH", modules)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("the script ends").unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    let checks = printed.lines().filter(|line| line.starts_with("ok: ")).count();
    assert!(
        output.status.success() && checks >= LEAST_CHECKS,
        "{script} {arguments:?}, {checks} checks:\n{printed}{complaint}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sdks_of_node_and_python_get_what_they_get_without_a_gateway() {
    let stage = Stage::open().await;
    let relay = RecordingRelay::before(stage.url(GATEWAY, "")).await;
    let base = relay.url();
    let openai = ["--base", &base, "--key", "any", "--model", "gpt-5-codex"];
    let anthropic = ["--base", &base, "--key", "any", "--model", "claude-haiku-4-5"];
    // Servers like OpenAI's know `max_tokens`, which its reasoning models refuse and PAS renames for them.
    let compatible = ["--base", &base, "--key", "any", "--compatible", "gpt-4-turbo"];
    let own = ["--openai", "gpt-5-codex", "--anthropic", "claude-haiku-4-5", "--google", "gemini-3.8-flash"];
    let all = [&compatible[..], &own].concat();
    let versioned = format!("{base}/v1");
    let python =
        ["--base-url", &versioned, "--model", "gpt-4-turbo", "--retired", "yes", "--responses", "yes"];
    let messages = ["--base-url", &base, "--model", "claude-haiku-4-5"];
    let generate = ["--base-url", &base, "--model", "gemini-3.8-flash", "--signed", "yes"];
    tokio::join!(
        run_node("openai_client.cjs", &openai),
        run_node("anthropic_client.cjs", &anthropic),
        run_node("ai_sdk_client.cjs", &all),
        run_script("openai_client.py", &python),
        run_script("anthropic_client.py", &messages),
        run_script("google_client.py", &generate),
    );
    let requests = relay.requests();
    stage.close().await;
    // A model that nobody has is refused by PAS, in words of its own.
    let names_nobody = |request: &ClientRequest| {
        request.path.contains("no-such-model")
            || request.body.windows(13).any(|part| part == b"no-such-model")
    };
    let calls: Vec<ClientRequest> = requests.into_iter().filter(|request| !names_nobody(request)).collect();
    differential::check('s', &calls, &[]).await;
}
