//! Agents killed in the middle of a run: the run ends as if undisturbed, and the crashes are shown.

use serde_json::{Value, json};

use crate::support::{Place, Swarm, each_ended_once, until};

const DOCUMENTS: usize = 200;

fn find<'t>(tree: &'t Value, name: &str) -> Option<&'t Value> {
    if tree["name"] == name {
        return Some(tree);
    }
    tree["children"].as_array()?.iter().find_map(|child| find(child, name))
}

/// The agent is up again after one restart, and the log and a crash record have the reason.
async fn shown_as_restarted(swarm: &Swarm, agent: &str) {
    let api = &swarm.api;
    let node = until(&format!("{agent} is up again"), async || {
        let tree = api.get("/tree").await;
        find(&tree, agent).filter(|node| node["restarts"] == 1 && node["phase"] == "running").cloned()
    })
    .await;
    assert_eq!((&node["incarnation"], &node["last_exit"]["reason"]), (&json!(2), &json!("killed")));
    let log = api.get("/supervision/events?limit=1000").await;
    let of_agent: Vec<_> = log["events"].as_array().unwrap().iter().filter(|e| e["agent"] == agent).collect();
    let words: Vec<_> = of_agent.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(words, ["started", "crashed", "restarted"]);
    let crash = until(&format!("the crash of {agent} is stored"), async || {
        let crashes = api.get("/crashes").await;
        crashes["crashes"].as_array()?.iter().find(|crash| crash["agent"] == agent).cloned()
    })
    .await;
    assert_eq!(crash["reason"], "killed", "{crash:#}");
    let stored = api.get(&format!("/crashes/{}", crash["id"])).await;
    assert_eq!(stored["agent"], agent);
}

async fn killed_in_the_middle(agent: &str, by_http: bool) {
    let place = Place::with_documents(DOCUMENTS).setting("PAS_JOBS__THREADS", 1);
    let swarm = place.start().await;
    let api = &swarm.api;
    let undisturbed = api.done(&api.ingest(json!({})).await).await;

    let run = api.ingest(json!({})).await;
    api.works(&format!("{run}.data.lane.audit"), 2).await;
    if by_http {
        let killed = api.ask(&format!("/agents/{agent}/kill"), json!({ "reason": "a test" })).await;
        assert_eq!(killed["incarnation"], 1);
    } else {
        assert_eq!(swarm.system.kill(agent).await, Ok(1));
    }
    assert_eq!(api.done(&run).await, undisturbed);
    each_ended_once(&api.run(&run).await, &api.events(&run).await);
    shown_as_restarted(&swarm, agent).await;
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_coordinator_of_a_lane_changes_nothing() {
    killed_in_the_middle("manager-data", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_executor_at_work_changes_nothing() {
    killed_in_the_middle("corpus-auditor", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_root_of_the_hierarchy_changes_nothing() {
    killed_in_the_middle("architect", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_scheduler_or_edge_changes_nothing() {
    let place = Place::with_documents(DOCUMENTS).setting("PAS_JOBS__THREADS", 1);
    let swarm = place.start().await;
    let api = &swarm.api;
    let undisturbed = api.done(&api.ingest(json!({})).await).await;
    let run = api.ingest(json!({})).await;
    api.works(&format!("{run}.data.lane.audit"), 2).await;
    for service in ["scheduler", "edge"] {
        swarm.system.kill(service).await.unwrap();
    }
    assert_eq!(api.done(&run).await, undisturbed);
    let tree = swarm.system.tree();
    for service in ["scheduler", "edge"] {
        let state = tree.by_name(service).unwrap().state();
        assert_eq!(state.restarts, 1, "{service}: {state:?}");
    }
    swarm.stop().await;
}
