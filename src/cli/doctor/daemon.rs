//! The running daemon: folders, store, and number of agents.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{DoctorCheck, state};
use crate::cli::client::{DaemonClient, LONG_CALL, ORCHESTRATOR};
use crate::cli::render::{count, units};
use crate::cli::wire::{self, WireKept};
use crate::config::SwarmConfig;
use crate::daemon::WorkdirLock;

/// A daemon's description of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct AnsweringDaemon {
    pid: u32,
    workdir: PathBuf,
    pub(super) data_dir: PathBuf,
    pub(super) store: PathBuf,
    /// Whether the store accepts writes.
    #[serde(default)]
    store_state: Value,
    /// What it last found that it keeps; null before it has looked.
    #[serde(default)]
    retention: Value,
}

impl AnsweringDaemon {
    /// The daemon behind the ports of these settings; `None` when none answers.
    pub(super) async fn ask(client: &DaemonClient) -> Option<Self> {
        if !client.is_up().await {
            return None;
        }
        serde_json::from_value(client.get(&["health"], &[]).await.ok()?).ok()
    }

    /// The daemon's working directory, which may differ from the one this command would use.
    pub(super) fn check(&self, config: &SwarmConfig) -> DoctorCheck {
        let Self { pid, workdir, data_dir, .. } = self;
        let saw =
            format!("process {pid} works in {}, with its state in {}", workdir.display(), data_dir.display());
        let here = &config.daemon.workdir;
        if is_same(workdir, here) {
            return DoctorCheck::ok("daemon", saw);
        }
        DoctorCheck::ok("daemon", format!("{saw}; a daemon started here would work in {}", here.display()))
    }

    /// A failure when the store refuses writes.
    pub(super) fn writes(&self) -> Option<DoctorCheck> {
        state::refused(&self.store_state)
    }

    /// What the daemon keeps of its past: as it last found, or counted now where it has not yet.
    pub(super) async fn kept(&self, client: &DaemonClient) -> DoctorCheck {
        let found = if self.retention.is_null() {
            client.post_to(ORCHESTRATOR, &["prune"], &json!({ "dry_run": true }), LONG_CALL).await
        } else {
            Ok(self.retention.clone())
        };
        found.map_or_else(
            |error| DoctorCheck::warn("retention", error.to_string(), "see the daemon's log"),
            |found| kept_of(&found),
        )
    }

    /// The daemon's agents. Refused definitions are in the daemon's log.
    pub(super) async fn agents(client: &DaemonClient) -> DoctorCheck {
        match client.get(&["agents"], &[]).await {
            Ok(answer) => {
                let agents = answer["agents"].as_array().map_or(0, Vec::len);
                DoctorCheck::ok("agents", format!("the daemon has {}", count(agents, "agent", "agents")))
            }
            Err(error) => DoctorCheck::warn("agents", error.to_string(), "see the daemon's log"),
        }
    }
}

fn kept_of(report: &Value) -> DoctorCheck {
    let kinds: Vec<WireKept> = wire::read(&report["kinds"]).unwrap_or_default();
    let kept = kinds.iter().map(|row| {
        let (size, limit) = (units::bytes(row.kept.bytes), row.limit());
        format!("{} {} ({size}; limit: {limit})", row.kept.count, row.kind)
    });
    let at = report["at"].as_str().unwrap_or("an unknown time");
    DoctorCheck::ok("retention", format!("kept at {at}: {}", kept.collect::<Vec<_>>().join(", ")))
}

/// When none answers: a daemon on other ports may have the working directory.
pub(super) fn elsewhere(config: &SwarmConfig) -> Option<DoctorCheck> {
    let workdir = &config.daemon.workdir;
    let holder = WorkdirLock::holder(workdir)?;
    let saw = format!(
        "a daemon on other ports (process {}, port {}) works in {}",
        holder.pid,
        holder.port,
        workdir.display()
    );
    Some(DoctorCheck::warn(
        "daemon",
        saw,
        "use that daemon's --port-offset; a second daemon in this folder is refused",
    ))
}

fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize().ok() == other.canonicalize().ok()
}

#[cfg(test)]
mod tests {
    use super::super::CheckHealth;
    use super::*;
    use crate::config::ConfigSources;

    #[test]
    fn a_daemon_of_another_folder_is_shown_with_its_own_folders() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = SwarmConfig::load(&ConfigSources::default()).unwrap();
        let health = json!({
            "pid": 7, "workdir": folder.path(), "data_dir": "state-of-it", "store": "state-of-it/pas.redb", "x": 1,
        });
        let daemon: AnsweringDaemon = serde_json::from_value(health).unwrap();
        let saw = daemon.check(&config).saw;
        let (theirs, ours) = (folder.path().display(), config.daemon.workdir.display());
        assert!(
            saw.starts_with(&format!("process 7 works in {theirs}, with its state in state-of-it")),
            "{saw}"
        );
        assert!(saw.ends_with(&format!("started here would work in {ours}")), "{saw}");
        config.daemon.workdir = folder.path().to_owned();
        assert!(daemon.check(&config).saw.ends_with("state-of-it"));
    }

    #[tokio::test]
    async fn what_is_kept_is_not_counted_again_where_the_daemon_knows_it() {
        let config = SwarmConfig::load(&ConfigSources::default()).unwrap();
        let amount = json!({ "count": 41, "bytes": 2048, "oldest": null });
        let kind =
            json!({ "kind": "jobs", "kept": amount, "gone": amount, "limit_days": 180, "limit_bytes": null });
        let health = json!({
            "pid": 7, "workdir": "w", "data_dir": "d", "store": "s",
            "retention": { "at": "2026-11-22T16:00:00.000Z", "dry_run": false, "kinds": [kind], "store_bytes": 1 },
        });
        let daemon: AnsweringDaemon = serde_json::from_value(health).unwrap();
        // Nobody answers this client.
        let check = daemon.kept(&DaemonClient::new(&config).unwrap()).await;
        assert_eq!(check.health, CheckHealth::Ok, "{}", check.saw);
        assert!(check.saw.contains("41 jobs") && check.saw.contains("16:00:00"), "{}", check.saw);
    }

    #[test]
    fn a_daemon_on_other_ports_is_found_by_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = SwarmConfig::load(&ConfigSources::default()).unwrap();
        config.daemon.workdir = folder.path().to_owned();
        assert_eq!(elsewhere(&config), None);
        let _lock = WorkdirLock::take(&config).unwrap();
        let check = elsewhere(&config).unwrap();
        assert_eq!(check.health, CheckHealth::Warn);
        assert!(check.saw.contains("port 6100"), "{}", check.saw);
    }
}
