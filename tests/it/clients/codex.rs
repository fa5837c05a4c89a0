//! Codex through PAS, as installed, with a scripted model of OpenAI's behind it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::agent_run::AgentRun;
use super::relay::RecordingRelay;
use super::{GATEWAY, PICTURE, differential};
use crate::gateway::Stage;
use crate::vendor::play::{Play, PlayCall, PlayRequest, PlayTurn, call, calls, say, turn};
use crate::vendor::{At, Cut, Fault};

/// Reads of the long conversation, and the lines of what each one reads.
const READS: usize = 12;
const LINES: usize = 400;
/// How often the vendor is overloaded before it answers: more often than PAS asks for one request.
const OVERLOADS: usize = 4;

/// A play of Codex's: for requests that have its name somewhere.
fn play(name: &str, turns: impl IntoIterator<Item = PlayTurn>) -> Play {
    Play::new(turns).named(name).marked(name).output_limit(u64::MAX)
}

fn shell(command: &str) -> PlayCall {
    call("exec_command", json!({ "cmd": command }))
}

/// The folders of the runs.
struct CodexRuns {
    text: AgentRun,
    tools: AgentRun,
    picture: AgentRun,
    search: AgentRun,
    overload: AgentRun,
    cut: AgentRun,
    long: AgentRun,
}

impl CodexRuns {
    fn new() -> Self {
        let runs = Self {
            text: AgentRun::new("cx-text"),
            tools: AgentRun::new("cx-tools"),
            picture: AgentRun::new("cx-picture"),
            search: AgentRun::new("cx-search"),
            overload: AgentRun::new("cx-overload"),
            cut: AgentRun::new("cx-cut"),
            long: AgentRun::new("cx-long"),
        };
        runs.tools.file("a.txt", "alpha\n");
        for run in [&runs.tools, &runs.picture] {
            run.file("a.png", STANDARD.decode(PICTURE).unwrap());
        }
        runs.long.file("a.txt", "many words\n".repeat(LINES));
        runs
    }

    fn plays(&self) -> Vec<Play> {
        let overloads = (0..OVERLOADS).fold(say("recovered"), |turn, _| turn.after(Fault::Status(503)));
        let reads = (0..READS).map(|number| turn(shell(&format!("cat a.txt; echo {number}"))));
        vec![
            play("cx-text", [say("pong")]),
            play(
                "cx-tools",
                [
                    turn(shell("cat a.txt")),
                    turn(shell("printf 'beta\\n' > b.txt")).saying("I write it.").sees("alpha"),
                    turn(call("view_image", json!({ "path": self.tools.path("a.png") }))),
                    turn(calls![shell("cat b.txt"), shell("pwd")]).expects(has_picture),
                    turn(shell("mv b.txt c.txt; ls")).sees("beta"),
                    say("All done.").sees("c.txt"),
                ],
            ),
            play("cx-picture", [say("A dot.").expects(has_picture)]),
            play("cx-search", [say("It flows.").bringing([searched()]).expects(offers_search)]),
            play("cx-overload", [overloads]),
            play("cx-cut", [say("one two three").after(Fault::Cut(At::After(5), Cut::Reset))]),
            play("cx-long", reads.chain([say("All read.")])),
        ]
    }
}

/// A search that the vendor ran.
fn searched() -> Value {
    json!({ "type": "web_search_call", "id": "ws_1", "status": "completed",
        "action": { "type": "search", "query": "rivers" } })
}

fn has_picture(request: &PlayRequest) -> Result<(), String> {
    let is_there = request.body["input"].to_string().contains(&format!("data:image/png;base64,{PICTURE}"));
    is_there.then_some(()).ok_or_else(|| "the picture did not come".to_owned())
}

fn offers_search(request: &PlayRequest) -> Result<(), String> {
    let mut tools = request.body["tools"].as_array().into_iter().flatten();
    let is_there = tools.any(|tool| tool["type"] == "web_search");
    is_there.then_some(()).ok_or_else(|| "the vendor's search is not on offer".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codex_works_as_installed_and_costs_what_it_costs_direct() {
    let (stage, runs) = (Stage::open().await, CodexRuns::new());
    let plays = runs.plays();
    plays.iter().for_each(|play| stage.vendors.perform(play));
    let relay = RecordingRelay::before(stage.url(GATEWAY, "")).await;
    let base = relay.url();
    let ask = async |run: &AgentRun, name: &str, more: &[&str]| {
        let prompt = format!("This is {name}. Do what comes next.");
        run.codex(&base, &prompt, more).await.last_words()
    };
    let picture = runs.picture.path("a.png");
    let with_picture = ["--image", picture.as_str()];
    let said = tokio::join!(
        ask(&runs.text, "cx-text", &[]),
        ask(&runs.tools, "cx-tools", &[]),
        ask(&runs.picture, "cx-picture", &with_picture),
        ask(&runs.search, "cx-search", &[]),
        ask(&runs.overload, "cx-overload", &[]),
        ask(&runs.cut, "cx-cut", &[]),
        runs.long.codex(&base, "This is cx-long. Read all.", &[]),
    );
    let (text, tools, picture, search, overload, cut, long) = said;
    let said = [text, tools, picture, search, overload, cut, long.last_words()];
    let words = ["pong", "All done.", "A dot.", "It flows.", "recovered", "one two three", "All read."];
    assert_eq!(said, words);
    assert_eq!(runs.tools.read("c.txt"), "beta\n");
    stage.vendors.assert_plays();
    assert_costs(&stage, long.events().last().unwrap()).await;
    let requests = relay.requests();
    stage.close().await;
    differential::check('x', &requests, &plays).await;
}

/// The receipts of the long conversation have the tokens that Codex counted, at their price.
async fn assert_costs(stage: &Stage, turn: &Value) {
    let receipts = stage.receipts("cx-long").await;
    assert_eq!(receipts.len(), READS + 1, "one call a turn: {receipts:#?}");
    let sum =
        |of: fn(&Value) -> &Value| receipts.iter().filter_map(|receipt| of(receipt).as_u64()).sum::<u64>();
    let count = |name: &str| turn["usage"][name].as_u64().unwrap();
    let (input, cached, output) =
        (count("input_tokens"), count("cached_input_tokens"), count("output_tokens"));
    assert_eq!((sum(|one| &one["input_tokens"]), sum(|one| &one["output_tokens"])), (input, output));
    // Billionths of a dollar a token: 1.25 dollars a million, a tenth of that from the cache, 10 of output.
    let nanos = (input - cached) * 1_250 + cached * 125 + output * 10_000;
    assert_eq!(sum(|one| &one["metadata"]["cost_nano_usd"]), nanos, "{receipts:#?}");
    assert!(cached > input / 2, "most comes from the vendor's cache: {turn}");
}
