//! The daemon as a process: time until ready, and memory.

use std::time::Duration;

use crate::child::Daemon;
use crate::machine::resident;
use crate::measure::median;
use crate::report::{Aim, Row};

const STARTS: usize = 7;
/// Silence before the memory of an idle daemon is read.
const IDLE: Duration = Duration::from_secs(2);
/// Silence after the job: allocators return memory with a delay.
const AFTER_JOB: Duration = Duration::from_secs(5);
/// Documents of the small corpus.
const DOCUMENTS: usize = 300;
const JOB_DEADLINE: Duration = Duration::from_secs(300);
const MIB: f64 = 1024.0 * 1024.0;

fn start_times() -> anyhow::Result<(f64, f64)> {
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let folder = crate::scratch()?;
        for times in [&mut first, &mut again] {
            let daemon = Daemon::start(folder.path(), "")?;
            times.push(daemon.ready_after.as_secs_f64() * 1e3);
        }
    }
    Ok((median(&first), median(&again)))
}

fn memory() -> anyhow::Result<(f64, f64)> {
    let folder = crate::scratch()?;
    let corpus = crate::ingest::small_corpus(folder.path(), DOCUMENTS)?;
    let daemon = Daemon::start(folder.path(), "")?;
    std::thread::sleep(IDLE);
    let idle = resident(daemon.pid())?;
    let job = daemon.ingest(&corpus)?;
    daemon.finish(&job, JOB_DEADLINE)?;
    std::thread::sleep(AFTER_JOB);
    Ok((idle as f64 / MIB, resident(daemon.pid())? as f64 / MIB))
}

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    let (first, again) = start_times()?;
    let (idle, after) = memory()?;
    Ok(vec![
        Row::new("daemon, start to all ports ready", first, " ms")
            .aim(Aim::AtMost(300.0))
            .note("from the start of the process until `/health` of every port has answered; new store"),
        Row::new("the same, after `kill -9`", again, " ms").note("with recovery of the store"),
        Row::new("memory, idle for 2 s", idle, " MiB")
            .aim(Aim::AtMost(40.0))
            .note("resident, all 50 agents up; pages of the binary count too"),
        Row::new(format!("memory, 5 s after an ingest of {DOCUMENTS} documents"), after, " MiB"),
    ])
}
