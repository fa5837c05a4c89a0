//! The daemon that answers, in its own words: where it works, and how many agents it has.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::{Check, state};
use crate::cli::client::Client;
use crate::cli::render::count;
use crate::config::Config;
use crate::daemon::WorkdirLock;

/// What a daemon says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct AnsweringDaemon {
    pid: u32,
    workdir: PathBuf,
    pub(super) data_dir: PathBuf,
    pub(super) store: PathBuf,
    /// Whether its store takes writes.
    #[serde(default)]
    store_state: Value,
}

impl AnsweringDaemon {
    /// The one behind the ports of these settings; `None` where none answers.
    pub(super) async fn ask(client: &Client) -> Option<Self> {
        if !client.is_up().await {
            return None;
        }
        serde_json::from_value(client.get(&["health"], &[]).await.ok()?).ok()
    }

    /// Where it works, which need not be where this command would start one.
    pub(super) fn check(&self, config: &Config) -> Check {
        let Self { pid, workdir, data_dir, .. } = self;
        let saw =
            format!("process {pid} works in {}, its state is in {}", workdir.display(), data_dir.display());
        let here = &config.daemon.workdir;
        if is_same(workdir, here) {
            return Check::ok("daemon", saw);
        }
        Check::ok("daemon", format!("{saw}; a daemon started here would work in {}", here.display()))
    }

    /// That its store takes no writes, if so.
    pub(super) fn writes(&self) -> Option<Check> {
        state::refused(&self.store_state)
    }

    /// Its agents. Definitions that it refused are in its log.
    pub(super) async fn agents(client: &Client) -> Check {
        match client.get(&["agents"], &[]).await {
            Ok(answer) => {
                let agents = answer["agents"].as_array().map_or(0, Vec::len);
                Check::ok("agents", format!("the daemon has {}", count(agents, "agent", "agents")))
            }
            Err(error) => Check::warn("agents", error.to_string(), "look into the daemon's log"),
        }
    }
}

/// Where none answers: one with other ports may have the working directory.
pub(super) fn elsewhere(config: &Config) -> Option<Check> {
    let workdir = &config.daemon.workdir;
    let holder = WorkdirLock::holder(workdir)?;
    let saw = format!(
        "a daemon on other ports (process {}, port {}) works in {}",
        holder.pid,
        holder.port,
        workdir.display()
    );
    Some(Check::warn("daemon", saw, "ask that one with its --port-offset; a second one is refused here"))
}

fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize().ok() == other.canonicalize().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Health;
    use super::*;
    use crate::config::Sources;

    #[test]
    fn a_daemon_of_another_folder_is_shown_with_its_own_folders() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::load(&Sources::default()).unwrap();
        let health = json!({
            "pid": 7, "workdir": folder.path(), "data_dir": "state-of-it", "store": "state-of-it/pas.redb", "x": 1,
        });
        let daemon: AnsweringDaemon = serde_json::from_value(health).unwrap();
        let saw = daemon.check(&config).saw;
        let (theirs, ours) = (folder.path().display(), config.daemon.workdir.display());
        assert!(
            saw.starts_with(&format!("process 7 works in {theirs}, its state is in state-of-it")),
            "{saw}"
        );
        assert!(saw.ends_with(&format!("started here would work in {ours}")), "{saw}");
        config.daemon.workdir = folder.path().to_owned();
        assert!(daemon.check(&config).saw.ends_with("state-of-it"));
    }

    #[test]
    fn a_daemon_on_other_ports_is_found_by_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::load(&Sources::default()).unwrap();
        config.daemon.workdir = folder.path().to_owned();
        assert_eq!(elsewhere(&config), None);
        let _lock = WorkdirLock::take(&config).unwrap();
        let check = elsewhere(&config).unwrap();
        assert_eq!(check.health, Health::Warn);
        assert!(check.saw.contains("port 6100"), "{}", check.saw);
    }
}
