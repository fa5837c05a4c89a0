//! `pas doctor`: looks at everything a daemon needs, and says what to do about what is wrong.
//!
//! Where a daemon answers, it is asked, whatever folder the command was typed in; the settings of this command
//! say only how one would start. Invariants: a check never changes anything but what an integrity check of the store repairs; each
//! says what it saw, even when all is well; `warn` is what works but less well, `fail` what stops the
//! daemon or a promise of it. Exit 1 exactly when something fails.

mod daemon;
mod keys;
mod machine;
mod models;
mod ports;
mod resources;
mod state;

use console::style;
use serde::Serialize;
use serde_json::json;

use self::daemon::AnsweringDaemon;
use super::client::Client;
use super::exit::{Exit, Outcome};
use super::render::{count, wrap};
use super::screen::Screen;
use crate::config::{Config, ConfigError, Origin, Sources};

/// Columns of mark and name before what was seen.
const MARGIN: usize = 16;

/// How well it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Ok,
    Warn,
    Fail,
}

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    name: String,
    health: Health,
    saw: String,
    /// What to do; `None` when all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

impl Check {
    fn ok(name: &str, saw: impl Into<String>) -> Self {
        Self { name: name.into(), health: Health::Ok, saw: saw.into(), todo: None }
    }

    fn warn(name: &str, saw: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { name: name.into(), health: Health::Warn, saw: saw.into(), todo: Some(todo.into()) }
    }

    fn fail(name: &str, saw: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { name: name.into(), health: Health::Fail, saw: saw.into(), todo: Some(todo.into()) }
    }
}

/// Looks at everything. Settings that cannot be used are a finding too: the rest is then looked at with
/// the defaults.
pub(super) async fn examine(screen: Screen, config: Result<Config, ConfigError>) -> Outcome {
    let mut checks = vec![settings(&config)];
    let config = match config {
        Ok(config) => config,
        Err(_) => Config::load(&Sources::default()).map_err(|error| super::unusable(&error))?,
    };
    let client = Client::new(&config)?;
    checks.extend(ports::check(&config, &client).await);
    match AnsweringDaemon::ask(&client).await {
        Some(daemon) => {
            checks.push(daemon.check(&config));
            checks.push(daemon.writes().unwrap_or_else(|| state::store(&daemon.store, true)));
            checks.push(resources::check(&config, &client, true).await);
            checks.push(machine::disk(&daemon.data_dir));
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
    checks.extend(machine::sandbox());
    let is_broken = checks.iter().any(|check| check.health == Health::Fail);
    screen.show(&json!({ "ok": !is_broken, "checks": checks }), |_| Ok(draw(&checks, screen.width())))?;
    Ok(if is_broken { Exit::Failed } else { Exit::Done })
}

fn settings(config: &Result<Config, ConfigError>) -> Check {
    match config {
        Ok(config) => {
            let mut files: Vec<String> = Vec::new();
            let mut others = 0;
            for setting in config.explain() {
                match setting.origin.file().map(|path| path.display().to_string()) {
                    Some(file) if !files.contains(&file) => files.push(file),
                    Some(_) => {}
                    None => others += usize::from(setting.origin != Origin::Default),
                }
            }
            let files = if files.is_empty() { "no file".to_owned() } else { files.join(", ") };
            let others = count(others, "value", "values");
            Check::ok("settings", format!("defaults, {files}, {others} from environment and flags"))
        }
        Err(error) => {
            let problems: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
            Check::fail("settings", problems.join("; "), "mend what is named; until then no daemon starts")
        }
    }
}

fn draw(checks: &[Check], width: usize) -> String {
    let mut lines = Vec::new();
    for check in checks {
        let mark = match check.health {
            Health::Ok => style("ok  ").green(),
            Health::Warn => style("warn").yellow().bold(),
            Health::Fail => style("FAIL").red().bold(),
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

fn verdict(checks: &[Check]) -> String {
    let number = |health| checks.iter().filter(|check| check.health == health).count();
    match (number(Health::Fail), number(Health::Warn)) {
        (0, 0) => "all is well".into(),
        (0, warnings) => format!("ready; {} to know of", count(warnings, "thing", "things")),
        (failures, _) => format!("{} to repair", count(failures, "thing", "things")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_drawn_with_what_to_do() {
        let checks = [
            Check::ok("ports", "6100, 6109, 6119, 6121 are free"),
            Check::warn("keys", "none of the four providers has a key", "none is needed yet"),
            Check::fail(
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
        let sources = Sources { file: Some(file), ..Sources::default() };
        let check = settings(&Config::load(&sources));
        assert_eq!(check.health, Health::Fail);
        assert!(check.saw.contains("port_ofset") && check.saw.contains(":2"), "{}", check.saw);
        assert_eq!(settings(&Config::load(&Sources::default())).health, Health::Ok);
    }
}
