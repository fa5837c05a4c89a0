//! Checks that a card's inputs are those of the task, each of the right kind.

use serde_json::{Map, Value};

use super::{CardFacts, CardFaults};
use crate::task::{InputKind, TaskEntry, TaskInput, TaskKind};

/// Written into the inputs of a plan by a retry.
const RETRY_OF: TaskInput = TaskInput::optional("retry_of", InputKind::Text);

pub(super) fn check(
    facts: &dyn CardFacts,
    entry: &TaskEntry,
    inputs: &Map<String, Value>,
    faults: &mut CardFaults,
) {
    let retried = (entry.kind == TaskKind::Plan || entry.kind == TaskKind::Skill).then_some(RETRY_OF);
    let rules: Vec<TaskInput> = entry.inputs.iter().copied().chain(retried).collect();
    let known: Vec<&str> = rules.iter().map(|rule| rule.name).collect();
    for name in inputs.keys().filter(|name| !known.contains(&name.as_str())) {
        faults.unknown("inputs", name, &known);
    }
    for rule in rules {
        match inputs.get(rule.name) {
            None | Some(Value::Null) if rule.is_required => {
                let msg = format!("`{}` needs `{}`, {}", entry.task, rule.name, rule.kind.wanted());
                faults.add(format!("inputs.{}", rule.name), "missing", msg);
            }
            None | Some(Value::Null) => {}
            Some(value) => {
                if let Some(msg) = trouble(facts, rule.kind, value) {
                    faults.add(format!("inputs.{}", rule.name), "value_error", msg);
                }
            }
        }
    }
}

fn trouble(facts: &dyn CardFacts, kind: InputKind, value: &Value) -> Option<String> {
    if !kind.fits(value) {
        return Some(format!("is {value}; give {}", kind.wanted()));
    }
    let texts = match value {
        Value::Array(texts) => texts.as_slice(),
        text => std::slice::from_ref(text),
    };
    texts.iter().filter_map(Value::as_str).find_map(|text| facts.trouble_with(kind, text))
}
