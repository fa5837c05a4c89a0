//! Port 6100 on a living daemon: every answer fits the contract, which has every route.

use pas::http::contract::bundled;
use serde_json::{Value, json};

use crate::contracts::{assert_says_no_more, resolved};
use crate::support::{Api, Place, until};

/// Checks one answer against the operation in the contract.
fn fits(template: &str, method: &str, status: u16, body: &Value) {
    let document = bundled("orchestrator.json").unwrap();
    let place = format!("{method} {template}: {status}");
    let response = document["paths"][template][method]["responses"].get(status.to_string());
    let response = resolved(&document, response.unwrap_or_else(|| panic!("{place} is not told of: {body}")));
    assert_says_no_more(&document, &response["content"]["application/json"]["schema"], body, &place);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_fits_the_contract() {
    let place = Place::with_documents(16);
    let swarm = place.start().await;
    let api = &swarm.api;
    let card = json!({ "task": "ingest", "inputs": { "source": place.corpus() } });
    let (status, job) = api.post("/jobs", card).await;
    fits("/jobs", "post", status.as_u16(), &job);
    let run = job["job_id"].as_str().unwrap().to_owned();
    api.done(&run).await;
    let step = format!("{run}.data.lane.audit");
    let looks = [
        ("/jobs", "/jobs".to_owned()),
        ("/jobs", format!("/jobs?run_id={run}&roots=false&state=done&limit=3")),
        ("/jobs/{job_id}", format!("/jobs/{run}?tree=true")),
        ("/jobs/{job_id}", format!("/jobs/{step}")),
        ("/jobs/{job_id}/artifacts", format!("/jobs/{run}/artifacts")),
        ("/jobs/{job_id}/events", format!("/jobs/{run}/events")),
        ("/approvals", "/approvals?status=all".to_owned()),
        ("/runs/{run_id}/manifest", format!("/runs/{run}/manifest")),
        ("/ledger", "/ledger".to_owned()),
        ("/search", "/search?q=turbine&limit=3".to_owned()),
        ("/trace/{trace_id}", format!("/trace/{}", job["trace_id"].as_str().unwrap())),
        ("/trace", format!("/trace?job={run}")),
        ("/trace", "/trace?agent=architect&since=2026-01-01T00:00:00Z&limit=5".to_owned()),
        ("/tree", "/tree".to_owned()),
        ("/agents", "/agents".to_owned()),
        ("/agents/{name}", "/agents/manager-data".to_owned()),
        ("/supervision/events", "/supervision/events?since=0&limit=20".to_owned()),
        ("/crashes", "/crashes".to_owned()),
        ("/health", "/health".to_owned()),
        ("/", "/".to_owned()),
    ];
    for (template, path) in looks {
        fits(template, "get", 200, &api.get(&path).await);
    }
    let asked = [
        ("/jobs", "/jobs".to_owned(), json!({ "task": "" }), 422),
        ("/jobs", "/jobs".to_owned(), json!({ "task": "ingest", "inputs": {} }), 422),
        ("/jobs/{job_id}/cancel", format!("/jobs/{run}/cancel"), json!({}), 409),
        ("/jobs/{job_id}/pause", format!("/jobs/{run}/pause"), json!({}), 409),
        ("/jobs/{job_id}/retry", format!("/jobs/{run}/retry"), json!({}), 409),
        ("/approvals/{approval_id}", "/approvals/ask-none".to_owned(), json!({ "decision": "approve" }), 404),
        ("/agents/{name}/pause", "/agents/gateway/pause".to_owned(), json!({}), 200),
        ("/agents/{name}/resume", "/agents/gateway/resume".to_owned(), json!({}), 200),
        ("/agents/{name}/restart", "/agents/gateway/restart".to_owned(), json!({ "reason": "test" }), 200),
        ("/agents/{name}/kill", "/agents/gateway/kill".to_owned(), json!({}), 200),
        ("/agents/{name}/kill", "/agents/nobody/kill".to_owned(), json!({}), 404),
        ("/backup", "/backup".to_owned(), json!({ "path": "one.redb" }), 200),
        ("/backup", "/backup".to_owned(), json!({ "path": "one.redb" }), 409),
        ("/backup", "/backup".to_owned(), json!({ "path": "../one.redb" }), 422),
        ("/backup", "/backup".to_owned(), json!({ "path": "/srv/one.redb" }), 422),
        ("/shutdown", "/shutdown".to_owned(), json!({}), 202),
    ];
    for (template, path, body, expected) in asked {
        let (status, answer) = api.post(&path, body).await;
        assert_eq!(status.as_u16(), expected, "{path}: {answer}");
        fits(template, "post", status.as_u16(), &answer);
    }
    // The last request was a shutdown.
    swarm.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_backups_are_kept_as_configured_whoever_makes_them() {
    let place = Place::with_documents(1).setting("PAS_STORE__BACKUPS", 2);
    let swarm = place.start().await;
    let api = &swarm.api;
    let agents = api.with_base(format!("http://{}", api.address_of(6119)));
    let mut made = Vec::new();
    for n in 0..4 {
        let path = if n % 2 == 0 {
            let (status, answer) = api.post("/backup", json!({})).await;
            assert_eq!(status.as_u16(), 200, "{answer}");
            answer["path"].clone()
        } else {
            let call = json!({ "request_id": format!("b{n}"), "agent_name": "backup-recovery-manager",
                "payload": { "action": "backup" } });
            let (_, answer) = agents.post("/invoke", call).await;
            assert_eq!(answer["status"], "success", "{answer}");
            answer["result"]["path"].clone()
        };
        made.push(path.as_str().unwrap().to_owned());
    }
    let folder = std::path::Path::new(&made[0]).parent().unwrap();
    let mut left: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
        .collect();
    left.sort();
    assert_eq!(left, made[2..], "the newest, whichever of the two ways they were made");
    swarm.stop().await;
}

/// Every id of a list, page by page, in the order of the pages; `None` when `total` is another number.
async fn paged(api: &Api, list: &str, name: &str, id: &str) -> Option<Vec<String>> {
    let (mut ids, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let next = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = api.get(&format!("{list}{next}")).await;
        let items = page[name].as_array().unwrap();
        assert_eq!(page["count"], items.len());
        ids.extend(items.iter().map(|item| item[id].to_string()));
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return (page["total"] == ids.len()).then_some(ids);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_and_crashes_are_paged_to_the_end() {
    let place = Place::with_documents(4);
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({})).await;
    api.done(&run).await;
    let all_spans = async || {
        let answer = api.get(&format!("/trace?job={run}&limit=10000")).await;
        let spans = answer["spans"].as_array().unwrap();
        spans.iter().map(|span| span["span_id"].to_string()).collect::<Vec<_>>()
    };
    // A message may still belong to the run when it is done.
    let (whole, mut pages) = until("nothing was added while the pages were read", async || {
        let before = all_spans().await;
        let pages = paged(api, &format!("/trace?job={run}&limit=50"), "spans", "span_id").await?;
        (all_spans().await == before).then_some((before, pages))
    })
    .await;
    let first: Vec<_> = whole.iter().filter(|id| pages[..50].contains(id)).cloned().collect();
    assert_eq!(first, pages[..50], "a page keeps cause before effect");
    assert!(pages[..50].contains(whole.last().unwrap()), "the first page has the newest");
    let mut sorted = whole.clone();
    sorted.sort_unstable();
    pages.sort_unstable();
    assert_eq!(pages, sorted);

    for agent in ["manager-data", "manager-data", "architect"] {
        swarm.system.kill(agent).await.unwrap();
        until("it is up again", async || {
            let agent = api.get(&format!("/agents/{agent}")).await;
            (agent["phase"] == "running").then_some(())
        })
        .await;
    }
    let stored = async || (api.get("/crashes").await["total"] == 3).then_some(());
    until("three crashes are stored", stored).await;
    let all = paged(api, "/crashes?limit=1", "crashes", "id").await;
    assert_eq!(all.map(|ids| ids.len()), Some(3));
    let of_one = paged(api, "/crashes?limit=1&agent=manager-data", "crashes", "id").await;
    assert_eq!(of_one.map(|ids| ids.len()), Some(2));
    swarm.stop().await;
}
