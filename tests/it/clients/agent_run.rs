//! Runs of Claude Code and Codex as installed, without a person: each in a folder and with a home of its own.
//!
//! The only network they have is loopback: what asks for more meets a port where nobody listens.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

/// For one run, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(150);
/// The port of discarded bytes: nobody listens there.
const NOBODY: &str = "http://127.0.0.1:9";

/// A folder to work in, and a home.
pub(super) struct AgentRun {
    work: TempDir,
    home: TempDir,
    /// Sent as `x-pas-run-id`.
    run: String,
}

/// How a run ended.
#[derive(Debug)]
pub(super) struct AgentOutcome {
    pub(super) is_success: bool,
    /// Standard output.
    pub(super) printed: String,
    /// Standard error, for the account of a run that failed.
    #[expect(dead_code, reason = "shown by `Debug`")]
    complaint: String,
}

impl AgentRun {
    /// An empty folder, paid by this run. The home is not in the folder for temporary files: Codex puts no helpers there.
    pub(super) fn new(run: &str) -> Self {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Self { work: tempfile::tempdir().unwrap(), home, run: run.to_owned() }
    }

    /// A file in the folder; gives its path.
    pub(super) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A path in the folder.
    pub(super) fn path(&self, name: &str) -> String {
        self.work.path().canonicalize().unwrap().join(name).display().to_string()
    }

    /// The text of a file in the folder.
    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Asks Claude Code at a base URL; it may use these tools.
    pub(super) async fn claude(&self, base: &str, prompt: &str, tools: &str) -> AgentOutcome {
        self.claude_with(base, prompt, &["--model", "claude-haiku-4-5", "--allowedTools", tools]).await
    }

    /// The same with other arguments.
    pub(super) async fn claude_with(&self, base: &str, prompt: &str, more: &[&str]) -> AgentOutcome {
        let mut command = self.command("claude");
        command
            .args(["-p", prompt, "--output-format", "json"])
            .args(more)
            .env("ANTHROPIC_BASE_URL", base)
            .env("ANTHROPIC_API_KEY", "any")
            .env("ANTHROPIC_CUSTOM_HEADERS", format!("x-pas-run-id: {}", self.run))
            .env("CLAUDE_CONFIG_DIR", self.home.path().join("claude"))
            .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
            .env("DISABLE_AUTOUPDATER", "1")
            .env("DISABLE_ERROR_REPORTING", "1")
            .env("DISABLE_TELEMETRY", "1");
        outcome(command).await
    }

    /// Asks Codex at a base URL, with more arguments.
    pub(super) async fn codex(&self, base: &str, prompt: &str, more: &[&str]) -> AgentOutcome {
        let home = self.home.path().join("codex");
        std::fs::create_dir_all(&home).unwrap();
        let settings = format!(
            "model = \"gpt-5-codex\"\nmodel_provider = \"pas\"\ncheck_for_update_on_startup = false\n\
             [analytics]\nenabled = false\n\
             [model_providers.pas]\nname = \"PAS\"\nbase_url = \"{base}/v1\"\nwire_api = \"responses\"\n\
             env_key = \"PAS_KEY\"\nhttp_headers = {{ \"x-pas-run-id\" = \"{}\" }}\n",
            self.run
        );
        std::fs::write(home.join("config.toml"), settings).unwrap();
        let mut command = self.command("codex");
        command
            .args(["exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"])
            .args(more)
            .args(["--", prompt])
            .env("CODEX_HOME", home)
            .env("PAS_KEY", "any");
        outcome(command).await
    }

    /// A program of the set-up with nothing of this process's environment but the search path.
    fn command(&self, program: &str) -> Command {
        let program = node_clients().join("node_modules/.bin").join(program);
        assert!(program.exists(), "{} is missing: run scripts/setup-test.sh", program.display());
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("TMPDIR", self.home.path())
            .env("NO_PROXY", "127.0.0.1,localhost")
            .envs(["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, NOBODY)))
            .current_dir(self.work.path());
        command
    }
}

impl AgentOutcome {
    /// The JSON that Claude Code prints at the end.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.printed).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// The text that Claude Code ends with; it must have gone well.
    pub(super) fn result(&self) -> String {
        let json = self.json();
        assert!(self.is_success && json["is_error"] == false, "{self:#?}");
        json["result"].as_str().unwrap_or_default().to_owned()
    }

    /// The events that Codex prints, one a line.
    pub(super) fn events(&self) -> Vec<Value> {
        self.printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The last words of Codex; it must have gone well.
    pub(super) fn last_words(&self) -> String {
        let events = self.events();
        let said = events.iter().rev().find_map(|event| {
            let item = &event["item"];
            (event["type"] == "item.completed" && item["type"] == "agent_message")
                .then(|| item["text"].as_str().unwrap_or_default().to_owned())
        });
        let is_whole = events.last().is_some_and(|event| event["type"] == "turn.completed");
        assert!(self.is_success && is_whole, "{self:#?}");
        said.unwrap_or_else(|| panic!("{self:#?}"))
    }
}

/// Where the set-up puts the clients for Node.
pub(super) fn node_clients() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-node")
}

/// Runs a command to its end.
async fn outcome(mut command: Command) -> AgentOutcome {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, output).await;
    let Output { status, stdout, stderr } = output.expect("the run ends in time").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    AgentOutcome { is_success: status.success(), printed: text(stdout), complaint: text(stderr) }
}
