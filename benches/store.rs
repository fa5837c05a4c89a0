//! The store: the number of acknowledged writes that share one sync, and a lone writer against the bare disk.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use pas::store::{Store, StoreChanges, StoreError, StoreTable};
use tokio::task::JoinSet;

use crate::measure::{in_turn, median};
use crate::report::{Aim, Row, number};

const ROWS: StoreTable<(u64, u64), Vec<u8>> = StoreTable::new("bench");
/// A job's row has about this many bytes.
const ROW_BYTES: usize = 512;
/// Bytes that the bare disk appends between two syncs: a page of the file.
const PAGE: usize = 4096;
const WRITERS: u64 = 64;
const ROUNDS: usize = 7;
/// Length of one round of one side.
const ROUND: Duration = Duration::from_millis(1500);

async fn write(store: &Store, writer: u64, number: u64) -> Result<(), StoreError> {
    // As many rows as live jobs, so that the file does not grow without end.
    let changes = move || StoreChanges::none().put(&ROWS, &(writer, number % 256), &vec![7; ROW_BYTES]);
    store.write(move |_| Ok::<_, StoreError>((changes(), ()))).await
}

/// Acknowledged writes a second, and a durable commit, of `writers` at once.
async fn load(store: &Store, writers: u64) -> anyhow::Result<(f64, f64)> {
    let before = store.metrics();
    let from = Instant::now();
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let store = store.clone();
        tasks.spawn(async move {
            let mut number = 0;
            while from.elapsed() < ROUND {
                write(&store, writer, number).await?;
                number += 1;
            }
            Ok::<_, StoreError>(number)
        });
    }
    let mut acknowledged = 0;
    while let Some(done) = tasks.join_next().await {
        acknowledged += done??;
    }
    let elapsed = from.elapsed().as_secs_f64();
    let syncs = store.metrics().syncs - before.syncs;
    Ok((acknowledged as f64 / elapsed, acknowledged as f64 / syncs as f64))
}

/// Appends and syncs a second, of the bare disk.
fn bare(file: &mut File) -> anyhow::Result<f64> {
    let page = [7; PAGE];
    let from = Instant::now();
    let mut syncs = 0;
    while from.elapsed() < ROUND {
        file.write_all(&page)?;
        file.sync_data()?;
        syncs += 1;
    }
    Ok(f64::from(syncs) / from.elapsed().as_secs_f64())
}

fn opened(folder: &Path) -> anyhow::Result<(Store, File)> {
    Ok((Store::open(folder.join("bench.redb"))?, File::create(folder.join("bare"))?))
}

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    let folder = crate::scratch()?;
    let runtime = crate::runtime(2)?;
    let (store, mut file) = opened(folder.path())?;
    let alone = in_turn(ROUNDS, || Ok(runtime.block_on(load(&store, 1))?.0), || bare(&mut file))?;
    let (mut rates, mut shares) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (rate, share) = runtime.block_on(load(&store, WRITERS))?;
        rates.push(rate);
        shares.push(share);
    }
    runtime.block_on(store.close())?;
    let (rate, share) = (median(&rates), median(&shares));
    Ok(vec![
        Row::new("durable writes a sync, 64 writers", share, "")
            .sides(format!("{} writes/s", number(rate)), format!("{} syncs/s alone", number(alone.baseline)))
            .aim(Aim::AtLeast(40.0))
            .note("every write is a transaction of its own, acknowledged after its sync"),
        Row::new("durable writes, one writer", alone.ratio, "×")
            .sides(format!("{} writes/s", number(alone.ours)), format!("{} syncs/s", number(alone.baseline)))
            .aim(Aim::AtLeast(0.95))
            .note(format!(
                "against appending {PAGE} bytes and `fdatasync` to a file beside it; once a second a \
                 commit settles the file with one sync more"
            )),
    ])
}
