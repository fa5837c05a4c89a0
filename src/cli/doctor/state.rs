//! The store, and the user's agent definitions.

use std::path::Path;

use serde_json::Value;

use super::DoctorCheck;
use crate::actors::tasks;
use crate::cli::render::{count, units};
use crate::config::SwarmConfig;
use crate::store::OpenError;
use crate::{roster, store};

/// Refusals listed; the others are counted.
const SHOWN: usize = 3;

/// Whether the store is intact, or open in the daemon.
pub(super) fn store(path: &Path, is_up: bool) -> DoctorCheck {
    let shown = path.display();
    if !path.exists() {
        return DoctorCheck::ok("store", format!("{shown} does not exist yet; the first start creates it"));
    }
    match store::open::check(path) {
        Ok(whole) => {
            let size = units::bytes(whole.file_bytes);
            DoctorCheck::ok(
                "store",
                format!("{shown} is intact: {size}, {} rows in {} tables", whole.rows, whole.tables),
            )
        }
        Err(OpenError::AlreadyOpen { .. }) if is_up => {
            let size = path.metadata().map(|file| units::bytes(file.len())).unwrap_or_default();
            DoctorCheck::ok("store", format!("{shown} is open in the running daemon ({size})"))
        }
        Err(OpenError::AlreadyOpen { .. }) => DoctorCheck::fail(
            "store",
            format!("{shown} is open in a process that does not answer on this daemon's ports"),
            "possibly a daemon with another --port-offset: stop it, or use another --data-dir",
        ),
        Err(error) => DoctorCheck::fail(
            "store",
            error.to_string(),
            "`pas up` refuses to start on it; nothing was changed",
        ),
    }
}

/// A running daemon's report of a store that refuses writes.
pub(super) fn refused(store: &Value) -> Option<DoctorCheck> {
    if store["status"].as_str()? != "refusing" {
        return None;
    }
    let (since, reason) = (store["since"].as_str()?, store["reason"].as_str()?);
    Some(DoctorCheck::fail(
        "store",
        format!("the daemon's store has been refusing writes since {since}: {reason}"),
        "free some space or check the disk; reads continue, work waits, and writes resume by themselves",
    ))
}

/// Whether all agent definitions were accepted.
pub(super) fn agents(config: &SwarmConfig) -> DoctorCheck {
    let folder = config.agents.folder.as_deref();
    let (roster, refusals) = roster::load_checked(folder, &tasks::check_definition);
    let from = folder
        .map_or_else(|| "built in".to_owned(), |folder| format!("built in and in {}", folder.display()));
    let saw = format!("{} ({from})", count(roster.len(), "agent", "agents"));
    if refusals.is_empty() {
        return DoctorCheck::ok("agents", saw);
    }
    let mut shown: Vec<String> = refusals.iter().take(SHOWN).map(ToString::to_string).collect();
    if refusals.len() > SHOWN {
        shown.push(format!("and {} more", refusals.len() - SHOWN));
    }
    let refused = count(refusals.len(), "definition", "definitions");
    DoctorCheck::warn(
        "agents",
        format!("{saw}; {refused} refused: {}", shown.join("; ")),
        "fix them; the others run",
    )
}

#[cfg(test)]
mod tests {
    use super::super::CheckHealth;
    use super::*;
    use crate::config::ConfigSources;

    fn config(folder: &std::path::Path) -> SwarmConfig {
        let mut config = SwarmConfig::load(&ConfigSources::default()).unwrap();
        config.daemon.data_dir = folder.to_owned();
        config
    }

    #[test]
    fn a_store_is_absent_whole_held_or_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        assert!(store(&config.store_file(), false).saw.contains("does not exist yet"));
        let open = store::Store::open(config.store_file()).unwrap();
        assert_eq!(store(&config.store_file(), true).health, CheckHealth::Ok);
        assert_eq!(store(&config.store_file(), false).health, CheckHealth::Fail);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(open.close()).unwrap();
        let whole = store(&config.store_file(), false);
        assert!(whole.health == CheckHealth::Ok && whole.saw.contains("is intact"), "{}", whole.saw);
        std::fs::write(config.store_file(), "no store at all, but long enough to be read as one".repeat(100))
            .unwrap();
        assert_eq!(store(&config.store_file(), false).health, CheckHealth::Fail);
    }

    #[test]
    fn a_daemon_whose_store_refuses_writes_is_a_finding_with_time_and_reason() {
        let told =
            serde_json::json!({"status": "refusing", "since": "2026-11-30T10:00:00.000Z", "reason": "full"});
        let check = refused(&told).unwrap();
        assert!(check.health == CheckHealth::Fail, "{}", check.saw);
        assert!(check.saw.contains("since 2026-11-30T10:00:00.000Z: full"), "{}", check.saw);
        assert_eq!(refused(&serde_json::json!({"status": "writable"})), None);
        assert_eq!(refused(&Value::Null), None, "an older daemon");
    }

    #[test]
    fn refused_definitions_are_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("broken.md"), "no front matter").unwrap();
        let mut config = config(folder.path());
        config.agents.folder = Some(folder.path().to_owned());
        let check = agents(&config);
        assert_eq!(check.health, CheckHealth::Warn);
        assert!(check.saw.starts_with("50 agents") && check.saw.contains("broken.md"), "{}", check.saw);
        config.agents.folder = None;
        assert_eq!(agents(&config).health, CheckHealth::Ok);
    }
}
