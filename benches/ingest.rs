//! An ingest of the default corpus by a daemon, on one thread and on two.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use pas::cli::corpus::{CorpusSummary, crates_corpus};
use pas::domain::time::Timestamp;
use serde_json::Value;

use crate::child::Daemon;
use crate::measure::median;
use crate::report::{Row, number};

const ROUNDS: usize = 3;
const DEADLINE: Duration = Duration::from_secs(1800);

/// Seconds of a whole ingest, and of each step.
struct Run {
    seconds: f64,
    steps: BTreeMap<String, f64>,
}

fn corpus() -> anyhow::Result<CorpusSummary> {
    Ok(crates_corpus(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-corpus"))?)
}

/// The first documents of the default corpus, by path, copied below `folder`.
///
/// # Errors
/// When there is no default corpus, or the disk refuses.
pub(crate) fn small_corpus(folder: &Path, documents: usize) -> anyhow::Result<PathBuf> {
    let target = folder.join("small-corpus");
    let source = corpus()?.folder;
    let files = walkdir::WalkDir::new(&source).sort_by_file_name();
    for (n, file) in files.into_iter().filter_map(Result::ok).filter(|f| f.file_type().is_file()).enumerate()
    {
        if n == documents {
            break;
        }
        let copy = target.join(file.path().strip_prefix(&source)?);
        std::fs::create_dir_all(copy.parent().context("a file without folder")?)?;
        std::fs::copy(file.path(), copy)?;
    }
    Ok(target)
}

fn ingest(source: &Path, threads: usize) -> anyhow::Result<Run> {
    let folder = crate::scratch()?;
    let daemon = Daemon::start(folder.path(), &format!("[jobs]\nthreads = {threads}\n"))?;
    let from = Instant::now();
    let job = daemon.ingest(source)?;
    let shown = daemon.finish(&job, DEADLINE)?;
    let seconds = from.elapsed().as_secs_f64();
    let mut steps = BTreeMap::new();
    collect(&shown, &mut steps);
    Ok(Run { seconds, steps })
}

/// The time of every job without children, by step.
fn collect(job: &Value, steps: &mut BTreeMap<String, f64>) {
    match job["children"].as_array().filter(|children| !children.is_empty()) {
        Some(children) => children.iter().for_each(|child| collect(child, steps)),
        None => {
            let time = |key: &str| serde_json::from_value::<Timestamp>(job[key].clone()).ok();
            if let (Some(started), Some(ended), Some(step)) =
                (time("started_at"), time("ended_at"), job["step"].as_str())
            {
                *steps.entry(step.to_owned()).or_default() += ended.since(started).as_secs_f64();
            }
        }
    }
}

fn told(steps: &BTreeMap<String, f64>) -> String {
    let mut steps: Vec<_> = steps.iter().collect();
    steps.sort_by(|a, b| b.1.total_cmp(a.1));
    steps.iter().map(|(step, seconds)| format!("{step} {}", number(**seconds))).collect::<Vec<_>>().join(", ")
}

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    let corpus = corpus()?;
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        one.push(ingest(&corpus.folder, 1)?);
        two.push(ingest(&corpus.folder, 2)?);
    }
    let seconds = |runs: &[Run]| median(&runs.iter().map(|run| run.seconds).collect::<Vec<_>>());
    let (slow, fast) = (seconds(&one), seconds(&two));
    let row = |what: &str, runs: &[Run], seconds: f64| {
        let steps = runs.last().map(|run| told(&run.steps)).unwrap_or_default();
        Row::new(what, corpus.bytes as f64 / 1e6 / seconds, " MB/s")
            .sides(format!("{} documents/s", number(corpus.files as f64 / seconds)), "")
            .note(format!(
                "{} documents, {} MB of the default corpus in {} s, all steps, artifacts and durable job \
                 rows; seconds a step: {steps}",
                corpus.files,
                number(corpus.bytes as f64 / 1e6),
                number(seconds),
            ))
    };
    Ok(vec![
        row("ingest, one thread a step", &one, slow),
        row("ingest, two threads a step", &two, fast),
        Row::new("ingest, two threads against one", slow / fast, "×")
            .sides(format!("{} s", number(fast)), format!("{} s", number(slow))),
    ])
}
