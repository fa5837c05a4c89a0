//! The main job with a model at hand and without: the words in the report, their receipt, the run's cost.

use serde_json::{Value, json};

use super::Stage;
use crate::support::{Place, until};
use crate::vendor::Vendor;

const NOBODY: &str = "No model was available for a written summary; everything else is complete.";

fn report(run_dir: &std::path::Path) -> String {
    let both =
        ["report/report.md", "report/report.html"].map(|name| std::fs::read_to_string(run_dir.join(name)));
    both.map(|text| text.expect("both reports are there")).join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_has_a_model_s_words_with_their_receipt() {
    let stage = Stage::open().await;
    let api = &stage.swarm.api;
    let run = api.ingest(json!({})).await;
    api.done(&run).await;
    let receipts = stage.receipts(&run).await;
    let [receipt] = receipts.as_slice() else { panic!("one receipt, not {receipts:#?}") };
    assert_eq!(
        (&receipt["agent"], &receipt["status"]),
        (&json!("report-leaderboard-writer"), &json!("success"))
    );
    assert_eq!(receipt["metadata"]["job_id"], json!(format!("{run}.report.lane.write")));
    let file = stage.place.dir.path().join(format!("artifacts/costs/{run}.jsonl"));
    let lines = std::fs::read_to_string(file).unwrap();
    assert_eq!(
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>(),
        receipts
    );

    let manifest = api.manifest(&run).await;
    assert_eq!(manifest["cost_usd"], receipt["cost_usd"]);
    assert_eq!(
        (&manifest["costs"]["calls"], &manifest["costs"]["models"][0]["model"]),
        (&json!(1), &receipt["model"])
    );
    let steps = manifest["steps"].as_array().unwrap();
    let writing = steps.iter().find(|step| step["job_id"] == receipt["metadata"]["job_id"]).unwrap();
    assert_eq!(writing["cost_usd"], receipt["cost_usd"]);

    let text = report(&stage.place.dir.path().join(format!("artifacts/runs/{run}")));
    // The test server's models repeat what they are told.
    for part in ["“You said: ", receipt["request_id"].as_str().unwrap(), receipt["model"].as_str().unwrap()]
    {
        assert_eq!(text.matches(part).count(), 2, "{part}");
    }
    assert!(!text.contains(NOBODY));
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_cost_is_the_same_wherever_it_is_said() {
    // Without the local models, which are free: nobody listens on the port of discarded bytes.
    let stage = Stage::open_with(&[("OLLAMA_HOST", "http://127.0.0.1:9")]).await;
    let run = stage.swarm.api.ingest(json!({})).await;
    stage.swarm.api.done(&run).await;
    let receipts = stage.receipts(&run).await;
    let [receipt] = receipts.as_slice() else { panic!("one receipt, not {receipts:#?}") };
    let manifest = stage.swarm.api.manifest(&run).await;
    let folder = stage.place.dir.path().join(format!("artifacts/runs/{run}"));
    costs_agree(&stage, &folder, receipt, &manifest).await;
    stage.close().await;
}

/// The metrics of a run, for programs and for people, its manifest and its line in the ledger have the cost
/// of its one receipt.
async fn costs_agree(stage: &Stage, folder: &std::path::Path, receipt: &Value, manifest: &Value) {
    let nanos = receipt["metadata"]["cost_nano_usd"].as_u64().unwrap();
    assert!(nanos > 0, "the provider has a price");
    let usd = pas::domain::money::NanoUsd(nanos).usd().normalize().to_string();
    let read = |name: &str| std::fs::read_to_string(folder.join("metrics").join(name)).unwrap();
    let metrics: Value = serde_json::from_str(&read("metrics.json")).unwrap();
    assert_eq!(metrics["totals"]["cost_usd"], json!(usd));
    assert_eq!(metrics["totals"]["other_cost_usd"], json!("0"));
    for step in metrics["steps"].as_array().unwrap() {
        let paid = if step["job_id"] == receipt["metadata"]["job_id"] { &*usd } else { "0" };
        assert_eq!(step["cost_usd"], json!(paid), "{}", step["job_id"]);
    }
    assert!(read("metrics.md").contains(&format!("and cost ${usd}.")), "{}", read("metrics.md"));
    let run = manifest["run_id"].as_str().unwrap();
    // The last step of closing a run, a moment after its job is done.
    let entered = async || {
        let ledger = stage.get(6100, "/ledger").await.body;
        ledger["entries"].as_array()?.iter().find(|line| line["run_id"] == run).cloned()
    };
    let line = until("the run is in the ledger", entered).await;
    assert_eq!((&line["cost_usd"], &manifest["cost_usd"]), (&receipt["cost_usd"], &receipt["cost_usd"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_leaves_the_run_done_and_the_report_complete() {
    let stage = Stage::open().await;
    for vendor in Vendor::ALL {
        let server = stage.vendors.get(vendor);
        server.script((0..50).map(|_| crate::vendor::Fault::Status(400)));
    }
    let api = &stage.swarm.api;
    let run = api.ingest(json!({})).await;
    api.done(&run).await;
    let text = report(&stage.place.dir.path().join(format!("artifacts/runs/{run}")));
    assert!(text.contains("A model was asked for a written summary and gave none"));
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_model_the_report_says_so_and_costs_nothing() {
    // Nobody listens on the port of discarded bytes.
    let place = Place::with_documents(1).setting("OLLAMA_HOST", "http://127.0.0.1:9");
    let swarm = place.start().await;
    let api = &swarm.api;
    let (first, second) = (api.ingest(json!({})).await, api.ingest(json!({})).await);
    assert_eq!(api.done(&first).await, api.done(&second).await);
    let manifest = api.manifest(&first).await;
    assert_eq!((&manifest["cost_usd"], &manifest["costs"]["calls"]), (&json!(0), &json!(0)));
    let text = report(&place.dir.path().join(format!("artifacts/runs/{first}")));
    assert_eq!(text.matches(NOBODY).count(), 2);
    swarm.stop().await;
}
