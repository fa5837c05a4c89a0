//! Money that is set aside for pieces: each has its own, none takes another's, and the rest goes back.

use pas::domain::usage::TokenUsage;
use serde_json::{Value, json};

use super::ChangeStage;
use super::pieces::{MENDED, delegating, lead, mender, writer};
use crate::change_samples::{ChangeSample, SAMPLES};
use crate::vendor::play::{Play, bash, calls, delegate, edit, report, turn};

const PYTHON: ChangeSample = SAMPLES[1];

/// A writer that spends a tenth of a dollar and more in each turn, and never ends by itself.
fn spender(task: &'static str) -> Play {
    let usage = TokenUsage { input: 1_000, output: 12_000, ..TokenUsage::default() };
    writer("spender", task, [turn(bash("echo $RANDOM$RANDOM")).billing(usage)]).looping(1)
}

pub(super) fn usd(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{value} is no amount"))
}

/// The sum of a job's receipts.
async fn spent(stage: &ChangeStage, run: &str, job: &str) -> f64 {
    let receipts = stage.get(6120, &format!("/receipts/{run}")).await.unwrap();
    let all = receipts["receipts"].as_array().unwrap();
    all.iter().filter(|line| line["metadata"]["job_id"] == job).map(|line| usd(&line["cost_usd"])).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greedy_piece_is_stopped_at_its_own_cap_and_its_sibling_finishes() {
    let repository = PYTHON.repository();
    let lead = lead([
        turn(calls![
            delegate("code_generation", "Spend all of it")
                .with("budget", "0.60")
                .with("paths", json!(["docs"])),
            delegate("code_generation", "Mend the order in put").with("paths", json!(["shelf"])),
            delegate("code_generation", "Want too much").with("budget", "9.00"),
        ]),
        turn(report("done", "What could be had is in."))
            .sees("the piece was not written (failed)")
            .sees("the budget was used up")
            .sees("of the 0.6 USD set aside for it; the rest is yours again")
            .sees("taken into your tree: put moves it")
            .sees("9.000000 USD are asked for"),
    ]);
    let plays = [lead, spender("Spend all of it"), mender("Mend the order in put")];
    let stage = ChangeStage::open(&plays).await;
    let run = stage.submit(PYTHON, repository.path(), delegating(&json!({ "budget_usd": "4.00" }))).await;
    let ended = stage.ended(&run).await;
    assert_eq!(ended["state"], "done", "{ended:#}");
    let pieces = stage.pieces(&run).await;
    assert_eq!(pieces.len(), 2, "{pieces:#?}");
    let [greedy, thrifty] = ["failed", "done"].map(|state| {
        pieces.iter().find(|piece| piece["state"] == state).unwrap_or_else(|| panic!("{pieces:#?}"))
    });
    // Of what the first left an equal share, of three: this one, the third and the lead.
    let share = usd(&thrifty["inputs"]["budget_usd"]);
    assert!((1.0..=3.4 / 3.0).contains(&share), "{share}");
    assert_eq!(usd(&greedy["inputs"]["budget_usd"]), 0.6);
    let of_greedy = spent(&stage, &run, greedy["job_id"].as_str().unwrap()).await;
    assert!((0.1..=0.6).contains(&of_greedy), "{of_greedy}");
    let carved = stage.rows(&run, "money_carved").await;
    let promised: u64 = carved.iter().map(|row| row["cap_nano"].as_u64().unwrap()).sum();
    assert!(carved.len() == 2 && promised <= 4_000_000_000, "{carved:#?}");
    let ends = stage.rows(&run, "child_ended").await;
    assert!(ends.iter().all(|row| row["cost_nano"].as_u64().unwrap() > 0), "{ends:#?}");
    // With its end a piece's cap is no longer in force.
    let budgets = stage.get(6120, "/budgets").await.unwrap();
    let scopes: Vec<&str> =
        budgets["budgets"].as_array().unwrap().iter().filter_map(|one| one["scope"].as_str()).collect();
    assert_eq!(scopes, [format!("run:{run}")], "{budgets:#}");
    stage.vendors.assert_plays();
}

/// A person who raises a piece's cap adds to the run, so that the piece goes on and nobody else pays.
#[tokio::test(flavor = "multi_thread")]
async fn a_piece_over_its_cap_waits_for_a_person_who_pays_for_it() {
    let repository = PYTHON.repository();
    let lead = lead([
        turn(delegate("code_generation", "Mend the order dearly").with("budget", "0.40")),
        turn(report("done", "It is in.")).sees("of the 0.4 USD set aside").sees("taken into your tree"),
    ]);
    let usage = TokenUsage { input: 1_000, output: 14_000, ..TokenUsage::default() };
    let dear = writer(
        "dear",
        "Mend the order dearly",
        [
            turn(bash("true")).billing(usage),
            turn(bash("false")).billing(usage),
            turn(edit("shelf/cache.py", [MENDED])),
            turn(report("done", "put moves it to the end.")),
        ],
    );
    let stage = ChangeStage::open(&[lead, dear]).await;
    let inputs = delegating(&json!({ "budget_usd": "2.00", "ask": "person" }));
    let run = stage.submit(PYTHON, repository.path(), inputs).await;
    let question = stage.question(&run).await;
    assert_eq!(question["detail"]["subject"], "money", "{question:#}");
    let piece = question["job_id"].as_str().unwrap().to_owned();
    stage.decide(&question, "approve", "go on").await;
    let ended = stage.ended(&run).await;
    assert_eq!(ended["state"], "done", "{ended:#}");
    let of_piece = spent(&stage, &run, &piece).await;
    assert!((0.2..=0.8).contains(&of_piece), "{of_piece}");
    let budget = stage.get(6120, &format!("/budgets/run:{run}")).await.unwrap();
    assert_eq!(usd(&budget["budget_usd"]), 2.4, "{budget:#}");
    stage.vendors.assert_plays();
}
