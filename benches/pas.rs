//! The benches: the cost of PAS, each figure beside a baseline measured in the same run.
//!
//! `make bench` runs all of them and writes `benches/RESULTS.md`; `cargo bench -- restart store` runs those
//! named and only prints. Invariants: a figure with an aim says whether the aim is met; ours and the baseline
//! alternate within one process, so that both see the same machine; a failing bench fails the run and never
//! just leaves its row out. Nothing here is a test: aims may be missed.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod cast;
mod change;
mod child;
mod daemon;
mod events;
mod fragile;
mod gateway;
mod hop;
mod http;
mod ingest;
mod machine;
mod measure;
mod report;
mod restart;
mod store;
mod tree;
mod ui;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use report::Row;

/// One subject: the name on the command line, and the function that measures.
struct Bench {
    name: &'static str,
    run: fn() -> anyhow::Result<Vec<Row>>,
}

/// All benches, in the order of the table. The tree comes first: memory allocated and freed by others would
/// blur its measurements.
const BENCHES: &[Bench] = &[
    Bench { name: "tree", run: tree::run },
    Bench { name: "cast", run: cast::run },
    Bench { name: "restart", run: restart::run },
    Bench { name: "store", run: store::run },
    Bench { name: "http", run: http::run },
    Bench { name: "daemon", run: daemon::run },
    Bench { name: "gateway", run: gateway::run },
    Bench { name: "events", run: events::run },
    Bench { name: "ingest", run: ingest::run },
    Bench { name: "change", run: change::run },
    Bench { name: "ui", run: ui::run },
];

/// Makes this program one side of the bench of the tree.
const TREE_SIDE: &str = "--tree-side";

fn main() -> anyhow::Result<()> {
    // Crashes on purpose are measured with a silent hook, on both sides.
    std::panic::set_hook(Box::new(|_| {}));
    // `cargo bench` adds `--bench` to the caller's arguments.
    if let [_, flag, side] = std::env::args().collect::<Vec<_>>().as_slice()
        && flag == TREE_SIDE
    {
        return tree::side(side);
    }
    if let [_, flag, vendor] = std::env::args().collect::<Vec<_>>().as_slice()
        && flag == hop::HOP_SIDE
    {
        return hop::hop_side(vendor);
    }
    if std::env::args().nth(1).as_deref() == Some(events::FLOOR_SIDE) {
        return events::floor::side();
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    for name in &wanted {
        anyhow::ensure!(
            BENCHES.iter().any(|bench| bench.name == name),
            "there is no bench `{name}`; there are: {}",
            BENCHES.iter().map(|bench| bench.name).collect::<Vec<_>>().join(", ")
        );
    }
    let mut rows = Vec::new();
    for bench in BENCHES.iter().filter(|bench| wanted.is_empty() || wanted.iter().any(|n| n == bench.name)) {
        eprintln!("measuring {} ...", bench.name);
        rows.extend((bench.run)().with_context(|| format!("bench `{}`", bench.name))?);
    }
    println!("{}", report::table(&rows));
    if wanted.is_empty() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/RESULTS.md");
        std::fs::write(&file, report::document(&rows))
            .with_context(|| format!("write {}", file.display()))?;
        println!("written to {}", file.display());
    }
    Ok(())
}

/// One line for the program that started this one.
fn say(line: &str) {
    println!("{line}");
}

/// A new folder on the disk of the build; the system's temporary folder may be in memory.
fn scratch() -> anyhow::Result<tempfile::TempDir> {
    let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(&base)?;
    Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(base)?)
}

/// A runtime like the daemon's, with `threads` worker threads.
fn runtime(threads: usize) -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?)
}
