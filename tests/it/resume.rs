//! Whatever rows a daemon finds at the start, every run goes on to the end.
//!
//! The rows are written as the job book writes them, up to the commit after which a daemon may have been
//! killed; no luck with the moment of a kill is needed.

use std::time::Duration;

use pas::actors::jobs::JobBook;
use pas::actors::jobs::book::JobSubmission;
use pas::domain::ids::{AgentName, JobId};
use pas::domain::job::{CancelCause, DEFAULT_PRIORITY, JobCard, JobTransition, plan};
use pas::domain::json::JsonValue;
use pas::domain::trace::TraceContext;
use pas::store::Store;
use serde_json::json;

use crate::support::{Place, each_ended_once};

const DOCUMENTS: usize = 3;
/// The chain of hand-overs (step, agent, task), from the root down to the first step that does work.
const CHAIN: [(&str, &str, &str); 4] = [
    ("", "architect", "ingest"),
    ("data", "director-data", "ingest.data"),
    ("lane", "manager-data", "ingest.data.lane"),
    ("audit", "corpus-auditor", "ingest.audit"),
];

/// How far the lowest job of a run had come.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stand {
    Queued,
    Claimed,
    /// Claimed by a third incarnation, after two that were killed.
    ClaimedThrice,
    /// To be retried, a moment after the last failure.
    Retrying,
    /// Paused by a person, while queued or running.
    PausedQueued,
    PausedClaimed,
    /// Cancelled while running, or before.
    Stopping,
    Cancelled,
    /// Failed for good: the director has not seen the failure yet, or has asked a person.
    Blocked,
    Asked,
}

/// Depths of the chain at which runs are cut off: the root, a coordinator below it, and the executor.
const DEPTHS: [usize; 3] = [0, 2, 3];
const STANDS: [Stand; 10] = [
    Stand::Queued,
    Stand::Claimed,
    Stand::ClaimedThrice,
    Stand::Retrying,
    Stand::PausedQueued,
    Stand::PausedClaimed,
    Stand::Stopping,
    Stand::Cancelled,
    Stand::Blocked,
    Stand::Asked,
];

fn card(place: &Place, (_, agent, task): (&str, &str, &str)) -> JobCard {
    JobCard {
        agent: AgentName::new(agent).unwrap(),
        task: task.to_owned(),
        capability: None,
        inputs: JsonValue(json!({ "source": place.corpus() })),
        priority: DEFAULT_PRIORITY,
        resource_request: None,
        approvals_required: Vec::new(),
        deadline_at: None,
        optional: false,
    }
}

/// A run whose jobs are claimed down to `depth`, where the lowest is in the given state.
async fn cut_off(book: &JobBook, place: &Place, depth: usize, stand: Stand) -> JobId {
    let submission = JobSubmission {
        card: card(place, CHAIN[0]),
        context: TraceContext::new_root(),
        idempotency_key: None,
        asked: String::new(),
        max_runs: 1000,
    };
    let root = book.submit(submission).await.unwrap().id;
    let mut lowest = root.clone();
    for link in &CHAIN[1..=depth] {
        let holder = book.change(&lowest, JobTransition::Claim).await.unwrap();
        let children = vec![(link.0.to_owned(), card(place, *link))];
        lowest = book.hand_over(&lowest, holder.fence, children).await.unwrap().remove(0).id;
    }
    bring(book, &root, &lowest, stand).await;
    root
}

async fn bring(book: &JobBook, root: &JobId, lowest: &JobId, stand: Stand) {
    let claim = async || book.change(lowest, JobTransition::Claim).await.unwrap().fence;
    let director = AgentName::new("director-data").unwrap();
    let failed = |fence| JobTransition::FailTransient {
        fence,
        error: "for good".into(),
        backoff: Duration::ZERO,
        max_attempts: 1,
        director: director.clone(),
    };
    match stand {
        Stand::Queued => {}
        Stand::Claimed => drop(claim().await),
        Stand::ClaimedThrice => {
            claim().await;
            claim().await;
            claim().await;
        }
        Stand::Retrying => {
            let fail = JobTransition::FailTransient {
                fence: claim().await,
                error: "for now".into(),
                backoff: Duration::from_millis(50),
                max_attempts: 4,
                director,
            };
            book.change(lowest, fail).await.unwrap();
        }
        Stand::PausedQueued => drop(book.pause_tree(root).await.unwrap()),
        Stand::PausedClaimed => {
            claim().await;
            book.pause_tree(root).await.unwrap();
        }
        Stand::Stopping => {
            claim().await;
            book.cancel_tree(root, CancelCause::Asked("a test".into()), [lowest.clone()].into())
                .await
                .unwrap();
        }
        Stand::Cancelled => {
            drop(book.cancel_tree(lowest, CancelCause::Asked("a test".into()), [].into()).await.unwrap());
        }
        Stand::Blocked | Stand::Asked => {
            let fence = claim().await;
            book.change(lowest, failed(fence)).await.unwrap();
            if stand == Stand::Asked {
                book.change(lowest, JobTransition::AskPerson).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_cut_off_at_any_commit_goes_on_to_its_end() {
    let place = Place::with_documents(DOCUMENTS);
    assert!(CHAIN[..3].iter().all(|(_, _, task)| plan::find(task).is_some()));
    let file = place.config().store_file();
    let store = Store::open(&file).unwrap();
    let book = JobBook::new(store.clone());
    let mut runs = Vec::new();
    for depth in DEPTHS {
        for stand in STANDS {
            runs.push((cut_off(&book, &place, depth, stand).await, depth, stand));
        }
    }
    store.close().await.unwrap();

    let swarm = place.start().await;
    let api = &swarm.api;
    for (run, depth, stand) in &runs {
        println!("{run}: {stand:?} at depth {depth}");
        match stand {
            Stand::PausedQueued | Stand::PausedClaimed => {
                api.is(run.as_str(), "paused").await;
                api.ask(&format!("/jobs/{run}/resume"), json!({})).await;
            }
            Stand::Blocked | Stand::Asked => {
                let question = api.question_of(run.as_str()).await;
                let decision = json!({ "decision": "approve", "by": "a test" });
                api.ask(&format!("/approvals/{question}"), decision).await;
            }
            _ => {}
        }
    }
    let mut hashes = Vec::new();
    for (run, depth, stand) in &runs {
        let end = match stand {
            Stand::Stopping => "cancelled",
            Stand::Cancelled if *depth == 0 => "cancelled",
            Stand::Cancelled => "failed",
            _ => "done",
        };
        api.is(run.as_str(), end).await;
        each_ended_once(&api.run(run.as_str()).await, &api.events(run.as_str()).await);
        let manifest = api.manifest(run.as_str()).await;
        if end == "done" {
            hashes.push(manifest["content_hash"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(hashes.len(), DEPTHS.len() * 8);
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "equal work, equal hash: {hashes:#?}");
    swarm.stop().await;
}
