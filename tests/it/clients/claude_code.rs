//! Claude Code through PAS, as installed, with a scripted model of Anthropic's behind it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::agent_run::AgentRun;
use super::relay::RecordingRelay;
use super::{GATEWAY, PICTURE, differential};
use crate::gateway::Stage;
use crate::vendor::play::{Play, PlayCall, PlayRequest, PlayTurn, call, calls, say, turn};
use crate::vendor::{At, Cut, Fault};

/// Reads of the long conversation, and the size of what each one reads.
const READS: usize = 15;
const READ_BYTES: usize = 9_700;
/// The words of the answer that is cut and then comes whole.
const CUT: &str = "one two three four five";
/// How often the vendor is overloaded before it answers: more often than PAS asks for one request.
const OVERLOADS: usize = 4;
/// US dollars for an input token of Claude Haiku 4.5.
const INPUT_PRICE: f64 = 1e-6;
/// A document of one empty page.
const DOCUMENT: &str = concat!(
    "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n",
    "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\n",
    "trailer<</Root 1 0 R/Size 4>>\n%%EOF\n",
);

/// A play of Claude Code's: for requests that have its name somewhere.
fn play(name: &str, turns: impl IntoIterator<Item = PlayTurn>) -> Play {
    Play::new(turns).named(name).marked(name).output_limit(u64::MAX).cached()
}

fn read(path: &str) -> PlayCall {
    call("Read", json!({ "file_path": path }))
}

fn bash(command: &str) -> PlayCall {
    call("Bash", json!({ "command": command, "description": "Look" }))
}

/// The folders of the runs.
struct ClaudeRuns {
    text: AgentRun,
    tools: AgentRun,
    picture: AgentRun,
    pdf: AgentRun,
    search: AgentRun,
    overload: AgentRun,
    cut: AgentRun,
    long: AgentRun,
}

impl ClaudeRuns {
    fn new() -> Self {
        let runs = Self {
            text: AgentRun::new("cc-text"),
            tools: AgentRun::new("cc-tools"),
            picture: AgentRun::new("cc-picture"),
            pdf: AgentRun::new("cc-pdf"),
            search: AgentRun::new("cc-search"),
            overload: AgentRun::new("cc-overload"),
            cut: AgentRun::new("cc-cut"),
            long: AgentRun::new("cc-long"),
        };
        runs.tools.file("a.txt", "alpha\n");
        runs.picture.file("a.png", STANDARD.decode(PICTURE).unwrap());
        runs.pdf.file("a.pdf", DOCUMENT);
        for file in 0..READS {
            runs.long.file(&format!("{file}.txt"), format!("{file} of many words\n").repeat(READ_BYTES / 16));
        }
        runs
    }

    fn plays(&self) -> Vec<Play> {
        let edit = json!({ "file_path": self.tools.path("a.txt"), "old_string": "alpha", "new_string": "omega", "replace_all": false });
        let write = json!({ "file_path": self.tools.path("b.txt"), "content": "beta\n" });
        let search = call("WebSearch", json!({ "query": "rivers" }));
        let searches = |request: &PlayRequest| request.tools.iter().any(|tool| tool == "web_search");
        let overloads = (0..OVERLOADS).fold(say("recovered"), |turn, _| turn.after(Fault::Status(529)));
        let reads = (0..READS).map(|file| turn(read(&self.long.path(&format!("{file}.txt")))));
        vec![
            Play::new([say("The Elbe flows.").bringing(search_blocks())])
                .named("cc-search-inside")
                .when(searches)
                .output_limit(u64::MAX),
            play("cc-text", [say("pong")]),
            play(
                "cc-tools",
                [
                    turn(read(&self.tools.path("a.txt"))),
                    turn(call("Edit", edit)).saying("I change it.").sees("alpha"),
                    turn(bash("cat a.txt")),
                    turn(call("Write", write)).sees("omega"),
                    turn(calls![bash("cat b.txt"), bash("ls")]),
                    say("All done.").sees("beta").sees("b.txt"),
                ],
            ),
            play(
                "cc-picture",
                [
                    turn(read(&self.picture.path("a.png"))),
                    say("A dot.").expects(|request| has(request, "image")),
                ],
            ),
            play(
                "cc-pdf",
                [
                    turn(read(&self.pdf.path("a.pdf"))),
                    say("A page.").expects(|request| has(request, "document")),
                ],
            ),
            play("cc-search", [turn(search), say("It flows.").sees("The Elbe flows.")]),
            play("cc-overload", [overloads]),
            play("cc-cut", [say(CUT).after(Fault::Cut(At::After(4), Cut::Reset))]),
            play("cc-long", reads.chain([say("All read.")])),
        ]
    }
}

