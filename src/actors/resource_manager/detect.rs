//! What the machine has, where the configuration says `"auto"`.
//!
//! Cores and memory as far as this process may use them (a container's limits count); accelerators are
//! NVIDIA's, through the driver's management library, which is looked for at run time. Where there is none
//! (macOS, other vendors) there are 0: state the number in the configuration. Blocks for milliseconds.

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use crate::config::{Quota, Resources};
use crate::domain::resources::{Amounts, Cores};

const MIB: u64 = 1024 * 1024;
/// Megabytes where the system does not tell: the contract's default.
const UNTOLD_MEMORY_MB: u64 = 32_768;

/// The capacity that the configuration means on this machine.
#[must_use]
pub fn capacity(config: &Resources) -> Amounts {
    let gpus = match (config.gpu, config.gpu_mem_mb) {
        (Quota::Number(_), Quota::Number(_)) => Gpus::default(),
        _ => gpus().unwrap_or_else(|error| {
            tracing::info!(%error, "no NVIDIA accelerators are counted");
            Gpus::default()
        }),
    };
    Amounts {
        cpu: Cores::whole(stated(config.cpu, cores)),
        mem_mb: stated(config.mem_mb, memory_mb),
        gpu: stated(config.gpu, || gpus.count),
        gpu_mem_mb: stated(config.gpu_mem_mb, || gpus.memory_mb),
    }
}

fn stated(quota: Quota, detect: impl FnOnce() -> u64) -> u64 {
    match quota {
        Quota::Number(number) => number,
        Quota::Auto => detect(),
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
            tracing::warn!(%error, "the machine's memory is not known; {UNTOLD_MEMORY_MB} MB are assumed");
            UNTOLD_MEMORY_MB
        }
    }
}

#[derive(Default)]
struct Gpus {
    count: u64,
    memory_mb: u64,
}

fn gpus() -> Result<Gpus, NvmlError> {
    let nvml = Nvml::init()?;
    let count = nvml.device_count()?;
    let memory: u64 = (0..count)
        .map(|index| Ok(nvml.device_by_index(index)?.memory_info()?.total))
        .sum::<Result<u64, NvmlError>>()?;
    Ok(Gpus { count: count.into(), memory_mb: memory / MIB })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};

    #[test]
    fn what_is_stated_counts_and_what_is_not_is_looked_for() {
        let defaults = Config::load(&Sources::default()).unwrap().resources;
        let stated = capacity(&defaults);
        assert_eq!(stated, Amounts { cpu: Cores::whole(10), mem_mb: 32_768, gpu: 1, gpu_mem_mb: 8_192 });
        let auto = Resources {
            cpu: Quota::Auto,
            mem_mb: Quota::Auto,
            gpu: Quota::Auto,
            gpu_mem_mb: Quota::Auto,
            ..defaults
        };
        let found = capacity(&auto);
        assert!(found.cpu >= Cores::whole(1) && found.mem_mb > 64, "{found}");
        assert_eq!(found.gpu == 0, found.gpu_mem_mb == 0, "accelerators and their memory go together");
    }
}
