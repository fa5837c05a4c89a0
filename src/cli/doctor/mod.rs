//! `pas doctor`: checks everything a daemon needs, and suggests fixes.
//!
//! A running daemon is asked, from whatever folder the command runs in; this command's own settings only say
//! how a daemon would start. Invariants: a check changes nothing, except for repairs by the store's integrity
//! check; each check reports its findings, even when all is well; `warn` means degraded, `fail` means that
//! the daemon or one of its promises breaks. Exit code 1 exactly when a check fails.

mod daemon;
mod found;
mod keys;
mod machine;
mod models;
mod ports;
mod repository;
mod resources;
mod state;

use console::style;
use serde::Serialize;
use serde_json::json;

use self::daemon::AnsweringDaemon;
use super::args::DoctorArgs;
use super::client::DaemonClient;
use super::exit::{CommandExit, CommandResult};
use super::render::{count, wrap};
use super::screen::CliScreen;
use crate::config::{ConfigError, ConfigOrigin, ConfigSources, SwarmConfig};

/// Width of mark and name.
const MARGIN: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum CheckHealth {
    Ok,
    Warn,
    Fail,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct DoctorCheck {
    name: String,
    health: CheckHealth,
    saw: String,
    /// The remedy; `None` when all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

impl DoctorCheck {
    fn ok(name: &str, saw: impl Into<String>) -> Self {
        Self { name: name.into(), health: CheckHealth::Ok, saw: saw.into(), todo: None }
    }

    fn warn(name: &str, saw: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { name: name.into(), health: CheckHealth::Warn, saw: saw.into(), todo: Some(todo.into()) }
    }

    fn fail(name: &str, saw: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { name: name.into(), health: CheckHealth::Fail, saw: saw.into(), todo: Some(todo.into()) }
    }
}

/// Runs all checks. Unusable settings are a finding too; the other checks then use the defaults.
pub(super) async fn examine(
    screen: CliScreen,
    config: Result<SwarmConfig, ConfigError>,
    args: &DoctorArgs,
) -> CommandResult {
    let mut checks = vec![settings(&config)];
    let config = match config {
        Ok(config) => config,
        Err(_) => SwarmConfig::load(&ConfigSources::default()).map_err(|error| super::unusable(&error))?,
    };
    let client = DaemonClient::new(&config)?;
    checks.extend(ports::check(&config, &client).await);
    match AnsweringDaemon::ask(&client).await {
        Some(daemon) => {
            checks.push(daemon.check(&config));
            checks.push(daemon.writes().unwrap_or_else(|| state::store(&daemon.store, true)));
            checks.push(resources::check(&config, &client, true).await);
            checks.push(machine::disk(&daemon.data_dir));
            checks.push(daemon.kept(&client).await);
            checks.push(AnsweringDaemon::agents(&client).await);
            checks.extend(models::check(&client).await);
        }
        None => {
            checks.extend(daemon::elsewhere(&config));
            checks.push(state::store(&config.store_file(), false));
            checks.push(resources::check(&config, &client, false).await);
            checks.push(machine::disk(&config.daemon.data_dir));
            checks.push(state::agents(&config));
            checks.extend(keys::check(&config));
        }
    }
    checks.extend(found::check(&config).await);
    checks.push(machine::sandbox().await);
    if let Some(repository) = &args.repo {
        screen.hint("running the proving command once");
        checks.extend(repository::check(&config, repository, args).await);
    }
    let is_broken = checks.iter().any(|check| check.health == CheckHealth::Fail);
    screen.show(&json!({ "ok": !is_broken, "checks": checks }), |_| Ok(draw(&checks, screen.width())))?;
    Ok(if is_broken { CommandExit::Failed } else { CommandExit::Done })
}

fn settings(config: &Result<SwarmConfig, ConfigError>) -> DoctorCheck {
    match config {
        Ok(config) => {
            let mut files: Vec<String> = Vec::new();
            let mut others = 0;
            for setting in config.explain() {
                match setting.origin.file().map(|path| path.display().to_string()) {
                    Some(file) if !files.contains(&file) => files.push(file),
                    Some(_) => {}
                    None => others += usize::from(setting.origin != ConfigOrigin::Default),
                }
            }
            let files = if files.is_empty() { "no file".to_owned() } else { files.join(", ") };
            let others = count(others, "value", "values");
            DoctorCheck::ok("settings", format!("defaults, {files}, {others} from environment and flags"))
        }
        Err(error) => {
            let problems: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
            DoctorCheck::fail(
                "settings",
                problems.join("; "),
                "fix the settings named here; until then no daemon starts",
            )
        }
    }
}

fn draw(checks: &[DoctorCheck], width: usize) -> String {
    let mut lines = Vec::new();
    for check in checks {
        let mark = match check.health {
            CheckHealth::Ok => style("ok  ").green(),
            CheckHealth::Warn => style("warn").yellow().bold(),
            CheckHealth::Fail => style("FAIL").red().bold(),
        };
        let room = width.saturating_sub(MARGIN);
        let mut saw = wrap(&check.saw, room).into_iter();
        lines.push(format!("{mark} {:11}{}", check.name, saw.next().unwrap_or_default()));
        lines.extend(saw.map(|line| format!("{:MARGIN$}{line}", "")));
        let todo = check.todo.iter().flat_map(|todo| wrap(&format!("→ {todo}"), room));
        lines.extend(todo.map(|line| format!("{:MARGIN$}{}", "", style(line).cyan())));
    }
    lines.push(String::new());
    lines.push(verdict(checks));
    lines.join("\n")
}

fn verdict(checks: &[DoctorCheck]) -> String {
    let number = |health| checks.iter().filter(|check| check.health == health).count();
    match (number(CheckHealth::Fail), number(CheckHealth::Warn)) {
        (0, 0) => "all is well".into(),
        (0, warnings) => format!("ready; {} to note", count(warnings, "thing", "things")),
        (failures, _) => format!("{} to repair", count(failures, "thing", "things")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_drawn_with_what_to_do() {
        let checks = [
            DoctorCheck::ok("ports", "6100, 6109, 6119, 6121 are free"),
            DoctorCheck::warn("keys", "none of the four providers has a key", "none is needed yet"),
            DoctorCheck::fail(
                "store",
                "the file is damaged (checksum of page 12) and so on, in a sentence that is long enough to wrap",
                "restore a backup",
            ),
        ];
        insta::assert_snapshot!(console::strip_ansi_codes(&draw(&checks, 80)));
    }

    #[test]
    fn broken_settings_are_a_finding() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pas.toml");
        std::fs::write(&file, "[http]\nport_ofset = 3\n").unwrap();
        let sources = ConfigSources { file: Some(file), ..ConfigSources::default() };
        let check = settings(&SwarmConfig::load(&sources));
        assert_eq!(check.health, CheckHealth::Fail);
        assert!(check.saw.contains("port_ofset") && check.saw.contains(":2"), "{}", check.saw);
        assert_eq!(settings(&SwarmConfig::load(&ConfigSources::default())).health, CheckHealth::Ok);
    }
}
