//! The fifty agents from outside: invocation and job card give the same answers.

use serde_json::{Value, json};

use crate::support::{Api, Place, until};

/// Calls an agent through the agent router.
async fn invoke(api: &Api, agent: &str, payload: Value, timeout_s: f64) -> Value {
    let router = api.with_base(format!("http://{}", api.address_of(6119)));
    let id = format!("test-{}-{}", agent, fastrand::u64(..));
    let call = json!({ "request_id": id, "agent_name": agent, "payload": payload, "timeout_s": timeout_s });
    router.ask("/invoke", call).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_agent_answers_its_status_and_refuses_a_task_that_it_does_not_take_at_every_entrance() {
    let place = Place::with_documents(1);
    let swarm = place.start().await;
    let api = &swarm.api;
    let agents = api.get("/agents").await;
    let names: Vec<_> = agents["agents"].as_array().unwrap().iter().map(|a| a["name"].clone()).collect();
    assert_eq!(names.len(), 50);
    for agent in names.iter().map(|name| name.as_str().unwrap()) {
        for payload in [json!({}), json!({ "task": "status" }), json!({ "action": "status" })] {
            let answer = invoke(api, agent, payload, 30.0).await;
            assert_eq!(answer["status"], "success", "{answer}");
            assert_eq!(answer["result"]["agent"], agent, "{answer}");
        }
        let tasks = api.get(&format!("/agents/{agent}")).await["definition"]["tasks"].clone();
        let answer = invoke(api, agent, json!({ "task": "no-such-task" }), 30.0).await;
        assert_eq!(answer["status"], "error", "{answer}");
        let by_invocation = answer["error"].as_str().unwrap();
        let card = json!({ "task": "no-such-task", "agent": agent, "inputs": {} });
        let (status, refused) = api.post("/jobs", card).await;
        assert_eq!(status, 422, "{agent}: {refused}");
        let by_card = refused["detail"][0]["msg"].as_str().unwrap();
        assert!(by_invocation.ends_with(by_card), "{agent}: `{by_invocation}` and `{by_card}`");
        for task in tasks.as_array().unwrap() {
            let named = format!("`{}`", task.as_str().unwrap());
            assert!(by_card.contains(&named), "{agent} does not say that it takes {named}: {by_card}");
        }
    }
    assert_eq!(api.get("/jobs").await["count"], 0, "what was refused left nothing");
    assert_eq!(api.get("/approvals").await["count"], 0, "nobody is asked about it");
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_agent_does_its_task_as_a_job_and_at_once() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({})).await;
    api.done(&run).await;
    for (agent, task, inputs, field) in [
        ("experiment-ledger", "runs", json!({}), "runs"),
        ("error-tracking-recovery", "crashes", json!({}), "crashes"),
        ("performance-monitor", "messages", json!({}), "actors"),
        ("resource-manager", "quotas", json!({}), "quotas"),
        ("resource-manager", "reservations", json!({}), "reservations"),
        ("backup-recovery-manager", "backup", json!({}), "path"),
        ("knowledge-base-manager", "search", json!({ "q": "river", "run_id": run }), "results"),
    ] {
        let called = invoke(api, agent, json!({ "task": task, "inputs": inputs }), 30.0).await;
        assert_eq!(called["status"], "success", "{called}");
        assert!(!called["result"][field].is_null(), "{called}");
        let card = json!({ "task": task, "agent": agent, "inputs": inputs });
        let job = api.ask("/jobs", card).await["job_id"].as_str().unwrap().to_owned();
        let done = api.is(&job, "done").await;
        assert!(!done["outputs"][field].is_null(), "{done}");
    }
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invocation_that_ends_before_its_job_hands_the_job_back() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    api.ask("/agents/manager-data/pause", json!({})).await;
    let payload = json!({ "task": "ingest", "inputs": { "source": place.corpus() } });
    let early = invoke(api, "architect", payload.clone(), 2.0).await;
    assert_eq!(early["status"], "timeout", "{early}");
    assert_eq!(early["result"]["state"], "running", "{early}");
    let job = early["result"]["job_id"].as_str().unwrap();
    assert!(early["error"].as_str().unwrap().contains(job), "{early}");
    api.ask("/agents/manager-data/resume", json!({})).await;
    let done = api.is(job, "done").await;

    let whole = invoke(api, "architect", payload, 80.0).await;
    assert_eq!((&whole["status"], &whole["result"]["state"]), (&json!("success"), &json!("done")), "{whole}");
    let names = |outputs: &Value| outputs.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&whole["result"]["outputs"]), names(&done["outputs"]));
    assert!(!names(&done["outputs"]).is_empty());
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_for_a_capability_goes_to_whoever_takes_its_task() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    let inputs = json!({ "source": place.corpus() });
    for (task, capability, agent) in [
        ("ingest", "planning", "architect"),
        ("ingest.data.lane", "task_breakdown", "manager-data"),
        ("ingest.audit", "source_checking", "corpus-auditor"),
    ] {
        let card = json!({ "task": task, "capability": capability, "inputs": inputs });
        let job = api.ask("/jobs", card).await;
        assert_eq!(job["agent"], agent, "{job}");
        api.is(job["job_id"].as_str().unwrap(), "done").await;
    }
    swarm.stop().await;
}

