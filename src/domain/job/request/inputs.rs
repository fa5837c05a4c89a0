//! Which inputs a task reads, and of what kind each is.

use serde_json::{Map, Value};

use super::tasks::reads_source;
use super::{CardFacts, CardFaults};

/// The kind of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// The absolute path of a folder or file to read.
    Source,
    /// Words for people.
    Text,
    /// A positive whole number.
    Count,
    /// SPDX identifiers of licences, in a list.
    Licences,
}

struct InputRule {
    name: &'static str,
    kind: InputKind,
    required: bool,
}

const fn input(name: &'static str, kind: InputKind, required: bool) -> InputRule {
    InputRule { name, kind, required }
}

/// What the steps of an ingest read of the run's inputs.
const INGEST_INPUTS: &[InputRule] = &[
    input("source", InputKind::Source, true),
    input("name", InputKind::Text, false),
    input("max_file_bytes", InputKind::Count, false),
    input("deny_licences", InputKind::Licences, false),
    // Written by a retry.
    input("retry_of", InputKind::Text, false),
];

pub(super) fn check(facts: &dyn CardFacts, task: &str, inputs: &Map<String, Value>, faults: &mut CardFaults) {
    if !reads_source(task) {
        return;
    }
    let known: Vec<&str> = INGEST_INPUTS.iter().map(|rule| rule.name).collect();
    for name in inputs.keys().filter(|name| !known.contains(&name.as_str())) {
        faults.unknown("inputs", name, &known);
    }
    for rule in INGEST_INPUTS {
        match inputs.get(rule.name) {
            None | Some(Value::Null) if rule.required => {
                let msg = format!("`{task}` needs `{}`, the absolute path of a folder or file", rule.name);
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
    let wrong = |what: &str| Some(format!("is {value}; give {what}"));
    match (kind, value) {
        (InputKind::Source, Value::String(path)) if std::path::Path::new(path).is_absolute() => {
            facts.trouble_with(kind, path)
        }
        (InputKind::Source, _) => wrong("the absolute path of a folder or file, such as \"/srv/docs\""),
        (InputKind::Text, Value::String(_)) => None,
        (InputKind::Text, _) => wrong("a text"),
        // One less than the maximum keeps `limit + 1` in range.
        (InputKind::Count, _) => match value.as_u64() {
            Some(count) if (1..u64::MAX).contains(&count) => None,
            _ => wrong("a positive whole number"),
        },
        (InputKind::Licences, Value::Array(names)) => names.iter().find_map(|name| match name {
            Value::String(name) => facts.trouble_with(kind, name),
            other => Some(format!("names {other}; give SPDX identifiers, such as \"AGPL-3.0-only\"")),
        }),
        (InputKind::Licences, _) => wrong("a list of SPDX identifiers, such as [\"AGPL-3.0-only\"]"),
    }
}
