//! What the machine offers to jobs: what a daemon says, or what the settings mean where none runs.

use serde_json::Value;

use super::Check;
use crate::actors::resource_manager::detect;
use crate::cli::client::{Client, RESOURCE_MANAGER};
use crate::config::Config;
use crate::domain::resources::{Amounts, Resource};

/// The quotas, in use or as configured.
pub(super) async fn check(config: &Config, client: &Client, is_up: bool) -> Check {
    if !is_up {
        return judge(&detect::capacity(&config.resources), "for jobs");
    }
    match client.get_from(RESOURCE_MANAGER, &["quotas"], &[]).await {
        Ok(answer) => Check::ok("resources", in_use(&answer["quotas"])),
        Err(error) => Check::warn("resources", error.to_string(), "look into the daemon's log"),
    }
}

fn judge(capacity: &Amounts, what: &str) -> Check {
    let saw = format!("{capacity} {what}");
    let missing = [Resource::Cpu, Resource::MemMb].into_iter().find(|kind| capacity.of(*kind) == 0);
    match missing {
        None => Check::ok("resources", saw),
        Some(kind) => {
            let todo = format!("set `resources.{}`: without any, steps wait for ever", kind.as_str());
            Check::warn("resources", saw, todo)
        }
    }
}

/// `2 of 10 cpu in use, 4096 of 32768 mem_mb in use, …`
fn in_use(quotas: &Value) -> String {
    let of_kind = |kind: Resource| {
        let quota = &quotas[kind.as_str()];
        format!("{} of {} {}", quota["allocated"], quota["total_capacity"], kind.as_str())
    };
    let kinds: Vec<String> = Resource::ALL.into_iter().map(of_kind).collect();
    format!("in use: {}", kinds.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Health;
    use super::*;
    use crate::domain::resources::Cores;

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
        let small = Amounts { cpu: Cores::whole(2), ..Amounts::NONE };
        let check = judge(&small, "for jobs");
        assert_eq!((check.health, check.saw.as_str()), (Health::Warn, "2 cpu for jobs"));
        assert!(check.todo.unwrap().contains("`resources.mem_mb`"));
        assert_eq!(judge(&Amounts::ONE, "for jobs").health, Health::Ok);
    }
}
