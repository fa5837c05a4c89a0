//! Machine resources for jobs: the daemon's quotas, or the configured ones when no daemon runs.

use serde_json::Value;

use super::DoctorCheck;
use crate::actors::resource_manager::detect;
use crate::cli::client::{DaemonClient, RESOURCE_MANAGER};
use crate::config::SwarmConfig;
use crate::domain::resource_manager::{ResourceAmounts, ResourceKind};

/// The quotas, in use or as configured.
pub(super) async fn check(config: &SwarmConfig, client: &DaemonClient, is_up: bool) -> DoctorCheck {
    if !is_up {
        return judge(&detect::capacity(&config.resources), "for jobs");
    }
    match client.get_from(RESOURCE_MANAGER, &["quotas"], &[]).await {
        Ok(answer) => DoctorCheck::ok("resources", in_use(&answer["quotas"])),
        Err(error) => DoctorCheck::warn("resources", error.to_string(), "see the daemon's log"),
    }
}

fn judge(capacity: &ResourceAmounts, what: &str) -> DoctorCheck {
    let saw = format!("{capacity} {what}");
    let missing = [ResourceKind::Cpu, ResourceKind::MemMb].into_iter().find(|kind| capacity.of(*kind) == 0);
    match missing {
        None => DoctorCheck::ok("resources", saw),
        Some(kind) => {
            let todo = format!("set `resources.{}`: without any, steps wait forever", kind.as_str());
            DoctorCheck::warn("resources", saw, todo)
        }
    }
}

/// `2 of 10 cpu in use, 4096 of 32768 mem_mb in use, …`
fn in_use(quotas: &Value) -> String {
    let of_kind = |kind: ResourceKind| {
        let quota = &quotas[kind.as_str()];
        format!("{} of {} {}", quota["allocated"], quota["total_capacity"], kind.as_str())
    };
    let kinds: Vec<String> = ResourceKind::ALL.into_iter().map(of_kind).collect();
    format!("in use: {}", kinds.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::CheckHealth;
    use super::*;
    use crate::domain::resource_manager::MilliCores;

    #[test]
    fn quotas_are_shown_and_a_missing_one_is_told() {
        let quota = |allocated, total| json!({ "allocated": allocated, "total_capacity": total });
        let quotas = json!({
            "cpu": quota(2, 10), "mem_mb": quota(4096, 32768), "gpu": quota(0, 1), "gpu_mem_mb": quota(0, 8192),
        });
        assert_eq!(
            in_use(&quotas),
            "in use: 2 of 10 cpu, 4096 of 32768 mem_mb, 0 of 1 gpu, 0 of 8192 gpu_mem_mb"
        );
        let small = ResourceAmounts { cpu: MilliCores::whole(2), ..ResourceAmounts::NONE };
        let check = judge(&small, "for jobs");
        assert_eq!((check.health, check.saw.as_str()), (CheckHealth::Warn, "2 cpu for jobs"));
        assert!(check.todo.unwrap().contains("`resources.mem_mb`"));
        assert_eq!(judge(&ResourceAmounts::ONE, "for jobs").health, CheckHealth::Ok);
    }
}
