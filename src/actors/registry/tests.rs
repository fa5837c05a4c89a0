//! The cache's answers and the end of silent services; the wire is tested in `tests/it`.

use super::*;
use crate::actors::directory::ServedPorts;
use crate::actors::standing::AgentStandings;
use crate::domain::registry::ServiceStatus;
use crate::supervision::policy::SupervisorPolicy;

async fn registry(dir: &tempfile::TempDir) -> (RegistryHandle, crate::supervision::RootHandle) {
    let file = dir.path().join("pas.redb");
    let store = tokio::task::spawn_blocking(move || Store::open(file)).await.unwrap().unwrap();
    let system = ActorSystem::default();
    let directory = AgentDirectory::new(
        Arc::new(crate::roster::load(None).0),
        &ServedPorts::default(),
        AgentStandings::new(system.clone()),
    );
    let (spec, handle) = spec(&system, "registry", WorkerOptions::default(), store, directory);
    let root = system.start("root", SupervisorPolicy::default(), vec![spec]).await.unwrap();
    (handle, root)
}

fn tool(id: &str) -> ServiceRegistration {
    let text = format!(
        r#"{{"service_id": "{id}", "name": "linter", "type": "tool", "role": "staging",
            "url": "http://localhost:9", "caps": ["lint"]}}"#
    );
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn answers_are_kept_until_something_changes_and_never_more_than_the_bound() {
    let dir = tempfile::tempdir().unwrap();
    let (registry, root) = registry(&dir).await;
    let filter = ServiceFilter { name: Some("linter".into()), ..ServiceFilter::default() };
    let empty = registry.discover(&filter).unwrap();
    let again = registry.discover(&filter).unwrap();
    assert_eq!(empty.as_ptr(), again.as_ptr(), "the same bytes, not only equal ones");
    registry.register(tool("tool-1")).await.unwrap();
    let full = registry.discover(&filter).unwrap();
    assert!(full.len() > empty.len(), "a change is seen by whoever asks after its answer");
    let beat = serde_json::from_str(r#"{"service_id": "tool-1", "status": "paused"}"#).unwrap();
    registry.heartbeat(beat).unwrap();
    assert!(String::from_utf8(registry.discover(&filter).unwrap().to_vec()).unwrap().contains("paused"));
    for n in 0..3 * MAX_BODIES {
        let filter = ServiceFilter { cap: Some(n.to_string()), ..ServiceFilter::default() };
        registry.discover(&filter).unwrap();
        assert!(registry.board.bodies.read().len() <= MAX_BODIES);
    }
    root.shutdown().await;
}

#[tokio::test]
async fn a_service_that_has_beaten_since_is_not_expired() {
    let dir = tempfile::tempdir().unwrap();
    let (registry, root) = registry(&dir).await;
    registry.register(tool("tool-1")).await.unwrap();
    let beat = registry.watched().remove(0).beat;
    let judged = ["tool-1", "nobody"].map(|id| JudgedService { service_id: id.into(), beat });
    assert_eq!(registry.expire(judged.into()).await, Ok(vec![]), "one is not silent at all");
    assert_eq!(registry.service("tool-1").unwrap().status, ServiceStatus::Ok);
    root.shutdown().await;
}
