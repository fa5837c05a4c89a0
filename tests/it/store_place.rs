//! The store's file deleted, moved, replaced or damaged under the daemon.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use pas::store::{Store, StoreChanges, StoreError, StoreTable};
use serde_json::{Value, json};

use crate::support::{Api, Place, http_client, until};

const REGISTRY: u16 = 6121;
/// Bytes of a page of the store.
const PAGE: usize = 4096;

fn store_of(place: &Place) -> PathBuf {
    place.config().store_file()
}

/// Registers a service; the status, and the time to wait if refused.
async fn register(api: &Api, id: &str) -> (u16, Option<String>, Value) {
    let service = json!({ "service_id": id, "name": "linter", "type": "tool", "role": "staging",
                          "url": "http://localhost:9", "caps": ["lint"] });
    let url = format!("http://{}/register", api.address_of(REGISTRY));
    let answer = http_client().post(url).json(&service).send().await.unwrap();
    let wait = answer.headers().get("retry-after").map(|wait| wait.to_str().unwrap().to_owned());
    (answer.status().as_u16(), wait, answer.json().await.unwrap())
}

async fn store_is(api: &Api, word: &str) -> Value {
    let look = async || {
        let health = api.get("/health").await;
        (health["store_state"]["status"] == word).then_some(health)
    };
    until("the store's state is seen in /health", look).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_deleted_moved_or_replaced_takes_no_writes_and_can_still_be_saved() {
    let place = Place::with_documents(1);
    let process = place.start_process().await;
    let api = &process.api;
    assert_eq!(register(api, "tool-before").await.0, 200);
    let (file, aside) = (store_of(&place), place.dir.path().join("aside.redb"));

    std::fs::rename(&file, &aside).unwrap();
    let (status, wait, refusal) = register(api, "tool-lost").await;
    assert!(status == 503 && wait.is_some(), "the next write meets it: {status} {refusal}");
    assert!(refusal["detail"].as_str().unwrap().contains("deleted or moved away"), "{refusal}");
    std::fs::rename(&aside, &file).unwrap();
    store_is(api, "writable").await;
    assert_eq!(register(api, "tool-back").await.0, 200);

    // Nobody writes: it is noticed all the same.
    std::fs::copy(&file, &aside).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    let health = store_is(api, "refusing").await;
    assert!(health["store_state"]["reason"].as_str().unwrap().contains("another file"), "{health}");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(register(api, "tool-lost").await.0, 503);
    let url = format!("http://{}/services/tool-back", api.address_of(REGISTRY));
    assert_eq!(http_client().get(url).send().await.unwrap().status(), 200, "reading goes on");
    let (_, saved) = api.post("/backup", json!({})).await;
    let backup = PathBuf::from(saved["path"].as_str().unwrap_or_else(|| panic!("{saved}")));
    process.kill();

    std::fs::rename(backup, &file).unwrap();
    let process = place.start_process().await;
    for (id, status) in [("tool-before", 200), ("tool-back", 200), ("tool-lost", 404)] {
        let url = format!("http://{}/services/{id}", process.api.address_of(REGISTRY));
        assert_eq!(http_client().get(url).send().await.unwrap().status(), status, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_never_backed_up_and_the_next_start_names_the_newest_good_backup() {
    let place = Place::with_documents(1);
    let process = place.start_process().await;
    let api = &process.api;
    for n in 0..40 {
        assert_eq!(register(api, &format!("witness-{n}")).await.0, 200);
    }
    let (_, good) = api.post("/backup", json!({})).await;
    let good = good["path"].as_str().unwrap().to_owned();
    let bytes = std::fs::read(store_of(&place)).unwrap();
    let witnesses = (0..bytes.len() - 9).filter(|&at| bytes[at..].starts_with(b"witness-3"));
    let pages: BTreeSet<usize> = witnesses.map(|at| at / PAGE).collect();
    assert!(!pages.is_empty());
    let file = std::fs::File::options().write(true).open(store_of(&place)).unwrap();
    for page in pages {
        file.write_all_at(&[0; PAGE], (page * PAGE) as u64).unwrap();
    }
    let (status, refused) = api.post("/backup", json!({})).await;
    assert_eq!(status, 409, "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("is damaged"), "{refused}");
    process.kill();

    let Err(ended) = place.try_start_process().await else { panic!("it started on damage") };
    assert!(ended.contains("is damaged") && ended.contains(&good), "{ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_fails_for_another_reason_says_nothing_about_the_store() {
    const ROWS: StoreTable<u64, String> = StoreTable::new("rows_of_nobody");
    let neighbour = Place::with_documents(1);
    let place = Place::beside(&neighbour);
    let file = store_of(&place);
    let opened = file.clone();
    let store = tokio::task::spawn_blocking(move || Store::open(opened)).await.unwrap().unwrap();
    let rows = (0..500).fold(StoreChanges::none(), |rows, n| rows.put(&ROWS, &n, &format!("witness-{n}")));
    store.write(|_| Ok::<_, StoreError>((rows, ()))).await.unwrap();
    store.close().await.unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let places: Vec<_> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(b"witness-3")).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at] ^= 1);
    std::fs::write(&file, bytes).unwrap();
    assert!(pas::store::open::inspect(&file).is_err(), "the whole store was not read");

    let process = neighbour.start_process().await;
    let failure = place.try_start_process().await.err().expect("its ports are taken");
    assert!(failure.contains("in use") && !failure.contains("damaged"), "{failure}");
    process.kill();
}