/// An ingest's outputs and report under settings of the section `[ingest]`.
async fn ingested(place: Place, more: &[(&str, &str)], inputs: Value) -> (Value, String) {
    const FOOTER: &str =
        "Contributions are welcome under the terms above, and every page of this book says so.";
    let corpus = place.corpus();
    let words: Vec<String> = (0..100).map(|n| format!("word{n}")).collect();
    for n in 0..15 {
        let own: Vec<String> = (0..60).map(|word| format!("own{n}x{word}")).collect();
        let page = format!("# Page {n}\n\n{}\n\n{FOOTER}\n", own.join(" "));
        std::fs::write(corpus.join(format!("page-{n:02}.md")), page).unwrap();
    }
    let mut version = words.clone();
    // Two of a hundred words: 92 of the 98 shingles are shared, 88 % of the union.
    (version[30], version[70]) = ("changed".to_owned(), "altered".to_owned());
    std::fs::write(corpus.join("one.txt"), words.join(" ")).unwrap();
    std::fs::write(corpus.join("two.txt"), version.join(" ")).unwrap();
    std::fs::write(corpus.join("big.txt"), "large ".repeat(1_000)).unwrap();
    std::fs::write(corpus.join("served.py"), "# SPDX-License-Identifier: AGPL-3.0-only\nprint(1)\n").unwrap();
    let place = more.iter().fold(place, |place, (key, value)| {
        place.setting(&format!("PAS_INGEST__{}", key.to_uppercase()), value)
    });
    let swarm = place.start().await;
    let mut all = json!({ "source": corpus });
    all.as_object_mut().unwrap().extend(inputs.as_object().unwrap().clone());
    let run = swarm.api.ingest(json!({ "inputs": all })).await;
    swarm.api.done(&run).await;
    let job = swarm.api.get(&format!("/jobs/{run}?tree=true")).await;
    let report = swarm.api.bytes(&format!("/jobs/{run}/artifacts/report/report.md")).await;
    swarm.stop().await;
    (job["outputs"].clone(), String::from_utf8(report).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_setting_of_ingest_is_in_force_and_the_card_comes_before_it() {
    let lane = |outputs: &Value| outputs["data"]["lane"].clone();
    let skipped = |outputs: &Value| lane(outputs)["audit"]["skipped"]["too_large"].as_u64().unwrap_or(0);
    let near = |outputs: &Value| lane(outputs)["clean"]["duplicates"]["near"].as_u64().unwrap();
    let cut = |outputs: &Value| lane(outputs)["clean"]["repairs"]["boilerplate"].as_u64().unwrap_or(0);
    let verdict = |outputs: &Value| outputs["compliance"]["lane"]["check"]["verdict"].clone();
    let place = || Place::with_documents(0);

    let (usual, report) = ingested(place(), &[], json!({})).await;
    assert_eq!((skipped(&usual), near(&usual), cut(&usual)), (0, 1, 15), "{usual:#}");
    assert_eq!(verdict(&usual), "fail", "the default deny list is in force: {usual:#}");
    for said in ["16.8 MB", "500,000", "AGPL-3.0-only, AGPL-3.0-or-later, SSPL-1.0", "80 %", "20 %"] {
        assert!(report.contains(said), "{said}: {report}");
    }

    let strict = [
        ("max_file_bytes", "5000"),
        ("deny_licences", "[\"MIT\"]"),
        ("near_duplicate_percent", "95"),
        ("boilerplate_percent", "90"),
    ];
    let (configured, report) = ingested(place(), &strict, json!({})).await;
    // However many licence texts exceed 5000 bytes, the big file is one more.
    assert!(skipped(&configured) > skipped(&usual), "{configured:#}");
    assert_eq!((near(&configured), cut(&configured)), (0, 0), "{configured:#}");
    for said in ["95 %", "90 %"] {
        assert!(report.contains(said), "{said}: {report}");
    }

    let own = json!({
        "max_file_bytes": 1_000_000, "deny_licences": ["SSPL-1.0"], "near_duplicate_percent": 80,
        "boilerplate_percent": 20,
    });
    let (carded, _) = ingested(place(), &strict, own).await;
    assert_eq!((skipped(&carded), near(&carded), cut(&carded)), (0, 1, 15), "{carded:#}");
    assert_ne!(verdict(&carded), "fail", "{carded:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_with_more_files_than_may_be_is_refused_with_what_to_do() {
    let place = Place::with_documents(4).setting("PAS_INGEST__MAX_FILES", 3);
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({})).await;
    let error = until("the audit says why", async || {
        let jobs = api.run(&run).await;
        let audit = jobs.iter().find(|job| job["step"] == "audit")?;
        audit["error"].as_str().map(str::to_owned)
    })
    .await;
    assert!(error.contains("more than 3 files") && error.contains("`max_files`"), "{error}");
    let run = api.ingest(json!({ "inputs": { "source": place.corpus(), "max_files": 50 } })).await;
    api.done(&run).await;
    swarm.stop().await;
}
