//! `pas config`.

use console::style;
use serde_json::{Value, json};

use super::exit::{Exit, Outcome};
use super::render::{fit, table};
use super::screen::Screen;
use crate::config::{Config, DEFAULTS, Effective, Origin};

pub(super) fn defaults(screen: Screen) -> Outcome {
    screen.show(&json!({ "toml": DEFAULTS }), |_| Ok(DEFAULTS.to_owned()))?;
    Ok(Exit::Done)
}

/// The settings in force.
pub(super) fn effective(screen: Screen, config: &Config) -> Outcome {
    let all: Vec<Value> = config.explain().iter().map(as_json).collect();
    screen.show(&json!({ "settings": all }), |_| Ok(draw(config.explain(), screen.width())))?;
    Ok(Exit::Done)
}

fn as_json(setting: &Effective) -> Value {
    json!({ "key": setting.key, "value": setting.value, "origin": setting.origin.to_string() })
}

fn draw(settings: &[Effective], width: usize) -> String {
    let row = |setting: &Effective| {
        let origin = setting.origin.to_string();
        let is_default = setting.origin == Origin::Default;
        let origin = if is_default { style(origin).dim() } else { style(origin).cyan().bold() };
        [setting.key.clone(), fit(&setting.value, width / 2), origin.to_string()]
    };
    let columns = [table::Column::left("KEY"), table::Column::left("VALUE"), table::Column::left("FROM")];
    table::draw(columns, 1, &settings.iter().map(row).collect::<Vec<_>>(), width)
}
