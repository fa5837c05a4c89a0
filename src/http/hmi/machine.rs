//! The machine's load: processor, memory, disk, and reservations.
//!
//! Soft state, measured on demand, at most once a second ([`MAX_AGE`]): the processor's share covers the time
//! between two measurements. Blocks for a millisecond or two, so call this on a blocking thread.

use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Map, Value};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::time::Instant;

use crate::actors::resource_manager::ResourceHandle;
use crate::domain::resource_manager::ReservationStatus;
use crate::http::resource_manager::{quotas_by_kind, row};

const MIB: u64 = 1024 * 1024;
/// Age below which a measurement is reused: people see no faster, and the processor's share needs time
/// between two measurements.
const MAX_AGE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct MachineResources {
    /// Of the whole machine, 0 to 100.
    cpu_percent: f64,
    mem_used_mb: u64,
    mem_total_mb: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rss_mb: Option<u64>,
    /// The daemon's working directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_free_mb: Option<u64>,
    quotas: Map<String, Value>,
    reservations: Vec<Value>,
}

pub(super) struct MachineSampler {
    workdir: PathBuf,
    state: Mutex<SamplerState>,
}

struct SamplerState {
    /// `None` where the system gives no figures.
    system: Option<System>,
    taken: Option<(Instant, MachineResources)>,
}

impl MachineSampler {
    pub(super) fn new(workdir: PathBuf) -> Self {
        // The first share counts from here, so that the first reader need not wait for a second measurement.
        let system = System::new().ok().map(|mut system| {
            system.refresh_cpu_usage();
            system
        });
        Self { workdir, state: Mutex::new(SamplerState { system, taken: None }) }
    }

    /// The current load.
    pub(super) fn sample(&self, manager: &ResourceHandle) -> MachineResources {
        let mut state = self.state.lock();
        if let Some((at, resources)) = &state.taken
            && at.elapsed() < MAX_AGE
        {
            return resources.clone();
        }
        let mut resources = state.measure();
        // Unreadable figures are omitted.
        let disk = rustix::fs::statvfs(&self.workdir).ok();
        resources.disk_free_mb = disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) / MIB);
        resources.quotas = quotas_by_kind(&manager.quotas());
        resources.reservations = reservations(manager);
        state.taken = Some((Instant::now(), resources.clone()));
        resources
    }
}

fn reservations(manager: &ResourceHandle) -> Vec<Value> {
    if manager.counts().0 == 0 {
        return Vec::new();
    }
    match manager.reservations(Some(ReservationStatus::Active)) {
        Ok(rows) => rows.iter().map(row).collect(),
        Err(error) => {
            tracing::warn!(%error, "cannot read reservations; the HMI shows none");
            Vec::new()
        }
    }
}

impl SamplerState {
    fn measure(&mut self) -> MachineResources {
        let Some(system) = &mut self.system else { return MachineResources::default() };
        system.refresh_cpu_usage();
        system.refresh_memory();
        let own = Pid::from_u32(std::process::id());
        let memory = ProcessRefreshKind::nothing().with_memory();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), true, memory);
        MachineResources {
            cpu_percent: (f64::from(system.global_cpu_usage()) * 10.0).round() / 10.0,
            mem_used_mb: system.used_memory() / MIB,
            mem_total_mb: system.total_memory() / MIB,
            rss_mb: system.process(own).map(|process| process.memory() / MIB),
            ..MachineResources::default()
        }
    }
}
