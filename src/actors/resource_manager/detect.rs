//! The machine's resources, for settings of `"auto"`.
//!
//! Cores and memory as far as this process may use them (a container's limits count); accelerators are
//! NVIDIA's, through the driver's management library, which is loaded at run time. Without that library
//! (macOS, other vendors) the count is 0: set the number in the configuration. Blocks for milliseconds.

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use crate::config::{QuotaSetting, ResourcesConfig};
use crate::domain::resource_manager::{MilliCores, ResourceAmounts};

const MIB: u64 = 1024 * 1024;
/// Megabytes where the system does not report memory: the contract's default.
const UNTOLD_MEMORY_MB: u64 = 32_768;

/// The configured capacity on this machine.
#[must_use]
pub fn capacity(config: &ResourcesConfig) -> ResourceAmounts {
    let gpus = match (config.gpu, config.gpu_mem_mb) {
        (QuotaSetting::Number(_), QuotaSetting::Number(_)) => GpuTotals::default(),
        _ => gpus().unwrap_or_else(|error| {
            tracing::info!(%error, "no NVIDIA accelerators are counted");
            GpuTotals::default()
        }),
    };
    ResourceAmounts {
        cpu: MilliCores::whole(stated(config.cpu, cores)),
        mem_mb: stated(config.mem_mb, memory_mb),
        gpu: stated(config.gpu, || gpus.count),
        gpu_mem_mb: stated(config.gpu_mem_mb, || gpus.memory_mb),
    }
}

fn stated(quota: QuotaSetting, detect: impl FnOnce() -> u64) -> u64 {
    match quota {
        QuotaSetting::Number(number) => number,
        QuotaSetting::Auto => detect(),
    }
}

fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}

fn memory_mb() -> u64 {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    match System::new_with_specifics(memory) {
        Ok(system) => {
            let limit = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
            system.total_memory().min(limit) / MIB
        }
        Err(error) => {
            tracing::warn!(%error, "the machine's memory is unknown; assuming {UNTOLD_MEMORY_MB} MB");
            UNTOLD_MEMORY_MB
        }
    }
}

#[derive(Default)]
struct GpuTotals {
    count: u64,
    memory_mb: u64,
}

fn gpus() -> Result<GpuTotals, NvmlError> {
    let nvml = Nvml::init()?;
    let count = nvml.device_count()?;
    let memory: u64 = (0..count)
        .map(|index| Ok(nvml.device_by_index(index)?.memory_info()?.total))
        .sum::<Result<u64, NvmlError>>()?;
    Ok(GpuTotals { count: count.into(), memory_mb: memory / MIB })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigSources, SwarmConfig};

    #[test]
    fn what_is_stated_counts_and_what_is_not_is_looked_for() {
        let defaults = SwarmConfig::load(&ConfigSources::default()).unwrap().resources;
        let stated = capacity(&defaults);
        assert_eq!(
            stated,
            ResourceAmounts { cpu: MilliCores::whole(10), mem_mb: 32_768, gpu: 1, gpu_mem_mb: 8_192 }
        );
        let auto = ResourcesConfig {
            cpu: QuotaSetting::Auto,
            mem_mb: QuotaSetting::Auto,
            gpu: QuotaSetting::Auto,
            gpu_mem_mb: QuotaSetting::Auto,
            ..defaults
        };
        let found = capacity(&auto);
        assert!(found.cpu >= MilliCores::whole(1) && found.mem_mb > 64, "{found}");
        assert_eq!(found.gpu == 0, found.gpu_mem_mb == 0, "accelerators and their memory go together");
    }
}