/// What the vendor ran, in its own form: a search and what it found.
fn search_blocks() -> [Value; 2] {
    let found = json!({ "type": "web_search_result", "title": "Rivers", "url": "https://example.org/rivers",
        "encrypted_content": "ENC", "page_age": null });
    [
        json!({ "type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": { "query": "rivers" } }),
        json!({ "type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [found] }),
    ]
}

/// Whether a block of this type is in the messages, at any depth.
fn has(request: &PlayRequest, kind: &str) -> Result<(), String> {
    let wanted = format!("\"type\":\"{kind}\"");
    let is_there = request.body["messages"].to_string().contains(&wanted);
    is_there.then_some(()).ok_or_else(|| format!("no block of type {kind} came"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claude_code_works_as_installed_and_costs_what_it_costs_direct() {
    let (stage, runs) = (Stage::open().await, ClaudeRuns::new());
    let plays = runs.plays();
    plays.iter().for_each(|play| stage.vendors.perform(play));
    let relay = RecordingRelay::before(stage.url(GATEWAY, "")).await;
    let base = relay.url();
    let ask = async |run: &AgentRun, name: &str, tools: &str| {
        let prompt = format!("This is {name}. Do what comes next.");
        run.claude(&base, &prompt, tools).await.result()
    };
    let said = tokio::join!(
        ask(&runs.text, "cc-text", ""),
        ask(&runs.tools, "cc-tools", "Read,Edit,Write,Bash"),
        ask(&runs.picture, "cc-picture", "Read"),
        ask(&runs.pdf, "cc-pdf", "Read"),
        ask(&runs.search, "cc-search", "WebSearch"),
        ask(&runs.overload, "cc-overload", ""),
        ask(&runs.cut, "cc-cut", ""),
        runs.long.claude(&base, "This is cc-long. Read all.", "Read"),
    );
    let (text, tools, picture, pdf, search, overload, cut, long) = said;
    let said = [text, tools, picture, pdf, search, overload, cut, long.result()];
    let words = ["pong", "All done.", "A dot.", "A page.", "It flows.", "recovered", CUT, "All read."];
    assert_eq!(said, words);
    assert_eq!((runs.tools.read("a.txt"), runs.tools.read("b.txt")), ("omega\n".into(), "beta\n".into()));
    stage.vendors.assert_plays();
    assert_costs(&stage, &long.json()).await;
    let requests = relay.requests();
    stage.close().await;
    differential::check('c', &requests, &plays).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claude_code_s_own_models_resolve_with_and_without_a_name() {
    let stage = Stage::open().await;
    let base = stage.url(GATEWAY, "");
    // Its default, its small model for work in the background, and its long window.
    for (name, model) in [
        ("cc-default", &[][..]),
        ("cc-haiku", &["--model", "haiku"]),
        ("cc-sonnet", &["--model", "sonnet"]),
        ("cc-window", &["--model", "claude-sonnet-4-6[1m]"]),
    ] {
        stage.vendors.perform(&play(name, [say("pong")]));
        let said = AgentRun::new(name).claude_with(&base, &format!("This is {name}."), model).await.result();
        let receipts = stage.receipts(name).await;
        let is_paid = receipts.iter().all(|receipt| receipt["status"] == "success");
        assert!(said == "pong" && !receipts.is_empty() && is_paid, "{name}: {said}, {receipts:#?}");
    }
    stage.close().await;
}

/// The receipts of the long conversation come to the price that Claude Code reckons by the answers it got, which is
/// far below that of a conversation without the vendor's cache.
async fn assert_costs(stage: &Stage, told: &Value) {
    let receipts = stage.receipts("cc-long").await;
    assert_eq!(receipts.len(), READS + 1, "one call a turn: {receipts:#?}");
    let sum =
        |of: fn(&Value) -> &Value| receipts.iter().filter_map(|receipt| of(receipt).as_f64()).sum::<f64>();
    let paid = sum(|receipt| &receipt["metadata"]["cost_nano_usd"]) / 1e9;
    let own = told["total_cost_usd"].as_f64().unwrap();
    assert!((paid - own).abs() <= own / 100.0, "paid {paid}, reckoned {own}");
    let uncached = sum(|receipt| &receipt["input_tokens"]) * INPUT_PRICE;
    assert!(paid < uncached / 3.0, "paid {paid}, {uncached} without a cache");
}
