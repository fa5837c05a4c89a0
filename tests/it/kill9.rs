//! `kill -9` of the daemon at random moments of an ingest: the next daemon continues where the last one was.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Api, Place, each_ended_once, of_kind};

/// Number of kills; the project promises twenty.
const KILLS: u32 = 20;
const DOCUMENTS: usize = 20;
/// Sets the seed for the moments of the kills; every run prints the seed used.
const SEED_VARIABLE: &str = "KILL9_SEED";
/// Sets the number of kills, for a longer search.
const KILLS_VARIABLE: &str = "KILL9_KILLS";
/// Sets the last moment for a kill, in milliseconds; by default the end of an undisturbed ingest.
const WITHIN_VARIABLE: &str = "KILL9_WITHIN_MS";

fn told<T: FromStr<Err: Debug>>(variable: &str) -> Option<T> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Done jobs of a run, with the number of claims and the version of the row.
async fn finished(api: &Api, run: &str) -> BTreeMap<String, (u64, u64)> {
    let number = |job: &Value, field: &str| job[field].as_u64().unwrap();
    let done = api.run(run).await.into_iter().filter(|job| job["state"] == "done");
    done.map(|job| {
        (job["job_id"].as_str().unwrap().to_owned(), (number(&job, "attempt"), number(&job, "version")))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_killed_at_any_moment_resumes_and_ends_with_the_same_artifacts() {
    let seed = told(SEED_VARIABLE).unwrap_or_else(|| fastrand::u64(..));
    let kills: u32 = told(KILLS_VARIABLE).unwrap_or(KILLS);
    println!("{SEED_VARIABLE}={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let place = Place::with_documents(DOCUMENTS);

    let first = place.start_process().await;
    let begun = std::time::Instant::now();
    let undisturbed = first.api.done(&first.api.ingest(json!({})).await).await;
    let whole = begun.elapsed();
    let within = told(WITHIN_VARIABLE).map_or(whole, Duration::from_millis);
    let mut process = Some(first);

    let (mut cut_short, mut kept) = (0, 0);
    for kill in 1..=kills {
        let running = match process.take() {
            Some(process) => process,
            None => place.start_process().await,
        };
        let run = running.api.ingest(json!({})).await;
        let life = within.mul_f64(random.f64());
        tokio::time::sleep(life).await;
        let before = finished(&running.api, &run).await;
        running.kill();

        let next = place.start_process().await;
        let state = next.api.job(&run).await["state"].as_str().unwrap().to_owned();
        println!("kill {kill}: after {life:?} with {} jobs done, then {state}", before.len());
        cut_short += u32::from(state != "done");
        let hash = next.api.done(&run).await;
        assert_eq!(hash, undisturbed, "kill {kill}");
        let (jobs, events) = (next.api.run(&run).await, next.api.events(&run).await);
        each_ended_once(&jobs, &events);
        assert_eq!(of_kind(&events, "completed").len(), jobs.len());
        let after = finished(&next.api, &run).await;
        for (job, as_before) in &before {
            assert_eq!(after.get(job), Some(as_before), "kill {kill}: {job} was done before and is redone");
        }
        kept += before.len();
        process = Some(next);
    }
    println!("{cut_short} of {kills} kills met the run unfinished; {kept} finished jobs were kept");
    assert!(
        cut_short > kills / 4 && (kept > 0 || within < whole),
        "the kills come too late or too early: seed {seed}"
    );
    assert!(whole < Duration::from_secs(30), "the corpus is too large for this test: {whole:?}");
}
