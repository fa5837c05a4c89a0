//! `pas config`.

use console::style;
use serde_json::{Value, json};

use super::exit::{CommandExit, CommandResult};
use super::render::{fit, table};
use super::screen::CliScreen;
use crate::config::{ConfigOrigin, DEFAULTS, EffectiveSetting, SwarmConfig};

pub(super) fn defaults(screen: CliScreen) -> CommandResult {
    screen.show(&json!({ "toml": DEFAULTS }), |_| Ok(DEFAULTS.to_owned()))?;
    Ok(CommandExit::Done)
}

/// The settings in force.
pub(super) fn effective(screen: CliScreen, config: &SwarmConfig) -> CommandResult {
    let all: Vec<Value> = config.explain().iter().map(as_json).collect();
    screen.show(&json!({ "settings": all }), |_| Ok(draw(config.explain(), screen.width())))?;
    Ok(CommandExit::Done)
}

fn as_json(setting: &EffectiveSetting) -> Value {
    json!({ "key": setting.key, "value": setting.value, "origin": setting.origin.to_string() })
}

fn draw(settings: &[EffectiveSetting], width: usize) -> String {
    let row = |setting: &EffectiveSetting| {
        let origin = setting.origin.to_string();
        let is_default = setting.origin == ConfigOrigin::Default;
        let origin = if is_default { style(origin).dim() } else { style(origin).cyan().bold() };
        [setting.key.clone(), fit(&setting.value, width / 2), origin.to_string()]
    };
    let columns = [
        table::TableColumn::left("KEY"),
        table::TableColumn::left("VALUE"),
        table::TableColumn::left("FROM"),
    ];
    table::draw(columns, 1, &settings.iter().map(row).collect::<Vec<_>>(), width)
}
