//! The machine as it does: processor, memory, disk, and who holds what of it.
//!
//! Soft state, measured when somebody looks, at most once a second ([`MAX_AGE`]): the processor's share is
//! that between two looks. Blocks for a millisecond or two, so it is called on a blocking thread.

use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Map, Value};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::time::Instant;

use crate::actors::resource_manager::ResourceHandle;
use crate::domain::resources::ReservationStatus;
use crate::http::resource_manager::{quotas_by_kind, row};

const MIB: u64 = 1024 * 1024;
/// How old what is shown may be: people see no faster, and the processor's share needs some time between
/// two measurements.
const MAX_AGE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Resources {
    /// Of the whole machine, 0 to 100.
    cpu_percent: f64,
    mem_used_mb: u64,
    mem_total_mb: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rss_mb: Option<u64>,
    /// Where the daemon works.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_free_mb: Option<u64>,
    quotas: Map<String, Value>,
    reservations: Vec<Value>,
}

/// Measures, and remembers for a second.
pub(super) struct Sampler {
    workdir: PathBuf,
    state: Mutex<State>,
}

struct State {
    /// `None` where the system tells nothing.
    system: Option<System>,
    taken: Option<(Instant, Resources)>,
}

impl Sampler {
    pub(super) fn new(workdir: PathBuf) -> Self {
        // The first share is that since now: whoever looks need not wait for a second measurement.
        let system = System::new().ok().map(|mut system| {
            system.refresh_cpu_usage();
            system
        });
        Self { workdir, state: Mutex::new(State { system, taken: None }) }
    }

    /// How the machine does now.
    pub(super) fn sample(&self, manager: &ResourceHandle) -> Resources {
        let mut state = self.state.lock();
        if let Some((at, resources)) = &state.taken
            && at.elapsed() < MAX_AGE
        {
            return resources.clone();
        }
        let mut resources = state.measure();
        // What cannot be read is left out.
        let disk = rustix::fs::statvfs(&self.workdir).ok();
        resources.disk_free_mb = disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) / MIB);
        resources.quotas = quotas_by_kind(&manager.quotas());
        resources.reservations = held(manager);
        state.taken = Some((Instant::now(), resources.clone()));
        resources
    }
}

fn held(manager: &ResourceHandle) -> Vec<Value> {
    if manager.counts().0 == 0 {
        return Vec::new();
    }
    match manager.reservations(Some(ReservationStatus::Active)) {
        Ok(rows) => rows.iter().map(row).collect(),
        Err(error) => {
            tracing::warn!(%error, "reservations cannot be read; the HMI shows none");
            Vec::new()
        }
    }
}

impl State {
    fn measure(&mut self) -> Resources {
        let Some(system) = &mut self.system else { return Resources::default() };
        system.refresh_cpu_usage();
        system.refresh_memory();
        let own = Pid::from_u32(std::process::id());
        let memory = ProcessRefreshKind::nothing().with_memory();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), true, memory);
        Resources {
            cpu_percent: (f64::from(system.global_cpu_usage()) * 10.0).round() / 10.0,
            mem_used_mb: system.used_memory() / MIB,
            mem_total_mb: system.total_memory() / MIB,
            rss_mb: system.process(own).map(|process| process.memory() / MIB),
            ..Resources::default()
        }
    }
}
