//! Weighted patterns for task and method.
//!
//! Weights are log-odds, set by hand: 4 for an explicit request, 2 typical, 1 a hint. The patterns are in
//! `rules/*.txt`, one per line: weight, label, pattern. They follow common ways of asking;
//! `tests/data/tmd_queries.jsonl` was written before them.

use regex::bytes::Regex;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The prior of `Answer`: a question without any pattern wants an answer.
pub(super) const ANSWER_BIAS: f32 = 1.0;

/// The signs of tasks, as text.
pub(super) const TASKS: &str = include_str!("rules/tasks.txt");
/// The signs of methods, as text.
pub(super) const METHODS: &str = include_str!("rules/methods.txt");

/// A pattern: label, weight, regex. Compiled without Unicode classes, which these patterns do not need and
/// which take a hundred times the memory.
#[derive(Debug)]
pub(super) struct LabelSign<L> {
    pub(super) label: L,
    pub(super) weight: f32,
    pub(super) pattern: Regex,
}

/// The lines of a table with a sign.
pub(super) fn lines(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// A table's patterns. Malformed lines are skipped; a test checks that there are none.
pub(super) fn signs<L: DeserializeOwned>(table: &str) -> Vec<LabelSign<L>> {
    lines(table).filter_map(sign).collect()
}

fn sign<L: DeserializeOwned>(line: &str) -> Option<LabelSign<L>> {
    let (weight, rest) = line.split_once(' ')?;
    let (label, pattern) = rest.split_once(' ')?;
    Some(LabelSign {
        label: serde_json::from_value(Value::from(label)).ok()?,
        weight: weight.parse().ok()?,
        pattern: Regex::new(&format!("(?i-u){pattern}")).ok()?,
    })
}

/// A thing that is looked up letter by letter: `snake_case`, `CamelCase`, flags, files, versions with a
/// point, codes of letters and digits, dates.
pub(super) const IDENTIFIER: &str = r"(?x-u)
    \b[a-zA-Z]+_[a-zA-Z_0-9]+\b | \b[a-z]+[A-Z][a-zA-Z]+\( | \s--?[a-z][a-z-]+ | \b0x[0-9a-fA-F]+\b
    | \b[\w-]+\.(?:toml|yaml|yml|json|pdf|md|txt|rs|py|js|ts|csv|html|xml|docx?|log|cfg|ini|prod|local)\b
    | \b[A-Z]{2,}[-\s/:]?\d[\w.-]* | \b[A-Z]+/\d(?:\.\d)? | \b\d+\.\d+(?:\.\d+)*\b | \b\d{4}-\d{2}-\d{2}\b
    | \b\d{1,2}\s(?:January|February|March|April|May|June|July|August|September|October|November|December)\s\d{4}\b
    | \b[a-zA-Z]+:\d+\.\d+ | \b(?:section|chapter|paragraph|clause|article|page|invoice|ticket|rule)\s\d+
    | \b\d{1,3}(?:,\d{3})+\b | \b(?:int|bigint|varchar|boolean|float|double|null|enum|struct|void)\b";

/// A matter of meaning, which words alone do not find.
pub(super) const CONCEPT: &str = r"(?xi-u)
    \b(?: why | how\s(?:did|does|do|can|should|is|are|has|have) | effects? | affect(?:s|ed)? | impacts? | influences?
    | caus(?:e|es|ed|ing) | because | changed? | views? | th(?:ink|ought|inks) | ideas? | attitudes? | learned | learnt
    | advantages? | better | worse | mattered | matters? | criticisms? | debates? | discussions? | arguments?
    | meaning | liability | inequality | reasons? | role | about | delays? | guides? | failed | expensive | slow(?:er)?
    | cheap | care )\b";

/// By meaning: the less is named, the better.
pub(super) fn dense(identifiers: usize, names: usize) -> f32 {
    2.0 - 1.5 * identifiers as f32 - 0.6 * names as f32
}

/// By words: identifiers, or a named thing and no matter of meaning.
pub(super) fn sparse(identifiers: usize, names: usize, concepts: usize) -> f32 {
    let fact = if names > 0 && concepts == 0 { 1.6 } else { 0.0 };
    2.2 * identifiers as f32 + fact
}

/// By both: named things, or identifiers, with a matter of meaning about them.
pub(super) fn hybrid(identifiers: usize, names: usize, concepts: usize) -> f32 {
    if names + identifiers == 0 || concepts == 0 {
        return 0.5 + 0.2 * names as f32;
    }
    0.8 + 0.5 * names as f32 + concepts as f32
}
